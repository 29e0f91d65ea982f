"""Which processes run on this machine: from /proc where there is one, from ``ps`` elsewhere.

A process id alone names nobody, for the system gives it out again; with the moment at which the
process started it does. Light on imports: the warden lives on this.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
COLUMNS = ("pid=", "pgid=", "stat=", "lstart=", "command=")
PS = ("ps", "-A", "-ww", *(word for column in COLUMNS for word in ("-o", column)))


@dataclass(frozen=True, slots=True)
class Seen:
    """A process that is alive; ``started`` compares equal only within one boot of one machine."""

    pid: int
    group: int
    started: str
    command: str


def census() -> list[Seen]:
    """Return every process that can be seen and is more than a zombie."""
    return list(_from_proc() if (PROC / "self/stat").exists() else _from_ps())


def look(pid: int) -> Seen | None:
    """Return the process ``pid``, or None where there is none or only a zombie is left."""
    if (PROC / "self/stat").exists():
        return _read_proc(PROC / str(pid), _boot())
    return next((seen for seen in _from_ps() if seen.pid == pid), None)


def _from_proc() -> Iterator[Seen]:
    boot = _boot()
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (seen := _read_proc(entry, boot)):
            yield seen


def _boot() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def _read_proc(entry: Path, boot: str) -> Seen | None:
    try:
        stat = (entry / "stat").read_text(errors="replace")
        command = (entry / "cmdline").read_bytes()
    except OSError:
        return None  # it has just ended, or is hidden from us
    fields = stat[stat.rindex(")") + 2 :].split()  # the name before may hold spaces and brackets
    if fields[0] in "ZX":
        return None
    words = command.decode(errors="replace").replace("\0", " ").strip()
    return Seen(int(entry.name), int(fields[2]), f"{boot} {fields[19]}", words)


def _from_ps() -> Iterator[Seen]:
    listing = subprocess.run(  # noqa: S603 (fixed words)
        PS, capture_output=True, check=True, env={**os.environ, "LC_ALL": "C"}
    )
    for line in listing.stdout.decode(errors="replace").splitlines():
        pid, group, state, *rest = line.split(None, 8)
        if len(rest) == 6 and not state.startswith("Z"):
            yield Seen(int(pid), int(group), " ".join(rest[:5]), rest[5])
