"""What a reply costs above its model: HTTP, queue, worker and back, on a real installation.

The model's own time is what the worker measured around the same decoding, in the same run; the
same model called in this process is printed beside it. Fails when the median of one client's
overhead is above LIMIT_MS.
"""

import asyncio
import csv
import tempfile
import time
from pathlib import Path

import httpx
import torch

from benchmarks.load import Timed, quantile, run
from core.data.examples import Example, Pair
from core.pipelines.bundle import Bundle, read_bundle
from core.pipelines.learn import Finished, learn
from core.pipelines.respond import decode_batch
from core.recipes import find
from core.settings import Settings
from core.specs import merge
from services.embedded.children import SOURCES
from services.embedded.supervisor import embedded

LIMIT_MS = 5.0  # p50 above the model, one client
WARM_UP = 30
ALONE = 400
PACED = 60
PAUSE_S = 0.3  # long enough for the worker to have gone back to sleep
TOGETHER = 3200
CLIENTS = 32
MODEL = "bench"


def main() -> bool:
    """Measure and print; returns whether the limit was kept."""
    pairs = _pairs()
    with tempfile.TemporaryDirectory(prefix="malgil-bench-") as folder:
        data = _trained(pairs, Path(folder))
        home = Path(folder) / "home"
        settings = Settings(
            home=home, port=0, database_url="", redis_url="", blobs_url="", api_url=""
        )
        with embedded(settings) as url:
            _serve(url, data)
            alone = _measure(url, pairs, count=ALONE, clients=1)
            paced = _measure(url, pairs, count=PACED, clients=1, pause_s=PAUSE_S)
            together = _measure(url, pairs, count=TOGETHER, clients=CLIENTS)
    own = _own_ms(read_bundle(data), pairs)
    print(f"the same model in this process, one at a time: p50 {quantile(own, 0.5):.2f} ms")
    overhead = _show("1 client", alone)
    _show(f"1 client, {PAUSE_S:g} s between two asks", paced)
    _show(f"{CLIENTS} clients", together)
    print(f"overhead of one reply, p50: {overhead:.2f} ms (at most {LIMIT_MS} wanted)")
    return overhead <= LIMIT_MS


def _pairs() -> list[Example]:
    path = SOURCES / "examples" / "smalltalk.ko.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return [Pair(row["source"], row["target"]) for row in csv.DictReader(file)]


def _trained(pairs: list[Example], scratch: Path) -> bytes:
    """Return a bundle of the demo's size that has learned a little: its replies end."""
    plan = merge(find("demo").plan, {"train": {"max_epochs": 6, "time_limit_s": 60.0}})
    for event in learn(lambda _: pairs, plan, scratch=scratch):
        if isinstance(event, Finished):
            return event.data
    raise RuntimeError("the training ended without a bundle")


def _serve(url: str, data: bytes) -> None:
    with httpx.Client(base_url=url, timeout=30) as client:
        files = {"file": ("bench.safetensors", data)}
        made = client.post("/v1/checkpoints", files=files).raise_for_status().json()
        promoted = client.put(f"/v1/aliases/{MODEL}", json={"checkpoint": made["id"]})
        promoted.raise_for_status()


def _measure(
    url: str, pairs: list[Example], *, count: int, clients: int, pause_s: float = 0.0
) -> list[Timed]:
    texts = [pair.texts[0] for pair in pairs]
    bodies = [
        {"model": MODEL, "text": texts[i % len(texts)], "decode": {"beam_size": 1}}
        for i in range(count + WARM_UP)
    ]
    asyncio.run(run(url, "/v1/replies", bodies[:WARM_UP], clients=min(clients, 4)))
    return asyncio.run(run(url, "/v1/replies", bodies[WARM_UP:], clients=clients, pause_s=pause_s))


def _own_ms(bundle: Bundle, pairs: list[Example]) -> list[float]:
    torch.set_num_threads(1)  # as in the inference worker

    spec = bundle.plan.decode.model_copy(update={"beam_size": 1})
    times = []
    for pair in pairs[:200]:
        began = time.perf_counter()
        decode_batch(bundle, [[pair.texts[0]]], [spec])
        times.append((time.perf_counter() - began) * 1e3)
    return times


def _show(name: str, answers: list[Timed]) -> float:
    """Print what was measured; returns the median of what is above the model."""
    failed = [answer for answer in answers if answer.status != 200]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(answers)} failed: {failed[0]}")
    wall = [answer.wall_ms for answer in answers]
    model = [answer.body["timing"]["model_ms"] for answer in answers]
    above = [a - b for a, b in zip(wall, model, strict=True)]
    batch = sum(answer.body["timing"]["batch"] for answer in answers) / len(answers)
    print(f"{name} (mean batch {batch:.1f})")
    for what, values in (("reply", wall), ("model", model), ("above the model", above)):
        middle, worst = quantile(values, 0.5), quantile(values, 0.99)
        print(f"  {what:16} p50 {middle:7.2f} ms  p99 {worst:7.2f} ms")
    return quantile(above, 0.5)
