"""Lines through a model in this process; what goes to a server is tried with the other talking."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from core.pipelines.bundle import Bundle, write_bundle
from core.pipelines.offline import decode_batch
from core.settings import Settings
from core.storage import aliases, checkpoints
from core.storage.blobs import Blobs
from core.storage.session import open_engine, open_sessions
from core.storage.tables import Base
from services.cli import lines as lines_module
from tests.core.pipelines.small import SAID
from tests.core.pipelines.untaught import untaught_bundle
from tests.services.cli.conftest import Malgil

TEXTS = [source for source, _ in SAID] * 4


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """A model that was taught nothing, but says something else to everything."""
    return untaught_bundle()


@pytest.fixture(scope="module")
def said(bundle: Bundle) -> list[str]:
    """What it says to each of TEXTS."""
    found = decode_batch(bundle, [[text] for text in TEXTS], [bundle.plan.decode] * len(TEXTS))
    return [candidates[0].text for candidates in found]


@pytest.fixture
def model(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its file; and no server anywhere."""
    monkeypatch.setenv("MALGIL_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MALGIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MALGIL_PRECISION", "fp32")
    monkeypatch.setenv("MALGIL_THREADS", "1")
    path = tmp_path / "bot.safetensors"
    path.write_bytes(write_bundle(bundle))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return path


def test_the_lines_of_a_file_go_through_the_file_of_a_model_in_their_order(
    model: Path, file: Path, said: list[str], malgil: Malgil, tmp_path: Path
) -> None:
    ran = malgil("translate", model, "--file", file)
    assert (ran.code, ran.out.splitlines()) == (0, said)
    assert f"{len(said)} lines in" in ran.err
    out = tmp_path / "out.txt"
    ran = malgil("translate", model, "--file", file, "--out", out)
    assert (ran.code, ran.out, out.read_text("utf-8").splitlines()) == (0, "", said)
    assert "out.txt" in ran.err


def test_texts_and_a_pipe_need_no_server_either(model: Path, said: list[str]) -> None:
    command = [sys.executable, "-m", "services.cli.main", "translate", str(model)]
    asked = "\ufeff" + "\r\n".join([TEXTS[0], "", " ", TEXTS[1]])
    piped = subprocess.run(command, input=asked.encode(), capture_output=True, check=True)
    assert piped.stdout.decode().split("\n") == [said[0], "", "", said[1], ""]
    given = subprocess.run([*command, *TEXTS[:2]], capture_output=True, check=True)
    assert given.stdout.decode().splitlines() == said[:2]


