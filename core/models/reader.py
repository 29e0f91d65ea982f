"""Finds the answer to a question again: where in a passage it begins, and where it ends.

Sizes: N questions, S source steps, T steps of the question, E embedding, M memory, L tokens of
the longest answer.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.data.marks import unmarked
from core.models.encoders import RecurrentEncoder
from core.models.passages import TokenVectors
from core.models.pointer import fold
from core.models.precision import widened
from core.text.tokenizer import UNK

NEVER = float("-inf")


class SpanReader(nn.Module):
    """Reads a passage with a question in mind.

    Each of its tokens comes with what the question has to match it: a blend of the question's
    words by how alike they are, and whether one of them is the same. Ends are found by their
    product with the question. Source: Chen et al. 2017, 3.2.
    """

    def __init__(
        self,
        *,
        vectors: TokenVectors,
        question: RecurrentEncoder,
        passage: RecurrentEncoder,
        dropout: nn.Module,
    ) -> None:
        """``passage`` reads [vectors, the blend of words, 1 where a word is the same]."""
        super().__init__()
        self.vectors = vectors
        self.question = question
        self.passage = passage
        self.dropout = dropout
        word_dim = vectors.words.embedding_dim
        self.align = nn.Linear(word_dim, word_dim)
        self.weigh = nn.Linear(question.memory_dim, 1)
        self.first = nn.Linear(question.memory_dim, passage.memory_dim)
        self.last = nn.Linear(question.memory_dim, passage.memory_dim)

    def forward(
        self, source: Tensor, mask: Tensor, question: Tensor, question_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return log p (N, S) of the first and of the last token of the answer.

        ``source`` (N, S) are marked ids, marks of answers are not looked at; ``question`` (N, T)
        ids beside that source. Each row of both masks begins with its True part, of one at least.
        """
        words = self.dropout(self.vectors.words(fold(question, self.vectors.words.num_embeddings)))
        asked = self.question(words, question_mask).memory  # (N, T, M)
        weights = widened(self.weigh(asked)).squeeze(-1).masked_fill(~question_mask, NEVER)
        whole = torch.einsum("nt,ntm->nm", weights.softmax(1).to(asked.dtype), asked)
        vectors = self.dropout(self.vectors(source))  # (N, S, E)
        blend = self._blend(vectors[..., : words.size(-1)], words, question_mask)
        same = same_words(source, question, question_mask).unsqueeze(-1).to(vectors.dtype)
        memory = self.passage(torch.cat([vectors, blend, same], dim=-1), mask).memory
        memory, whole = self.dropout(memory), whole.unsqueeze(2)  # (N, M, 1)
        first, last = (
            widened((memory @ end(whole.squeeze(2)).unsqueeze(2)).squeeze(2))
            .masked_fill(~mask, NEVER)
            .log_softmax(1)
            for end in (self.first, self.last)
        )
        return first, last

    def _blend(self, words: Tensor, question: Tensor, mask: Tensor) -> Tensor:
        """Return (N, S, E): for each of ``words`` (N, S, E) what of ``question`` is like it."""
        keys, queries = (functional.relu(self.align(one)) for one in (question, words))
        alike = widened(queries @ keys.transpose(1, 2))  # (N, S, T)
        weights = alike.masked_fill(~mask.unsqueeze(1), NEVER).softmax(2)
        return weights.to(question.dtype) @ question


def same_words(source: Tensor, question: Tensor, mask: Tensor) -> Tensor:
    """Return (N, S), True where a word of ``source`` (N, S) is one of ``question`` (N, T).

    Of what a vocabulary lacks nobody knows whether it is the same, unless it has an id there.
    """
    words = unmarked(source).words
    asked = question.masked_fill(~mask | (question == UNK), -1)
    return (words.unsqueeze(2) == asked.unsqueeze(1)).any(2)


def spans_between(first: Tensor, last: Tensor, longest: int) -> Tensor:
    """Return log p (N, S, L) of the span from each token on, of each length; -inf: there is none.

    ``first`` and ``last`` (N, S) are log p of either end.
    """
    ends = functional.pad(last, (0, longest - 1), value=NEVER).unfold(1, longest, 1)  # (N, S, L)
    return first.unsqueeze(2) + ends
