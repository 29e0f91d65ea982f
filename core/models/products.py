"""Products with weights that no longer change: packed once, in the precision that is served.

All take float32 and return float32. What torch packs weights with has no public name; where it is
missing, the same numbers are multiplied the plain way.
Sizes: N rows, K inputs, M outputs.

One thread of a Xeon with AMX, 512 inputs and 2,048 outputs, microseconds for 1 / 20 / 64 / 160
rows: ``functional.linear`` 190 / 610 / 1,200 / 2,600, packed float32 260 / 490 / 1,100 / 2,500,
bf16 100 / 150 / 330 / 610, int8 with a bound 70 / 130 / 200 / 300. A packed product costs 20 to 40
before it begins, so that small ones are left as they are.
"""

import warnings
from dataclasses import dataclass
from typing import Literal, Protocol, assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.precision import fast_bf16

Multiplied = Literal["fp32", "bf16", "int8"]

SMALL = 1 << 16  # weights; with fewer, nothing is gained by packing them
_MOST = 127  # of an int8
_ZERO = 128  # what stands for 0 among bytes
_FEW = 8  # rows that FBGEMM multiplies in half of oneDNN's time; of 16, neither is quicker
_STEPS = 4  # bits of a number of rows that tell: so many rows are multiplied, or up to 12 % more
_TINY = 1e-30  # what a row of zeros is divided by


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
        given = _in_known_shape(inputs, torch.float32)
        product = multiply.default(given, self.weight, self.bias, "none", [], "")
        return _in_shape_of(inputs, product)


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
            halves = _in_known_shape(inputs, torch.bfloat16)
            product = multiply(halves, self.weight, self.bias, "none", [], "")
            product = _in_shape_of(inputs, product).float()
        else:
            product = functional.linear(inputs.bfloat16(), self.weight, self.bias).float()
        return product if addend is None else product.add_(addend)


class IntegerProduct(nn.Module):
    """In bytes: a scale for each output, and for each row one of its own or the same for all.

    Integers are summed without error, so that a row's numbers do not depend on its company: few
    rows are multiplied by other means than many, which bring the same numbers.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        bound: float | None = None,
        packed: bool = True,
    ) -> None:
        """Round ``weight`` (M, K) to bytes; ``bias`` is (M,).

        ``bound``: no input is larger, which saves looking for the largest of each row. Without
        packing, sums are exact to 1,040 inputs.
        """
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.packed, self.bias = packed, _held(bias)
        self.bound = bound
        self.middle = torch.tensor(_ZERO + 0.5)
        given = weight.detach()
        scales = given.abs().amax(1).div_(_MOST).clamp_min_(_TINY)  # (M,)
        whole = given.div(scales.unsqueeze(1)).round_()
        self.scales = scales if bound is None else scales * (bound / _MOST)  # the input's included
        self.weight = whole
        self.few = _packed_for_few(whole, self.scales) if packed else None
        if packed:
            self.weight = torch.ops.onednn.qlinear_prepack(whole.to(torch.int8), None)
            self.zeros = torch.zeros(self.out_features, dtype=torch.int32)

    def forward(self, inputs: Tensor, addend: Tensor | None = None) -> Tensor:
        """Return the product (..., M) of ``inputs`` (..., K), with ``addend`` (..., M) added."""
        if self.bound is not None:
            shifted = torch.add(self.middle, inputs, alpha=_MOST / self.bound)
            product = self._multiply(shifted)
        else:
            steps = inputs.abs().amax(-1, keepdim=True).div_(_MOST).clamp_min_(_TINY)
            product = self._multiply(inputs.div(steps).add_(self.middle)).mul_(steps)
        if self.bias is not None:
            product = product.add_(self.bias)
        return product if addend is None else product.add_(addend)

    def _multiply(self, shifted: Tensor) -> Tensor:
        """Return the product of what ``shifted`` (..., K) is when cut to bytes, in ``scales``.

        It lies between 1.5 and 255.5: to cut off what follows the point is to round.
        """
        if self.few is not None and shifted.numel() <= _FEW * self.in_features:
            whole = shifted.floor_().sub_(_ZERO)
            return _multiply_few(whole, self.few)
        if not self.packed:
            whole = shifted.floor_().sub_(_ZERO)
            return functional.linear(whole, self.weight).mul_(self.scales)
        given = _in_known_shape(shifted, torch.uint8)
        multiplied: Tensor = torch.ops.onednn.qlinear_pointwise.default(
            *(given, 1.0, _ZERO, self.weight, self.scales, self.zeros, None),
            *(1.0, 0, torch.float32, "none", [], ""),  # of the output, and nothing after it
        )
        return _in_shape_of(shifted, multiplied)


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


def known_count(count: int, bits: int) -> int:
    """Round ``count`` up to a number of which the first ``bits`` bits tell all.

    oneDNN writes a program for each number of rows: for one that is new that takes as long as 20
    products, and beyond a thousand it forgets old ones.
    """
    return count + -count % (1 << max(count.bit_length() - bits, 0))


def _in_known_shape(inputs: Tensor, dtype: torch.dtype) -> Tensor:
    """Return ``inputs`` (..., K) as (N, K) of ``dtype``, N a known count; rows may be added."""
    flat = inputs.reshape(-1, inputs.size(-1))
    rows = len(flat)
    most = known_count(rows, _STEPS)
    if most == rows:
        return flat.to(dtype)
    known = torch.empty(most, flat.size(1), dtype=dtype)
    known[:rows] = flat
    return known


def _in_shape_of(inputs: Tensor, product: Tensor) -> Tensor:
    """Return the rows of ``product`` (N, M) that answer to ``inputs`` (..., K), as (..., M)."""
    rows = inputs.numel() // inputs.size(-1)
    return product[:rows].view(*inputs.shape[:-1], product.size(1))


def _multiply_few(whole: Tensor, packed: object) -> Tensor:
    """Return FBGEMM's product of ``whole`` (..., K), floats without fractions, by packed bytes."""
    multiply = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32.default
    product: Tensor = multiply(whole, 1.0, _ZERO, packed)
    return product


def _packed_for_few(whole: Tensor, scales: Tensor) -> object | None:
    """Pack ``whole`` (M, K) for FBGEMM, if there is one; a product is in ``scales`` (M,)."""
    engines = torch.backends.quantized
    name = "linear_with_input_q_dq_qweight_dq_output_fp32"
    if "fbgemm" not in engines.supported_engines or not hasattr(torch.ops.quantized, name):
        return None
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    before = engines.engine
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of tensors that nobody will keep
        bytes_ = torch._make_per_channel_quantized_tensor(
            whole.to(torch.int8), scales.double(), zeros, 0
        )
        engines.engine = "fbgemm"
        try:
            packed: object = torch.ops.quantized.linear_prepack(bytes_, None)
        finally:
            engines.engine = before
    return packed


def _has(family: str, name: str) -> bool:
    return torch._C._has_mkldnn and hasattr(getattr(torch.ops, family), name)


def _held(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.detach()
