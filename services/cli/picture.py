"""What is known of a running job, and how it looks."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services.cli.curve import sparkline
from services.cli.following import Event
from services.cli.headlines import figure, name
from services.cli.screen import duration

CURVE_WIDTH = 60
SHOWN_LOGS = 6
PACE_POINTS = 30  # reports of progress from which the pace is taken


class Picture:
    """Gathers the events of one job; a terminal draws it again after each."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.status = "queued"
        self.progress: dict[str, Any] = {}
        self.train: dict[int, float] = {}  # step -> loss
        self.valid: dict[int, float] = {}
        self.scores: dict[str, dict[int, float]] = {}  # by metric, of held-out examples
        self._logs: deque[str] = deque(maxlen=SHOWN_LOGS)
        self._pace: deque[tuple[float, int]] = deque(maxlen=PACE_POINTS)  # elapsed_s, step

    def hear(self, event: Event) -> str | None:
        """Take in one event; return the line it adds to the log, if it adds one."""
        line: str | None = None
        if event.kind == "state":
            self.status = str(event.data.get("status", self.status))
            line = _state_line(event.data)
        elif event.kind == "log":
            line = str(event.data.get("message") or event.data)
        elif event.kind == "metrics" and event.step is not None:
            self._measure(event.step, event.data)
        elif event.kind == "progress":
            self._advance(event.data)
        if line is not None:
            self._logs.append(line.partition("\n")[0])
        return line

    def left_s(self) -> float | None:
        """Return how long the steps that are left will take at the present pace, if known."""
        total = self.progress.get("total_steps")
        if not isinstance(total, int) or len(self._pace) < 2:
            return None
        (began_s, first), (now_s, last) = self._pace[0], self._pace[-1]
        if last <= first or now_s <= began_s:
            return None
        return max(total - last, 0) * (now_s - began_s) / (last - first)

    def figures(self) -> str:
        """Return the newest figures in one line."""
        told = self.progress
        parts = [
            _part(told, "step", "step {:,}") + _part(told, "total_steps", "/{:,}"),
            _part(told, "pairs", "{:,} pairs"),
            _part(told, "pairs_per_s", "{:.1f} pairs/s"),
            _part(told, "epoch", "epoch {}"),
            _part(told, "loss", "loss {:.3f}"),
            f"valid {self.valid[max(self.valid)]:.3f}" if self.valid else "",
            *(f"{name(key)} {figure(key, one[max(one)])}" for key, one in self.scores.items()),
            _part(told, "learning_rate", "lr {:.2e}"),
            _part(told, "tokens_per_s", "{:,.0f} tokens/s"),
            _part(told, "elapsed_s", "{:.0f} s"),
        ]
        left_s = self.left_s()
        parts.append(f"about {duration(left_s)} left" if left_s is not None else "")
        return "  ".join(part for part in parts if part)

    def __rich__(self) -> RenderableType:
        """Draw everything."""
        stage = str(self.progress.get("stage") or "")
        head = Text.assemble((self.name, "bold"), "  ", (self.status, "cyan"), f"  {stage}")
        lines: list[RenderableType] = [head]
        if self.progress.get("total_steps"):
            total, step = self.progress["total_steps"], self.progress.get("step", 0)
            bar = ProgressBar(total=total, completed=min(step, total), width=CURVE_WIDTH)
            lines.append(Columns([bar]))  # alone it does not end its line
        lines.append(Text(self.figures()))
        lines.append(self._curves())
        return Group(*lines, *(Text(line, style="dim") for line in self._logs))

    def _curves(self) -> Table:
        grid = Table.grid(padding=(0, 1))
        for label, points in (("train", self.train), ("valid", self.valid)):
            if points:
                losses = list(points.values())
                drawn = sparkline(losses, width=CURVE_WIDTH)
                grid.add_row(
                    label, Text(drawn, style="green"), f"{losses[0]:.3f} → {losses[-1]:.3f}"
                )
        for key, points in self.scores.items():
            values = list(points.values())
            drawn = sparkline(values, width=CURVE_WIDTH)
            told = f"{figure(key, values[0])} → {figure(key, values[-1])}"
            grid.add_row(name(key), Text(drawn, style="cyan"), told)
        return grid

    def _measure(self, step: int, data: Mapping[str, Any]) -> None:
        curves = [(self.train, data.get("loss")), (self.valid, data.get("valid_loss"))]
        for key, score in (data.get("scores") or {}).items():
            curves.append((self.scores.setdefault(key, {}), score))
        for points, value in curves:
            if isinstance(value, int | float):
                # A run that was taken up again tells the steps after its snapshot once more.
                for later in [known for known in points if known >= step]:
                    del points[later]
                points[step] = float(value)

    def _advance(self, progress: dict[str, Any]) -> None:
        self.progress = {**self.progress, **progress}
        step, elapsed_s = progress.get("step"), progress.get("elapsed_s")
        if isinstance(step, int) and isinstance(elapsed_s, int | float):
            if self._pace and (step < self._pace[-1][1] or elapsed_s < self._pace[-1][0]):
                self._pace.clear()
            self._pace.append((float(elapsed_s), step))


def _part(told: Mapping[str, Any], key: str, words: str) -> str:
    value = told.get(key)
    return words.format(value) if isinstance(value, int | float) else ""


def _state_line(data: Mapping[str, Any]) -> str:
    more = [f"attempt {data['attempt']}"] if data.get("attempt") else []
    more += [str(data[key]) for key in ("worker", "error", "reason") if data.get(key)]
    return f"{data.get('status')}{': ' if more else ''}{', '.join(more)}"
