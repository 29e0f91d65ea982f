"""Files read in a process of their own: what they do to it, they do to nobody else.

A file from anywhere can take any parser any time and memory, and while a parser runs nothing else
in its process does. So each file has a process, with bounds on both.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from core.data.documents.extracted import Extracted
from core.data.documents.formats import Format
from core.errors import DataError, InputError

TIME_S = 120.0  # for one file
READERS = 4  # files that one process has read at a time; others wait their turn
MEMORY_BYTES = 2 * 2**30  # of its process; where the system bounds that

_turns = threading.BoundedSemaphore(READERS)


def extract_apart(
    file: BinaryIO,
    *,
    name: str,
    format: Format,  # noqa: A002 (an option has one name everywhere)
    language: str | None = None,
    time_s: float = TIME_S,
    memory_bytes: int = MEMORY_BYTES,
) -> Iterator[Extracted]:
    """Yield the documents of ``file``, from its start; few are in memory at a time.

    Raises as ``extract`` does, and InputError where time or memory are not enough, before the
    first document.
    """
    with tempfile.TemporaryDirectory(prefix="malgil-") as folder:
        source, result = Path(folder, "file"), Path(folder, "documents")
        file.seek(0)
        with source.open("wb") as copy:
            shutil.copyfileobj(file, copy)
        asked = {"name": name, "format": format, "language": language, "memory": memory_bytes}
        command = [sys.executable, "-m", "core.data.documents", str(source), json.dumps(asked)]
        with result.open("wb") as output, _turns:
            _run(command, output, name=name, time_s=time_s)
        with result.open(encoding="utf-8") as lines:
            for line in lines:
                yield Extracted(**json.loads(line))


def _run(command: list[str], output: BinaryIO, *, name: str, time_s: float) -> None:
    """Run the process to its end; raise what it says is wrong."""
    try:
        ran = subprocess.run(  # noqa: S603 (this very program)
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            timeout=time_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{name}: reading it takes more than {time_s:.0f} s.", field="file"
        ) from error
    if ran.returncode == 0:
        return
    told = ran.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    try:
        said = json.loads(told)
        lines = [(int(line), str(reason)) for line, reason in said["lines"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{name}: the process that read it died ({ran.returncode}): {told[-200:]}",
            field="file",
        ) from error
    if lines:
        raise DataError(said["message"], lines=lines, field=said["field"])
    raise InputError(said["message"], field=said["field"])
