"""Questions about articles that a model has never seen: how many a second.

First in this process, written side by side, as in a job, and one by one, in turns: fails when
side by side is not FASTER times as fast. Then as a job of an installation with two job workers,
every paragraph a document of its own, with where their time went.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import cast

import httpx

from benchmarks.house import promote, running
from benchmarks.translator import checkpoint
from core.data.examples import Passage
from core.data.materials import read
from core.data.spans import Span
from core.pipelines.asking import ask, propose
from core.pipelines.bundle import Bundle, open_bundle, serving
from core.pipelines.questioning import question_texts
from core.pipelines.threads import use_threads
from core.recipes import find
from core.settings import Settings
from core.specs import GenerateSpec
from core.storage.tables import ENDED
from services.embedded.children import Child

RECIPE = "qgen-pointer"
PARAGRAPHS = 64  # for speed
QUESTIONS = 64  # about them
DOCUMENTS = 600  # of the job
ROUNDS = 3
FASTER = 2.0


def main(path: Path | None) -> bool:
    """Measure and print; returns whether the limits were kept."""
    use_threads(Settings().inference_threads)
    file = checkpoint(path, RECIPE)
    bundle = serving(open_bundle(file), "fp32")
    unseen = read(find(RECIPE).material, Settings().data)["test"]
    texts = list(dict.fromkeys(cast(Passage, one).context for one in unseen))
    _alone(bundle, texts[:PARAGRAPHS])
    fast = _is_fast(bundle, texts[:PARAGRAPHS])
    _as_a_job(file.read_bytes(), texts[:DOCUMENTS])
    return fast


def _alone(bundle: Bundle, texts: Sequence[str]) -> None:
    began = time.perf_counter()
    found = question_texts(bundle, texts, GenerateSpec())
    seconds = time.perf_counter() - began
    asked, kept = sum(one.asked for one in found), sum(len(one.kept) for one in found)
    print(
        f"{len(texts)} paragraphs in one process with one thread: {asked / seconds:.1f} questions "
        f"a second, {kept / seconds:.1f} kept"
    )


def _is_fast(bundle: Bundle, texts: Sequence[str]) -> bool:
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


def _as_a_job(data: bytes, texts: Sequence[str]) -> None:
    with running(_two_job_workers) as url, httpx.Client(base_url=url, timeout=60) as client:
        promote(url, data, "asker")
        lines = "\n".join(json.dumps({"text": text}) for text in texts)
        made = client.post("/v1/documents", files={"file": ("p.jsonl", lines.encode())})
        ids = [one["id"] for one in made.raise_for_status().json()["data"]]
        body = {"kind": "generate", "model": "asker", "documents": ids}
        began = time.perf_counter()
        job = client.post("/v1/jobs", json=body).raise_for_status().json()
        while job["status"] not in ENDED:
            time.sleep(0.1)
            job = client.get(f"/v1/jobs/{job['id']}").json()
        seconds = time.perf_counter() - began
        asked, kept = job["progress"]["asked"], job["progress"]["pairs"]
        print(
            f"{len(texts)} documents as a job of two workers: {job['status']} in {seconds:.1f} s, "
            f"their start included: {asked / seconds:.1f} questions a second, "
            f"{kept / seconds:.1f} kept"
        )
        events = client.get(f"/v1/jobs/{job['id']}/events").json()["data"]
        print(f"  {events[-2]['data']['message']}")


def _two_job_workers(table: Sequence[Child]) -> list[Child]:
    """Add one that is like the other; its name is that of its host, too."""
    (one,) = (child for child in table if child.name == "jobs")
    command = tuple(word.replace("jobs@", "jobs-2@") for word in one.command)
    return [*table, replace(one, name="jobs-2", command=command)]
