import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.services.cli.conftest import Malgil

NOBODY = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALGIL_API_URL", NOBODY)


def test_the_version_is_that_of_the_package(malgil: Malgil) -> None:
    assert malgil("version").out.startswith(f"malgil {version('malgil')}")
    assert malgil("version", "--json").data["malgil"] == version("malgil")


def test_help_names_every_command_and_every_exit_code(malgil: Malgil) -> None:
    ran = malgil("--help")
    assert ran.code == 0
    commands = "up demo documents pairs corpus train jobs models chat translate recipe version"
    for word in (*commands.split(), "Exit codes", "130"):
        assert word in ran.out


@pytest.mark.parametrize(
    "words",
    [
        ("corpus", "list"),
        ("corpus", "show", "talk"),
        ("jobs", "list"),
        ("jobs", "watch", "6d0f2c53-8a4e-4a7c-b0a3-57cf9b6d2c10"),
        ("models", "list"),
        ("train", "talk", "--recipe", "chat"),
        ("translate", "bot", "hello"),
        ("documents", "list"),
        ("documents", "show", "8c1d2b54-9a0e-4c58-8a0b-7f3c6d1e2f90"),
        ("pairs", "list"),
        ("pairs", "review"),
        ("pairs", "corpus", "--name", "qa"),
    ],
)
def test_without_a_server_every_command_says_how_to_start_one(
    malgil: Malgil, words: tuple[str, ...]
) -> None:
    ran = malgil(*words)
    assert (ran.code, ran.out) == (3, "")
    assert NOBODY in ran.err
    assert "start it with: malgil up" in ran.err
    ran = malgil(*words, "--json")
    assert (ran.code, ran.err) == (3, "")
    assert "start it with: malgil up" in ran.data["error"]["detail"]
    assert ran.data["error"]["exit_code"] == 3


@pytest.mark.parametrize(
    "words", [("nonsense",), ("jobs", "show"), ("up", "--port", "70000"), ("corpus", "--colour")]
)
def test_wrong_usage_is_2_in_words_and_in_json(malgil: Malgil, words: tuple[str, ...]) -> None:
    assert malgil(*words).code == 2
    ran = malgil(*words, "--json")
    assert (ran.code, ran.err) == (2, "")
    assert ran.data["error"]["title"] == "Wrong usage"


def test_a_setting_that_does_not_fit_is_named(
    malgil: Malgil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALGIL_PORT", "eighty")
    ran = malgil("jobs", "list")
    assert ran.code == 2
    assert "MALGIL_PORT" in ran.err


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://127.0.0.1", "http://[::1"])
def test_an_address_that_is_none_is_named(
    malgil: Malgil, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("MALGIL_API_URL", url)
    ran = malgil("jobs", "list")
    assert ran.code == 2
    assert url in ran.err


def test_whatever_stands_after_two_dashes_is_text(malgil: Malgil) -> None:
    ran = malgil("translate", "bot", "--", "--json")
    assert (ran.code, ran.out) == (3, "")


def test_a_reader_that_leaves_early_is_no_crash() -> None:
    command = f"{sys.executable} -m services.cli.main recipe show chat | true"
    ran = subprocess.run(
        ["bash", "-c", command], capture_output=True, check=False, timeout=60, env=os.environ
    )
    assert b"Traceback" not in ran.stderr
