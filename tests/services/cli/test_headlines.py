import pytest

from core.recipes import Target
from services.cli.headlines import figure, headline


@pytest.mark.parametrize(
    ("target", "value", "line"),
    [
        (
            Target("exact_match", 0.984, "at_least", "the original"),
            0.98912,
            "exact match 98.91 %  (to reach: 98.40 %, the original)",
        ),
        (
            Target("test_perplexity", 136.08, "at_most", "published"),
            120.0,
            "test perplexity 120.00  (to reach: at most 136.08, published)",
        ),
        (Target("chrf", source="none is published"), 51.5, "chrF 51.50  (none is published)"),
    ],
)
def test_what_was_reached_stands_beside_what_was_to_be(
    target: Target, value: float, line: str
) -> None:
    assert headline(target, {target.metric: value}) == line


def test_a_figure_that_was_not_measured_is_a_dash() -> None:
    assert headline(Target("test_perplexity", 1.0, "at_most", "x"), {}).startswith(
        "test perplexity -"
    )
    assert figure("bleu", None) == "-"
