"""``malgil recipe report``: what recipes reached, as a page with tables and figures."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from core.recipes import RECIPES
from services.cli.cells import COLUMNS, DRAWN, FAMILIES, Cell
from services.cli.drawing import attention, bars, curves
from services.cli.failures import refused
from services.cli.options import JsonFlag
from services.cli.results import Result, read_results
from services.cli.screen import Screen
from services.cli.variants import Variant, read_variants
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
    changed = read_variants(results)
    drawn = dict(_figures(runs, changed))
    (out / FIGURES).mkdir(parents=True, exist_ok=True)
    for file, data in drawn.items():
        (out / FIGURES / file).write_bytes(data)
    page = out / PAGE
    named = results.relative_to(out.parent) if results.is_relative_to(out.parent) else results
    page.write_text(_page(runs, changed, sorted(drawn), str(named)), encoding="utf-8")
    told = {"page": str(page), "figures": sorted(drawn), "recipes": list(runs)}
    screen.result(told, f"{page}: {len(runs)} recipes, {len(drawn)} figures")


def _by_recipe(found: Sequence[Result]) -> Runs:
    """Group results in the order of the recipes; trials and strangers are left out."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for one in found:
        if not one.quick:
            groups[one.recipe].append(one)
    return {recipe: groups[recipe] for recipe in RECIPES if recipe in groups}


def _page(runs: Runs, changed: Sequence[Variant], drawn: Sequence[str], results: str) -> str:
    parts = [HEAD.format(results=results), _table(runs, COLUMNS)]
    for family, title, columns in FAMILIES:
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
        parts += list(_changed(chosen, changed, columns))
        parts += list(_spoken(chosen))
    return "\n".join(parts) + "\n"


def _figures(runs: Runs, changed: Sequence[Variant]) -> Iterator[tuple[str, bytes]]:
    for family, _, _ in FAMILIES:
        if chosen := _family(runs, family):
            metric = RECIPES[next(iter(chosen))].headline.metric
            yield f"{family}.svg", curves(chosen, metric)
            variants = {one.name: one.runs for one in changed if one.recipe.name in chosen}
            if variants and family in DRAWN:
                yield f"{family}.changed.svg", bars({**chosen, **variants}, DRAWN[family])
    for recipe in MAPPED:
        if maps := runs[recipe][0].report.get("attention") if recipe in runs else None:
            yield f"{recipe}.attention.svg", attention(maps)


def _family(runs: Runs, family: str) -> Runs:
    return {recipe: some for recipe, some in runs.items() if RECIPES[recipe].family == family}


def _changed(runs: Runs, changed: Sequence[Variant], columns: Mapping[str, Cell]) -> Iterator[str]:
    """Yield a table of variants of the recipes in ``runs``, and what was changed in each."""
    own = [one for one in changed if one.recipe.name in runs]
    if not own:
        return
    yield "\nThe same with other settings:\n"
    for one in own:
        seeds = ", ".join(str(run.seed) for run in one.runs)
        told = ", ".join(f"`{change}`" for change in one.changes) or "nothing is changed"
        yield f"- {one.name}: `{one.recipe.name}`, {told} (seed {seeds})"
    wanted = dict(list((columns or COLUMNS).items())[1:]) | {
        key: COLUMNS[key] for key in ("data", "seconds")
    }
    cells = [[cell(one.recipe, one.runs) for cell in wanted.values()] for one in own]
    lines = [[one.name, *row] for one, row in zip(own, cells, strict=True)]
    yield f"\n{_markdown(['settings', *wanted], lines)}"


def _table(runs: Runs, columns: Mapping[str, Cell]) -> str:
    """Return a table in Markdown, a line for each recipe."""
    cells = columns.values()
    lines = [[cell(RECIPES[recipe], some) for cell in cells] for recipe, some in runs.items()]
    return _markdown(list(columns), lines)


def _markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    told = [head, ["---"] * len(head)]
    told += [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in told)


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
    if stem.endswith(".changed"):
        return f"Figures of {stem.removesuffix('.changed')}, beside those with other settings"
    return f"Curves of {stem}"
