"""The output layer of a network that only answers.

Sizes: N rows, F features, V vocabulary, C words of a shortlist.
"""

from torch import Tensor, nn

from core.models.generators import Generator, Measure, highest
from core.models.integers import Bytes, IntegerProduct
from core.models.precision import widened
from core.models.products import PackedProduct, Packing, PlainProduct, Product, packs_integers
from core.models.screening import Screen


class ReadyGenerator(nn.Module):
    """The output layer, for one step at a time."""

    def __init__(
        self, learned: Generator, packing: Packing, *, bound: float | None, narrows: bool = False
    ) -> None:
        """``bound``: what no feature is larger than, if known; ``narrows``: for shortlists."""
        super().__init__()
        self.vocabulary_size = learned.vocabulary_size
        self.packing, self.bound = packing, bound
        self.weight, self.bias = learned.weight.detach(), learned.offsets.detach()
        self.product = packing.product(self.weight, self.bias, bound=bound)
        self.bytes_ = None
        if narrows and isinstance(self.product, IntegerProduct):
            self.bytes_ = Bytes.of(self.weight)
        self.screen = None
        if isinstance(self.product, PackedProduct) and bound is not None and packs_integers():
            self.screen = Screen(self.weight, self.bias, bound=bound)

    @property
    def screens(self) -> bool:
        """Whether it finds the best word without making all logits."""
        return self.screen is not None

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (..., V) of ``features`` (..., F)."""
        logits: Tensor = self.product(features)
        return logits

    def log_probs(self, features: Tensor) -> Tensor:
        """Return log probabilities (B, V) of the word after ``features`` (B, F)."""
        return widened(self(features)).log_softmax(-1)

    def best(
        self, features: Tensor, never: Tensor, measure: Measure | None
    ) -> tuple[Tensor, Tensor]:
        """Return value (N,) and id (N,) of the highest logit of each of ``features`` (N, F).

        The ids ``never`` are not among them. Of the value, what ``measure`` returns is taken off.
        """
        if self.screen is not None and measure is None:
            found = self.screen.best(features, never)
            if found is not None:
                return found
        return highest(self(features), never, measure)

    def narrowed(self, ids: Tensor, *, many: bool) -> Product:
        """Return what makes the logits (N, C) of the words ``ids`` (C,) alone.

        They are those that all words have, whether ``many`` rows are expected or few, but for the
        rounding of float32.
        """
        bias = self.bias.index_select(0, ids)
        if self.bytes_ is not None:
            exact = self.weight.size(1) <= IntegerProduct.EXACT
            packed = packs_integers() and (many or not exact)
            return IntegerProduct(
                self.bytes_.rows(ids), bias, bound=self.bound, packed=packed, lasting=False
            )
        weight = self.weight.index_select(0, ids)
        if not many and isinstance(self.product, PackedProduct):
            return PlainProduct(weight, bias)
        return Packing(self.packing.precision, 0).product(weight, bias, bound=self.bound)
