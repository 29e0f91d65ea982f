"""The encoder-decoder, put together from the parts it is given.

Sizes: B rows, S source steps, T target steps, N real target tokens, V vocabulary, X words of a
source that the vocabulary lacks.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from core.data.batches import Batch
from core.models.attention import coverage_loss
from core.models.dropout import LockedDropout
from core.models.encoders import Encoded, Encoder
from core.models.generators import Generator, Measure, highest
from core.models.learner import LossOptions, LossTerms
from core.models.lexicon import Lexicon
from core.models.pointer import Pointer, PointerState, count_beyond, fold
from core.models.precision import widened
from core.models.readout import Readout, together
from core.models.shortlist import ListedState, Shortlist
from core.models.states import State


class Decoder(Protocol):
    """Whatever reads a memory and words, and tells what the output layer is to see."""

    @property
    def tells_attention(self) -> bool:
        """Whether its readouts say where it looked."""
        ...

    def start(self, encoded: Encoded, recurrent: tuple[Tensor, ...]) -> State:
        """Return the state before the first word; ``recurrent`` comes over a bridge."""
        ...

    def __call__(self, embedded: Tensor, state: State) -> tuple[Readout, State]:
        """Run ``embedded`` (B, T, E); one step of decoding is T = 1."""
        ...


class Bridge(Protocol):
    """Whatever turns what an encoder leaves into a decoder's first recurrent state."""

    def __call__(self, encoded: Encoded) -> tuple[Tensor, ...]:
        """Return (B, L, H) for each vector that the decoder's cell carries."""
        ...


