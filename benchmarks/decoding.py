"""How fast a translator answers, beside the loops that tutorials show.

The model is that of the recipe ``translate``: a bidirectional LSTM of 256 + 256, an LSTM of 512,
general attention, German to English. Four decode the same sentences in turns, in one process with
the same threads: the tutorial's loop, the same with the keys of the attention projected but once,
ours as it is by default, ours in fp32. Encoding is included; what is read and what is said are
ids. The plain loops take the sentences as they come, ours sorts them, as decoding of files does.
Fails when ours is not so many times faster as ``WAYS`` say, when fp32 does not say what the plain
loop says, or when the BLEU of bf16 or int8 is more than APART away from that of fp32.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch

from benchmarks.machine import matrix_rate
from benchmarks.plain import PlainSeq2Seq, copy_parameters
from benchmarks.plain_decoding import PlainDecoding
from benchmarks.translator import (
    MAX_TOKENS,
    Sentences,
    checkpoint,
    decode,
    open_bundle,
    ready,
    validation,
    wish,
)
from core.data.batches import pad_sources
from core.pipelines.bundle import Bundle
from core.pipelines.threads import use_threads
from core.settings import Settings
from core.specs import ModelSpec
from core.specs.serving import ServingPrecision

ROUNDS = 5
APART = 0.2  # BLEU of other precisions than fp32
SAME = 0.99  # share of sentences in which fp32 says what the plain loop says; rounding decides some
CONTESTANTS = ("tutorial", "keys once", "default", "fp32")
TUTORIAL, KEYS_ONCE, DEFAULT, FP32 = CONTESTANTS

Answers = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Way:
    """How sentences are decoded, and how many times as fast as a tutorial that has to be."""

    name: str
    batch: int
    beam_size: int
    sentences: int  # of the validation set, from its start
    faster: float
    faster_fp32: float


WAYS = (
    Way("greedy, batch 64", 64, 1, 1014, 4.0, 2.0),
    Way("beam 5, batch 32", 32, 5, 512, 4.0, 1.3),
    Way("greedy, one at a time", 1, 1, 128, 3.0, 2.0),
)


def main(bundle: Path | None = None) -> bool:
    """Measure and print; returns whether all limits were kept."""
    use_threads(Settings().inference_threads)  # as in the worker that answers
    path = checkpoint(bundle)
    opened = open_bundle(path)
    sentences = validation(opened)
    rates = {
        name: matrix_rate(dtype, columns=opened.tokenizer.size)
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}; matrix products reach "
        f"{rates['fp32']:.0f} GFLOP/s in fp32, {rates['bf16']:.0f} in bf16"
    )
    contest = Contest(path, opened, sentences)
    verdicts = [contest.run(way, rates) for way in WAYS]
    verdicts.append(_quality(path, opened, sentences))
    for verdict in verdicts:
        print(*verdict.lines, sep="\n")
    return all(verdict.kept for verdict in verdicts)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was wanted and what was found."""

    lines: list[str]
    kept: bool


class Contest:
    """The four, with the same weights, over the same sentences."""

    def __init__(self, path: Path, bundle: Bundle, sentences: Sentences) -> None:
        plain = PlainSeq2Seq(bundle.plan.model, bundle.tokenizer.size)
        copy_parameters(bundle.model, plain)
        self._bundle = bundle
        self._sentences = sentences
        self._plain = {
            TUTORIAL: PlainDecoding(plain),
            KEYS_ONCE: PlainDecoding(plain, keys_once=True),
        }
        self._ours = {DEFAULT: ready(path, "auto"), FP32: ready(path, "fp32")}

    def run(self, way: Way, rates: Mapping[str, float]) -> Verdict:
        """Let them take turns, ROUNDS times after a first one for warmth, and tell."""
        print(f"{way.name}, {way.sentences} sentences", flush=True)
        sources = self._sentences.sources[: way.sentences]
        speeds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
        said: dict[str, Answers] = {}
        for number in range(ROUNDS + 1):
            share = sources if number else sources[: 2 * way.batch]
            for name in CONTESTANTS:
                began = time.perf_counter()
                said[name] = self._decode(name, way, share)
                if number:
                    speeds[name].append(len(share) / (time.perf_counter() - began))
            if number:
                told = ", ".join(f"{name} {own[-1]:.1f}" for name, own in speeds.items())
                print(f"  round {number} of {ROUNDS}, sentences/s: {told}", flush=True)
        self._tell(way, speeds, said, rates)
        return _judge(way, speeds, said)

    def _decode(self, name: str, way: Way, sources: Sequence[tuple[int, ...]]) -> Answers:
        if name in self._ours:
            return self._decode_ours(name, way, sources)
        plain, answers = self._plain[name], []
        for start in range(0, len(sources), way.batch):
            padded = pad_sources(sources[start : start + way.batch])
            if way.beam_size == 1:
                answers += plain.greedy(*padded, max_tokens=MAX_TOKENS)
            else:
                answers += plain.beam(*padded, width=way.beam_size, max_tokens=MAX_TOKENS)
        return answers

    def _decode_ours(self, name: str, way: Way, sources: Sequence[tuple[int, ...]]) -> Answers:
        model, wanted, lines = self._ours[name], wish(way.beam_size), way.batch * way.beam_size
        if way.batch > 1:
            return [list(one.tokens) for one in decode(model, sources, wanted, lines=lines)]
        return [list(decode(model, [one], wanted, lines=lines)[0].tokens) for one in sources]

    def _tell(
        self,
        way: Way,
        speeds: Mapping[str, list[float]],
        said: Mapping[str, Answers],
        rates: Mapping[str, float],
    ) -> None:
        sources = self._sentences.sources[: way.sentences]
        for name in CONTESTANTS:
            speed = statistics.median(speeds[name])
            words = sum(len(answer) + 1 for answer in said[name]) / way.sentences
            rate = speed * _flop(self._bundle, way, sources, words) / 1e9
            bleu = self._sentences.bleu(self._bundle, said[name])
            print(
                f"  {name:>10}: {speed:7.1f} sentences/s, {speed * words:7.0f} tokens/s, "
                f"{rate:5.1f} GFLOP/s ({rate / rates['fp32']:.1%} of the rate in fp32, "
                f"{rate / rates['bf16']:.1%} in bf16), BLEU {bleu:.2f}"
            )


