"""``python -m core.data.documents FILE WHAT``: one file, read apart; see ``apart``.

Standard output is a document on each line, as JSON. Exit code 1: what is wrong is the last line of
standard error, as JSON.
"""

import json
import logging
import resource
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from core.data.documents.formats import extract
from core.errors import DataError, InputError


def main(path: str, told: str) -> int:
    """Read one file; returns the exit code."""
    asked = json.loads(told)
    with suppress(ValueError, OSError):  # not every system bounds it
        resource.setrlimit(resource.RLIMIT_AS, (asked["memory"], asked["memory"]))
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it tells of each oddity of a file
    name = asked["name"]
    try:
        documents = extract(
            Path(path).read_bytes(),
            name=name,
            format=asked["format"],
            language=asked["language"],
        )
        for document in documents:
            line = json.dumps(asdict(document), ensure_ascii=False)
            sys.stdout.buffer.write(line.encode() + b"\n")
        sys.stdout.buffer.flush()
    except InputError as error:
        lines = error.lines if isinstance(error, DataError) else ()
        return _failed(str(error), field=error.field, lines=lines)
    except MemoryError:
        limit = asked["memory"] // 2**20
        return _failed(f"{name}: reading it takes more than {limit} MB of memory.", field="file")
    return 0


def _failed(message: str, *, field: str | None, lines: tuple[tuple[int, str], ...] = ()) -> int:
    said = {"message": message, "field": field, "lines": lines}
    sys.stderr.write(json.dumps(said) + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