class Seq2Seq(nn.Module):
    """An encoder-decoder over one vocabulary.

    ``start``, ``step``, ``select`` and ``join`` are all that decoding uses; ``losses`` is all that
    training does. With a pointer, ids from V on are words of the source that the vocabulary lacks.
    """

    def __init__(
        self,
        *,
        source_embedding: nn.Embedding,
        target_embedding: nn.Embedding,  # may be the same
        encoder: Encoder,
        bridge: Bridge | None,  # none: the decoder has no recurrent state
        decoder: Decoder,
        generator: Generator,
        pointer: Pointer | None,
        dropout: nn.Module,
    ) -> None:
        super().__init__()
        self.source_embedding = source_embedding
        self.target_embedding = target_embedding
        self.encoder = encoder
        self.bridge = bridge
        self.decoder = decoder
        self.generator = generator
        self.pointer = pointer
        self.dropout = dropout
        self.lexicon: Lexicon | None = None  # what a source calls up; none: any word may be said

    @property
    def tells_attention(self) -> bool:
        """Whether a step says where it looked."""
        return self.decoder.tells_attention

    def losses(
        self,
        batch: Batch,
        options: LossOptions,
        carry: tuple[Tensor, ...] = (),
    ) -> LossTerms:
        """Return how wrong the model is on ``batch``; the output layer sees no padding.

        Where ``options.truth`` is below 1, a step hears the gold word with that chance, and else
        what the model found likeliest at the step before (Bengio et al. 2015).
        """
        words = batch.target[:, :-1]
        if options.truth < 1:
            vectors = self._embed(self.source_embedding, batch.source)
            state = self._begin(vectors, batch.source_mask)
            readout = self._overhear(state, batch.source, words, options)
        else:
            readout = self.read(batch.source, batch.source_mask, words)
        return self._terms(readout, batch, options, carry)

    def losses_from(self, encoded: Encoded, batch: Batch, options: LossOptions) -> LossTerms:
        """Return the same for whoever has read the sources of ``batch`` in another way."""
        state, words = self._hand_over(encoded), batch.target[:, :-1]
        if options.truth < 1:
            readout = self._overhear(state, batch.source, words, options)
        else:
            said = self._embed(self.target_embedding, words)
            readout = self.decoder(self.dropout(said), state)[0]
        return self._terms(readout, batch, options)

    def _terms(
        self,
        readout: Readout,
        batch: Batch,
        options: LossOptions,
        carry: tuple[Tensor, ...] = (),
    ) -> LossTerms:
        mask = batch.target_mask[:, 1:]
        total, nll = self._score(readout, batch, options)
        if options.coverage_weight and readout.attention is not None:
            repeated = coverage_loss(readout.attention)[mask].sum()
            total = total + options.coverage_weight * repeated
        return LossTerms(total=total, nll=nll, tokens=int(mask.sum()), carry=carry)

    def read(self, source: Tensor, source_mask: Tensor, words: Tensor) -> Readout:
        """Run ``words`` (B, T) through the decoder in one call: teacher forcing."""
        vectors, said = self._embed_both(source, words)
        state = self._begin(vectors, source_mask)
        return self.decoder(self.dropout(said), state)[0]

    def start(self, source: Tensor, source_mask: Tensor) -> State:
        """Read ``source`` (B, S) and return the state before the first word."""
        state = self._begin(self._embed(self.source_embedding, source), source_mask)
        return self._knowing(state, source, source_mask)

    def start_from(self, encoded: Encoded, source: Tensor, source_mask: Tensor) -> State:
        """Return the same for whoever has read ``source`` in another way."""
        return self._knowing(self._hand_over(encoded), source, source_mask)

    def _knowing(self, state: State, source: Tensor, source_mask: Tensor) -> State:
        """Return ``state`` with what of ``source`` (B, S) may be said."""
        if self.lexicon is not None:
            sources = zip(source, source_mask, strict=True)
            lists = [self.lexicon.called_up(row[mask].tolist()) for row, mask in sources]
            return ListedState(state, Shortlist.each(lists, self.generator.vocabulary_size))
        if self.pointer is None:
            return state
        beyond = count_beyond(source, self.generator.vocabulary_size)
        return PointerState(state, source, beyond)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, Tensor | None, State]:
        """Append ``tokens`` (B,); return logits of what comes next, where it looked, the state.

        Logits (B, V) are scores as they are, never halves; with a pointer they are (B, V + X) log
        probabilities. Where it looked is (B, S), or None where the decoder does not tell.
        """
        if isinstance(state, PointerState):
            readout, inner = self._advance(tokens, state.decoder)
            logits = self._next(readout, state.source, state.beyond)
            return logits, _looked(readout), PointerState(inner, state.source, state.beyond)
        if isinstance(state, ListedState):
            readout, inner = self._advance(tokens, state.decoder)
            logits = state.shortlist.logits(self.generator, readout.features[:, 0])
            return logits, _looked(readout), ListedState(inner, state.shortlist)
        readout, state = self._advance(tokens, state)
        return widened(self.generator(readout.features[:, 0])), _looked(readout), state

    def best(
        self, tokens: Tensor, state: State, never: Tensor, measure: Measure | None
    ) -> tuple[Tensor, Tensor, Tensor | None, State]:
        """Append ``tokens`` (B,), and find what is likeliest to come next, but for ids ``never``.

        Returns its logit (B,), less what ``measure`` returns of all logits, its id (B,), where it
        looked (B, S), the state.
        """
        if isinstance(state, PointerState):
            logits, looked, state = self.step(tokens, state)
            return *highest(logits, never, measure), looked, state
        if isinstance(state, ListedState):
            readout, inner = self._advance(tokens, state.decoder)
            features = readout.features[:, 0]
            found = state.shortlist.best(self.generator, features, never, measure)
            return *found, _looked(readout), ListedState(inner, state.shortlist)
        readout, state = self._advance(tokens, state)
        found = self.generator.best(readout.features[:, 0], never, measure)
        return *found, _looked(readout), state

    def permit(self, state: State, words: Sequence[Collection[int] | None]) -> State:
        """Let each row of ``state``, just begun, say ``words`` besides; None: any there are."""
        if not isinstance(state, ListedState):
            return state
        return ListedState(state.decoder, state.shortlist.permitting(words))

    def select(self, state: State, rows: Tensor) -> State:
        """Keep ``rows`` of ``state``, in their order, repeats allowed."""
        return state.select(rows)

    def join(self, states: Sequence[State]) -> State:
        """Return one state with the rows of all, one state behind the other."""
        first, *others = states
        return first.join(others) if others else first

    def _advance(self, tokens: Tensor, state: State) -> tuple[Readout, State]:
        """Take one step of the decoder, hearing ``tokens`` (B,)."""
        return self.decoder(self._embed(self.target_embedding, tokens.unsqueeze(1)), state)

    def _begin(self, vectors: Tensor, source_mask: Tensor) -> State:
        return self._hand_over(self.encoder(self.dropout(vectors), source_mask))

    def _hand_over(self, encoded: Encoded) -> State:
        return self.decoder.start(encoded, () if self.bridge is None else self.bridge(encoded))

    def _embed_both(self, source: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors of ``source`` (B, S) and ``words`` (B, T), looked up at once if shared.

        The gradient of a lookup is as large as the vocabulary, and one of them is enough.
        """
        if self.source_embedding is not self.target_embedding:
            vectors = self._embed(self.source_embedding, source)
            return vectors, self._embed(self.target_embedding, words)
        vectors = self._embed(self.target_embedding, torch.cat([source, words], dim=1))
        return vectors[:, : source.size(1)], vectors[:, source.size(1) :]

    def _embed(self, embedding: nn.Embedding, ids: Tensor) -> Tensor:
        """Return vectors (B, T, E) of ``ids`` (B, T); unknown words of a source share one."""
        known = ids if self.pointer is None else fold(ids, self.generator.vocabulary_size)
        vectors: Tensor = embedding(known)
        return vectors

    def _score(self, readout: Readout, batch: Batch, options: LossOptions) -> tuple[Tensor, Tensor]:
        """Return what is made small, and -log p, of the gold words after each of ``readout``."""
        mask = batch.target_mask[:, 1:]
        real, gold = readout.at(mask), batch.target[:, 1:][mask]  # N of them
        if self.pointer is None or real.attention is None:
            return self.generator.losses(real.features, gold, options.label_smoothing)
        return self.pointer.losses(
            self.generator,
            real.features,
            real.attention,
            source=batch.source.repeat_interleave(mask.sum(1), dim=0),  # (N, S)
            gold=gold,
            label_smoothing=options.label_smoothing,
        )

    def _overhear(
        self, state: State, source: Tensor, words: Tensor, options: LossOptions
    ) -> Readout:
        """Run ``words`` (B, T) word by word; some are replaced by what the model would have said.

        The loss reaches back through the states, not through the choice of a word.
        """
        beyond = count_beyond(source, self.generator.vocabulary_size) if self.pointer else 0
        coins = _toss(words, options.generator)  # (B, T)
        drop = self._dropout_of_steps(words)
        said = words[:, :1]  # what starts a target is nobody's guess
        readouts: list[Readout] = []
        for gold, coin in zip(
            torch.split(words, 1, dim=1), torch.split(coins, 1, dim=1), strict=True
        ):
            heard = gold.where(coin < options.truth, said) if readouts else gold
            embedded = drop(self._embed(self.target_embedding, heard))
            readout, state = self.decoder(embedded, state)
            readouts.append(readout)
            with torch.no_grad():
                said = self._next(readout, source, beyond).argmax(-1, keepdim=True)
        return together(readouts)

    def _next(self, readout: Readout, source: Tensor, beyond: int) -> Tensor:
        """Return log probabilities (B, V + X) of the word after the one step of ``readout``."""
        features, attention = readout.features[:, 0], readout.attention
        if self.pointer is None or attention is None:
            return self.generator.log_probs(features)
        looked = attention[:, 0]
        known = source[:, : looked.size(-1)]  # what lies behind is padding of rows that left
        return self.pointer.log_probs(self.generator, features, looked, known, beyond)

    def _dropout_of_steps(self, words: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the dropout of embeddings for whoever goes word by word over ``words`` (B, T)."""
        if not isinstance(self.dropout, LockedDropout):
            return self.dropout
        size = self.target_embedding.embedding_dim
        like = self.target_embedding.weight.new_empty(words.size(0), 1, size)
        mask = self.dropout.draw(like)
        return lambda embedded: embedded if mask is None else embedded * mask


def _looked(readout: Readout) -> Tensor | None:
    """Return where the one step of ``readout`` looked, (B, S)."""
    return None if readout.attention is None else readout.attention[:, 0]


def _toss(words: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return a random number from 0 to 1 for each of ``words`` (B, T), wherever they are."""
    device = words.device if generator is None else generator.device
    return torch.rand(words.shape, generator=generator, device=device).to(words.device)
