"""The one figure of a recipe, in words, beside the one it should reach."""

from collections.abc import Mapping
from typing import Any

from core.recipes import Target

SHARES = frozenset(
    {
        *("exact_match", "test_exact_match", "top_10_share"),
        *("proposer_token_f1", "proposer_span_f1", "reader_f1", "reader_exact", "round_trip_f1"),
        *("unknown_share", "unknown_in_source_share"),
    }
)  # 0 to 1, told as percentages
NAMES = {
    "exact_match": "exact match",
    "bleu": "BLEU",
    "chrf": "chrF",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "valid_loss": "held-out loss",
    "valid_perplexity": "held-out perplexity",
    "valid_word_perplexity": "held-out perplexity per word",
    "test_perplexity": "test perplexity",
    "test_exact_match": "exact match on longer inputs",
}


def headline(target: Target, metrics: Mapping[str, Any]) -> str:
    """Return the line that a run ends with, such as ``exact match 98.9 %  (to reach: ...)``."""
    value = metrics.get(target.metric)
    reached = f"{name(target.metric)} {figure(target.metric, value)}"
    if target.figure is None:
        return f"{reached}  ({target.source})"
    sense = {"at_least": "to reach: ", "at_most": "to reach: at most ", None: "beside it: "}
    wanted = figure(target.metric, target.figure)
    return f"{reached}  ({sense[target.sense]}{wanted}, {target.source})"


def name(metric: str) -> str:
    """Return what people call ``metric``."""
    return NAMES.get(metric, metric.replace("_", " "))


def figure(metric: str, value: object) -> str:
    """Return ``value`` as people write it."""
    if not isinstance(value, int | float):
        return "-"
    if metric in SHARES:
        return f"{100 * value:.2f} %"
    return f"{value:.2f}"
