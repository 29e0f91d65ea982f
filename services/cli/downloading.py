"""Answers of the API to files."""

import os
import tempfile
from pathlib import Path

from services.cli.client import Client
from services.cli.failures import refused


def refuse_to_overwrite(file: Path, *, force: bool, option: str = "FILE") -> None:
    """Refuse a ``file`` that is there, which ``option`` names, unless that is what is wanted."""
    if file.exists() and not force:
        raise refused(option, f"{file} is there already; --force overwrites it")


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
