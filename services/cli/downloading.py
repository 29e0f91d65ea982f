"""Answers of the API to files."""

import os
import tempfile
from pathlib import Path

from services.cli.client import Client


def download(client: Client, path: str, file: Path) -> int:
    """Write what ``path`` gives to ``file``: whole, or not at all; return its bytes."""
    handle, fresh = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as out, client.streaming(path) as response:
            for piece in response.iter_bytes():
                out.write(piece)
            written = out.tell()
        Path(fresh).chmod(0o644)
        Path(fresh).replace(file)
    finally:
        Path(fresh).unlink(missing_ok=True)
    return written
