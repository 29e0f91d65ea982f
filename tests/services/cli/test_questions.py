"""``malgil questions``, with a worker that the test plays when the bell rings."""

import json
from pathlib import Path

import pytest

from core.pipelines.generate import generate
from core.pipelines.workshop import Workshop
from core.storage import jobs
from core.storage.blobs import Blobs
from core.storage.clock import DatabaseClock
from core.text.clean import normalise
from tests.core.pipelines.conftest import asker_bytes
from tests.core.pipelines.small import PASSAGES, QUESTIONS
from tests.services.api.rows import add_checkpoint
from tests.services.cli.conftest import Malgil, Server

__all__ = ["asker_bytes"]

ANY = ("--set", "round_trip=0", "--set", "passages.max_characters=100", "--set", "answers=3")


@pytest.fixture
def model(server: Server, tmp_path: Path, asker_bytes: bytes) -> str:
    """A model that asks, and a worker that has it ask when the bell rings."""
    blobs = Blobs.open(f"file://{tmp_path / 'blobs'}")
    key = blobs.put(asker_bytes)
    checkpoint = add_checkpoint(server.sessions, blob_key=key, plan=QUESTIONS)
    now = DatabaseClock(server.sessions.kw["bind"])
    workshop = Workshop(
        sessions=server.sessions,
        blobs=blobs,
        scratch=tmp_path,
        lease_s=60,
        now=now,
        leaving=lambda: False,
    )

    def work() -> None:
        with server.sessions.begin() as session:
            job = jobs.claim_next(session, worker="w", lease_s=60, max_deaths=3, now=now())
        if job is not None:
            generate(job.id, job.attempt, workshop)

    server.doorbell.heard = work
    return str(checkpoint.id)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"{number}.txt" for number in range(2)]
    for file, passage in zip(found, PASSAGES, strict=False):
        file.write_text(passage.context)
    return found


def test_documents_become_a_file_of_pairs(
    model: str, files: list[Path], malgil: Malgil, tmp_path: Path
) -> None:
    out = tmp_path / "pairs.jsonl"
    ran = malgil("questions", *files, "--model", model, "--out", out, *ANY)
    assert ran.code == 0, ran.err
    pairs = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(pairs) >= 2
    for pair in pairs:
        place = slice(pair["answer_start"], pair["answer_end"])
        texts = [normalise(file.read_text()) for file in files]
        assert any(text[place] == pair["answer"] for text in texts)
    assert pairs[0]["question"] in ran.out
    assert "malgil pairs review --job" in ran.out
    again = malgil("questions", *files, "--model", model, "--out", out)
    assert again.code == 2
    assert "--force" in again.err


def test_for_programs_there_is_a_line_of_json_for_each_event(
    model: str, files: list[Path], malgil: Malgil
) -> None:
    *events, last = malgil("questions", *files, "--model", model, *ANY, "--json").lines
    assert events[0]["event"] == "job"
    assert last["job"]["status"] == "succeeded"
    assert {pair["job_id"] for pair in last["pairs"]} == {last["job"]["id"]}


def test_a_job_can_be_left_alone(model: str, files: list[Path], malgil: Malgil) -> None:
    ran = malgil("questions", *files, "--model", model, "--no-watch")
    assert (ran.code, "Queued as job" in ran.out) == (0, True)
    refused = malgil("questions", *files, "--model", model, "--no-watch", "--out", "x.jsonl")
    assert (refused.code, "--out" in refused.err) == (2, True)


def test_what_is_wrong_is_named(model: str, files: list[Path], malgil: Malgil) -> None:
    for words, said in (
        (("--model", "nobody"), "nobody"),
        (("--model", model, "--set", "answers=0"), "options.answers"),
        (("--model", model, "--set", "decode.beam_size=99"), "options.decode.beam_size"),
    ):
        ran = malgil("questions", *files, *words)
        assert ran.code == 2
        assert said in ran.err
