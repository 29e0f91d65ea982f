"""``malgil recipe run`` in a process of its own, as a person starts it: no server anywhere."""

import json
import os
import signal
import subprocess
import sys
from textwrap import dedent

import pytest

from core.pipelines.bundle import read_bundle

TINY = ["--set", "train.time_limit_s=1", "--set", "tokenizer.vocabulary_size=1500"]


def malgil(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


def test_it_runs_in_a_process_of_its_own_and_leaves_a_checkpoint(tmp_path) -> None:
    out = tmp_path / "made.safetensors"
    done = malgil("recipe", "run", "demo", "--quick", *TINY, "--out", str(out), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    *events, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"log", "progress", "metrics"} <= {event["event"] for event in events}
    assert last["metrics"]["valid_perplexity"] > 1
    assert read_bundle(out.read_bytes()).report["metrics"] == last["metrics"]


def test_processes_that_learn_together_tell_one_story(tmp_path) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"say {n}\t{n}\n" for n in range(60)))
    words = ("recipe", "run", "demo", "--quick", "--corpus", str(pairs), "--json", "--seed", "3")
    more = ("--set", "train.max_epochs=2", "--set", "tokenizer.kind=char")
    done = malgil(*words, *more, "--processes", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('"headline"') == 1
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["report"]["run"]["processes"] == 2
    assert told["report"]["examples"]["train"] > 40


def test_talks_of_ones_own_can_be_learned_from(tmp_path) -> None:
    talks = tmp_path / "talks.jsonl"
    turns = [[f"안녕 {i}", "반가워요", f"이름이 {i}번이야?", "네, 맞아요"] for i in range(40)]
    talks.write_text("\n".join(json.dumps({"turns": one}) for one in turns), encoding="utf-8")
    done = malgil(
        "recipe", "run", "chat", "--quick", "--corpus", str(talks), "--kind", "dialogues",
        "--set", "train.max_epochs=1", "--set", "tokenizer.kind=char",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "wanted: " in done.stdout
    assert done.stdout.splitlines()[-1].startswith("This was only a trial (--quick)")


def test_it_uses_as_many_threads_as_the_settings_say(tmp_path) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"say {n}\t{n}\n" for n in range(30)))
    script = """
        import atexit, sys
        from services.cli.main import main
        atexit.register(lambda: print(sys.modules["torch"].get_num_threads(), file=sys.stderr))
        main()
    """
    words = ["recipe", "run", "demo", "--quick", "--corpus", str(pairs), "--json"]
    more = ["--set", "train.max_epochs=1", "--set", "tokenizer.kind=char"]
    command = [sys.executable, "-c", dedent(script), *words, *more]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=50,
        env={**os.environ, "MALGIL_THREADS": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "1\n"), done.stdout


def test_a_setting_that_does_not_fit_is_named_before_anything_is_read(monkeypatch) -> None:
    monkeypatch.setenv("MALGIL_THREADS", "-1")
    done = malgil("recipe", "run", "demo", "--quick")
    assert done.returncode == 2
    assert "MALGIL_THREADS: " in done.stderr


def test_a_run_that_is_told_to_end_leaves_nothing_behind(tmp_path) -> None:
    pairs, left = tmp_path / "pairs.tsv", tmp_path / "left"
    pairs.write_text("".join(f"say {n}\t{n}\n" for n in range(60)))
    left.mkdir()
    words = ["recipe", "run", "demo", "--quick", "--corpus", str(pairs), "--processes", "2"]
    more = ["--set", "train.max_epochs=10000", "--set", "tokenizer.kind=char"]
    command = [sys.executable, "-m", "services.cli.main", *words, *more]
    env = {**os.environ, "TMPDIR": str(left)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as running:
        assert running.stdout is not None
        try:
            while "step" not in (line := running.stdout.readline()):
                assert line, "it ended by itself"
            assert list(left.glob("malgil-*"))
            running.send_signal(signal.SIGTERM)
            running.stdout.read()  # to the end: then all that could write have ended
        finally:
            running.kill()
    assert running.returncode == 130
    assert not list(left.glob("malgil-*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["recipe", "run", "nobody"], "nobody"),
        (["recipe", "run", "demo", "--out", "/nowhere/made"], "folder /nowhere"),
        (["recipe", "run", "demo", "--results", "/dev/null/here"], "/dev/null/here"),
        (["recipe", "run", "demo", "--set", "train.colour=1"], "train.colour"),
        (["recipe", "run", "translate", "--kind", "dialogues"], "pairs"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(words, said) -> None:
    done = malgil(*words)
    assert done.returncode == 2
    assert said in done.stderr
