"""The encoder-decoder, put together from the parts it is given."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.data.batches import Batch
from core.models.decoders import AttentionDecoder, DecoderState
from core.models.encoders import RecurrentEncoder
from core.models.learner import LossOptions, LossTerms
from core.models.readout import Readout


class Seq2Seq(nn.Module):
    """An attention encoder-decoder over one shared vocabulary.

    Sizes: B batch, S source steps, T target steps, V vocabulary.
    It is a ``StepModel``: ``start``, ``step`` and ``select`` are all that decoding uses.
    """

    def __init__(
        self,
        *,
        embedding: nn.Embedding,
        encoder: RecurrentEncoder,
        bridge: nn.Module,
        decoder: AttentionDecoder,
        generator: nn.Linear,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.encoder = encoder
        self.bridge = bridge
        self.decoder = decoder
        self.generator = generator
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: Tensor, source_mask: Tensor, words: Tensor) -> Tensor:
        """Score every next word of ``words`` (B, T), teacher forced.

        ``source`` (B, S) holds ids, ``source_mask`` (B, S) is True at real tokens.
        Returns logits (B, T, V).
        """
        features = self.features(source, source_mask, words)
        logits: Tensor = self.generator(features)
        return logits

    def features(self, source: Tensor, source_mask: Tensor, words: Tensor) -> Tensor:
        """Return what the output layer reads, (B, T, F), for every next word of ``words``."""
        return self.read(source, source_mask, words).features

    def read(self, source: Tensor, source_mask: Tensor, words: Tensor) -> Readout:
        """Run ``words`` (B, T) through the decoder in one call: teacher forcing."""
        state = self.start(source, source_mask)
        readout: Readout = self.decoder(self.dropout(self.embedding(words)), state)[0]
        return readout

    def losses(
        self, batch: Batch, options: LossOptions, carry: tuple[Tensor, ...] = ()
    ) -> LossTerms:
        """Return how wrong the model is on ``batch``; only real target tokens are looked at.

        N real tokens: the output layer reads (N, F), never padding.
        """
        words, gold, mask = batch.target[:, :-1], batch.target[:, 1:], batch.target_mask[:, 1:]
        readout = self.read(batch.source, batch.source_mask, words).at(mask)
        logits = self.generator(readout.features).float()  # (N, V)
        nll = functional.cross_entropy(logits, gold[mask], reduction="sum")
        total = nll
        if options.label_smoothing:
            total = functional.cross_entropy(
                logits, gold[mask], reduction="sum", label_smoothing=options.label_smoothing
            )
        return LossTerms(total=total, nll=nll.detach(), tokens=gold[mask].numel(), carry=carry)

    def start(self, source: Tensor, source_mask: Tensor) -> DecoderState:
        """Read ``source`` (B, S) and return the state before the first word."""
        encoded = self.encoder(self.dropout(self.embedding(source)), source_mask)
        return self.decoder.start(encoded, self.bridge(encoded))

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Append ``tokens`` (B,) and return log probabilities (B, V) of what comes next."""
        embedded = self.embedding(tokens.unsqueeze(1))  # (B, 1, E)
        readout, state = self.decoder(embedded, state)
        return torch.log_softmax(self.generator(readout.features[:, 0]).float(), dim=-1), state

    def select(self, state: DecoderState, rows: Tensor) -> DecoderState:
        """Keep ``rows`` of ``state``, in their order, repeats allowed."""
        return state.select(rows)
