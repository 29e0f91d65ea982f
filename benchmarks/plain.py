"""The training loop that tutorials show, with the whole target in one call: the yardstick.

It owns its network and its loop, and shares nothing with the project but the batches. Sources are
packed, as is usual, so that no padding is read; all positions of the target are projected.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from core.data.batches import Batch
from core.specs import ModelSpec, TrainSpec


class PlainSeq2Seq(nn.Module):
    """Bidirectional LSTM, LSTM, general attention after the cell, tied output.

    Sizes: B rows, S source steps, T target steps, H hidden, V vocabulary.
    """

    def __init__(self, spec: ModelSpec, vocabulary_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, spec.embedding_dim)
        self.encoder = nn.LSTM(
            spec.embedding_dim, spec.encoder_dim, batch_first=True, bidirectional=True
        )
        self.bridge = nn.Linear(spec.memory_dim, 2 * spec.hidden_dim)
        self.decoder = nn.LSTM(spec.embedding_dim, spec.hidden_dim, batch_first=True)
        self.keys = nn.Linear(spec.memory_dim, spec.hidden_dim, bias=False)
        self.combine = nn.Linear(spec.hidden_dim + spec.memory_dim, spec.embedding_dim)
        self.output = nn.Linear(spec.embedding_dim, vocabulary_size)
        self.output.weight = self.embedding.weight
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, source: Tensor, source_mask: Tensor, words: Tensor) -> Tensor:
        """Return logits (B, T, V) for what follows each of ``words`` (B, T)."""
        embedded = self.dropout(self.embedding(source))
        packed = pack_padded_sequence(
            embedded, source_mask.sum(1), batch_first=True, enforce_sorted=False
        )
        outputs, (hidden, _) = self.encoder(packed)
        memory, _ = pad_packed_sequence(outputs, batch_first=True)
        first = torch.tanh(self.bridge(torch.cat([hidden[0], hidden[1]], dim=1)))
        state = tuple(part.unsqueeze(0).contiguous() for part in first.chunk(2, dim=1))
        outputs, _ = self.decoder(self.dropout(self.embedding(words)), state)
        outputs = self.dropout(outputs)  # (B, T, H)
        scores = outputs @ self.keys(memory).transpose(1, 2)  # (B, T, S)
        weights = scores.masked_fill(~source_mask.unsqueeze(1), float("-inf")).softmax(-1)
        features = self.combine(torch.cat([outputs, weights @ memory], dim=-1))
        logits: Tensor = self.output(self.dropout(torch.tanh(features)))
        return logits


def copy_parameters(ours: nn.Module, plain: PlainSeq2Seq) -> None:
    """Let ``plain`` begin with the weights of ``ours``: the layers are the same."""
    theirs = dict(ours.named_parameters())
    names = {
        "source_embedding.weight": "embedding.weight",
        "generator.bias": "output.bias",
        "decoder.attention.keys.weight": "keys.weight",
        "decoder.combine.weight": "combine.weight",
        "decoder.combine.bias": "combine.bias",
    }
    for name in ("weight", "bias"):
        names |= {f"bridge.project.{name}": f"bridge.{name}"}
    layers = {
        "encoder.stack.layers.0.directions.0": ("encoder", "l0"),
        "encoder.stack.layers.0.directions.1": ("encoder", "l0_reverse"),
        "decoder.stack.layers.0.directions.0": ("decoder", "l0"),
    }
    for layer, (module, suffix) in layers.items():
        names |= {
            f"{layer}.weight_input": f"{module}.weight_ih_{suffix}",
            f"{layer}.weight_hidden": f"{module}.weight_hh_{suffix}",
            f"{layer}.bias": f"{module}.bias_ih_{suffix}",
        }
    own = dict(plain.named_parameters())
    with torch.no_grad():
        for name, parameter in own.items():
            if "bias_hh" in name:
                parameter.zero_()
        for name, target in names.items():
            own[target].copy_(theirs.pop(name))
    if theirs:
        raise RuntimeError(f"the yardstick lacks {', '.join(theirs)}")


class PlainTraining:
    """Adam on the mean cross-entropy of all positions that are no padding."""

    def __init__(self, model: PlainSeq2Seq, spec: TrainSpec) -> None:
        self.model = model
        self.spec = spec
        self.optimiser = torch.optim.Adam(
            model.parameters(), lr=spec.learning_rate, betas=(0.9, 0.98)
        )

    def update(self, batch: Batch, rate: float) -> None:
        """Learn from ``batch`` at the learning rate ``rate``."""
        self.model.train()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        loss = self._loss(batch, self.spec.label_smoothing, "mean")
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.spec.clip_norm)
        self.optimiser.step()
        loss.item()  # loops tell it

    def valid_loss(self, batches: Iterable[Batch]) -> float:
        """Return the loss per token of ``batches``, without smoothing."""
        self.model.eval()
        total, tokens = 0.0, 0
        with torch.inference_mode():
            for batch in batches:
                total += self._loss(batch, 0.0, "sum").item()
                tokens += int(batch.target_mask[:, 1:].sum())
        return total / tokens

    def _loss(self, batch: Batch, smoothing: float, reduction: str) -> Tensor:
        logits = self.model(batch.source, batch.source_mask, batch.target[:, :-1])
        gold = batch.target[:, 1:].masked_fill(~batch.target_mask[:, 1:], -100)
        return functional.cross_entropy(
            logits.flatten(0, 1), gold.flatten(), reduction=reduction, label_smoothing=smoothing
        )
