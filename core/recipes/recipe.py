"""What a recipe is: a plan with a name, what it learns from, and the figure it should reach."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from core.recipes.materials import Material
from core.specs import Plan, Task, merge

CorpusKind = Literal["pairs", "dialogues", "text", "passages"]
Sense = Literal["at_least", "at_most"]

_KINDS: Mapping[Task, tuple[CorpusKind, ...]] = MappingProxyType(
    {"translate": ("pairs",), "language": ("text",), "questions": ("passages",)}
)
QUICK: Mapping[str, Any] = MappingProxyType(
    {
        "tokenizer": {"vocabulary_size": 2000},
        "model": {"embedding_dim": 32, "hidden_dim": 48},
        "train": {
            "max_epochs": 2,
            "validate_every": 20,
            "time_limit_s": 10.0,
            "score_rows": 20,
            "report_rows": 40,
        },
        "decode": {"beam_size": 2},
    }
)


def kinds_for(task: Task) -> tuple[CorpusKind, ...]:
    """Return the kinds of corpora that ``task`` can be learned from."""
    return _KINDS.get(task, ("pairs", "dialogues"))


@dataclass(frozen=True, slots=True)
class Target:
    """The one figure that a recipe is judged by, and what others reached."""

    metric: str  # a key of the report's metrics
    figure: float | None = None  # on the scale of the metric
    sense: Sense | None = None  # none: the figure is only told beside ours
    source: str = ""  # whose figure it is

    def reached(self, value: float | None) -> bool | None:
        """Tell whether ``value`` is good enough; None where nothing is to be reached."""
        if self.figure is None or self.sense is None or value is None:
            return None
        return value >= self.figure if self.sense == "at_least" else value <= self.figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A named plan, what it learns from unless told otherwise, and how it shrinks for a trial."""

    name: str
    family: str  # recipes of one family are compared with each other
    title: str
    description: str
    corpus_kinds: tuple[CorpusKind, ...]
    plan: Plan
    material: Material
    headline: Target
    quick: Mapping[str, Any]  # laid over the plan by ``--quick``; sizes only

    def quick_plan(self) -> Plan:
        """Return the plan made small: minutes become seconds, and the result is only a trial."""
        return merge(self.plan, dict(self.quick))

    def kinds_with(self, plan: Plan) -> tuple[CorpusKind, ...]:
        """Return what it learns from with ``plan``, its own or one whose task was changed."""
        return self.corpus_kinds if plan.task == self.plan.task else kinds_for(plan.task)

    def variant(
        self,
        name: str,
        title: str,
        description: str,
        changes: Mapping[str, Any],
        *,
        figure: float | None = None,
    ) -> "Recipe":
        """Return another recipe of the family: this plan with ``changes`` laid over it.

        ``figure`` is what others reached with it, if that is not the same.
        """
        return replace(
            self,
            name=name,
            title=title,
            description=description,
            plan=merge(self.plan, dict(changes)),
            headline=self.headline if figure is None else replace(self.headline, figure=figure),
        )
