"""What is left of decoding beside a process that wants a core for itself.

The network is as large as the translator's, with weights drawn by chance, and every sentence gets
so many words, so that nothing but time differs. Alone and beside take turns. Fails when two
threads on two cores keep less than LIMIT of what they do alone: their share would be half, as
each step waits for the slower of them.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

LIMIT = 0.45
ROUNDS = 5
WINDOW_S = 3.0
SENTENCES = 64
WORDS = 12  # of a source
SAID = 20  # words of an answer
VOCABULARY = 8000
BURN = "while True: pass"


def main() -> bool:
    """Measure and print; returns whether the limit was kept."""
    shares = {threads: _measured(threads) for threads in (1, 2)}
    print(
        f"share kept with 2 threads on {os.cpu_count()} cores: {shares[2]:.2f} (at least {LIMIT})"
    )
    return shares[2] >= LIMIT


def _measured(threads: int) -> float:
    """Measure in a process of its own, which has not imported torch yet."""
    command = [sys.executable, "-m", "benchmarks.neighbour", str(threads)]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    alone, beside = json.loads(ran.stdout.splitlines()[-1])
    share = beside / alone
    print(f"{threads} threads: {alone:.1f} sentences/s alone, {beside:.1f} beside, {share:.2f}")
    return share


def _child(threads: int) -> None:
    from core.pipelines.threads import use_threads

    use_threads(threads)
    decode = _decoder()
    decode()
    alone, beside = [], []
    for _ in range(ROUNDS):
        alone.append(_rate(decode))
        with _neighbour():
            beside.append(_rate(decode))
    print(json.dumps([median(alone), median(beside)]))


def _decoder() -> Callable[[], None]:
    """Return what decodes SENTENCES greedily, as a worker would."""
    import torch

    from core.decoding.engine import Engine, Request
    from core.decoding.step import Wish
    from core.models.build import build
    from core.models.ready import make_ready
    from core.recipes import find
    from core.specs import DecodeSpec
    from core.text.tokenizer import SPECIALS

    torch.manual_seed(1)
    network = build(find("translate").plan.model, vocabulary_size=VOCABULARY).eval()
    model = make_ready(network, "fp32")
    wish = Wish(spec=DecodeSpec(beam_size=1, min_tokens=SAID, max_tokens=SAID))
    numbers = torch.randint(len(SPECIALS), VOCABULARY, (SENTENCES, WORDS)).tolist()

    def decode() -> None:
        engine = Engine(model)
        for key, source in enumerate(numbers):
            engine.submit(Request(key=key, source=tuple(source), wish=wish))
        while not engine.idle:
            engine.step()

    return decode


def _rate(decode: Callable[[], None]) -> float:
    """Return the sentences in a second."""
    began, times = time.perf_counter(), 0
    while time.perf_counter() - began < WINDOW_S:
        decode()
        times += 1
    return times * SENTENCES / (time.perf_counter() - began)


@contextmanager
def _neighbour() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", BURN]) as burning:
        try:
            time.sleep(0.2)
            yield
        finally:
            burning.kill()


if __name__ == "__main__":
    _child(int(sys.argv[1]))
