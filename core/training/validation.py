"""How wrong a model is on examples that it does not learn from."""

from collections.abc import Iterator
from typing import TypeVar

import torch

from core.data.sampling import Rows
from core.models.learner import Learner, LossOptions, LossTerms
from core.training.lessons import Lessons
from core.training.memory import Carry, Halving
from core.training.precision import Precision, full_precision, to_device
from core.training.team import ALONE, Team

BatchT = TypeVar("BatchT")


def validation_losses(
    model: Learner[BatchT],
    lessons: Lessons[BatchT],
    *,
    precision: Precision | None = None,
    team: Team = ALONE,
) -> Iterator[tuple[float, int]]:
    """Yield (summed -log p, tokens) for each batch of ``lessons``, of this process's share.

    The model is left in eval mode. Without a ``precision`` it is fp32.
    """
    model.eval()
    chosen = precision or full_precision(model.parameters())
    halving = Halving(lessons.describe)

    def attempt(rows: Rows, carry: Carry) -> LossTerms:
        batch = to_device(lessons.take(rows), chosen.device)
        with torch.inference_mode(), chosen.context():
            return model.losses(batch, LossOptions(), carry)

    carry: Carry = ()
    for rows in lessons.ordered():
        mine = team.share(rows)
        if len(mine) == 0:
            continue
        studied = halving.study(attempt, mine, carry)
        carry = studied.carry if lessons.carries else ()
        yield studied.nll.item(), studied.tokens
