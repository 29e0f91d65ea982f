"""Recipes, really run to their figures: each by ``malgil recipe run``, judged by its headline.

What they leave in docs/results is what ``malgil recipe report`` draws. Fails when the median of
the seeds misses the figure that the recipe is to reach.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from core.recipes import find

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
MALGIL = Path(sys.executable).with_name("malgil")

ADDITION = (
    "addition",
    "addition-reverse",
    "addition-peeky",
    "addition-reverse-peeky",
    "addition-attention",
    "addition-reverse-attention",
    "addition-best",
)
EXACT = ("date-attention", "calculator", "calculator-wide")
FABLES = ("aesop-lstm", "aesop-stacked", "aesop-gru", "aesop-bidirectional", "aesop-char")
TUTORIAL = ("char-lstm", "char-gru", "word-lstm", "char-free-running", "char-scheduled")
OTHERS = ("algorithm", "summary-ko", "summary-en", "chat", "chat-en", "translate-ko")

TRANSLATION_WITHIN_S = 2700.0  # seconds that the translator may take
TRANSLATION = 33.0  # BLEU that it must reach within them
ADDED = 0.95  # exact match that must be reached ...
ADDED_WITHIN_S = 15.0  # ... in so many seconds: the numpy original needs 42


def addition(seeds: Sequence[int], at_once: int) -> bool:
    """Six ideas for one task, and the best of them."""
    return _judge(ADDITION, _run(ADDITION, seeds, at_once))


def exact(seeds: Sequence[int], at_once: int) -> bool:
    """Dates and the calculator."""
    return _judge(EXACT, _run(EXACT, seeds, at_once))


def fables(seeds: Sequence[int], at_once: int) -> bool:
    """Language models of one book, side by side."""
    return _judge(FABLES, _run(FABLES, seeds, at_once))


def tutorial(seeds: Sequence[int], at_once: int) -> bool:
    """The ten-minute tutorial and its variants: loss, chrF and BLEU on held-out sentences."""
    results = _run(TUTORIAL, seeds, at_once)
    for result in results:
        figures = "  ".join(f"{key} {result['metrics'][key]:.3f}" for key in _TOLD)
        epochs = max(point["epoch"] for point in result["curve"])
        spent = result["curve"][-1]["seconds"] / max(epochs, 1)
        print(f"{result['recipe']:20} {figures}  {epochs} epochs  {spent:.1f} s an epoch")
    return _judge(TUTORIAL, results)


def others(seeds: Sequence[int], at_once: int) -> bool:
    """Recipes that no figure is published for; they must run to their end."""
    return _judge(OTHERS, _run(OTHERS, seeds, at_once))


def translation(seeds: Sequence[int], at_once: int) -> bool:
    """German to English within the time: BLEU by beam search on the validation part."""
    results = _run(("translate",), seeds, at_once)
    kept = True
    for result in results:
        spent = result["curve"][-1]["seconds"]
        for point in (one for one in result["curve"] if "valid_loss" in one):
            scores = {key: value for key, value in point.items() if key not in _PLACE}
            print(f"  step {point['step']:6}  {point['seconds']:6.0f} s  {scores}")
        bleu = result["metrics"]["bleu"]
        print(f"translate: BLEU {bleu:.2f} after {spent:.0f} s  ({TRANSLATION} within 2,700 s)")
        kept = kept and bleu >= TRANSLATION and spent <= TRANSLATION_WITHIN_S
    return kept


def adding_fast() -> bool:
    """Seconds of training until 95 % of unseen sums are right, on one thread; wants quiet cores."""
    settings = ("train.validate_every=88", "train.time_limit_s=20")  # cut short, not changed
    with tempfile.TemporaryDirectory() as folder:
        more = [word for setting in settings for word in ("--set", setting)]
        result = run_one("addition-reverse-peeky", 1, Path(folder), threads=1, more=more)
    reached = None
    for point in (one for one in result["curve"] if "exact_match" in one):
        right, spent = point["exact_match"], point["seconds"]
        print(f"  {point['step']} updates: {right:.2%} after {spent:.1f} s")
        if reached is None and point["exact_match"] >= ADDED:
            reached = float(point["seconds"])
    told = f"{reached:.1f} s" if reached is not None else "never"
    print(f"reverse + peeky to {ADDED:.0%}: {told}  (at most {ADDED_WITHIN_S:.0f} s)")
    return reached is not None and reached <= ADDED_WITHIN_S


FAMILIES: Mapping[str, Callable[[Sequence[int], int], bool]] = {
    "addition": addition,
    "exact": exact,
    "fables": fables,
    "tutorial": tutorial,
    "translation": translation,
    "others": others,
}

_TOLD = ("valid_loss", "chrf", "bleu")
_PLACE = frozenset({"step", "epoch", "seconds"})


def _run(names: Sequence[str], seeds: Sequence[int], at_once: int) -> list[dict[str, Any]]:
    """Run every recipe with every seed, ``at_once`` side by side on a thread of its own each."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    wanted = [(name, seed) for name in names for seed in seeds]
    threads = 1 if at_once > 1 else 0
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda one: run_one(*one, RESULTS, threads=threads), wanted))


def run_one(
    name: str, seed: int, folder: Path, *, threads: int, more: Sequence[str] = ()
) -> dict[str, Any]:
    """Run one recipe in a process of its own and return its result; raises if it fails."""
    command = [MALGIL, "recipe", "run", name, "--seed", str(seed), "--results", folder, *more]
    environment = {**os.environ, "MALGIL_THREADS": str(threads)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{name} with seed {seed} failed: {ended.stdout[-500:]}{ended.stderr}")
    result: dict[str, Any] = json.loads((folder / f"{name}-seed{seed}.json").read_text("utf-8"))
    metric = find(name).headline.metric
    print(f"{name} seed {seed}: {metric} {result['metrics'].get(metric)}", flush=True)
    return result


def _judge(names: Sequence[str], results: Sequence[dict[str, Any]]) -> bool:
    """Print each recipe's median beside its figure; return whether all are reached."""
    kept = True
    for name, values in _values(names, results):
        target = find(name).headline
        median = statistics.median(values)
        reached = target.reached(median)
        kept = kept and reached is not False
        wanted = "" if target.figure is None else f"  to reach {target.figure}"
        mark = "" if reached is None else ("  reached" if reached else "  MISSED")
        spread = f"({min(values):.4g} to {max(values):.4g}, {len(values)} seeds)"
        print(f"{name:28} {target.metric} {median:.4g} {spread}{wanted}{mark}")
    return kept


def _values(
    names: Sequence[str], results: Sequence[dict[str, Any]]
) -> Iterator[tuple[str, list[float]]]:
    for name in names:
        metric = find(name).headline.metric
        yield name, [one["metrics"][metric] for one in results if one["recipe"] == name]
