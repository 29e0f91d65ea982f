"""One door to decoding: rows with their own specs in, n-best lists out."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from core.decoding.beam import beam
from core.decoding.greedy import greedy
from core.decoding.step import SIGNS, Hypothesis, OnToken, StateT, StepModel, Wish
from core.specs import DecodeSpec
from core.text.tokenizer import BOS, EOS


def search(  # noqa: PLR0913 (one door for all that decoding can be asked)
    model: StepModel[StateT],
    source: Tensor,
    source_mask: Tensor,
    *,
    specs: Sequence[DecodeSpec],
    on_token: OnToken | None = None,
    banned: Sequence[Sequence[int]] | None = None,
    first: Tensor | None = None,
    end: int | None = EOS,
    signs: tuple[int, ...] = SIGNS,
) -> list[list[Hypothesis]]:
    """Decode each row of ``source`` (B, S) by its own spec; best hypothesis first.

    ``banned`` has ids for each row that it does not say, besides ``signs``, which none says.
    ``first`` (B,) is what the model hears before the first word, otherwise the start sign; ``end``
    is what ends a sequence, and with none only its length does.

    Rows that sample go their own way. The others share a beam; where every one of them asks for
    a beam of 1, greedy search does the same with less work.
    """
    wishes = _wishes(specs, banned=banned, first=first, end=end, signs=signs)
    answers: dict[int, list[Hypothesis]] = {}
    for rows in _strategies(specs):
        places = torch.tensor(rows, dtype=torch.int64, device=source.device)
        asked = (source, source_mask)
        if len(rows) < len(specs):
            asked = (source[places], source_mask[places])
        mine = [wishes[row] for row in rows]
        tell = _renumbered(on_token, rows)
        if any(wish.spec.beam_size > 1 for wish in mine):
            found = beam(model, *asked, wishes=mine, on_token=tell)
        else:
            found = [[one] for one in greedy(model, *asked, wishes=mine, on_token=tell)]
        answers.update(zip(rows, found, strict=True))
    return [answers[row] for row in range(len(specs))]


def _wishes(
    specs: Sequence[DecodeSpec],
    *,
    banned: Sequence[Sequence[int]] | None,
    first: Tensor | None,
    end: int | None,
    signs: tuple[int, ...],
) -> list[Wish]:
    starts = [BOS] * len(specs) if first is None else first.tolist()
    bans: Sequence[Sequence[int]] = [()] * len(specs) if banned is None else banned
    return [
        Wish(spec=spec, first=start, end=end, never=(*signs, *ban))
        for spec, start, ban in zip(specs, starts, bans, strict=True)
    ]


def _strategies(specs: Sequence[DecodeSpec]) -> list[list[int]]:
    """Return the rows that can share a batch; one word at a time is quicker, so it comes first."""
    if all(spec.beam_size == 1 for spec in specs):
        return [list(range(len(specs)))]
    sampling = [row for row, spec in enumerate(specs) if spec.temperature is not None]
    searching = [row for row, spec in enumerate(specs) if spec.temperature is None]
    return [rows for rows in (sampling, searching) if rows]


def _renumbered(on_token: OnToken | None, rows: Sequence[int]) -> Callable[[int, int], None] | None:
    """Return an ``on_token`` for some of the rows that tells of them by their own numbers."""
    if on_token is None:
        return None
    return lambda row, token: on_token(rows[row], token)
