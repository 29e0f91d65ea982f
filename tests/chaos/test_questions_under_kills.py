"""A thousand documents asked about by two workers, one of which is killed again and again."""

import json
import os
import random
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from core.pipelines.learn import Finished, learn
from core.settings import Settings
from core.storage.pairs import NewPair, identify
from tests.acceptance.conftest import Tell
from tests.acceptance.processes import wait_until
from tests.acceptance.production import ENDED, House, house
from tests.chaos.killing import killed_and_started, killing
from tests.chaos.serving import upload
from tests.chaos.training import child_in, states
from tests.core.pipelines.small import PASSAGES, QUESTIONS, every_split

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3000)]

DOCUMENTS = int(os.environ.get("CHAOS_DOCUMENTS") or 1000)
EVERY_S = 10.0
SQUAD = Settings().data / "qa_squad11_dev" / "dev-v1.1.rebuilt.json"
OPTIONS = {
    "answers": 12,
    "questions": 2,
    "round_trip": 0.0,
    "fluency": None,
    "repeats": True,
    "alike": 1.0,
    "per_kind": 1.0,
}
PAIRS = 100  # at the least, of a model that knows a few passages by heart
# That its workers die says nothing of a piece here: nobody is to give one up for it.
ENVIRONMENT = {"MALGIL_MAX_DEATHS": "1000", "MALGIL_THREADS": "1"}


def test_every_pair_is_made_once_and_as_if_nobody_had_been_killed(
    postgres_url: str, seed: int, tell: Tell, tmp_path: Path
) -> None:
    with house(postgres_url, ENVIRONMENT) as running:
        running.run_jobs("jobs-2")
        model = upload(running, bundle(tmp_path))
        documents = add_documents(running, tmp_path)
        calm, calm_s = asked(running, model, documents)
        workers = {name: running.programs[name] for name in ("jobs", "jobs-2")}
        victims = {
            name: killed_and_started(
                worker, children=True, when=lambda worker=worker: bool(child_in(worker))
            )
            for name, worker in workers.items()
        }
        with killing(victims, pauses=pauses, seed=seed) as killer:
            hit, hit_s = asked(running, model, documents)
        found = {job: pairs_of(running, job) for job in (calm, hit)}
        ends = [running.job(hit), states(running, hit)]
    ids = [pair["id"] for pair in found[hit]]
    strange = [pair for pair in found[hit] if pair["id"] != str(identify(new_pair(pair)))]
    same = set(map(content, found[calm])) == set(map(content, found[hit]))
    tell(
        f"{len(documents)} documents on 2 workers: {len(found[calm])} pairs in {calm_s:.0f} s "
        f"undisturbed, {len(ids)} in {hit_s:.0f} s with {killer}, {ends[0]['attempt']} attempts: "
        f"{'the same' if same else 'other'} pairs, {len(ids) - len(set(ids))} twice, "
        f"{len(strange)} under another id than theirs"
    )
    assert ends[0]["status"] == "succeeded"
    assert sum(state in ENDED for state in ends[1]) == 1
    assert same
    assert len(set(ids)) == len(ids) == len(found[calm]) >= PAIRS
    assert not strange
    assert killer.killed.total() >= 2


def bundle(tmp_path: Path) -> bytes:
    """Return a model: one that has learned a few passages by heart, or the one that is named."""
    named = os.environ.get("CHAOS_BUNDLE")
    if named:
        return Path(named).read_bytes()
    *_, last = learn(every_split(PASSAGES), QUESTIONS, scratch=tmp_path)
    assert isinstance(last, Finished)
    return last.data


def add_documents(running: House, tmp_path: Path) -> list[str]:
    """Upload paragraphs of articles, each as a document of its own; return their ids."""
    articles = json.loads(SQUAD.read_text())["data"]
    contexts = [paragraph["context"] for article in articles for paragraph in article["paragraphs"]]
    lines = [json.dumps({"text": text}) for text in dict.fromkeys(contexts)][:DOCUMENTS]
    file = tmp_path / "paragraphs.jsonl"
    file.write_text("\n".join(lines))
    with file.open("rb") as opened:
        files = {"file": (file.name, opened)}
        added = running.ask("POST", "/v1/documents", files=files)["data"]
    return [one["id"] for one in added]


def asked(running: House, model: str, documents: list[str]) -> tuple[str, float]:
    """Have questions asked about all documents; return the job and its seconds."""
    body = {"kind": "generate", "model": model, "documents": documents, "options": OPTIONS}
    began = time.monotonic()
    job = str(running.ask("POST", "/v1/jobs", json=body)["id"])
    wait_until(lambda: running.job(job)["ended_at"], timeout_s=1200)
    return job, time.monotonic() - began


def pairs_of(running: House, job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = running.ask("GET", f"/v1/pairs?job_id={job}&limit=200{after}")
        found += page["data"]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


def content(pair: dict[str, Any]) -> tuple[Any, ...]:
    return pair["document_id"], pair["answer_start"], pair["answer_end"], pair["question"]


def new_pair(pair: dict[str, Any]) -> NewPair:
    return NewPair(
        job_id=UUID(pair["job_id"]),
        document_id=UUID(pair["document_id"]),
        question=pair["question"],
        answer_start=pair["answer_start"],
        answer_end=pair["answer_end"],
        rank=pair["rank"],
    )


def pauses(chance: random.Random) -> float:
    return EVERY_S * chance.uniform(0.8, 1.2)
