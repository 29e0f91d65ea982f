"""How a passage is read: as it is, with an answer marked in it, or at the answer alone.

Sizes: B rows, S source steps, A steps of the longest answer, E embedding, M memory.
"""

import torch
from torch import Tensor, nn

from core.data.marks import OUTSIDE, unmarked
from core.models.encoders import Encoded, RecurrentEncoder
from core.models.pointer import fold
from core.models.self_attention import GatedSelfAttention


class TokenVectors(nn.Module):
    """What is known of each token before anything around it is: its word, its shape, its mark."""

    def __init__(
        self, *, words: nn.Embedding, shapes: nn.Embedding | None, tags: nn.Embedding | None
    ) -> None:
        super().__init__()
        self.words = words
        self.shapes = shapes
        self.tags = tags

    @property
    def dim(self) -> int:
        """E, how many numbers a token becomes."""
        parts = (self.words, self.shapes, self.tags)
        return sum(part.embedding_dim for part in parts if part is not None)

    def forward(self, source: Tensor) -> Tensor:
        """Return (B, S, E) for the marked ids ``source`` (B, S)."""
        marked = unmarked(source)
        vectors = [self.words(fold(marked.words, self.words.num_embeddings))]
        if self.shapes is not None:
            vectors.append(self.shapes(marked.shapes))
        if self.tags is not None:
            vectors.append(self.tags(marked.tags))
        return vectors[0] if len(vectors) == 1 else torch.cat(vectors, dim=-1)


class PassageEncoder(nn.Module):
    """Recurrent layers over a whole passage, and, if wanted, a look from each token at all of it.

    Where its vectors know of marks, the answer is tagged in what they read: Zhou et al. 2017, 2.1.
    """

    def __init__(
        self,
        *,
        vectors: TokenVectors,
        encoder: RecurrentEncoder,
        dropout: nn.Module,
        around: GatedSelfAttention | None = None,
    ) -> None:
        super().__init__()
        self.vectors = vectors
        self.encoder = encoder
        self.around = around
        self.dropout = dropout
        self.memory_dim = encoder.memory_dim

    def forward(self, source: Tensor, mask: Tensor) -> Encoded:
        """Read the marked ids ``source`` (B, S), whose real tokens ``mask`` (B, S) names."""
        encoded: Encoded = self.encoder(self.dropout(self.vectors(source)), mask)
        if self.around is None:
            return encoded
        return encoded._replace(memory=self.around(encoded.memory, mask))


class AnswerEncoder(nn.Module):
    """Recurrent layers over what was read at the answer, and nothing else.

    An answer mask (answer x document) times the document's states picks those of the answer.
    """

    def __init__(self, *, passage: PassageEncoder, encoder: RecurrentEncoder) -> None:
        super().__init__()
        self.passage = passage
        self.encoder = encoder
        self.memory_dim = encoder.memory_dim

    def forward(self, source: Tensor, mask: Tensor) -> Encoded:
        """Read the marked ids ``source`` (B, S); the memory is that of A steps.

        Where nothing is marked, the first token stands for an answer.
        """
        return self.at_answers(self.passage(source, mask).memory, source)

    def at_answers(self, states: Tensor, source: Tensor) -> Encoded:
        """Read of the states (B, S, M) of a passage those at the answers marked in ``source``."""
        answer = unmarked(source).tags != OUTSIDE
        first, lengths = answer.int().argmax(1), answer.sum(1).clamp(min=1)  # (B,)
        steps = torch.arange(int(lengths.max()), device=source.device)  # (A,)
        picked = (first.unsqueeze(1) + steps).clamp(max=source.size(1) - 1)
        inside = steps < lengths.unsqueeze(1)  # (B, A)
        read = states.gather(1, picked.unsqueeze(-1).expand(-1, -1, states.size(-1)))
        encoded: Encoded = self.encoder(read, inside)
        return encoded
