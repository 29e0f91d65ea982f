"""What a long life and a long source cost those beside them."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from benchmarks.load import quantile, run
from core.decoding.engine import Ended, Engine, Failed, Request
from core.decoding.step import Wish
from core.models.build import build
from core.pipelines.bundle import Bundle, write_bundle
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec
from core.text.tokenizer import Tokenizer
from tests.acceptance.conftest import Tell
from tests.acceptance.installations import home, up

# Replies after which memory is looked at: ten thousand from the first to the last. Before the
# first, oneDNN meets batches of new shapes, and keeps a program for each of its last thousand.
LOOKS = (5_000, 10_000, 15_000)
GROWN = 0.05  # of what was held at the first look, at most until the last
CLIENTS = 32
WATCHED = ("inference", "api")
LONG = 5_000  # tokens
OTHERS = 15  # requests beside it, always
TIMED = 600  # of their replies, with it and without
SLOWED = 3.0  # times as long as without it, at most
MODEL = ModelSpec(cell="lstm", embedding_dim=64, hidden_dim=128, encoder_hidden_dim=64)
WAYS: tuple[dict[str, Any], ...] = (
    {"beam_size": 1},
    {"beam_size": 4, "n_best": 2},
    {"temperature": 0.8},
    {"beam_size": 4, "no_repeat_ngram": 2, "min_tokens": 3},
)


def a_bundle() -> bytes:
    """A model that has learned nothing: its replies are as long as they may be."""
    lines = [f"line {number} of words and numbers {number * 7919}" for number in range(200)]
    tokenizer = Tokenizer.train(lines, TokenizerSpec(kind="bpe", vocabulary_size=500))
    plan = Plan(tokenizer=tokenizer.spec, model=MODEL, decode=DecodeSpec(max_tokens=8))
    torch.manual_seed(1)
    model = build(plan.model, vocabulary_size=tokenizer.size)
    return write_bundle(Bundle(model, tokenizer, plan, 1, {}))


def memory_mb(pid: int) -> float:
    """What a process holds of its own, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024


def ask(url: str, numbers: Sequence[int]) -> None:
    bodies = [
        {"model": "bot", "text": f"line {number}" * (1 + number % 9), "decode": WAYS[number % 4]}
        for number in numbers
    ]
    answers = asyncio.run(run(url, "/v1/replies", bodies, clients=CLIENTS))
    assert {answer.status for answer in answers} == {200}


@pytest.mark.acceptance
@pytest.mark.timeout(900)
def test_ten_thousand_replies_leave_memory_flat(tell: Tell) -> None:
    with home() as folder, up(folder) as installation:
        with httpx.Client(base_url=installation.url, timeout=30) as client:
            files = {"file": ("bot.safetensors", a_bundle())}
            made = client.post("/v1/checkpoints", files=files).raise_for_status().json()
            client.put("/v1/aliases/bot", json={"checkpoint": made["id"]}).raise_for_status()
        held: dict[str, list[float]] = {name: [] for name in WATCHED}
        for begun, ended in pairwise((0, *LOOKS)):
            ask(installation.url, range(begun, ended))
            for name in WATCHED:
                held[name].append(memory_mb(installation.pids[name]))
    for name, (early, half, late) in held.items():
        tell(
            f"{name}: {early:.1f}, {half:.1f}, {late:.1f} MB after {LOOKS} replies; "
            f"{late / early - 1:+.1%} from the first to the last (at most {GROWN:.0%} wanted)"
        )
        assert late <= (1 + GROWN) * early


def sources() -> Iterator[tuple[int, ...]]:
    """Sources of three to twenty words, for ever."""
    generator = torch.Generator().manual_seed(2)
    while True:
        length = int(torch.randint(3, 21, (1,), generator=generator))
        yield tuple(torch.randint(5, 500, (length,), generator=generator).tolist())


def latencies(engine: Engine[Any], long: Request | None) -> tuple[list[float], int]:
    """How long TIMED short requests took, OTHERS at a time; how often ``long`` was answered."""
    wish, some = Wish(spec=DecodeSpec(beam_size=1, max_tokens=20)), sources()
    began: dict[int, float] = {}
    found: list[float] = []
    answered = 0
    if long is not None:
        engine.submit(long)
    while len(found) < TIMED or (long is not None and not answered):
        while len(began) < OTHERS:
            key = 1 + len(found) + len(began)
            engine.submit(Request(key=key, source=next(some), wish=wish))
            began[key] = time.perf_counter()
        for event in engine.step():
            assert not isinstance(event, Failed), event
            if isinstance(event, Ended) and long is not None and event.key == long.key:
                answered += 1
                engine.submit(long)
            elif isinstance(event, Ended):
                found.append(time.perf_counter() - began.pop(event.key))
    return found, answered


@pytest.mark.acceptance
def test_a_source_of_five_thousand_tokens_starves_nobody(tell: Tell) -> None:
    torch.manual_seed(3)
    model = build(MODEL, vocabulary_size=500).eval()
    source = tuple(torch.randint(5, 500, (LONG,)).tolist())
    long = Request(key=0, source=source, wish=Wish(spec=DecodeSpec(beam_size=4, max_tokens=20)))
    latencies(Engine(model), None)  # warm
    without, _ = latencies(Engine(model), None)
    beside, answered = latencies(Engine(model), long)
    ratios = []
    for share in (0.5, 0.99):
        alone_ms, together_ms = (quantile(some, share) * 1e3 for some in (without, beside))
        ratios.append(together_ms / alone_ms)
        tell(
            f"p{share * 100:.0f} of {OTHERS} others: {alone_ms:.1f} ms, {together_ms:.1f} ms "
            f"beside {LONG} tokens, {ratios[-1]:.2f} times (at most {SLOWED:g} wanted)"
        )
    tell(f"the source of {LONG} tokens was answered {answered} times meanwhile")
    assert max(ratios) <= SLOWED
