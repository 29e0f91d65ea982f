"""One update: the gradient of one batch or of several, summed, then one step of the optimiser."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from core.data.sampling import Rows
from core.models.learner import Learner, LossOptions, LossTerms, Parted
from core.specs import TrainSpec
from core.training.lessons import Lessons
from core.training.memory import Carry, Halving
from core.training.optimisers import average_and_clip, make_optimiser, set_rate
from core.training.precision import Precision, to_device
from core.training.team import Team


class Updates:
    """Makes updates of the same size in tokens whatever a batch is cut into.

    Every loss is a sum over tokens, and divided once by the tokens of the whole update: that of
    all its batches, all their pieces, all processes of the team.
    """

    def __init__(
        self,
        model: Learner[Any],
        lessons: Lessons[Any],
        spec: TrainSpec,
        *,
        precision: Precision,
        forcing: torch.Generator,
        team: Team,
    ) -> None:
        self._model = model
        self._lessons = lessons
        self._spec = spec
        self._precision = precision
        self._forcing = forcing
        self._team = team
        self._options = LossOptions()
        self._sums: list[Tensor | None] = []  # gradients of what is done of this update
        learned = [(name, one) for name, one in model.named_parameters() if one.requires_grad]
        self.names = [name for name, _ in learned]
        self.parameters: list[nn.Parameter] = [one for _, one in learned]
        self._clipped = model.parts() if isinstance(model, Parted) else [self.parameters]
        self.optimiser = make_optimiser(spec, self.parameters)
        self.halving = Halving(lessons.describe)
        self.carry: Carry = ()  # of this process's rows
        self.carried_rows = 0  # of all processes

    def forget(self) -> None:
        """Drop the carry: an epoch begins."""
        self.carry = ()
        self.carried_rows = 0

    def make(self, batches: Sequence[Rows], *, rate: float, truth: float) -> tuple[Tensor, int]:
        """Learn from ``batches`` as if they were one.

        Returns -log p () in float64, summed over the tokens of the whole team, and how many.
        """
        self._options = LossOptions(
            label_smoothing=self._spec.label_smoothing,
            coverage_weight=self._spec.coverage_weight,
            truth=truth,
            generator=self._forcing,
        )
        nll, tokens = self._study(batches)
        for parameter, gradient in zip(self.parameters, self._sums, strict=True):
            parameter.grad = gradient
        self._sums = []
        if self._team.size > 1:
            nll, tokens = self._of_the_team(nll, tokens)
        for group in self._clipped:
            gradients = [one.grad for one in group if one.grad is not None]
            if gradients:
                average_and_clip(gradients, tokens=tokens, clip_norm=self._spec.clip_norm)
        set_rate(self.optimiser, rate)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return nll, tokens

    def _study(self, batches: Sequence[Rows]) -> tuple[Tensor, int]:
        nll = torch.zeros((), dtype=torch.float64, device=self._precision.device)
        tokens = 0
        self._sums = [None] * len(self.parameters)
        for rows in batches:
            mine = self._team.share(rows)
            if len(mine) == 0:  # a small batch, and others have it all
                continue
            studied = self.halving.study(self._attempt, mine, self.carry)
            nll += studied.nll
            tokens += studied.tokens
            if self._lessons.carries:
                self.carry, self.carried_rows = studied.carry, len(rows)
        return nll, tokens

    def _attempt(self, rows: Rows, carry: Carry) -> LossTerms:
        try:
            batch = to_device(self._lessons.take(rows), self._precision.device)
            with self._precision.context():
                terms = self._model.losses(batch, self._options, carry)
            torch.autograd.backward(terms.total)
        except BaseException:
            self.optimiser.zero_grad(set_to_none=True)  # half a backward pass is none
            raise
        self._bank()
        return terms

    def _bank(self) -> None:
        """Move the gradients of an attempt that succeeded to those before it."""
        for number, parameter in enumerate(self.parameters):
            gradient, parameter.grad = parameter.grad, None
            held = self._sums[number]
            if held is None:
                self._sums[number] = gradient
            elif gradient is not None:
                held += gradient

    def _of_the_team(self, nll: Tensor, tokens: int) -> tuple[Tensor, int]:
        counted = torch.tensor(float(tokens), dtype=torch.float64, device=nll.device)
        self._team.sum_gradients(self.parameters)
        self._team.add(nll, counted)
        return nll, int(counted)
