"""What training makes small."""

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor, nn
from torch.nn import functional

from core.data.batches import Batch


class Learner(Protocol):
    """A module that can be trained: features for every next word, and the layer to score them."""

    @property
    def generator(self) -> nn.Linear:
        """The output layer, (F) to (V)."""
        ...

    def features(self, source: Tensor, source_mask: Tensor, words: Tensor) -> Tensor:
        """Return (B, T, F) for teacher-forced ``words`` (B, T)."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield what is learned, as ``nn.Module`` does."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield what is learned with its name, as ``nn.Module`` does."""
        ...

    def train(self) -> object:
        """Switch dropout on, as ``nn.Module`` does."""
        ...

    def eval(self) -> object:
        """Switch dropout off, as ``nn.Module`` does."""
        ...


def token_loss(model: Learner, batch: Batch, *, label_smoothing: float) -> tuple[Tensor, int]:
    """Return the summed cross-entropy over real target tokens, and how many there are.

    Sizes: B rows, T target steps, N real tokens, F features, V vocabulary. Padding never
    reaches the output layer: only the N real positions are projected to the vocabulary.
    Label smoothing: Szegedy et al. 2016, 7.
    """
    words, gold, mask = batch.target[:, :-1], batch.target[:, 1:], batch.target_mask[:, 1:]
    features = model.features(batch.source, batch.source_mask, words)[mask]  # (N, F)
    logits = model.generator(features)  # (N, V)
    loss = functional.cross_entropy(
        logits.float(), gold[mask], reduction="sum", label_smoothing=label_smoothing
    )
    return loss, int(mask.sum())
