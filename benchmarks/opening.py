"""How long a model takes from its blob to its first token, as a worker opens it.

Fresh weights in the shape of the translator's recipe, 20 MB; the file is in the cache, and torch
is loaded. Fails when the median is above LIMIT_MS.
"""

import tempfile
import time
from pathlib import Path

import torch

from benchmarks.load import quantile
from core.models.build import build
from core.pipelines.bundle import Bundle, write_bundle
from core.pipelines.shelf import Models
from core.recipes import find
from core.specs import TokenizerSpec
from core.storage.blobs import Blobs
from core.text.tokenizer import BOS, Tokenizer

LIMIT_MS = 300.0
TIMES = 9
WORDS = 12  # of the source


def main() -> bool:
    """Measure and print; returns whether the limit was kept."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the inference worker
    try:
        with tempfile.TemporaryDirectory(prefix="malgil-bench-") as folder:
            blobs = Blobs.open(f"file://{folder}")
            key = blobs.put(_bundle())
            size = blobs.size(key)
            spent = [_opened_ms(blobs, key) for _ in range(TIMES)]
    finally:
        torch.set_num_threads(threads)
    middle = quantile(spent, 0.5)
    print(
        f"a bundle of {size / 1e6:.1f} MB, from its blob to its first token: {middle:.0f} ms, "
        f"{min(spent):.0f} at best, {spent[0]:.0f} at first (at most {LIMIT_MS:.0f} wanted)"
    )
    return middle <= LIMIT_MS


def _bundle() -> bytes:
    """Return a bundle as the recipe makes it, with as many pieces as it has."""
    plan = find("translate").plan
    words = plan.tokenizer.vocabulary_size
    texts = (" ".join(f"{one * 7919 + place:x}" for place in range(20)) for one in range(2000))
    tokenizer = Tokenizer.train(texts, TokenizerSpec(kind="bpe", vocabulary_size=words))
    model = build(plan.model, vocabulary_size=tokenizer.size)
    return write_bundle(Bundle(model, tokenizer, plan, 0, {}))


@torch.inference_mode()
def _opened_ms(blobs: Blobs, key: str) -> float:
    """Return the milliseconds from the blob to the first token of a reply."""

    def fetch(checkpoint: str) -> bytes | Path:
        return blobs.intact_path(checkpoint) or blobs.get(checkpoint)

    began = time.perf_counter()
    bundle = Models(fetch, limit=1).get(key)
    source = torch.tensor([bundle.tokenizer.encode("7919 " * WORDS)[:WORDS]])
    state = bundle.model.start(source, torch.ones_like(source, dtype=torch.bool))
    logits, _, _ = bundle.model.step(torch.tensor([BOS]), state)
    int(logits.argmax())
    return (time.perf_counter() - began) * 1e3
