"""Pairs of questions and answers on one page, each answer marked in its passage."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
article { border-top: 1px solid #ccc; padding: 1rem 0 }
h2 { font-size: 1.05rem; margin: 0 0 .3rem }
p { margin: .3rem 0; white-space: pre-line }
mark { background: #ffe28a }
u { text-decoration: underline wavy #36c }
small { color: #555 }
"""


def write_sheet(name: str, pairs: Sequence[Mapping[str, Any]], folder: Path) -> Path:
    """Write ``pairs`` as a page beside the result called ``name``; return where it is.

    The page needs nothing else. The answer that was asked about is marked; what the reader found
    is underlined where that is not the same.
    """
    path = folder / f"{Path(name).stem}.html"
    title = escape(Path(name).stem)
    articles = "\n".join(_article(number, pair) for number, pair in enumerate(pairs, 1))
    path.write_text(
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n<h1>{title}: {len(pairs)} pairs</h1>\n"
        "<p>From held-out passages alone: the answer was proposed (marked), the question written, "
        "and the answer looked for again (underlined where it was found elsewhere).</p>\n"
        f"{articles}\n</html>\n",
        encoding="utf-8",
    )
    return path


def _article(number: int, pair: Mapping[str, Any]) -> str:
    figures = (
        f"proposal {pair['proposal_log_prob']:.2f}, question {pair['question_score']:.2f}, "
        f"found again {pair['found_log_prob']:.2f}"
    )
    return (
        f"<article>\n<h2>{number}. {escape(pair['question'])}</h2>\n"
        f"<p>{_marked(pair)}</p>\n"
        f"<small>{escape(pair['title'])} &middot; log p: {figures}</small>\n</article>"
    )


def _marked(pair: Mapping[str, Any]) -> str:
    """Return the passage with the answer, and what was found, between tags."""
    context, answer, found = pair["context"], pair["answer"], pair["found"]
    cuts = sorted({0, len(context), *answer.values(), *found.values()})
    pieces = []
    for start, end in pairwise(cuts):
        text = escape(context[start:end])
        if answer != found and found["start"] <= start and end <= found["end"]:
            text = f"<u>{text}</u>"
        if answer["start"] <= start and end <= answer["end"]:
            text = f"<mark>{text}</mark>"
        pieces.append(text)
    return "".join(pieces)
