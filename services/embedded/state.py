"""What a supervisor leaves in its home about its children, and how to end those left behind.

Light on imports: the warden lives on this.
"""

import json
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from services.embedded.census import Seen, census, look

STATE_FILE = "supervisor.json"
OURS = ("celery", "malgil", "migrations", "multiprocessing", "services", "valkey-server", "workers")
ORPHAN_GRACE_S = 8.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Record:
    """A process as it was when it was started; ``tier`` says when it is ended: highest first."""

    name: str
    pid: int
    started: str
    tier: int


def record(name: str, pid: int, *, tier: int) -> Record | None:
    """Return the record of a process that lives, else None."""
    seen = look(pid)
    return Record(name, pid, seen.started, tier) if seen else None


def dump(records: Sequence[Record]) -> str:
    """Write as one line of JSON."""
    return json.dumps([asdict(one) for one in records])


def load(text: str) -> list[Record]:
    """Read what ``dump`` wrote; raises ValueError or TypeError on anything else."""
    return [Record(**one) for one in json.loads(text)]


def write(home: Path, records: Sequence[Record]) -> None:
    """Note who runs, in one step: a reader sees all of it or what was there before."""
    fresh = home / f"{STATE_FILE}.new"
    fresh.write_text(dump(records))
    fresh.replace(home / STATE_FILE)


def read(home: Path) -> list[Record]:
    """Return who was noted last; nobody where the file is missing or makes no sense."""
    try:
        return load((home / STATE_FILE).read_text())
    except (OSError, ValueError, TypeError):
        return []


def forget(home: Path) -> None:
    """Note that nobody is left."""
    (home / STATE_FILE).unlink(missing_ok=True)


def remains(records: Sequence[Record], *, among: Sequence[Seen] | None = None) -> list[Record]:
    """Return the records of which some process is still alive: itself, or one of its group.

    A process counts only if its start is the recorded one and its command could be ours; where
    the leader of a group is gone, only the command can tell.
    """
    alive = census() if among is None else among
    leaders = {seen.pid: seen for seen in alive}
    return [one for one in records if any(_belongs(seen, one, leaders) for seen in alive)]


def _belongs(seen: Seen, one: Record, leaders: dict[int, Seen]) -> bool:
    if one.pid not in {seen.pid, seen.group}:
        return False
    leader = leaders.get(one.pid)
    if leader is not None and leader.started != one.started:
        return False
    # For a moment, while it turns into another program, a process has no command at all.
    return not seen.command or any(word in seen.command for word in OURS)


def end(records: Sequence[Record], *, grace_s: float = ORPHAN_GRACE_S) -> list[Record]:
    """End what remains of ``records``, whole groups, highest tier first; return what there was."""
    found = remains(records)
    for tier in sorted({one.tier for one in found}, reverse=True):
        _end_groups([one for one in found if one.tier == tier], grace_s)
    return found


def _end_groups(records: list[Record], grace_s: float) -> None:
    for sent in (signal.SIGTERM, signal.SIGKILL):
        for one in records:
            signal_group(one.pid, sent)
        deadline = time.monotonic() + grace_s
        while records and time.monotonic() < deadline:
            time.sleep(POLL_S)
            records = remains(records)


def signal_group(group: int, sent: signal.Signals) -> None:
    """Signal all of a process group; nobody there is fine."""
    with suppress(ProcessLookupError, PermissionError):  # macOS: only zombies left
        os.killpg(group, sent)
