"""Numbers of rows that oneDNN has met before.

Sizes: N rows, K inputs, M outputs.
"""

import torch
from torch import Tensor

_STEPS = 4  # bits of a number of rows that tell: so many rows are multiplied, or up to 12 % more


def known_count(count: int, bits: int) -> int:
    """Round ``count`` up to a number of which the first ``bits`` bits tell all.

    oneDNN writes a program for each number of rows: for one that is new that takes as long as 20
    products, and beyond a thousand it forgets old ones.
    """
    return count + -count % (1 << max(count.bit_length() - bits, 0))


def in_known_shape(inputs: Tensor, dtype: torch.dtype) -> Tensor:
    """Return ``inputs`` (..., K) as (N, K) of ``dtype``, N a known count; rows may be added."""
    flat = inputs.reshape(-1, inputs.size(-1))
    rows = len(flat)
    most = known_count(rows, _STEPS)
    if most == rows:
        return flat.to(dtype)
    known = torch.empty(most, flat.size(1), dtype=dtype)
    known[:rows] = flat
    return known


def in_shape_of(inputs: Tensor, product: Tensor) -> Tensor:
    """Return the rows of ``product`` (N, M) that answer to ``inputs`` (..., K), as (..., M)."""
    rows = inputs.numel() // inputs.size(-1)
    return product[:rows].view(*inputs.shape[:-1], product.size(1))
