"""Training as a stream of events: whoever listens decides what to show, keep or stop."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import nn

from core.errors import SpecError
from core.models.learner import Learner, LossOptions
from core.specs import TrainSpec
from core.training.events import Event, Measured, Progress, Snapshot, Validated
from core.training.lessons import Lessons
from core.training.schedule import learning_rate
from core.training.state import Counters, TrainingState, copy_weights, put_weights

BatchT = TypeVar("BatchT")


def fit(
    model: Learner[BatchT],
    *,
    train: Lessons[BatchT],
    valid: Lessons[BatchT],
    spec: TrainSpec,
    resume: TrainingState | None = None,
    due: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    score: Callable[[], Mapping[str, float]] | None = None,
) -> Iterator[Event]:
    """Train ``model`` in place and leave in it the weights that ``spec.keep`` names.

    Same seed, data, machine and thread count give the same events bit for bit, whether the run
    was resumed from a Snapshot or never stopped. ``due`` is asked between steps. ``clock``
    counts seconds. Raises SpecError when the loss stops being a number.
    """
    run = _Run(model, train=train, valid=valid, spec=spec, clock=clock, score=score)
    run.take_up(resume)
    while not run.counters.done:
        yield from run.one_step()
        if run.counters.step % (spec.validate_every or len(run.batches)) == 0:
            yield from run.validate()
        run.see_whether_done()
        if run.counters.done and run.counters.validated_at < run.counters.step:
            yield from run.validate()
        if due() or run.counters.done:
            yield Snapshot(run.state())
    run.keep()


class _Run:
    """One training under way: model, optimiser, data and counters."""

    def __init__(
        self,
        model: Learner[Any],
        *,
        train: Lessons[Any],
        valid: Lessons[Any],
        spec: TrainSpec,
        clock: Callable[[], float],
        score: Callable[[], Mapping[str, float]] | None,
    ) -> None:
        self.model = model
        self.train = train
        self.valid = valid
        self.spec = spec
        self.clock = clock
        self.score = score
        self.counters = Counters()
        self.best: dict[str, torch.Tensor] = {}
        self.batches = train.batches(0)
        self.total_steps = spec.max_epochs * len(self.batches)
        self.optimiser = torch.optim.AdamW(
            model.parameters(),
            lr=spec.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=spec.weight_decay,
            fused=True,
        )
        self.began = clock()
        self.elapsed_before = 0.0
        self.tokens_seen = 0

    def take_up(self, state: TrainingState | None) -> None:
        """Start from ``state``, or from nothing with the seed of the spec."""
        if state is None:
            torch.manual_seed(self.spec.seed)
            return
        self.counters = replace(state.counters)
        self.best = {name: tensor.clone() for name, tensor in state.best.items()}
        put_weights(self.model, state.weights)
        for name, parameter in self.model.named_parameters():
            self.optimiser.state[parameter] = {
                "step": torch.tensor(float(state.counters.step)),
                "exp_avg": state.first_moments[name].clone(),
                "exp_avg_sq": state.second_moments[name].clone(),
            }
        torch.set_rng_state(state.generator)
        self.batches = self.train.batches(self.counters.epoch)
        self.elapsed_before = self.counters.elapsed_s

    def state(self) -> TrainingState:
        """Copy everything that a resume needs."""
        moments = {
            name: self.optimiser.state[parameter]
            for name, parameter in self.model.named_parameters()
        }
        return TrainingState(
            counters=replace(self.counters),
            weights=copy_weights(self.model),
            first_moments={name: one["exp_avg"].clone() for name, one in moments.items()},
            second_moments={name: one["exp_avg_sq"].clone() for name, one in moments.items()},
            generator=torch.get_rng_state(),
            best=dict(self.best),
        )

    def one_step(self) -> Iterator[Event]:
        """Learn from one batch."""
        counters, spec = self.counters, self.spec
        rate = learning_rate(spec, step=counters.step + 1, total_steps=self.total_steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        batch = self.train.take(self.batches[counters.batch])
        terms = self.model.losses(batch, LossOptions(label_smoothing=spec.label_smoothing))
        torch.autograd.backward(terms.total / terms.tokens)
        nn.utils.clip_grad_norm_(self.model.parameters(), spec.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._count(terms.nll.item(), terms.tokens)
        yield self._progress(terms.nll.item() / terms.tokens, rate)
        if counters.step % spec.report_every == 0:
            mean = counters.window_loss / counters.window_tokens
            counters.window_loss, counters.window_tokens = 0.0, 0
            yield Measured(step=counters.step, epoch=counters.epoch, loss=mean, learning_rate=rate)

    def _count(self, loss: float, tokens: int) -> None:
        counters = self.counters
        counters.step += 1
        counters.batch += 1
        _refuse_nonsense(loss, counters.step)
        counters.window_loss += loss
        counters.window_tokens += tokens
        self.tokens_seen += tokens
        counters.elapsed_s = self.elapsed_before + self.clock() - self.began
        if counters.batch == len(self.batches):
            counters.epoch, counters.batch = counters.epoch + 1, 0
            self.batches = self.train.batches(counters.epoch)

    def _progress(self, loss: float | None, rate: float) -> Progress:
        spent = max(self.clock() - self.began, 1e-9)
        return Progress(
            step=self.counters.step,
            total_steps=self.total_steps,
            epoch=self.counters.epoch,
            loss=loss,
            learning_rate=rate,
            tokens_per_s=self.tokens_seen / spent,
            elapsed_s=self.elapsed_before + spent,
        )

    def validate(self) -> Iterator[Event]:
        """Measure the loss on held-out examples and remember the weights if it is the best."""
        counters = self.counters
        rate = self.optimiser.param_groups[0]["lr"]
        total, tokens = 0.0, 0
        for loss, count in validation_losses(self.model, self.valid):
            total, tokens = total + loss, tokens + count
            yield self._progress(None, rate)
        mean = total / tokens
        _refuse_nonsense(mean, counters.step)
        counters.validated_at = counters.step
        best = counters.best_loss is None or mean < counters.best_loss
        if best:
            counters.best_loss, counters.stale = mean, 0
            self.best = copy_weights(self.model) if self.spec.keep == "best" else {}
        else:
            counters.stale += 1
        yield Validated(
            step=counters.step,
            epoch=counters.epoch,
            valid_loss=mean,
            valid_perplexity=math.exp(min(mean, 700.0)),
            best=best,
            scores=self.score() if self.score else {},
        )

    def see_whether_done(self) -> None:
        """Note whether the last step was the last one."""
        counters, spec = self.counters, self.spec
        late = spec.time_limit_s is not None and counters.elapsed_s >= spec.time_limit_s
        stale = spec.patience is not None and counters.stale >= spec.patience
        counters.done = late or stale or counters.step >= self.total_steps

    def keep(self) -> None:
        """Leave the weights that the spec asks for."""
        if self.best:
            put_weights(self.model, self.best)
        self.model.eval()


def _refuse_nonsense(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise SpecError(
            f"the loss is not a number at step {step}; lower train.learning_rate",
            field="train.learning_rate",
        )


def validation_losses(
    model: Learner[BatchT], lessons: Lessons[BatchT]
) -> Iterator[tuple[float, int]]:
    """Yield (summed loss, tokens) for each batch of ``lessons``, without smoothing."""
    model.eval()
    for rows in lessons.ordered():
        with torch.inference_mode():
            terms = model.losses(lessons.take(rows), LossOptions())
        yield terms.nll.item(), terms.tokens
