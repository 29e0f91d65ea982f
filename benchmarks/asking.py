"""Questions about articles that a model has never seen: how many a second.

They are written side by side, as in a job, and one by one, in turns; fails when side by side is
not FASTER times as fast. Where the time goes is told for the whole way from passages to pairs.
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
from core.pipelines.asking import ask, propose
from core.pipelines.bundle import Bundle, open_bundle, serving
from core.pipelines.questioning import Seconds, question_texts
from core.pipelines.threads import use_threads
from core.recipes import find
from core.settings import Settings
from core.specs import GenerateSpec

RECIPE = "qgen-pointer"
PARAGRAPHS = 64  # for speed
QUESTIONS = 64  # about them
ROUNDS = 3
FASTER = 2.0


def main(path: Path | None) -> bool:
    """Measure and print; returns whether the limits were kept."""
    use_threads(Settings().inference_threads)
    bundle = serving(open_bundle(checkpoint(path, RECIPE)), "fp32")
    unseen = read(find(RECIPE).material, Settings().data)["test"]
    passages = [cast(Passage, one) for one in unseen]
    texts = [one.context for one in passages[:PARAGRAPHS]]
    seconds = Seconds()
    began = time.perf_counter()
    found = question_texts(bundle, texts, GenerateSpec(), seconds)
    rate = sum(len(one.kept) for one in found) / (time.perf_counter() - began)
    spent = sum(seconds.spent.values())
    shares = ", ".join(f"{part} {took / spent:.1%}" for part, took in seconds.spent.items())
    print(f"{len(texts)} paragraphs: {rate:.1f} pairs/s; {shares}")
    proposed = propose(bundle, texts, count=GenerateSpec().answers)
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
