"""How exact numbers are where it matters."""

import torch
from torch import Tensor


def widened(numbers: Tensor) -> Tensor:
    """Return ``numbers`` in float32 at least: halves are too narrow for weights and their sums."""
    return numbers.float() if numbers.dtype in (torch.bfloat16, torch.float16) else numbers


def matrix_dtype(parameter: Tensor) -> torch.dtype:
    """Return what products with ``parameter`` are made in: autocast's type, or its own."""
    device = parameter.device.type
    if parameter.dtype == torch.float32 and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return parameter.dtype


def fast_bf16(device: torch.device) -> bool:
    """Return whether products in bf16 are worth their rounding on ``device``."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_amx_tile_supported())  # torch has no public name for it
