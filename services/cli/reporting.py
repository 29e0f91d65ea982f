"""``malgil recipe report``: what recipes reached, as a page with tables and figures."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from core.recipes import RECIPES, Recipe
from services.cli.drawing import attention, curves
from services.cli.failures import refused
from services.cli.headlines import figure, name
from services.cli.options import JsonFlag
from services.cli.results import Result, read_results
from services.cli.screen import Screen
from services.embedded.children import SOURCES

PAGE = "RECIPES.md"
FIGURES = "figures"
SHOWN_TEXT = 160  # characters of an example
MAPPED = ("date-attention", "translate")  # whose attention is shown
HEAD = """# What the recipes reach

Written by `malgil recipe report` from the files in `{results}`, one for each run; nothing here is
typed by hand. `malgil recipe run NAME --seed N --results {results}` adds a run. Where there are
several seeds, the median stands first, then the lowest and the highest.
"""
Runs = Mapping[str, Sequence[Result]]  # by recipe, each at least one
Cell = Callable[[Recipe, Sequence[Result]], str]


def report(
    results: Annotated[
        Path | None, typer.Option(file_okay=False, help="Where runs left their results.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="Where the page and its figures go.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write a page about all runs: tables, curves, and where attention looked."""
    screen = Screen(as_json=as_json)
    out = out or SOURCES / "docs"
    results = results or out / "results"
    runs = _by_recipe(read_results(results) if results.is_dir() else [])
    if not runs:
        raise refused(
            "--results",
            f"{results} holds no results of whole runs; malgil recipe run makes them",
        )
    drawn = dict(_figures(runs))
    (out / FIGURES).mkdir(parents=True, exist_ok=True)
    for file, data in drawn.items():
        (out / FIGURES / file).write_bytes(data)
    page = out / PAGE
    named = results.relative_to(out.parent) if results.is_relative_to(out.parent) else results
    page.write_text(_page(runs, sorted(drawn), str(named)), encoding="utf-8")
    told = {"page": str(page), "figures": sorted(drawn), "recipes": list(runs)}
    screen.result(told, f"{page}: {len(runs)} recipes, {len(drawn)} figures")


