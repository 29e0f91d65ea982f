import json
import os
import subprocess
import sys

from core.errors import InboxFullError, NotFoundError
from core.storage import conversations
from tests.services.cli.conftest import Malgil, Server


def piped(words: list[str], stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "services.cli.main", *words]
    return subprocess.run(
        command, input=stdin, capture_output=True, check=False, timeout=60, env=os.environ
    )


def test_texts_are_translated_in_their_order(server: Server, malgil: Malgil) -> None:
    ran = malgil("translate", "bot", "one", "two", "셋")
    assert (ran.code, ran.out) == (0, "eno\nowt\n셋\n")
    data = malgil("translate", "bot", "one", "two", "--json").data
    assert data == {
        "translations": [{"text": "eno", "score": -0.25}, {"text": "owt", "score": -0.25}]
    }


def test_lines_of_a_pipe_are_translated_in_batches_and_empty_ones_stay_empty(
    server: Server,
) -> None:
    lines = [f"line {number}" for number in range(150)]
    lines[70] = ""
    lines[80] = "long " * 100
    ran = piped(["translate", "bot"], ("\ufeff" + "\r\n".join(lines)).encode())
    assert ran.returncode == 0
    assert ran.stdout.decode().split("\n") == [*(line[::-1] for line in lines), ""]


def test_input_that_is_no_text_is_named(server: Server) -> None:
    ran = piped(["translate", "bot", "--json"], b"fine\n\xff\xfe\n")
    assert ran.returncode == 2
    assert "line 2 of standard input" in json.loads(ran.stdout)["error"]["detail"]


def test_a_model_that_is_not_there_is_2_and_a_full_inbox_3(server: Server, malgil: Malgil) -> None:
    server.inbox.failures[""] = NotFoundError("model", "bot")
    assert malgil("translate", "bot", "one").code == 2
    server.inbox.failures[""] = InboxFullError("Too many asks are waiting.")
    assert malgil("translate", "bot", "one").code == 3


def test_a_talk_over_a_pipe_remembers_until_it_starts_afresh(server: Server) -> None:
    ran = piped(["chat", "bot"], "hello\n\n다시\n/new\nonce more\n/quit\nunheard\n".encode())
    assert ran.returncode == 0
    said = ran.stdout.decode().splitlines()
    assert said == ["olleh", "시다", "A new conversation.", "erom ecno"]
    assert [asked.turns for asked in server.inbox.asked] == [
        ("hello",),
        ("hello", "olleh", "다시"),
        ("once more",),
    ]
    with server.sessions() as session:
        assert len(conversations.page(session, before=None, limit=10)) == 2


def test_a_talk_as_json_is_a_line_for_each_turn(server: Server) -> None:
    ran = piped(["chat", "bot", "--json"], b"hello\nbye\n")
    turns = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [turn["reply"]["text"] for turn in turns] == ["olleh", "eyb"]
    assert turns[0]["conversation"] == turns[1]["conversation"]


def test_a_talk_with_nobody_is_told(server: Server) -> None:
    server.inbox.failures[""] = NotFoundError("model", "bot")
    ran = piped(["chat", "bot"], b"hello\n")
    assert ran.returncode == 2
    assert b"Error: " in ran.stderr


def test_how_to_decode_is_asked_for_in_every_request(server: Server, malgil: Malgil) -> None:
    options = ("--decode", "temperature=0.5", "--decode", "seed=3", "--decode", "stop=.")
    assert malgil("translate", "bot", "one", *options).code == 0
    assert piped(["chat", "bot", *options], b"hello\n").returncode == 0
    wanted = {"temperature": 0.5, "seed": 3, "stop": ["."]}
    assert [asked.decode for asked in server.inbox.asked] == [wanted] * 2


def test_an_option_of_decoding_that_makes_no_sense_is_named(malgil: Malgil) -> None:
    ran = malgil("translate", "bot", "one", "--decode", "beam_size=99", "--json")
    assert ran.code == 2
    assert ran.data["error"]["detail"] == (
        "--decode: beam_size: Input should be less than or equal to 16"
    )