def _judge(way: Way, speeds: Mapping[str, list[float]], said: Mapping[str, Answers]) -> Verdict:
    lines, kept = [], True
    for name, limit in ((DEFAULT, way.faster), (FP32, way.faster_fp32)):
        ratio, beside_once = (
            _ratio(speeds[name], speeds[plain]) for plain in (TUTORIAL, KEYS_ONCE)
        )
        kept = kept and ratio >= limit
        lines.append(
            f"{way.name}: {name} is {ratio:.2f} times the tutorial's loop (at least {limit:g} "
            f"wanted), {beside_once:.2f} times the one that projects keys once"
        )
    if way.beam_size == 1:
        pairs = zip(said[FP32], said[TUTORIAL], strict=True)
        same = statistics.fmean(list(one) == list(other) for one, other in pairs)
        kept = kept and same >= SAME
        lines.append(
            f"{way.name}: fp32 says what the tutorial's loop says in {same:.2%} "
            f"(at least {SAME:.0%} wanted)"
        )
    return Verdict(lines, kept)


def _ratio(ours: Sequence[float], plain: Sequence[float]) -> float:
    return statistics.median(own / other for own, other in zip(ours, plain, strict=True))


def _quality(path: Path, bundle: Bundle, sentences: Sentences) -> Verdict:
    """Compare the BLEU of every precision, over all sentences as the recipe decodes them."""
    wanted = wish(bundle.plan.decode.beam_size)
    found: dict[ServingPrecision, float] = {}
    seconds: dict[ServingPrecision, float] = {}
    for precision in get_args(ServingPrecision):
        model = ready(path, precision)
        began = time.perf_counter()
        answers = decode(model, sentences.sources, wanted, lines=32 * wanted.spec.beam_size)
        seconds[precision] = time.perf_counter() - began
        found[precision] = sentences.bleu(bundle, [one.tokens for one in answers])
    lines, kept = [], True
    for precision, bleu in found.items():
        apart = bleu - found["fp32"]
        kept = kept and abs(apart) <= APART
        lines.append(
            f"BLEU of {precision}: {bleu:.2f}, {apart:+.2f} beside fp32 (at most {APART} apart "
            f"wanted); {len(sentences.sources) / seconds[precision]:.0f} sentences/s"
        )
    greedy = [_greedy_bleu(path, bundle, sentences, precision) for precision in (DEFAULT, FP32)]
    apart = greedy[0] - greedy[1]
    words = "with a shortlist" if bundle.lexicon else "with all words: it has no lexicon"
    lines.append(
        f"BLEU without a beam, by default, {words}: {greedy[0]:.2f}, {apart:+.2f} beside fp32 with "
        f"all words (at most {APART} less wanted)"
    )
    return Verdict(lines, kept and apart >= -APART)


def _greedy_bleu(path: Path, bundle: Bundle, sentences: Sentences, way: str) -> float:
    """Return the BLEU of the likeliest word after word, over all sentences."""
    model = ready(path, "auto" if way == DEFAULT else "fp32")
    answers = decode(model, sentences.sources, wish(1), lines=64)
    return sentences.bleu(bundle, [one.tokens for one in answers])


def _flop(bundle: Bundle, way: Way, sources: Sequence[Sequence[int]], words: float) -> float:
    """Return what a sentence costs: two for each weight that a token meets, in every line."""
    spec: ModelSpec = bundle.plan.model
    embedding, hidden, memory = spec.embedding_dim, spec.hidden_dim, spec.memory_dim
    length = statistics.fmean(map(len, sources))
    encoder = 2 * 4 * spec.encoder_dim * (embedding + spec.encoder_dim) + memory * hidden
    decoder = 4 * hidden * (embedding + hidden) + (hidden + memory) * embedding
    attention = length * (hidden + memory)
    output = embedding * bundle.tokenizer.size
    lines = words * way.beam_size
    return 2 * (encoder * length + lines * (decoder + attention + output))
