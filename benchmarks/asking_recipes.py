"""Two ways to ask about the same passages, side by side: as the note draws it, and with a pointer.

Both recipes are run, or read from where ``malgil recipe run NAME --seed N --results DIR`` left
them; what folders in DIR hold is shown beside them, with what was changed. Fails where the pointer
is not ahead of the note in every figure, where it says that a word is unknown which stands in its
source, and where the two have not learned from the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.recipes import RESULTS, run_one
from core.recipes import find
from services.cli.cells import QUESTIONS
from services.cli.failures import Failure
from services.cli.headlines import figure, name
from services.cli.results import Result, read_results
from services.cli.variants import Variant, read_variants

NOTE, POINTER = "qgen-note", "qgen-pointer"
HIGHER = (
    *("bleu_1", "bleu_2", "bleu_3", "bleu_4", "chrf", "rouge_l"),
    *("proposer_token_f1", "proposer_span_f1", "reader_f1", "round_trip_f1"),
    *("distinct_1", "distinct_2"),
)
LOWER = ("unknown_share",)
NEVER = "unknown_in_source_share"
VARIANTS: Mapping[str, Sequence[str]] = {  # of the pointer, and what is set
    "unaveraged": ("train.average=none", "train.decay=inverse_sqrt", "train.ema_decay=0.999"),
    "subword": (
        "tokenizer.kind=unigram",
        "tokenizer.split_marks=false",
        "train.max_source_tokens=128",
        "train.max_target_tokens=60",
        "model.questions.longest_answer=16",
        "decode.max_tokens=45",
        "decode.no_repeat_ngram=4",
    ),
    "separate": ("model.questions.separate=true",),
    "gated": ("model.questions.self_attention=gated",),
}
_FIRST = 34  # characters of the first column


def main(results: Path | None, seed: int, variants: Sequence[str]) -> bool:
    """Run or read them, print the table and a verdict; returns whether the pointer is ahead."""
    if results is None:
        results = RESULTS
        _train(results, seed, variants)
    if not results.is_dir():
        print(f"no verdict: there is no folder {results}")
        return False
    try:
        runs = [one for one in read_results(results) if one.seed == seed and not one.quick]
        beside = [one for one in read_variants(results) if one.recipe.family == "questions"]
    except Failure as failure:
        print(f"no verdict: {failure}")
        return False
    by_recipe = {one.recipe: one for one in runs}
    if missing := [one for one in (NOTE, POINTER) if one not in by_recipe]:
        print(f"no verdict: {results} has no whole run of {', '.join(missing)} with seed {seed}")
        return False
    note, pointer = by_recipe[NOTE], by_recipe[POINTER]
    _print({NOTE: note, POINTER: pointer, **_same_seed(beside, seed)})
    _tell([*(Variant(name=one.recipe, runs=(one,)) for one in (note, pointer)), *beside])
    faults = list(faults_of(note, pointer))
    print("; ".join(faults) or f"{POINTER} is ahead of {NOTE} in every figure (one seed, {seed})")
    return not faults


def faults_of(note: Result, pointer: Result) -> Iterator[str]:
    """Yield in words where ``pointer`` falls short of ``note``; nothing where it does not."""
    if _learned_from(note) != _learned_from(pointer):
        yield f"not the same data: {_learned_from(note)} and {_learned_from(pointer)}"
    for metric in (*HIGHER, *LOWER):
        before, after = note.metrics.get(metric), pointer.metrics.get(metric)
        if before is None or after is None:
            yield f"{name(metric)} was not measured"
        elif not (after > before if metric in HIGHER else after < before):
            told = f"{figure(metric, after)} beside {figure(metric, before)}"
            yield f"{name(metric)} is not better: {told}"
    share = pointer.metrics.get(NEVER)
    if share != 0:
        yield f"{name(NEVER)} must be 0: {figure(NEVER, share)}"


def _train(folder: Path, seed: int, variants: Sequence[str]) -> None:
    for recipe in (NOTE, POINTER):
        run_one(recipe, seed, folder, threads=0)
    for variant in variants:
        more = [word for setting in VARIANTS[variant] for word in ("--set", setting)]
        run_one(POINTER, seed, folder / variant, threads=0, more=more)


def _same_seed(beside: Sequence[Variant], seed: int) -> dict[str, Result]:
    return {one.name: run for one in beside for run in one.runs if run.seed == seed}


def _print(runs: Mapping[str, Result]) -> None:
    width = max(12, *(len(one) + 2 for one in runs))
    rows: dict[str, list[str]] = {"": list(runs)}
    for title, cell in list(QUESTIONS.items())[1:]:
        rows[title.replace("`", "")] = [cell(find(one.recipe), [one]) for one in runs.values()]
    for split in ("train", "valid", "test", "decoded"):
        rows[f"questions, {split}"] = [f"{_learned_from(one)[split]:,}" for one in runs.values()]
    rows["updates"] = [f"{one.curve[-1]['step']:,}" for one in runs.values()]
    rows["seconds"] = [f"{one.report['run']['seconds']:,.0f}" for one in runs.values()]
    rows["parameters"] = [f"{one.report['parameters']:,}" for one in runs.values()]
    for title, cells in rows.items():
        print(f"{title:{_FIRST}}" + "".join(f"{cell:>{width}}" for cell in cells))
    for machine in sorted({str(one.report["run"].get("machine")) for one in runs.values()}):
        print(f"machine: {machine}")


def _tell(columns: Sequence[Variant]) -> None:
    for one in columns:
        print(f"{one.name}: {one.recipe.name}, {', '.join(one.changes) or 'as it is today'}")


def _learned_from(run: Result) -> dict[str, Any]:
    sizes = run.report.get("examples", {})
    return {split: sizes.get(split, 0) for split in ("train", "valid", "test", "decoded")}
