"""How exact numbers are where it matters."""

import torch
from torch import Tensor


def widened(numbers: Tensor) -> Tensor:
    """Return ``numbers`` in float32 at least: halves are too narrow for weights and their sums."""
    return numbers.float() if numbers.dtype in (torch.bfloat16, torch.float16) else numbers
