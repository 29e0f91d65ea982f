"""``malgil recipe run``: train by name with no server at all."""

import os
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.live import Live
from rich.text import Text

from core.data.columns import Columns
from core.data.examples import Example, Passage, Split
from core.pipelines.importing import ImportRequest
from core.pipelines.threads import use_threads
from core.recipes import CorpusKind, Recipe, find
from core.specs import Plan, merge
from services.cli.client import settings
from services.cli.failures import refused
from services.cli.following import Event
from services.cli.gathering import Corpus, cut, given, own, own_vectors, peoples, told
from services.cli.headlines import headline
from services.cli.options import (
    JsonFlag,
    Overrides,
    Source,
    SplitColumn,
    Subject,
    Target,
    Turns,
)
from services.cli.picture import Picture
from services.cli.results import Curve, Result, write_result
from services.cli.screen import Screen, facts, size
from services.cli.sheet import write_sheet
from services.cli.train import overrides
from services.cli.up import interrupted_by_signals
from services.cli.watching import SCORES

if TYPE_CHECKING:
    from core.pipelines.learn import Event as Learned
    from core.pipelines.learn import Finished
    from core.training.team import Team

SHOWN_SAMPLES = 5
TRIAL = "This was only a trial (--quick): it tries the way, and its replies are no good."


