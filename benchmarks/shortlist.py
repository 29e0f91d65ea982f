"""What a shortlist spares where the vocabulary is wide.

The network is as large as the translator's but for its vocabulary of WORDS, with weights drawn by
chance; so is what each word calls up. It answers greedily, as it is served by default, one sentence
at a time, with all words and with those that the source calls up, in turns. Fails when it is not
FASTER times as fast with them. Of many side by side nothing is learned here: what a network says
that has learned nothing is never what its source calls up.
"""

import time
from statistics import median

import numpy as np
import torch

from core.decoding.engine import Engine, Request
from core.decoding.step import Wish
from core.models.build import Network, build
from core.models.lexicon import Lexicon
from core.models.ready import make_ready
from core.pipelines.threads import use_threads
from core.recipes import find
from core.settings import Settings
from core.specs import DecodeSpec
from core.text.tokenizer import EOS, SPECIALS, UNK

WORDS = 32_000
CALLED_UP = 100  # by each word of a source, as the recipe has it
FASTER = 1.3
ROUNDS = 5
SAID = 20  # words of an answer
LENGTH = 12  # words of a source
SENTENCES = 12  # decoded in a round


def main() -> bool:
    """Measure and print; returns whether the limits were kept."""
    use_threads(Settings().inference_threads)
    torch.manual_seed(1)
    network = build(find("translate").plan.model, vocabulary_size=WORDS).eval()
    chance = np.random.default_rng(1)
    words = chance.integers(len(SPECIALS), WORDS, (WORDS, CALLED_UP), dtype=np.int32)
    always = np.unique([UNK, EOS, *range(len(SPECIALS), CALLED_UP)]).astype(np.int32)
    ways = {
        "all words": make_ready(network, "auto"),
        "a shortlist": make_ready(network, "auto", lexicon=Lexicon(words, always)),
    }
    sources = chance.integers(len(SPECIALS), WORDS, (SENTENCES, LENGTH)).tolist()
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, model in ways.items():
            rate = SENTENCES / _seconds_of(model, sources)
            if number:
                rates[name].append(rate)
    every, listed = rates.values()
    faster = median(two / one for one, two in zip(every, listed, strict=True))
    for name, found in rates.items():
        print(f"{WORDS:,} words, with {name}: {median(found):.1f} sentences/s")
    print(f"with a shortlist {faster:.2f} times as fast (at least {FASTER} wanted)")
    return faster >= FASTER


def _seconds_of(model: Network, sources: list[list[int]]) -> float:
    """Answer ``sources`` one after the other; returns how long that took."""
    began = time.perf_counter()
    engine = Engine(model, max_lines=1)
    wish = Wish(spec=DecodeSpec(beam_size=1, max_tokens=SAID), scored=False, end=None)
    for key, source in enumerate(sources):
        engine.submit(Request(key=key, source=tuple(source), wish=wish))
    while not engine.idle:
        engine.step()
    return time.perf_counter() - began
