"""The decoding loops that tutorials show, over the network of ``benchmarks.plain``: the yardstick.

Greedy: one word for every row at each step, all rows stay until the last one has ended. Beam: what
the encoder left is repeated for each hypothesis, the best of all their K * V extensions are kept,
and a hypothesis that has ended is carried on unchanged. Both take log_softmax over the vocabulary.
The keys of the attention are projected at every step, as PyTorch's own tutorials do (the chatbot's
``Attn.general_score``, the translator's ``BahdanauAttention``); ``keys_once`` spares that.
Sizes: B rows, S source steps, N lines, K hypotheses of a row, H hidden, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.plain import PlainSeq2Seq
from core.text.tokenizer import BOS, EOS, PAD


@dataclass(frozen=True, slots=True)
class _Source:
    """What the encoder left."""

    memory: Tensor  # (N, S, M)
    mask: Tensor  # (N, S)
    keys: Tensor | None  # (N, S, H), where they are not projected anew at each step


class PlainDecoding:
    """Decodes padded batches, word by word."""

    def __init__(self, model: PlainSeq2Seq, *, keys_once: bool = False) -> None:
        self.model = model.eval()
        self.keys_once = keys_once

    @torch.inference_mode()
    def greedy(self, source: Tensor, mask: Tensor, *, max_tokens: int) -> list[list[int]]:
        """Return the words of each row of ``source`` (B, S), without their end."""
        read, state = self._encode(source, mask)
        words = torch.full((len(source), 1), BOS)
        ended = torch.zeros(len(source), dtype=torch.bool)
        said = []
        for _ in range(max_tokens):
            log_probs, state = self._step(words, state, read)  # (B, V)
            words = log_probs.argmax(-1, keepdim=True)
            said.append(words)
            ended |= words.squeeze(1) == EOS
            if ended.all():
                break
        return [_until_end(row) for row in torch.cat(said, dim=1).tolist()]

    @torch.inference_mode()
    def beam(self, source: Tensor, mask: Tensor, *, width: int, max_tokens: int) -> list[list[int]]:
        """Return the words of each row's best hypothesis by log p over length."""
        rows, vocabulary = len(source), self.model.output.out_features
        read, state = self._encode(source, mask)
        read = _Source(*(part if part is None else _repeat(part, width) for part in _parts(read)))
        state = tuple(part.repeat_interleave(width, dim=1) for part in state)
        said = torch.full((rows * width, 1), BOS)
        ended = torch.zeros(rows * width, dtype=torch.bool)
        totals = torch.full((rows, width), float("-inf"))
        totals[:, 0] = 0.0  # they all begin alike, so but one of them may grow
        first = torch.arange(rows).unsqueeze(1) * width  # (B, 1)
        carried = torch.full((vocabulary,), float("-inf"))
        carried[PAD] = 0.0
        for _ in range(max_tokens):
            log_probs, state = self._step(said[:, -1:], state, read)  # (N, V)
            log_probs = torch.where(ended.unsqueeze(1), carried, log_probs)
            grown = totals.unsqueeze(2) + log_probs.view(rows, width, vocabulary)
            totals, best = grown.flatten(1).topk(width, dim=1)  # (B, K)
            parents = (first + best // vocabulary).flatten()  # (N,)
            words = (best % vocabulary).view(-1, 1)
            state = tuple(part.index_select(1, parents) for part in state)
            said = torch.cat([said[parents], words], dim=1)
            ended = ended[parents] | (words.squeeze(1) == EOS)
            if ended.all():
                break
        lengths = said[:, 1:].ne(PAD).sum(1).view(rows, width)
        chosen = (first.squeeze(1) + (totals / lengths).argmax(1)).tolist()
        return [_until_end(said[line, 1:].tolist()) for line in chosen]

    def _encode(self, source: Tensor, mask: Tensor) -> tuple[_Source, tuple[Tensor, ...]]:
        """Read ``source`` (B, S) as training does; the state is (1, B, H) twice."""
        model = self.model
        packed = pack_padded_sequence(
            model.embedding(source), mask.sum(1), batch_first=True, enforce_sorted=False
        )
        outputs, (hidden, _) = model.encoder(packed)
        memory, _ = pad_packed_sequence(outputs, batch_first=True)
        first = torch.tanh(model.bridge(torch.cat([hidden[0], hidden[1]], dim=1)))
        state = tuple(part.unsqueeze(0).contiguous() for part in first.chunk(2, dim=1))
        keys = model.keys(memory) if self.keys_once else None
        return _Source(memory, mask, keys), state

    def _step(
        self, words: Tensor, state: tuple[Tensor, ...], read: _Source
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return log probabilities (N, V) of what follows ``words`` (N, 1)."""
        model = self.model
        output, state = model.decoder(model.embedding(words), state)  # (N, 1, H)
        keys = model.keys(read.memory) if read.keys is None else read.keys
        scores = output @ keys.transpose(1, 2)  # (N, 1, S)
        weights = scores.masked_fill(~read.mask.unsqueeze(1), float("-inf")).softmax(-1)
        features = model.combine(torch.cat([output, weights @ read.memory], dim=-1))
        logits = model.output(torch.tanh(features)).squeeze(1)
        return functional.log_softmax(logits, dim=-1), state


def _parts(read: _Source) -> tuple[Tensor, Tensor, Tensor | None]:
    return read.memory, read.mask, read.keys


def _repeat(part: Tensor, times: int) -> Tensor:
    return part.repeat_interleave(times, dim=0)


def _until_end(words: Sequence[int]) -> list[int]:
    return list(words[: words.index(EOS)] if EOS in words else words)
