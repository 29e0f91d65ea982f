"""Logs: one JSON object a line, of ours and of libraries, whatever is said."""

import json
import subprocess
import sys
from pathlib import Path

TALK = """
import logging, sys
import structlog
from core.logs import log_as_json
log_as_json(sys.argv[1])
log = structlog.get_logger()
with structlog.contextvars.bound_contextvars(request_id="r-1"):
    log.debug("quiet")
    log.info("밥 먹었어?", model="bot")
    logging.getLogger("celery.worker").info("chatter")
    logging.getLogger("celery.worker").warning("two\\nlines of %s", "theirs")
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("it broke")
"""


def spoken(level: str) -> list[dict[str, str]]:
    ran = subprocess.run(
        [sys.executable, "-c", TALK, level], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout == ""
    return [json.loads(line) for line in ran.stderr.splitlines()]


def test_each_line_is_an_object_with_what_it_belongs_to() -> None:
    told = spoken("info")
    assert [one["event"] for one in told] == ["밥 먹었어?", "two\nlines of theirs", "it broke"]
    assert [one["level"] for one in told] == ["info", "warning", "error"]
    assert {one["request_id"] for one in told} == {"r-1"}
    assert told[0]["model"] == "bot"
    assert told[1]["logger"] == "celery.worker"
    assert "ZeroDivisionError" in told[2]["exception"]
    assert all(one["timestamp"].endswith("Z") for one in told)


def test_the_level_says_how_much_is_told() -> None:
    assert next(one["event"] for one in spoken("debug")) == "quiet"
    assert [one["event"] for one in spoken("error")] == ["it broke"]


def test_a_disk_that_is_full_does_not_stop_what_is_told_of() -> None:
    talk = TALK + "\nprint('well')"
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", talk, "debug"]
        said = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=full, timeout=60, check=False
        ).stdout
    assert said == b"well\n"
