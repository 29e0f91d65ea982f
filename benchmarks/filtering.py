"""What the round-trip filter is worth: those it keeps against those it drops, at each threshold.

Of articles that the model has never seen. Two things are told of pairs whose answer the reader
finds again, and of the others:

- pairs as a job makes them: how many have an answer that people asked about in that paragraph (F1
  of its words at least RIGHT);
- questions about the answers that people asked about: how like they are to what people asked, as
  chrF (the best of theirs about that answer counts).

Fails where at the default threshold either is not higher for those that are kept. With
``--figures`` both curves are drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import cast

from sacrebleu.metrics.chrf import CHRF

from benchmarks.translator import checkpoint
from core.data.examples import Passage
from core.data.materials import read
from core.data.spans import Span
from core.metrics.spans import answer_f1
from core.pipelines.asking import ask, find
from core.pipelines.bundle import Bundle, open_bundle, serving
from core.pipelines.questioning import question_texts
from core.pipelines.threads import use_threads
from core.recipes import find as find_recipe
from core.settings import Settings
from core.specs import GenerateSpec
from services.cli.drawing import drawing, svg

RECIPE = "qgen-pointer"
PASSAGES = 400
ANSWERS = 1000  # that people asked about
RIGHT = 0.5
THRESHOLDS = (0.01, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0)
# All that is asked is told, whatever is wrong with it.
ALL = GenerateSpec(
    round_trip=0.0, fluency=None, repeats=True, alike=1.0, per_passage=64, per_kind=1.0
)
FIGURE = "round-trip.svg"


@dataclass(frozen=True, slots=True)
class Judged:
    """How well an answer was found again, and how good what was made is, in percent."""

    found: float
    good: float


def main(path: Path | None, figures: Path | None) -> bool:
    """Measure and print; returns whether the filter keeps what is better."""
    use_threads(Settings().inference_threads)
    bundle = serving(open_bundle(checkpoint(path, RECIPE)), "fp32")
    unseen = read(find_recipe(RECIPE).material, Settings().data)["test"]
    passages = [cast(Passage, one) for one in unseen]
    some = passages[:: max(len(passages) // PASSAGES, 1)]
    measured = {
        "pairs with an answer that people asked about, %": _answers(bundle, some),
        "questions about people's answers: chrF to theirs": _questions(bundle, some),
    }
    verdicts = [_told(name, judged) for name, judged in measured.items()]
    if figures is not None:
        (figures / FIGURE).write_bytes(_drawn(measured))
        print(f"drawn: {figures / FIGURE}")
    print(f"the filter keeps what is better: {'yes' if all(verdicts) else 'no'}")
    return all(verdicts)


def _answers(bundle: Bundle, passages: Sequence[Passage]) -> list[Judged]:
    found = question_texts(bundle, [one.context for one in passages], ALL)
    judged = []
    for passage, one in zip(passages, found, strict=True):
        answers = (answer for asked in passage.questions for answer in asked.answers)
        golden = sorted({answer.of(passage.context) for answer in answers})
        for pair in one.kept:
            right = answer_f1(pair.answer, golden) >= RIGHT
            judged.append(Judged(pair.round_trip, 100.0 * right))
    return judged


def _questions(bundle: Bundle, passages: Sequence[Passage]) -> list[Judged]:
    golden: dict[tuple[str, Span], list[str]] = {}
    for passage in passages:
        for one in passage.questions:
            if one.answers:
                golden.setdefault((passage.context, one.answers[0]), []).append(one.question)
    about = list(golden)[:: max(len(golden) // ANSWERS, 1)]
    asked = [some[0].text for some in ask(bundle, about)]
    texts = [context for context, _ in about]
    again = find(bundle, list(zip(texts, asked, strict=True)))
    return [
        Judged(
            answer_f1(read.span.of(one[0]), [one[1].of(one[0])]),
            CHRF().sentence_score(question, golden[one]).score,
        )
        for one, question, read in zip(about, asked, again, strict=True)
    ]


def _told(name: str, judged: Sequence[Judged]) -> bool:
    """Print both means at each threshold; returns which is higher at the default one."""
    print(f"{name} ({len(judged)} judged)")
    for threshold in THRESHOLDS:
        kept, dropped = _at(judged, threshold)
        count = sum(one.found >= threshold for one in judged)
        print(
            f"  found again to {threshold:4.2f} or more: {count:5} kept, {kept:5.1f}; "
            f"{len(judged) - count:5} dropped, {dropped:5.1f}"
        )
    kept, dropped = _at(judged, GenerateSpec().round_trip)
    return kept > dropped


def _at(judged: Sequence[Judged], threshold: float) -> tuple[float, float]:
    """Return the mean of those kept and of those dropped; not a number where there are none."""
    kept = [one.good for one in judged if one.found >= threshold]
    dropped = [one.good for one in judged if one.found < threshold]
    return _mean(kept), _mean(dropped)


def _mean(some: Sequence[float]) -> float:
    return fmean(some) if some else float("nan")


def _drawn(measured: Mapping[str, Sequence[Judged]]) -> bytes:
    with drawing(len(measured), width=4.4, height=3.2) as (figure, axes):
        for place, (name, judged) in zip(axes, measured.items(), strict=True):
            kept, dropped = zip(*(_at(judged, one) for one in THRESHOLDS), strict=True)
            place.plot(THRESHOLDS, kept, marker="o", label="kept")
            place.plot(THRESHOLDS, dropped, marker="o", label="dropped")
            place.set(xlabel="least F1 of the answer found again", ylabel=name, ylim=(0, None))
            place.legend(fontsize=7, frameon=False)
        return svg(figure)
