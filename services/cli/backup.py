"""``malgil backup`` and ``malgil restore``: a copy of an installation on this machine, and back."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from services.cli.client import settings
from services.cli.options import JsonFlag
from services.cli.screen import Screen, size
from services.embedded import backups

Folder = Annotated[Path, typer.Argument(file_okay=False, help="The folder of the backup.")]


def backup(folder: Folder, as_json: JsonFlag = False) -> None:
    """Copy database and blobs to a folder; nothing needs to be stopped for it.

    The same folder again takes what is new, and forgets what is no longer referred to.
    """
    copied = backups.back_up(settings(), folder)
    _tell(Screen(as_json=as_json), "Kept", folder, copied)


def restore(folder: Folder, as_json: JsonFlag = False) -> None:
    """Bring back what was kept, into a home without a database where nothing runs."""
    chosen = settings()
    copied = backups.restore(chosen, folder)
    _tell(Screen(as_json=as_json), "Restored", chosen.home, copied)


def _tell(screen: Screen, word: str, folder: Path, copied: backups.Copied) -> None:
    screen.result(
        {"folder": str(folder), **asdict(copied)},
        f"{word} {folder}: database {size(copied.database_bytes)}, blobs "
        f"{size(copied.blob_bytes)} ({copied.blobs} in all, {copied.new_blobs} new).",
    )
