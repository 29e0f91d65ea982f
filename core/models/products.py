"""Products with weights that no longer change: packed once, in the precision that is served.

All take float32 and return float32. What torch packs weights with has no public name; where it is
missing, the same numbers are multiplied the plain way.
Sizes: N rows, K inputs, M outputs.

One thread of a Xeon with AMX, 512 inputs and 2,048 outputs, microseconds for 1 / 20 / 64 / 160
rows: ``functional.linear`` 190 / 610 / 1,200 / 2,600, packed float32 260 / 490 / 1,100 / 2,500,
bf16 100 / 150 / 330 / 610, int8 with a bound 70 / 130 / 200 / 300. A packed product costs 20 to 40
before it begins, so that small ones are left as they are.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.integers import IntegerProduct
from core.models.known import in_known_shape, in_shape_of
from core.models.precision import fast_bf16

Multiplied = Literal["fp32", "bf16", "int8"]

SMALL = 1 << 16  # weights; with fewer, nothing is gained by packing them


class Product(Protocol):
    """Whatever multiplies by weights (M, K) that it holds, and adds a bias."""

    in_features: int
    out_features: int

    def __call__(self, inputs: Tensor, addend: Tensor | None = None) -> Tensor:
        """Return the product (..., M) of ``inputs`` (..., K), with ``addend`` (..., M) added."""
        ...


class PlainProduct(nn.Module):
    """In float32, with weights as they are."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Multiply by ``weight`` (M, K) and add ``bias`` (M,)."""
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.weight, self.bias = weight.detach(), _held(bias)

    def forward(self, inputs: Tensor, addend: Tensor | None = None) -> Tensor:
        """Return the product (..., M) of ``inputs`` (..., K), with ``addend`` (..., M) added."""
        product = functional.linear(inputs, self.weight, self.bias)
        return product if addend is None else product.add_(addend)


class PackedProduct(nn.Module):
    """In float32, each row the same to the last bit whatever rows stand beside it."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Pack ``weight`` (M, K); ``bias`` is (M,)."""
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())
        self.bias = _held(bias)

    def forward(self, inputs: Tensor, addend: Tensor | None = None) -> Tensor:
        """Return the product (..., M) of ``inputs`` (..., K), with ``addend`` (..., M) added."""
        multiply = torch.ops.mkldnn._linear_pointwise
        product: Tensor
        if addend is not None:
            product = multiply.binary(inputs, addend, self.weight, self.bias, "add")
            return product
        given = in_known_shape(inputs, torch.float32)
        product = multiply.default(given, self.weight, self.bias, "none", [], "")
        return in_shape_of(inputs, product)


class HalfProduct(nn.Module):
    """In bf16, summed in float32 and rounded to bf16 once."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None, *, packed: bool = True) -> None:
        """Round ``weight`` (M, K) and ``bias`` (M,), and pack the weight if told."""
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.packed = packed
        self.weight = weight.detach().bfloat16()
        if packed:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight)
        self.bias = None if bias is None else bias.detach().bfloat16()

    def forward(self, inputs: Tensor, addend: Tensor | None = None) -> Tensor:
        """Return the product (..., M) of ``inputs`` (..., K), with ``addend`` (..., M) added."""
        if self.packed:
            multiply = torch.ops.mkldnn._linear_pointwise.default
            halves = in_known_shape(inputs, torch.bfloat16)
            product = multiply(halves, self.weight, self.bias, "none", [], "")
            product = in_shape_of(inputs, product).float()
        else:
            product = functional.linear(inputs.bfloat16(), self.weight, self.bias).float()
        return product if addend is None else product.add_(addend)


@dataclass(frozen=True, slots=True)
class Packing:
    """How the weights of a network are made ready."""

    precision: Multiplied
    small: int = SMALL  # what has fewer weights stays as it is, in float32

    def for_many_rows(self) -> "Packing":
        """Return the same for what is multiplied by thousands of rows at once.

        Turning them into bytes and back costs more than bytes save, where the CPU has bf16.
        """
        halves = self.precision == "int8" and fast_bf16(torch.device("cpu"))
        return Packing("bf16", self.small) if halves else self

    def product(
        self, weight: Tensor, bias: Tensor | None, *, bound: float | None = None
    ) -> PlainProduct | PackedProduct | HalfProduct | IntegerProduct:
        """Return what multiplies by ``weight`` (M, K) and adds ``bias`` (M,).

        ``bound``: what no input is larger than, if that is known.
        """
        if weight.numel() < self.small:
            return PlainProduct(weight, bias)
        match self.precision:
            case "fp32":
                return PackedProduct(weight, bias) if packs() else PlainProduct(weight, bias)
            case "bf16":
                return HalfProduct(weight, bias, packed=packs())
            case "int8":
                return IntegerProduct(weight, bias, bound=bound, packed=packs_integers())
            case _:
                assert_never(self.precision)


def packs() -> bool:
    """Return whether this torch packs floats for this CPU."""
    return _has("mkldnn", "_linear_pointwise") and _has("mkldnn", "_reorder_linear_weight")


def packs_integers() -> bool:
    """Return whether this torch packs bytes, and this CPU sums their products without error."""
    exact = torch.cpu._is_vnni_supported()  # torch has no public name for it
    return exact and _has("onednn", "qlinear_pointwise") and _has("onednn", "qlinear_prepack")


def _has(family: str, name: str) -> bool:
    return torch._C._has_mkldnn and hasattr(getattr(torch.ops, family), name)


def _held(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.detach()
