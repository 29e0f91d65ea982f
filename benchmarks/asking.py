"""Questions about articles that a model has never seen: how many a second, and which are kept.

Questions are written side by side, as in a job, and one by one, in turns; fails when side by side
is not FASTER times as fast. Then each pair counts as right whose answer is one that people asked
about in that paragraph (F1 of its words at least RIGHT): what share of the pairs is right that pass
the round-trip filter, and of those that do not, at each threshold. Fails when at the default
threshold the share among those kept is not higher.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import cast

from benchmarks.translator import checkpoint
from core.data.examples import Passage
from core.data.materials import read
from core.data.spans import Span
from core.metrics.spans import answer_f1
from core.pipelines.asking import ask, propose
from core.pipelines.bundle import Bundle, open_bundle, serving
from core.pipelines.questioning import Seconds, question_texts
from core.pipelines.sifting import Candidate
from core.pipelines.threads import use_threads
from core.recipes import find
from core.settings import Settings
from core.specs import GenerateSpec

RECIPE = "qgen-pointer"
PARAGRAPHS = 64  # for speed
QUESTIONS = 64  # about them
JUDGED = 400  # for the filter
ROUNDS = 3
FASTER = 2.0
RIGHT = 0.5
THRESHOLDS = (0.01, 0.25, 0.5, 0.75, 1.0)
# All that is asked is told, whatever is wrong with it.
ALL = GenerateSpec(
    round_trip=0.0, fluency=None, repeats=True, alike=1.0, per_passage=64, per_kind=1.0
)


def main(path: Path | None) -> bool:
    """Measure and print; returns whether the limits were kept."""
    use_threads(Settings().inference_threads)
    bundle = serving(open_bundle(checkpoint(path, RECIPE)), "fp32")
    unseen = read(find(RECIPE).material, Settings().data)["test"]
    passages = [cast(Passage, one) for one in unseen]
    well = _is_fast(bundle, [one.context for one in passages[:PARAGRAPHS]])
    return _is_right(bundle, passages[:: max(len(passages) // JUDGED, 1)]) and well


def _is_fast(bundle: Bundle, texts: Sequence[str]) -> bool:
    seconds = Seconds()
    began = time.perf_counter()
    found = question_texts(bundle, texts, ALL, seconds)
    rate = sum(len(one.kept) for one in found) / (time.perf_counter() - began)
    spent = sum(seconds.spent.values())
    shares = ", ".join(f"{part} {took / spent:.1%}" for part, took in seconds.spent.items())
    print(f"{len(texts)} paragraphs: {rate:.1f} pairs/s; {shares}")
    proposed = propose(bundle, texts, count=ALL.answers)
    about = [(text, one.span) for text, some in zip(texts, proposed, strict=True) for one in some]
    ratios = []
    for number in range(ROUNDS + 1):
        together = _seconds_of(bundle, [about[:QUESTIONS]])
        alone = _seconds_of(bundle, [[one] for one in about[:QUESTIONS]])
        ratios += [alone / together] if number else []
    told = f"{QUESTIONS} questions side by side {median(ratios):.2f} times as fast as one by one"
    print(f"{told} (at least {FASTER} wanted)")
    return median(ratios) >= FASTER


def _seconds_of(bundle: Bundle, batches: Sequence[Sequence[tuple[str, Span]]]) -> float:
    began = time.perf_counter()
    for batch in batches:
        ask(bundle, batch)
    return time.perf_counter() - began


def _is_right(bundle: Bundle, passages: Sequence[Passage]) -> bool:
    found = question_texts(bundle, [one.context for one in passages], ALL)
    judged = [
        (pair.round_trip, _is_gold(pair, passage))
        for passage, one in zip(passages, found, strict=True)
        for pair in one.kept
    ]
    print(f"{len(judged)} pairs of {len(passages)} unseen paragraphs")
    better = False
    for threshold in THRESHOLDS:
        kept = [right for score, right in judged if score >= threshold]
        dropped = [right for score, right in judged if score < threshold]
        print(
            f"found again to {threshold:4.2f} or more: kept {len(kept):5}, {_share(kept)} right; "
            f"dropped {len(dropped):5}, {_share(dropped)} right"
        )
        if threshold == GenerateSpec().round_trip:
            better = sum(kept) * len(dropped) > sum(dropped) * len(kept)
    print(f"kept are {'more' if better else 'no more'} often right than dropped")
    return better


def _is_gold(pair: Candidate, passage: Passage) -> bool:
    golden = {answer.of(passage.context) for one in passage.questions for answer in one.answers}
    return answer_f1(pair.answer, sorted(golden)) >= RIGHT


def _share(right: Sequence[bool]) -> str:
    return f"{sum(right) / len(right):6.1%}" if right else "none"
