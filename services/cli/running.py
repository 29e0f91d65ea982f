"""``malgil recipe run``: train by name with no server at all."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.live import Live

from core.data.columns import Columns
from core.data.examples import Example, example_of
from core.pipelines.importing import ImportRequest, checked_rows
from core.pipelines.threads import use_threads
from core.recipes import Recipe, find
from core.specs import Plan, merge
from services.cli.client import settings
from services.cli.failures import refused
from services.cli.following import Event
from services.cli.options import JsonFlag
from services.cli.picture import Picture
from services.cli.screen import Screen, facts, size
from services.cli.train import overrides
from services.cli.watching import SCORES
from services.embedded.children import SOURCES

if TYPE_CHECKING:
    from core.pipelines.learn import Event as Learned
    from core.pipelines.learn import Finished

SHOWN_SAMPLES = 5
TRIAL = "This was only a trial (--quick): it tries the way, and its replies are no good."

Corpus = dict[str, list[Example]]  # by split


def run(
    name: Annotated[str, typer.Argument(help="See: malgil recipe list")],
    *,
    corpus: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="Your own files, instead of examples/."),
    ] = None,
    kind: Annotated[Literal["pairs", "dialogues"], typer.Option(help="What they hold.")] = "pairs",
    source: Annotated[str | None, typer.Option(help="Column that is read.")] = None,
    target: Annotated[str | None, typer.Option(help="Column that is to be written.")] = None,
    turns: Annotated[str | None, typer.Option(help="Column of a dialogue's turns.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Seconds instead of minutes.")] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Another beginning.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Such as train.seed=2.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Where the checkpoint goes.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Train a recipe here and now, with no server; show the curve and what came of it."""
    screen = Screen(as_json=as_json)
    recipe = find(name)
    if kind not in recipe.corpus_kinds:
        raise refused("kind", f"{name} reads {' or '.join(recipe.corpus_kinds)}, not {kind}")
    plan = _plan(recipe, quick=quick, seed=seed, set_=set_ or [])
    threads = settings().threads
    columns = Columns(source=source, target=target, turns=turns)
    files = corpus or [SOURCES / "examples" / file for file in recipe.examples]
    examples = _read(files, ImportRequest(name=name, kind=kind, columns=columns))
    use_threads(threads)
    finished = _learn(examples, plan, Picture(name), screen)
    if out is not None:
        out.write_bytes(finished.data)
    _show(finished, out, screen)
    if quick:
        screen.say(TRIAL)


def _plan(recipe: Recipe, *, quick: bool, seed: int | None, set_: list[str]) -> Plan:
    plan = recipe.quick_plan() if quick else recipe.plan
    if seed is not None:
        plan = merge(plan, {"train": {"seed": seed}})
    return merge(plan, overrides(set_))


def _read(paths: Sequence[Path], request: ImportRequest) -> Corpus:
    """Read whole files into memory; raises DataError where too many lines are bad."""
    corpus: Corpus = {"train": [], "valid": [], "test": []}
    with ExitStack() as stack:
        files = [(path.name, stack.enter_context(path.open("rb"))) for path in paths]
        _, rows = checked_rows(files, request)
        for split, _, content in rows:
            corpus[split].append(example_of(content))
    return corpus


def _learn(corpus: Corpus, plan: Plan, picture: Picture, screen: Screen) -> "Finished":
    """Train while ``picture`` is drawn."""
    from core.pipelines.learn import Finished, learn

    live = Live(picture, console=screen.out, refresh_per_second=8) if screen.is_live else None
    with tempfile.TemporaryDirectory(prefix="malgil-") as scratch, live or nullcontext():
        for learned in learn(corpus.__getitem__, plan, scratch=Path(scratch)):
            if isinstance(learned, Finished):
                return learned
            for event in _told(learned):
                line = picture.hear(event)
                if screen.as_json:
                    screen.line({"event": event.kind, **event.numbers(), "data": event.data})
                elif live is None and (line or event.kind == "metrics"):
                    screen.say(f"{picture.name}: {line or picture.figures()}")
    raise RuntimeError("the training ended without a bundle")


def _told(learned: "Learned") -> Iterator[Event]:
    """Say an event of learning as a job would have said it."""
    from core.pipelines.learn import Stage
    from core.training.events import Measured, Progress, Validated

    match learned:
        case Stage():
            yield Event("progress", {"stage": learned.name})
            yield Event("log", {"message": f"{learned.name}: {learned.detail}"})
        case Progress():
            yield Event("progress", {"stage": "train", **asdict(learned)})
        case Measured() | Validated():
            data = asdict(learned)
            yield Event("metrics", data, step=data.pop("step"))


def _show(finished: "Finished", out: Path | None, screen: Screen) -> None:
    samples = finished.report["samples"][:SHOWN_SAMPLES]
    told: list[tuple[str, Any]] = [
        *((key.replace("_", " "), finished.metrics[key]) for key in SCORES),
        ("parameters", f"{finished.report['parameters']:,}"),
        ("checkpoint", f"{out} ({size(len(finished.data))})" if out else None),
    ]
    lines = [
        (" | ".join(one["context"]), f"{one['output']}  (wanted: {one['target']})")
        for one in samples
    ]
    data = {"metrics": finished.metrics, "report": finished.report, "out": str(out or "")}
    screen.result(data, facts(told), "", facts(lines))
