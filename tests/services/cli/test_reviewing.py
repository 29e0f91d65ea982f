"""The review of pairs, through a pipe and through a real terminal."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from uuid import UUID

import pytest

from core.storage import pairs
from core.storage.tables import GeneratedPair
from tests.services.api.rows import add_document, add_pairs
from tests.services.cli.conftest import Server

WORDS = ("pairs", "review")


@pytest.fixture
def ids(server: Server) -> list[UUID]:
    document = add_document(server.sessions)
    return add_pairs(server.sessions, document, (3, 7), (8, 15), (17, 19))


def kept(server: Server) -> list[GeneratedPair]:
    with server.sessions() as session:
        return pairs.page(session, limit=99)


def piped(stdin: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.cli.main", *WORDS, *words]
    return subprocess.run(
        command, input=stdin, capture_output=True, check=False, timeout=60, text=True
    )


def test_keys_come_line_by_line_through_a_pipe(server: Server, ids: list[UUID]) -> None:
    keys = ["a", "b", "?", "r", "e", "열린 시각은?", "at nine", "n"]
    ran = piped("\n".join(keys) + "\n", "--reviewer", "kim")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "We [[open]] at nine." in ran.stdout
    assert "Q: Question 0?" in ran.stdout
    assert "sure 0.1" in ran.stdout
    assert "There are no more pairs." in ran.stdout
    assert ran.stdout.endswith("Reviewed 2: 0 accepted, 1 rejected, 1 edited.\n")
    first, second, third = kept(server)
    assert (first.review, first.reviewed_by) == ("rejected", "kim")
    assert (second.edited_question, second.edited_answer) == ("열린 시각은?", "at nine")
    assert third.review == "new"


def test_an_edit_that_is_refused_is_told_and_the_pair_stays(
    server: Server, ids: list[UUID]
) -> None:
    ran = piped("e\n\nnot in it\ne\n\nnine\nq\n")
    assert ran.returncode == 0
    assert "Refused: 'not in it' is not in the document" in ran.stdout
    first = kept(server)[0]
    assert (first.edited_question, first.edited_answer) == ("Question 0?", "nine")


def test_an_edit_of_nothing_accepts(server: Server, ids: list[UUID]) -> None:
    assert piped("e\n\n\n").returncode == 0
    assert kept(server)[0].review == "accepted"


def test_a_pipe_that_ends_ends_the_review(server: Server, ids: list[UUID]) -> None:
    assert piped("").stdout.endswith("Reviewed 0: 0 accepted, 0 rejected, 0 edited.\n")
    assert piped("e\n새 질문?").returncode == 0
    assert kept(server)[0].edited_question == "새 질문?"


def test_as_json_each_pair_is_a_line(server: Server, ids: list[UUID]) -> None:
    ran = piped("a\nn\nr\n", "--json", "--score", "sure", "--min-score", "0.1")
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [line["pair"]["id"] for line in lines[:-1]] == [str(one) for one in ids[1:]]
    assert lines[0]["passage"]["text"].startswith("We open")
    assert lines[-1] == {"reviewed": 1, "accepted": 1, "rejected": 0, "edited": 0}


def test_what_was_reviewed_is_not_shown_again(server: Server, ids: list[UUID]) -> None:
    piped("a\nq\n")
    ran = piped("n\nn\nn\n")
    assert "Question 0?" not in ran.stdout
    assert "Question 0?" in piped("q\n", "--review", "accepted").stdout


class Terminal:
    """A command at a real terminal."""

    def __init__(self, *words: str) -> None:
        self._end, inner = pty.openpty()
        begun = (
            "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
            "os.execv(sys.executable, [sys.executable, '-m', 'services.cli.main', *sys.argv[1:]])"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", begun, *words],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
        )
        os.close(inner)
        self.seen = ""

    def expect(self, words: str, *, timeout_s: float = 60.0) -> None:
        """Read until these words have come since the last time."""
        deadline = time.monotonic() + timeout_s
        while words not in self.seen:
            assert time.monotonic() < deadline, self.seen
            ready, _, _ = select.select([self._end], [], [], 0.2)
            if not ready:
                continue
            try:
                data = os.read(self._end, 65536)
            except OSError:  # the command has ended
                assert words in self.seen, self.seen
                return
            self.seen += data.decode(errors="replace")
        self.seen = self.seen.partition(words)[2]

    def press(self, keys: str) -> None:
        """Send keys as they are typed."""
        os.write(self._end, keys.encode())

    def close(self) -> int:
        """End the command if it has not, and return how it ended."""
        try:
            return self.process.wait(timeout=30)
        finally:
            self.process.kill()
            os.close(self._end)


@pytest.fixture
def terminal(server: Server, ids: list[UUID]) -> Iterator[Terminal]:
    terminal = Terminal(*WORDS, "--reviewer", "lee")
    yield terminal
    terminal.process.kill()
    terminal.process.wait()


def test_single_keys_are_enough_at_a_terminal(server: Server, terminal: Terminal) -> None:
    terminal.expect("Q: ")
    terminal.expect("Question 0?")
    terminal.press("a")
    terminal.expect("Question 1?")
    terminal.press("b")
    terminal.expect("(accepted)")
    terminal.press("r")
    terminal.expect("Question 1?")
    terminal.press("n")
    terminal.expect("Question 2?")
    terminal.press("e")
    terminal.expect("Question: ")
    terminal.press(" 왜?\r")
    terminal.expect("Answer: ")
    terminal.press("\r")
    terminal.expect("Reviewed 2: 0 accepted, 1 rejected, 1 edited.")
    assert terminal.close() == 0
    first, second, third = kept(server)
    assert (first.review, first.reviewed_by) == ("rejected", "lee")
    assert second.review == "new"
    assert third.edited_question == "Question 2? 왜?"


def test_keys_that_are_pressed_ahead_are_not_lost(server: Server, terminal: Terminal) -> None:
    terminal.expect("Question 0?")
    terminal.press("\x1b[Aㅁarq")
    terminal.expect("Reviewed 2: 1 accepted, 1 rejected, 0 edited.")
    assert terminal.close() == 0
    assert [pair.review for pair in kept(server)] == ["accepted", "rejected", "new"]


def test_ctrl_d_ends_and_ctrl_c_interrupts(
    server: Server, terminal: Terminal, interruptible: None
) -> None:
    terminal.expect("Question 0?")
    terminal.press("\x04")
    terminal.expect("Reviewed 0")
    assert terminal.close() == 0
    again = Terminal(*WORDS)
    again.expect("Question 0?")
    again.press("a")
    again.expect("Question 1?")
    again.press("\x03")
    assert again.close() == 130
    assert kept(server)[0].review == "accepted"
