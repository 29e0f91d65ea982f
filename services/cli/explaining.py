"""``malgil models explain``: a network in figures, before anything is trained."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from core.recipes import find
from core.specs import ModelSpec, Plan, merge, parse
from services.cli.failures import refused
from services.cli.options import JsonFlag
from services.cli.screen import Screen, facts, size, table
from services.cli.train import overrides

if TYPE_CHECKING:
    from core.models.costs import Cost
    from core.models.explain import Explanation, Part

COLUMNS = ("part", "what it is", "what flows", "shapes", "parameters", "multiply-adds")


def explain(
    spec: Annotated[
        str, typer.Argument(metavar="SPEC", help="A recipe, or a JSON file: a plan, or a model.")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Such as model.cell=lstm."),
    ] = None,
    vocabulary: Annotated[
        int | None, typer.Option(min=1, help="How many words; otherwise as many as are allowed.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the network of a plan: its parts, their shapes, and what a token costs."""
    from core.models.explain import explain as explain_model

    screen = Screen(as_json=as_json)
    model, words = _described(spec, overrides(settings or []))
    words = vocabulary or words
    explanation = explain_model(model, vocabulary_size=words)
    data = {
        "vocabulary_size": words,
        "model": model.model_dump(mode="json"),
        "parts": [asdict(part) for part in explanation.parts],
        "parameters": explanation.count,
        "weight_bytes": explanation.weight_bytes,
        "training_bytes": explanation.training_bytes,
        "multiply_adds": asdict(explanation.cost),
    }
    sizes = "Sizes: B rows, S source tokens, T target tokens. A multiply-add is 2 FLOP."
    screen.result(data, _parts(explanation.parts), "", _whole(explanation, words), "", sizes)


def _described(spec: str, settings: dict[str, Any]) -> tuple[ModelSpec, int]:
    """Return the model that ``spec`` names, with ``settings``, and how many words it may know."""
    file = Path(spec)
    if file.suffix != ".json" and not file.is_file():
        return _of_plan(merge(find(spec).plan, settings))
    data = _read(file)
    if not set(data) <= set(ModelSpec.model_fields):
        return _of_plan(merge(parse(Plan, data), settings))
    if odd := settings.keys() - {"model"}:
        raise refused("--set", f"{min(odd)}: {file} is a model, so keys begin with model.")
    model = merge(parse(ModelSpec, data), settings.get("model", {}), within="model")
    return model, Plan().tokenizer.vocabulary_size


def _of_plan(plan: Plan) -> tuple[ModelSpec, int]:
    return plan.model, plan.tokenizer.vocabulary_size


def _read(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise refused("SPEC", f"there is no file {file}") from None
    except ValueError as error:
        raise refused("SPEC", f"{file} is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise refused("SPEC", f"{file} holds no object")
    return data


def _parts(parts: tuple["Part", ...]) -> Table:
    rows = [
        (part.name, part.what, part.flow, _shapes(part), f"{part.count:,}", _spent(part.cost))
        for part in parts
    ]
    made = table(COLUMNS, rows)
    made.columns[COLUMNS.index("parameters")].justify = "right"
    return made


def _shapes(part: "Part") -> str:
    return ", ".join(
        " x ".join(map(str, one.shape)) + (" (tied)" if one.tied else "") for one in part.parameters
    )


def _spent(cost: "Cost") -> str:
    """Say what one part costs, in as few words as a column has room for."""
    each = cost.target + cost.output
    told = (
        (cost.source, "S"),
        (each, "T"),
        (cost.source_pair, "S S"),
        (cost.pair, "S T"),
        (cost.target_pair, "T T"),
        (cost.once, ""),
    )
    return " + ".join(f"{count:,} {steps}".strip() for count, steps in told if count)


def _whole(explanation: "Explanation", words: int) -> Table:
    cost = explanation.cost
    looked_at = "  and for each source token that it looks at"
    told = (
        ("a source token", cost.source),
        (looked_at, cost.source_pair),
        ("a source, once", cost.once),
        ("a target token", cost.target),
        (looked_at, cost.pair),
        ("  and for each word that it looks back at", cost.target_pair),
        ("  and in the output layer", cost.output),
    )
    return facts(
        [
            ("vocabulary", f"{words:,}"),
            ("parameters", f"{explanation.count:,}"),
            ("weights", size(explanation.weight_bytes)),
            ("weights, gradients and Adam", size(explanation.training_bytes)),
            *((name, f"{count:,} multiply-adds") for name, count in told if count),
        ]
    )