def test_as_json_there_is_an_object_for_each_line(
    model: Path, file: Path, said: list[str], malgil: Malgil, tmp_path: Path
) -> None:
    options = ["--decode", "n_best=2", "--decode", "alignments=true", "--details", "--json"]
    ran = malgil("translate", model, "--file", file, *options)
    assert ran.err == ""
    assert [line["line"] for line in ran.lines] == list(range(1, len(said) + 1))
    assert [line["text"] for line in ran.lines] == said
    first = ran.lines[0]
    assert len(first["alternatives"]) == 1
    for told in (first, *first["alternatives"]):
        assert len(told["details"]["alignment"]) == len(told["details"]["tokens"])
    out = tmp_path / "out.jsonl"
    ran = malgil("translate", model, "--file", file, "--out", out, "--json")
    assert ran.data["lines"] == ran.data["new"] == len(said)
    told = json.loads(out.read_text("utf-8").splitlines()[0])
    assert sorted(told) == ["line", "score", "text"]


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_what_was_cut_off_anywhere_is_gone_on_with(
    model: Path, file: Path, malgil: Malgil, tmp_path: Path, form: list[str]
) -> None:
    out = tmp_path / "out"
    words = ["translate", model, "--file", file, "--out", out, *form]
    assert malgil(*words).code == 0
    whole = out.read_bytes()
    for cut in (0, 1, len(whole) // 3, whole.index(b"\n") + 1, len(whole) - 1, len(whole)):
        out.write_bytes(whole[:cut])
        assert malgil(*words, "--resume").code == 0
        assert same(out.read_bytes(), whole)
    assert malgil(*words).code == 2, "and never over what is there without being told to"
    assert same(out.read_bytes(), whole)


def same(found: bytes, wanted: bytes) -> bool:
    """Compare texts, and scores but for rounding."""
    if not wanted.startswith(b"{"):
        return found == wanted
    lines, others = ([json.loads(line) for line in data.splitlines()] for data in (found, wanted))
    return all(
        one == {**other, "score": pytest.approx(other["score"], abs=1e-5)}
        for one, other in zip(lines, others, strict=True)
    )


def test_what_is_drawn_is_drawn_the_same_after_a_cut(
    model: Path, file: Path, malgil: Malgil, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ["translate", model, "--file", file, "--out", out, "--decode", "temperature=2"]
    assert malgil(*words).code == 0
    whole = out.read_text("utf-8")
    drawn = [line for line, text in zip(whole.splitlines(), TEXTS, strict=True) if text == TEXTS[0]]
    assert len(set(drawn)) > 1, "each line has a seed of its own"
    out.write_text("".join(whole.splitlines(keepends=True)[:5]), encoding="utf-8")
    assert malgil(*words, "--resume").code == 0
    assert out.read_text("utf-8") == whole


def test_lines_of_other_options_are_not_gone_on_with(
    model: Path, file: Path, malgil: Malgil, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.write_text("never said by any model\n")
    ran = malgil("translate", model, "--file", file, "--out", out, "--resume")
    assert ran.code == 2
    assert "line 1" in ran.err
    assert out.read_text() == "never said by any model\n"


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_leaves_whole_lines_and_goes_on(
    model: Path, tmp_path: Path, malgil: Malgil, ending: signal.Signals
) -> None:
    file, out = tmp_path / "many.txt", tmp_path / "out.txt"
    file.write_text("".join(text + "\n" for text in TEXTS * 60), encoding="utf-8")
    words = ["translate", str(model), "--file", str(file), "--out", str(out)]
    words += ["--decode", "beam_size=1"]
    program = "from services.cli import main; from core.pipelines import offline;"
    program += f"offline.WINDOW = 8; main.sys.exit(main.run({words!r}))"
    with subprocess.Popen(
        [sys.executable, "-c", program], env=os.environ, stderr=subprocess.PIPE
    ) as process:
        began = time.monotonic()
        while not (out.exists() and out.read_bytes().count(b"\n") > 20):
            assert process.poll() is None
            assert time.monotonic() - began < 60
            time.sleep(0.01)
        process.send_signal(ending)
        assert process.wait(timeout=20) in {-signal.SIGKILL, 130}
    left = out.read_bytes()
    assert left.endswith(b"\n")
    assert malgil(*words, "--resume").code == 0
    assert out.read_bytes().startswith(left)
    resumed = out.read_bytes()
    out.unlink()
    assert malgil(*words).code == 0
    assert out.read_bytes() == resumed


def test_lines_that_are_no_text_are_named_before_anything_is_done(
    model: Path, tmp_path: Path, malgil: Malgil
) -> None:
    file = tmp_path / "in.txt"
    file.write_bytes(b"fine\n\xff\xfe\nfine\n" + b"a" * 10_001 + b"\n")
    ran = malgil("translate", model, "--file", file, "--json")
    assert ran.code == 2
    problems = {line["line"]: line["message"] for line in ran.data["error"]["lines"]}
    assert problems.keys() == {2, 4}
    assert "not UTF-8" in problems[2]
    assert "longer than 10000" in problems[4]


def test_a_line_of_a_pipe_that_is_no_text_ends_it_after_those_before(
    model: Path, said: list[str]
) -> None:
    command = [sys.executable, "-m", "services.cli.main", "translate", str(model), "--file", "-"]
    piped = f"{TEXTS[0]}\n{TEXTS[1]}\n".encode() + b"\xff\n"
    ran = subprocess.run(command, input=piped, capture_output=True, check=False)
    assert ran.returncode == 2
    assert ran.stdout.decode().splitlines() == said[:2]
    assert "line 3: not UTF-8" in ran.stderr.decode()


def test_an_installation_has_models_by_name(
    model: Path, file: Path, said: list[str], malgil: Malgil
) -> None:
    ran = malgil("translate", "bot", "--file", file)
    assert ran.code == 3
    assert "no installation" in ran.err
    settings = Settings()
    engine = open_engine(settings.database_url)
    Base.metadata.create_all(engine)
    key = Blobs.open(settings.blobs_url).put(model.read_bytes())
    now = datetime.now(UTC)
    with open_sessions(engine).begin() as session:
        row = checkpoints.add(
            session,
            job_id=None,
            step=1,
            spec={},
            metrics={},
            report={},
            blob_key=key,
            bytes_=1,
            now=now,
        )
        aliases.promote(session, "bot", row.id, now=now)
    engine.dispose()
    assert make_url(settings.database_url).database.startswith(str(settings.home))
    assert malgil("translate", "bot", "--file", file).out.splitlines() == said
    assert malgil("translate", "nobody", "--file", file).code == 2


def test_a_line_that_a_model_would_break_stays_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from core.queue.messages import Candidate

    work = lines_module.Work("bot", {}, details=False, as_json=False)
    assert work.told(1, [Candidate("one\r\ntwo\nthree", 0.0)]) == "one  two three"


@pytest.mark.parametrize(
    "words",
    [
        ["bot", "a text", "--file", "in.txt"],
        ["bot", "--out", "out.txt"],
        ["bot", "--file", "in.txt", "--resume"],
        ["bot", "--details"],
        ["/nowhere/bot.safetensors", "a text"],
        ["bot.safetensors", "--decode", "n_best=3"],
        ["bot.safetensors", "--file", "nowhere.txt"],
    ],
)
def test_what_does_not_go_together_is_refused(
    model: Path, file: Path, malgil: Malgil, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(model.parent)
    assert malgil("translate", *words).code == 2
