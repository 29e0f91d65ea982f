"""Products of bytes.

Sizes: N rows, K inputs, M outputs.
"""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.known import in_known_shape, in_shape_of

_MOST = 127  # of an int8
_ZERO = 128  # what stands for 0 among bytes
FEW = 8  # rows that FBGEMM multiplies in half of oneDNN's time; of 16, neither is quicker
_TINY = 1e-30  # what a row of zeros is divided by


@dataclass(frozen=True, slots=True, eq=False)
class Bytes:
    """Weights (M, K) as whole numbers, and how much one is worth in each output."""

    whole: Tensor  # (M, K) int8
    scales: Tensor  # (M,)

    @classmethod
    def of(cls, weight: Tensor) -> "Bytes":
        """Round ``weight`` (M, K)."""
        given = weight.detach()
        scales = given.abs().amax(1).div_(_MOST).clamp_min_(_TINY)
        return cls(given.div(scales.unsqueeze(1)).round_().to(torch.int8), scales)

    def rows(self, ids: Tensor) -> "Bytes":
        """Return those of the outputs ``ids``."""
        return Bytes(self.whole.index_select(0, ids), self.scales.index_select(0, ids))


class IntegerProduct(nn.Module):
    """In bytes: a scale for each output, and for each row one of its own or the same for all.

    Integers are summed without error, so that a row's numbers do not depend on its company: few
    rows are multiplied by other means than many, which bring the same numbers.
    """

    EXACT = 1040  # inputs whose sums are exact without packing too

    def __init__(
        self,
        weight: Tensor | Bytes,
        bias: Tensor | None = None,
        *,
        bound: float | None = None,
        packed: bool = True,
        lasting: bool = True,
    ) -> None:
        """Round ``weight`` (M, K) to bytes, if it is not; ``bias`` is (M,).

        ``bound``: no input is larger, which saves looking for the largest of each row. Without
        packing, sums are exact to EXACT inputs. What is not ``lasting`` is packed in one way alone.
        """
        super().__init__()
        given = weight if isinstance(weight, Bytes) else Bytes.of(weight)
        self.out_features, self.in_features = given.whole.shape
        self.packed, self.bias = packed, None if bias is None else bias.detach()
        self.bound = bound
        self.middle = torch.tensor(_ZERO + 0.5)
        scales = given.scales
        self.scales = scales if bound is None else scales * (bound / _MOST)  # the input's included
        self.few = _packed_for_few(given.whole, self.scales) if packed and lasting else None
        if packed:
            self.weight = torch.ops.onednn.qlinear_prepack(given.whole, None)
            self.zeros = torch.zeros(self.out_features, dtype=torch.int32)
        else:
            self.weight = given.whole.float()

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
        if self.few is not None and shifted.numel() <= FEW * self.in_features:
            whole = shifted.floor_().sub_(_ZERO)
            return _multiply_few(whole, self.few)
        if not self.packed:
            whole = shifted.floor_().sub_(_ZERO)
            return functional.linear(whole, self.weight).mul_(self.scales)
        given = in_known_shape(shifted, torch.uint8)
        multiplied: Tensor = torch.ops.onednn.qlinear_pointwise.default(
            *(given, 1.0, _ZERO, self.weight, self.scales, self.zeros, None),
            *(1.0, 0, torch.float32, "none", [], ""),  # of the output, and nothing after it
        )
        return in_shape_of(shifted, multiplied)


def _multiply_few(whole: Tensor, packed: object) -> Tensor:
    """Return FBGEMM's product of ``whole`` (..., K), floats without fractions, by packed bytes."""
    multiply = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32.default
    product: Tensor = multiply(whole, 1.0, _ZERO, packed)
    return product


def _packed_for_few(whole: Tensor, scales: Tensor) -> object | None:
    """Pack bytes ``whole`` (M, K) for FBGEMM, if there is one; a product is in ``scales`` (M,)."""
    engines = torch.backends.quantized
    name = "linear_with_input_q_dq_qweight_dq_output_fp32"
    if "fbgemm" not in engines.supported_engines or not hasattr(torch.ops.quantized, name):
        return None
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    before = engines.engine
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of tensors that nobody will keep
        bytes_ = torch._make_per_channel_quantized_tensor(whole, scales.double(), zeros, 0)
        engines.engine = "fbgemm"
        try:
            packed: object = torch.ops.quantized.linear_prepack(bytes_, None)
        finally:
            engines.engine = before
    return packed
