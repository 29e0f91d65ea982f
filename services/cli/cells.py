"""The tables about runs of recipes: what stands in a cell, and the columns of each family."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from core.recipes import Recipe
from services.cli.headlines import figure, name
from services.cli.results import Result

Cell = Callable[[Recipe, Sequence[Result]], str]


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


COLUMNS: Mapping[str, Cell] = {
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
QUESTIONS: Mapping[str, Cell] = {
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
}
_KOREAN_QUESTIONS: Mapping[str, Cell] = {
    **QUESTIONS,
    "people's questions: BLEU": _inside("people", "bleu"),
    "chrF ": _inside("people", "chrf"),
    "answers proposed, F1 of tokens ": _inside("people", "proposer_token_f1"),
    "answers found, F1 ": _inside("people", "reader_f1"),
    "round trip, F1 ": _inside("people", "round_trip_f1"),
}
_NO_MORE: Mapping[str, Cell] = {}
FAMILIES = (
    ("addition", "Addition", _NO_MORE),
    ("dates", "Dates", _NO_MORE),
    ("calculator", "Calculator", _NO_MORE),
    ("algorithm", "Algorithms", _NO_MORE),
    ("tutorial", "The ten-minute tutorial", _SEQUENCES),
    ("translation", "Translation", _SEQUENCES),
    ("aesop", "Fables", _LANGUAGE),
    ("ptb", "Penn Treebank", _LANGUAGE),
    ("summary", "Summaries", _SUMMARIES),
    ("questions", "Questions about passages", QUESTIONS),
    ("questions-ko", "Korean questions about passages", _KOREAN_QUESTIONS),
    ("chat", "Chatbots", _TALKS),
)
DRAWN: Mapping[str, tuple[str, ...]] = {  # of a family: what is told out of 100, side by side
    "questions": (
        *("bleu_4", "chrf", "rouge_l"),
        *("proposer_token_f1", "proposer_span_f1", "reader_f1", "round_trip_f1"),
    ),
}
