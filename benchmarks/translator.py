"""The German-English translator that decoding is measured with, and offline decoding with it."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import platformdirs

from core.decoding.engine import Ended, Engine, Failed, Request
from core.decoding.step import Hypothesis, StepModel, Wish
from core.metrics.text import corpus_scores
from core.models.build import Network
from core.pipelines.bundle import Bundle, read_bundle, serving
from core.settings import Settings
from core.specs import DecodeSpec
from core.specs.serving import ServingPrecision

RECIPE = "translate"
CACHE = Path(platformdirs.user_cache_dir("malgil"))
DATA = Settings().data / "multi30k"
MAX_TOKENS = 80  # of an answer, as the recipe has it


@dataclass(frozen=True, slots=True)
class Sentences:
    """A corpus to translate, in its order."""

    sources: list[tuple[int, ...]]
    wanted: list[str]

    def bleu(self, bundle: Bundle, answers: Sequence[Sequence[int]]) -> float:
        """Return the BLEU of ``answers`` in ids, of all sentences or the first of them."""
        texts = [bundle.tokenizer.decode(answer) for answer in answers]
        return corpus_scores(texts, self.wanted[: len(texts)])["bleu"]


def checkpoint(path: Path | None, recipe: str = RECIPE) -> Path:
    """Return where a model is; without one its recipe is run first, which takes long."""
    if path is not None:
        return path
    kept = CACHE / f"{recipe}.safetensors"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        print(f"training the recipe {recipe}, once; it is kept as {kept}", flush=True)
        malgil = Path(sys.executable).with_name("malgil")
        unfinished = kept.with_suffix(".part")
        command = [str(malgil), "recipe", "run", recipe, "--out", str(unfinished)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        unfinished.rename(kept)
    return kept


def open_bundle(path: Path) -> Bundle:
    """Read a translator as it was trained."""
    return read_bundle(path.read_bytes())


def validation(bundle: Bundle) -> Sentences:
    """Return the validation part of Multi30k, 1,014 sentences."""
    german, english = (
        (DATA / f"val.{language}").read_text(encoding="utf-8").splitlines()
        for language in ("de", "en")
    )
    longest = bundle.plan.train.max_source_tokens
    sources = [tuple(bundle.tokenizer.encode(line)[-longest:]) for line in german]
    return Sentences(sources, english)


def ready(path: Path, precision: ServingPrecision) -> Network:
    """Return the translator as it answers with ``precision``."""
    return serving(open_bundle(path), precision).model


def wish(beam_size: int) -> Wish:
    """Return what the measurements ask: a beam of that size, or with 1 the likeliest word alone."""
    spec = DecodeSpec(beam_size=beam_size, max_tokens=MAX_TOKENS)
    return Wish(spec=spec, scored=beam_size > 1)


def decode(
    model: Network, sources: Sequence[tuple[int, ...]], wanted: Wish, *, lines: int
) -> list[Hypothesis]:
    """Return the best answer to each of ``sources``, as a file is decoded: longest first."""
    engine = Engine(cast("StepModel[Any]", model), max_lines=lines)
    for key in sorted(range(len(sources)), key=lambda key: -len(sources[key])):
        engine.submit(Request(key=key, source=sources[key], wish=wanted))
    answers: dict[int, Hypothesis] = {}
    while not engine.idle:
        for event in engine.step():
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Ended):
                answers[event.key] = event.hypotheses[0]
    return [answers[key] for key in range(len(sources))]
