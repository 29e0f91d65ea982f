"""The encoder-decoder, put together from the parts it is given."""

import torch
from torch import Tensor, nn

from core.models.decoders import AttentionDecoder, DecoderState
from core.models.encoders import RecurrentEncoder


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
        state = self.start(source, source_mask)
        features: Tensor = self.decoder(self.dropout(self.embedding(words)), state)[0]
        return features

    def start(self, source: Tensor, source_mask: Tensor) -> DecoderState:
        """Read ``source`` (B, S) and return the state before the first word."""
        encoded = self.encoder(self.dropout(self.embedding(source)), source_mask)
        return self.decoder.start(encoded, self.bridge(encoded.final))

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Append ``tokens`` (B,) and return log probabilities (B, V) of what comes next."""
        embedded = self.embedding(tokens.unsqueeze(1))  # (B, 1, E)
        features, state = self.decoder(embedded, state)
        return torch.log_softmax(self.generator(features[:, 0]).float(), dim=-1), state

    def select(self, state: DecoderState, rows: Tensor) -> DecoderState:
        """Keep ``rows`` of ``state``, in their order, repeats allowed."""
        return state.select(rows)