def run(
    name: Annotated[str, typer.Argument(help="See: malgil recipe list")],
    *,
    corpus: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="Your own files, instead of its own."),
    ] = None,
    kind: Annotated[
        CorpusKind | None,
        typer.Option(help="What they hold, if the recipe reads several kinds."),
    ] = None,
    source: Source = None,
    target: Target = None,
    turns: Turns = None,
    subject: Subject = None,
    split: SplitColumn = None,
    quick: Annotated[bool, typer.Option("--quick", help="Seconds instead of minutes.")] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Another beginning.")] = None,
    set_: Overrides = None,
    vectors: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Word vectors to begin with (GloVe)."),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="That learn as one.")] = 1,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Where the checkpoint goes.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(file_okay=False, help="Where malgil recipe report looks.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Train a recipe here and now, with no server; show the curve and what came of it."""
    recipe = find(name)
    plan = _plan(recipe, quick=quick, seed=seed, set_=set_ or [])
    kind = _kind(recipe, plan, kind, own_data=not corpus)
    _see_that_it_can_be_kept(out, results)
    environment, screen = settings(), Screen(as_json=as_json)
    columns = Columns(source=source, target=target, turns=turns, subject=subject, split=split)
    if corpus:
        examples = given(recipe, corpus, ImportRequest(name=name, kind=kind, columns=columns))
    else:
        examples = own(recipe, environment.data)
    use_threads(_threads(environment.threads, processes))
    listener = _Listener(Picture(name), screen)
    if vectors is None and not corpus:
        vectors = own_vectors(recipe, environment.data)
    finished = _trained(cut(examples) if quick else examples, plan, vectors, processes, listener)
    if finished is None:  # another process tells, and keeps what comes of it
        return
    if out is not None:
        out.write_bytes(finished.data)
    if not corpus and (passages := peoples(recipe)):
        finished = _examined(finished, passages)
    _show(recipe, finished, out, screen)
    if results is not None:
        made = Result(
            recipe=name,
            seed=plan.train.seed,
            quick=quick,
            data=told(recipe, corpus, finished.report["examples"]),
            plan=plan.model_dump(mode="json"),
            curve=listener.curve.points,
            metrics=finished.metrics,
            report=finished.report,
        )
        screen.say(f"{write_result(made, results)}: for malgil recipe report")
        if sheet := finished.report.get("sheet"):
            screen.say(f"{write_sheet(made.name, sheet, results)}: pairs to look at")
    if quick:
        screen.say(TRIAL)


def _plan(recipe: Recipe, *, quick: bool, seed: int | None, set_: list[str]) -> Plan:
    plan = recipe.quick_plan() if quick else recipe.plan
    if seed is not None:
        plan = merge(plan, {"train": {"seed": seed}})
    return merge(plan, overrides(set_))


def _kind(recipe: Recipe, plan: Plan, kind: CorpusKind | None, *, own_data: bool) -> CorpusKind:
    """Return the kind of what is learned from; refuse one that the plan cannot learn from."""
    kinds = recipe.kinds_with(plan)
    if own_data and recipe.corpus_kinds[0] not in kinds:
        has = f"{recipe.name} has {recipe.corpus_kinds[0]} of its own"
        raise refused("--set", f"the task {plan.task} needs {kinds[0]}, and {has}")
    if kind is not None and kind not in kinds:
        raise refused("--kind", f"{recipe.name} reads {' or '.join(kinds)}, not {kind}")
    return kind or kinds[0]


def _see_that_it_can_be_kept(out: Path | None, results: Path | None) -> None:
    """Refuse places that cannot be written before hours have gone into what belongs there."""
    if out is not None and not os.access(out if out.exists() else out.parent, os.W_OK):
        raise refused("--out", f"{out} cannot be written; is there a folder {out.parent}?")
    if results is not None:
        try:
            results.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise refused("--results", f"{results} cannot be made: {error}") from error


def _threads(asked: int, processes: int) -> int:
    """Return how many threads each of ``processes`` has, so that all have ``asked`` together."""
    return asked if processes == 1 else max((asked or os.cpu_count() or 1) // processes, 1)


def _team(processes: int) -> AbstractContextManager["Team"]:
    """Return the team that trains: the others run the command that this process was given."""
    from core.pipelines.parallel import team_of

    return team_of(processes, [sys.executable, "-m", "services.cli.main", *sys.argv[1:]])


def _trained(
    corpus: Corpus, plan: Plan, vectors: Path | None, processes: int, listener: "_Listener"
) -> "Finished | None":
    """Train, and return what came of it to the one process that has heard of it."""
    with interrupted_by_signals() as came, _team(processes) as team:
        events = _until(came, _events(corpus, plan, vectors, team))
        if team.rank == 0:
            return listener.hear(events)
        deque(events, maxlen=0)
        return None


def _examined(finished: "Finished", passages: list[Passage]) -> "Finished":
    """Return the same with figures of what people asked about ``passages``, and some samples."""
    from core.pipelines.bundle import read_bundle
    from core.pipelines.examining import figures_of_people

    figures, samples = figures_of_people(read_bundle(finished.data), passages)
    metrics = {**finished.metrics, "people": figures}
    report = {**finished.report, "metrics": metrics, "people": samples[:SHOWN_SAMPLES]}
    return replace(finished, metrics=metrics, report=report)


def _until(came: threading.Event, events: Iterator["Learned"]) -> Iterator["Learned"]:
    """Pass ``events`` on; stop where an interrupt came and was swallowed."""
    for event in events:
        if came.is_set():
            raise KeyboardInterrupt
        yield event


def _events(corpus: Corpus, plan: Plan, vectors: Path | None, team: "Team") -> Iterator["Learned"]:
    """Train, with a directory for what is encoded."""
    from core.pipelines.learn import learn

    def examples(split: str) -> list[Example]:
        return corpus[cast(Split, split)]

    with tempfile.TemporaryDirectory(prefix="malgil-") as scratch:
        yield from learn(examples, plan, scratch=Path(scratch), vectors=vectors, team=team)


class _Listener:
    """Hears the events of a training: draws them, or prints them, and keeps the curve."""

    def __init__(self, picture: Picture, screen: Screen) -> None:
        self.picture = picture
        self.screen = screen
        self.curve = Curve()

    def hear(self, events: Iterator["Learned"]) -> "Finished":
        """Listen to the end, and return it."""
        from core.pipelines.learn import Finished

        screen, finished = self.screen, None
        live = Live(self.picture, console=screen.out, refresh_per_second=8)
        with live if screen.is_live else nullcontext():
            for learned in events:
                if isinstance(learned, Finished):
                    finished = learned
                for event in _told(learned):
                    self._take(event)
        if finished is None:
            raise RuntimeError("the training ended without a bundle")
        return finished

    def _take(self, event: Event) -> None:
        self.curve.hear(event)
        line = self.picture.hear(event)
        if self.screen.as_json:
            self.screen.line({"event": event.kind, **event.numbers(), "data": event.data})
        elif not self.screen.is_live and (line or event.kind == "metrics"):
            self.screen.say(f"{self.picture.name}: {line or self.picture.figures()}")


def _told(learned: "Learned") -> Iterator[Event]:
    """Say an event of learning as a job would have said it."""
    from core.pipelines.learn import Stage, said
    from core.training.events import Divided, Measured, Progress, Started, Validated

    match learned:
        case Stage():
            yield Event("progress", {"stage": learned.name})
            yield Event("log", {"message": f"{learned.name}: {learned.detail}"})
        case Started() | Divided():
            yield Event("log", {"message": said(learned)})
        case Progress():
            yield Event("progress", {"stage": "train", **asdict(learned)})
        case Measured() | Validated():
            data = asdict(learned)
            yield Event("metrics", data, step=data.pop("step"))


def _show(recipe: Recipe, finished: "Finished", out: Path | None, screen: Screen) -> None:
    """Print the figures, some samples, and last the one that counts."""
    samples = finished.report["samples"][:SHOWN_SAMPLES]
    people = finished.metrics.get("people", {})
    line = headline(recipe.headline, finished.metrics)
    reached = recipe.headline.reached(finished.metrics.get(recipe.headline.metric))
    figures: list[tuple[str, Any]] = [
        *((key.replace("_", " "), finished.metrics.get(key)) for key in SCORES),
        *((f"people's questions: {key}", people.get(key)) for key in SCORES if key in people),
        ("parameters", f"{finished.report['parameters']:,}"),
        ("seconds", f"{finished.report['run']['seconds']:.1f}"),
        ("checkpoint", f"{out} ({size(len(finished.data))})" if out else None),
    ]
    lines = [
        (" | ".join(one["context"]), f"{one['output']}  (wanted: {one['target']})")
        for one in [*samples, *finished.report.get("people", ())]
    ]
    data = {
        "metrics": finished.metrics,
        "report": finished.report,
        "headline": line,
        "reached": reached,
        "out": str(out or ""),
    }
    screen.result(data, facts(figures), "", facts(lines), "", Text(line))
