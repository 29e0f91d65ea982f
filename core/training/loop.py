"""Training as a stream of events: whoever listens decides what to show, keep or stop."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from core.models.learner import Learner
from core.specs import TrainSpec
from core.training.events import Event, Snapshot
from core.training.lessons import Lessons
from core.training.run import Run
from core.training.state import TrainingState
from core.training.team import ALONE, Team

BatchT = TypeVar("BatchT")


def fit(  # noqa: PLR0913  (the whole of a training, and what listens to it)
    model: Learner[BatchT],
    *,
    train: Lessons[BatchT],
    valid: Lessons[BatchT],
    spec: TrainSpec,
    resume: TrainingState | None = None,
    due: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    score: Callable[[], Mapping[str, float]] | None = None,
    team: Team = ALONE,
) -> Iterator[Event]:
    """Train ``model`` in place, on the device it is on; leave the weights that the spec names.

    Same seed, data, machine and thread count give the same events bit for bit, whether the run
    was resumed from a Snapshot or never stopped; only how often Progress is told depends on the
    clock, which counts seconds. ``due`` is asked once for each update whether a Snapshot is
    wanted. ``score`` is called at each validation, while the model holds the weights that are
    validated; what it returns stands in the event. Every process of a ``team`` runs the same
    fit on the same lessons, and takes its share of each batch; rank 0 alone is asked, scores and
    yields Snapshots. Raises SpecError when the loss stops being a number, or where a single
    example does not fit into memory.
    """
    run = Run(model, train, spec, clock=clock, team=team)
    yield run.take_up(resume)
    while not run.counters.done:
        yield from run.update()
        if run.is_time_to_validate():
            yield from run.validate(valid, score)
        wanted = run.see_whether_done(wanted=due())
        if run.counters.done and run.counters.validated_at < run.counters.step:
            yield from run.validate(valid, score)
        if run.counters.done:
            yield run.progress(None)  # the last update may have been too quick to be told
        if wanted or run.counters.done:
            state = run.state()
            if team.rank == 0:
                yield Snapshot(state)
    run.keep()
