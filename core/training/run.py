"""One training under way: where it stands, what it tells, how it is saved and taken up."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from core.errors import SpecError
from core.models.learner import Learner
from core.specs import TrainSpec
from core.training.averaging import Weights, by_name, by_number, make_average
from core.training.events import Divided, Event, Measured, Progress, Started, Validated
from core.training.forcing import truth
from core.training.generators import Generators, gathered_carry, own_carry
from core.training.lessons import Lessons
from core.training.meter import Meter
from core.training.optimisers import moments, put_moments
from core.training.precision import choose_precision
from core.training.schedule import learning_rate
from core.training.state import Counters, TrainingState, copy_weights, put_weights
from core.training.team import Team
from core.training.updates import Updates
from core.training.validation import validation_losses


class Run:
    """One training; ``fit`` calls its methods in turn, and so does every process of a team."""

    def __init__(
        self,
        model: Learner[Any],
        lessons: Lessons[Any],
        spec: TrainSpec,
        *,
        clock: Callable[[], float],
        team: Team,
    ) -> None:
        self.model = model
        self.lessons = lessons
        self.spec = spec
        self.team = team
        self.counters = Counters()
        self.best: dict[str, Tensor] = {}
        self.batches = lessons.batches(0)
        self.total_steps = spec.max_epochs * math.ceil(len(self.batches) / spec.accumulate)
        self.precision = choose_precision(spec, model.parameters())
        self.generators = Generators(seed=spec.seed, device=self.precision.device, team=team)
        self.updates = Updates(
            model,
            lessons,
            spec,
            precision=self.precision,
            forcing=self.generators.forcing,
            team=team,
        )
        self.raw: Weights = [one.detach() for one in self.updates.parameters]
        self.average = make_average(spec, self.raw)
        self.window = torch.zeros((), dtype=torch.float64, device=self.precision.device)
        self.rate = 0.0
        self.meter = Meter(clock)

    def take_up(self, state: TrainingState | None) -> Started:
        """Start from ``state``, or from nothing; say on what."""
        if state is not None:
            self._restore(state)
        self.model.train()
        return Started(
            device=str(self.precision.device),
            precision=self.precision.name,
            reason=self.precision.reason,
            processes=self.team.size,
        )

    def _restore(self, state: TrainingState) -> None:
        names, updates = self.updates.names, self.updates
        self.counters = replace(state.counters)
        self.window.fill_(self.counters.window_loss)
        self.best = {name: tensor.clone() for name, tensor in state.best.items()}
        put_weights(self.model, state.weights)
        put_moments(updates.optimiser, names, state.moments)
        self.average.load(by_number(state.averages, names), self.counters.averaged)
        self.generators.load(state.generators)
        updates.carry = own_carry(state.carry, self.team, self.precision.device)
        updates.carried_rows = len(state.carry[0]) if state.carry else 0
        self.batches = self.lessons.batches(self.counters.epoch)
        self.meter.resume(self.counters.elapsed_s)

    def state(self) -> TrainingState:
        """Copy everything that a resume needs; the whole team has to call this."""
        held, self.counters.averaged = self.average.dump()
        self.counters.window_loss = self._number(self.window)
        names, updates = self.updates.names, self.updates
        return TrainingState(
            counters=replace(self.counters),
            weights=copy_weights(self.model),
            moments=moments(updates.optimiser, names),
            averages=by_name(held, names),
            generators=self.generators.dump(),
            carry=gathered_carry(updates.carry, updates.carried_rows, self.team),
            best=dict(self.best),
        )

    def update(self) -> Iterator[Event]:
        """Make one update and count it."""
        counters, spec = self.counters, self.spec
        if counters.batch == 0:
            self.updates.forget()
        self.rate = learning_rate(
            spec,
            step=counters.step + 1,
            total_steps=self.total_steps,
            plateau_scale=counters.plateau_scale,
        )
        batches = self.batches[counters.batch : counters.batch + spec.accumulate]
        heard = truth(spec, updates=counters.step)
        nll, tokens = self.updates.make(batches, rate=self.rate, truth=heard)
        for rows in self.updates.halving.too_large():
            yield Divided(step=counters.step, rows=rows)
        self.average.after_update()
        self._count(nll, tokens, len(batches))
        if self.meter.is_due():
            yield self.progress(self._number(nll) / tokens)
        if counters.step % spec.report_every == 0:
            yield self._measured()

    def _count(self, nll: Tensor, tokens: int, batches: int) -> None:
        counters = self.counters
        counters.step += 1
        counters.batch += batches
        self.window += nll
        counters.window_tokens += tokens
        counters.elapsed_s = self.meter.count(tokens)
        if counters.batch == len(self.batches):
            counters.epoch, counters.batch = counters.epoch + 1, 0
            self.batches = self.lessons.batches(counters.epoch)

    def _measured(self) -> Measured:
        counters = self.counters
        mean = self._number(self.window) / counters.window_tokens
        self.window.zero_()
        counters.window_tokens = 0
        return Measured(
            step=counters.step, epoch=counters.epoch, loss=mean, learning_rate=self.rate
        )

    def progress(self, loss: float | None) -> Progress:
        """Tell how far it is; ``loss`` is that of the last update, if one was just made."""
        return Progress(
            step=self.counters.step,
            total_steps=self.counters.step + self._steps_left(),
            epoch=self.counters.epoch,
            loss=loss,
            learning_rate=self.rate,
            tokens_per_s=self.meter.tokens_per_s,
            elapsed_s=self.meter.elapsed_s,
        )

    def _steps_left(self) -> int:
        """Return how many updates follow if nothing stops it early: this epoch's, then as many."""
        counters, spec = self.counters, self.spec
        if counters.epoch >= spec.max_epochs:
            return 0
        epoch = len(self.batches)
        later = (spec.max_epochs - counters.epoch - 1) * math.ceil(epoch / spec.accumulate)
        return math.ceil((epoch - counters.batch) / spec.accumulate) + later

    def is_time_to_validate(self) -> bool:
        """Return whether the last update was one that a validation follows."""
        if self.spec.validate_every is None:
            return self.counters.batch == 0
        return self.counters.step % self.spec.validate_every == 0

    def validate(
        self, lessons: Lessons[Any], score: Callable[[], Mapping[str, float]] | None
    ) -> Iterator[Event]:
        """Look at the weights on average, and remember them if they are the best so far.

        While this yields, the model holds them, in eval mode. Nothing that is drawn meanwhile
        changes what is drawn afterwards.
        """
        self.average.before_validation()
        devices = [self.precision.device] if self.precision.device.type == "cuda" else []
        with self._averaged(), torch.random.fork_rng(devices):
            sums = torch.zeros(2, dtype=torch.float64)
            for loss, tokens in validation_losses(
                self.model, lessons, precision=self.precision, team=self.team
            ):
                sums += torch.tensor([loss, tokens], dtype=torch.float64)
                self.meter.count()
                if self.meter.is_due():
                    yield self.progress(None)
            self.team.add(sums)
            mean = self._number(sums[0]) / sums[1].item()
            best = self._judge(mean)
            scores = dict(score()) if score and self.team.rank == 0 else {}
            yield Validated(
                step=self.counters.step,
                epoch=self.counters.epoch,
                valid_loss=mean,
                valid_perplexity=math.exp(min(mean, 700.0)),
                best=best,
                scores=scores,
            )
        if self.average.after_validation(stale=self.counters.stale):
            self.counters.stale = 0
        self.model.train()

    def _judge(self, loss: float) -> bool:
        """Count the validation in; return whether its loss is the best so far."""
        counters, spec = self.counters, self.spec
        counters.validated_at = counters.step
        if counters.best_loss is None or loss < counters.best_loss:
            counters.best_loss, counters.stale, counters.plateau_stale = loss, 0, 0
            self.best = copy_weights(self.model) if spec.keep == "best" else {}
            return True
        counters.stale += 1
        counters.plateau_stale += 1
        if counters.plateau_stale >= spec.plateau_patience:
            counters.plateau_scale *= spec.plateau_factor
            counters.plateau_stale = 0
        return False

    def see_whether_done(self, *, wanted: bool) -> bool:
        """Note whether the last update was the last one; return whether a snapshot is ``wanted``.

        The clock and the wishes of rank 0 count for the whole team.
        """
        counters, spec = self.counters, self.spec
        late = spec.time_limit_s is not None and counters.elapsed_s >= spec.time_limit_s
        if self.team.size > 1:
            told = torch.tensor([late, wanted], dtype=torch.float64) * (self.team.rank == 0)
            self.team.add(told)
            late, wanted = bool(told[0]), bool(told[1])
        stale = spec.patience is not None and counters.stale >= spec.patience
        counters.done = late or stale or counters.epoch >= spec.max_epochs
        return wanted

    def keep(self) -> None:
        """Leave the weights that the spec asks for."""
        weights = self.average.weights()
        if self.best:
            put_weights(self.model, self.best)
        elif weights is not None:
            _put(self.raw, weights)
        self.model.eval()

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Let the model hold the weights on average for a while."""
        weights = self.average.weights()
        if weights is None:
            yield
            return
        learning = [one.clone() for one in self.raw]
        _put(self.raw, weights)
        try:
            yield
        finally:
            _put(self.raw, learning)

    def _number(self, loss: Tensor) -> float:
        number = loss.item()
        if not math.isfinite(number):
            raise SpecError(
                f"the loss is not a number at step {self.counters.step}; lower train.learning_rate",
                field="train.learning_rate",
            )
        return number


def _put(into: Weights, weights: Weights) -> None:
    for own, value in zip(into, weights, strict=True):
        own.copy_(value)
