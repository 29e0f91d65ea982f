"""What a run of a recipe leaves behind for the report: its curve, its figures, its machine."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from core.errors import SpecError
from core.specs import Spec, parse
from services.cli.failures import refused
from services.cli.following import Event

CURVE_POINTS = 100  # of each kind that a file keeps: more than a figure shows
KEPT_SAMPLES = 5
KEPT_MAPS = 4  # of attention

Point = dict[str, Any]  # step, epoch, seconds; loss, or valid_loss and the scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run of one recipe, small enough to be kept beside the code."""

    recipe: str
    seed: int
    quick: bool
    data: str  # what it learned from, in words
    plan: dict[str, Any]
    curve: list[Point]
    metrics: dict[str, Any]
    report: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of its file: a run with the same seed takes the place of the one before."""
        return f"{self.recipe}-seed{self.seed}.json"


class _Point(Spec):
    """What a point of a curve has in any case."""

    model_config = ConfigDict(extra="allow")

    step: int
    epoch: int | None
    seconds: float


class _Sample(Spec):
    model_config = ConfigDict(extra="allow")

    context: list[str]
    output: str


class _Map(Spec):
    source: list[str]
    output: list[str]
    weights: list[list[float]]


class _Report(Spec):
    """As much of a report as a page shows."""

    model_config = ConfigDict(extra="allow")

    parameters: int
    samples: tuple[_Sample, ...] = ()
    attention: tuple[_Map, ...] = ()
    run: dict[str, Any] = Field(default_factory=dict)


class _Written(Spec):
    """What a file of ``write_result`` holds."""

    recipe: str
    seed: int
    quick: bool
    data: str
    plan: dict[str, Any]
    curve: list[_Point]
    metrics: dict[str, Any]
    report: _Report


class Curve:
    """Gathers the points of a curve from the events of a training."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._seconds = 0.0

    def hear(self, event: Event) -> None:
        """Take in one event; only those with figures leave a point."""
        if event.kind == "progress":
            self._seconds = float(event.data.get("elapsed_s", self._seconds))
        if event.kind != "metrics" or event.step is None:
            return
        told = {"step": event.step, "epoch": event.data.get("epoch"), "seconds": self._seconds}
        if "loss" in event.data:
            self.points.append({**told, "loss": event.data["loss"]})
        elif "valid_loss" in event.data:
            scores = dict(event.data.get("scores") or {})
            self.points.append({**told, "valid_loss": event.data["valid_loss"], **scores})


def write_result(result: Result, folder: Path) -> Path:
    """Write ``result`` into ``folder``, thinned and rounded, and return where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = asdict(result)
    kept["curve"] = thinned(result.curve)
    report = dict(result.report)
    report.pop("metrics", None)  # they stand beside it
    report.pop("sheet", None)  # a page of its own
    report["samples"] = list(report.get("samples", ()))[:KEPT_SAMPLES]
    report["attention"] = list(report.get("attention", ()))[:KEPT_MAPS]
    kept["report"] = report
    path = folder / result.name
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in _rounded(kept).items()
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return path


def read_results(folder: Path) -> list[Result]:
    """Return the results in ``folder``, by recipe and seed; raises Failure naming a bad file."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            parse(_Written, data)
        except (ValueError, SpecError) as error:
            raise refused("--results", f"{path.name} is no result of a recipe: {error}") from error
        found.append(Result(**data))
    return sorted(found, key=lambda one: (one.recipe, one.seed))


def thinned(points: Sequence[Point], limit: int = CURVE_POINTS) -> list[Point]:
    """Keep at most ``limit`` points with a loss and as many with a validation, the last always."""
    losses = [point for point in points if "loss" in point]
    others = [point for point in points if "loss" not in point]
    kept = _spread(losses, limit) + _spread(others, limit)
    return sorted(kept, key=lambda point: (int(point["step"]), "valid_loss" in point))


def _spread(points: Sequence[Point], limit: int) -> list[Point]:
    every = max(math.ceil(len(points) / limit), 1)
    return list(points[::-1][::every][::-1])


def _rounded(value: Any) -> Any:
    """Cut numbers to the digits that a reader of a curve can use."""
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _rounded(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inside) for inside in value]
    return value