def _by_recipe(found: Sequence[Result]) -> Runs:
    """Group results in the order of the recipes; trials and strangers are left out."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for one in found:
        if not one.quick:
            groups[one.recipe].append(one)
    return {recipe: groups[recipe] for recipe in RECIPES if recipe in groups}


def _page(runs: Runs, drawn: Sequence[str], results: str) -> str:
    parts = [HEAD.format(results=results), _table(runs, _COLUMNS)]
    for family, title, columns in _FAMILIES:
        chosen = _family(runs, family)
        figures = [file for file in drawn if file.startswith(f"{family}.")]
        figures += [f"{recipe}.attention.svg" for recipe in MAPPED if recipe in chosen]
        if not chosen:
            continue
        parts.append(f"\n## {title}\n")
        parts += [f"- `{recipe}`: {RECIPES[recipe].description}" for recipe in chosen]
        if columns:
            parts += ["", _table(chosen, columns)]
        parts += [f"\n![{_alt(file)}]({FIGURES}/{file})" for file in figures if file in drawn]
        parts += list(_spoken(chosen))
    return "\n".join(parts) + "\n"


def _figures(runs: Runs) -> Iterator[tuple[str, bytes]]:
    for family, _, _ in _FAMILIES:
        if chosen := _family(runs, family):
            metric = RECIPES[next(iter(chosen))].headline.metric
            yield f"{family}.svg", curves(chosen, metric)
    for recipe in MAPPED:
        if maps := runs[recipe][0].report.get("attention") if recipe in runs else None:
            yield f"{recipe}.attention.svg", attention(maps)


def _family(runs: Runs, family: str) -> Runs:
    return {recipe: some for recipe, some in runs.items() if RECIPES[recipe].family == family}


def _table(runs: Runs, columns: Mapping[str, Cell]) -> str:
    """Return a table in Markdown, a line for each recipe."""
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [
        " | ".join(cell(RECIPES[recipe], some).replace("|", r"\|") for cell in columns.values())
        for recipe, some in runs.items()
    ]
    return "\n".join(f"| {line} |" for line in lines)


def _spread(metric: str, values: Sequence[Any]) -> str:
    """Return the median, and from where to where the values go if there are several."""
    numbers = sorted(value for value in values if isinstance(value, int | float))
    if not numbers:
        return "-"
    middle = figure(metric, median(numbers))
    if len(numbers) == 1:
        return middle
    return f"{middle} ({figure(metric, numbers[0])} to {figure(metric, numbers[-1])})"


def _of(metric: str) -> Cell:
    """Return the cell that shows ``metric``."""
    return lambda _, runs: _spread(metric, [run.metrics.get(metric) for run in runs])


def _inside(*keys: str) -> Cell:
    """Return the cell that shows a figure further down in the metrics of the first run."""

    def cell(recipe: Recipe, runs: Sequence[Result]) -> str:
        del recipe
        value: Any = runs[0].metrics
        for key in keys:
            value = value.get(key, {})
        return figure(keys[-1], value)

    return cell


def _reached(recipe: Recipe, runs: Sequence[Result]) -> str:
    metric = recipe.headline.metric
    return f"{name(metric)} {_spread(metric, [run.metrics.get(metric) for run in runs])}"


def _wanted(recipe: Recipe, runs: Sequence[Result]) -> str:
    del runs
    target = recipe.headline
    if target.figure is None:
        return target.source
    return f"{figure(target.metric, target.figure)}: {target.source}"


def _run(key: str, form: str) -> Cell:
    """Return the cell that shows a fact of the first run."""

    def cell(recipe: Recipe, runs: Sequence[Result]) -> str:
        del recipe
        value = runs[0].report.get("run", {}).get(key)
        return "-" if value is None else form.format(value)

    return cell


def _seconds(recipe: Recipe, runs: Sequence[Result]) -> str:
    del recipe
    spent = [run.report.get("run", {}).get("seconds") for run in runs]
    known = [one for one in spent if isinstance(one, int | float)]
    return f"{median(known):,.0f}" if known else "-"


def _seconds_per_epoch(recipe: Recipe, runs: Sequence[Result]) -> str:
    del recipe
    last = [run.curve[-1] for run in runs if run.curve]
    paces = [one["seconds"] / one["epoch"] for one in last if one.get("epoch")]
    return f"{median(paces):.1f}" if paces else "-"


def _parameters(recipe: Recipe, runs: Sequence[Result]) -> str:
    del recipe
    return f"{runs[0].report['parameters']:,}"


def _spoken(runs: Runs) -> Iterator[str]:
    """Yield what the models said to what they had never seen."""
    lines = []
    for recipe, some in runs.items():
        for key, whose in (("samples", ""), ("people", ", beside a question of people")):
            for sample in some[0].report.get(key, ())[:2]:
                said = f"{_code(' / '.join(sample['context']))} → {_code(sample['output'])}"
                asked = f" ({_code(sample['target'])})" if whose else ""
                lines.append(f"- `{recipe}`{whose}: {said}{asked}")
    if lines:
        yield "\nHeld-out examples, the first two of each:\n"
        yield from lines


def _code(text: str) -> str:
    """Return ``text`` in one line, cut, as Markdown shows it letter for letter."""
    line = " ".join(text.split()).replace("`", "'")
    cut = line if len(line) <= SHOWN_TEXT else f"{line[:SHOWN_TEXT]}…"
    return f"`{cut}`" if cut else "(nothing)"


def _alt(file: str) -> str:
    stem = file.removesuffix(".svg")
    if stem.endswith(".attention"):
        return f"Where {stem.removesuffix('.attention')} looked, word by word"
    return f"Curves of {stem}"


_COLUMNS: Mapping[str, Cell] = {
    "recipe": lambda recipe, _: f"`{recipe.name}`",
    "data": lambda _, runs: runs[0].data,
    "seeds": lambda _, runs: str(len(runs)),
    "reached": _reached,
    "published or to reach": _wanted,
    "seconds": _seconds,
    "parameters": _parameters,
    "machine": _run("machine", "{}"),
}
_SEQUENCES: Mapping[str, Cell] = {
    "recipe": lambda recipe, _: f"`{recipe.name}`",
    "held-out loss": _of("valid_loss"),
    "chrF": _of("chrf"),
    "BLEU": _of("bleu"),
    "seconds per epoch": _seconds_per_epoch,
}
_LANGUAGE: Mapping[str, Cell] = {
    "recipe": lambda recipe, _: f"`{recipe.name}`",
    "held-out perplexity per token": _of("valid_perplexity"),
    "per word": _of("valid_word_perplexity"),
    "test perplexity": _of("test_perplexity"),
    "parameters": _parameters,
    "seconds per epoch": _seconds_per_epoch,
}
_SUMMARIES: Mapping[str, Cell] = {
    "recipe": lambda recipe, _: f"`{recipe.name}`",
    **{name(f"rouge_{kind}"): _of(f"rouge_{kind}") for kind in ("1", "2", "l")},
    **{
        f"first words {name(f'rouge_{kind}')}": _inside("baselines", "lead_words", f"rouge_{kind}")
        for kind in ("1", "2", "l")
    },
}
_TALKS: Mapping[str, Cell] = {
    "recipe": lambda recipe, _: f"`{recipe.name}`",
    "perplexity per word": _of("valid_word_perplexity"),
    "chrF": _of("chrf"),
    "distinct-1": _of("distinct_1"),
    "distinct-2": _of("distinct_2"),
    "ten commonest": _of("top_10_share"),
    "beam alone: chrF": _inside("without_reranking", "chrf"),
    "distinct-2 ": _inside("without_reranking", "distinct_2"),
    "ten commonest ": _inside("without_reranking", "top_10_share"),
}
_QUESTIONS: Mapping[str, Cell] = {
    "recipe": lambda recipe, _: f"`{recipe.name}`",
    **{f"BLEU-{order}": _of(f"bleu_{order}") for order in range(1, 5)},
    "chrF": _of("chrf"),
    "ROUGE-L": _of("rouge_l"),
    "answers proposed, F1 of tokens": _of("proposer_token_f1"),
    "of spans": _of("proposer_span_f1"),
    "answers found, F1": _of("reader_f1"),
    "round trip, F1": _of("round_trip_f1"),
    "questions with `<unk>`": _of("unknown_share"),
    "of these `<unk>` in the source": _of("unknown_in_source_share"),
    "distinct-1": _of("distinct_1"),
    "distinct-2": _of("distinct_2"),
    "people's questions: BLEU": _inside("people", "bleu"),
    "chrF ": _inside("people", "chrf"),
    "answers found, F1 ": _inside("people", "reader_f1"),
}
_NO_MORE: Mapping[str, Cell] = {}
_FAMILIES = (
    ("addition", "Addition", _NO_MORE),
    ("dates", "Dates", _NO_MORE),
    ("calculator", "Calculator", _NO_MORE),
    ("algorithm", "Algorithms", _NO_MORE),
    ("tutorial", "The ten-minute tutorial", _SEQUENCES),
    ("translation", "Translation", _SEQUENCES),
    ("aesop", "Fables", _LANGUAGE),
    ("ptb", "Penn Treebank", _LANGUAGE),
    ("summary", "Summaries", _SUMMARIES),
    ("questions", "Questions about passages", _QUESTIONS),
    ("chat", "Chatbots", _TALKS),
)
