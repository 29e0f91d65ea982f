"""One door to decoding: rows with their own specs in, n-best lists out."""

from collections.abc import Sequence

from torch import Tensor

from core.decoding.beam import beam
from core.decoding.greedy import greedy
from core.decoding.step import Hypothesis, OnToken, StateT, StepModel
from core.specs import DecodeSpec


def search(
    model: StepModel[StateT],
    source: Tensor,
    source_mask: Tensor,
    *,
    specs: Sequence[DecodeSpec],
    on_token: OnToken | None = None,
) -> list[list[Hypothesis]]:
    """Decode each row of ``source`` (B, S) by its own spec; best hypothesis first.

    Where every row asks for a beam of 1, greedy search does the same with less work.
    """
    if any(spec.beam_size > 1 for spec in specs):
        return beam(model, source, source_mask, specs=specs, on_token=on_token)
    best = greedy(model, source, source_mask, specs=specs, on_token=on_token)
    return [[hypothesis] for hypothesis in best]
