"""Large files, each kept under the sha256 of its content: bundles and training states.

A key can only ever mean one content, so putting it twice is harmless and nothing is overwritten.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import GenericError
from obstore.store import LocalStore, S3Store

from core.errors import BundleError, InputError, NotFoundError, UnavailableError

CHUNK = 1 << 20  # bytes read at a time
PAGE = 1000  # blobs listed at a time
KEY = re.compile(r"[0-9a-f]{64}")
FRESH = timedelta(hours=1)  # an older blob is written again, so that nobody takes it for unused


class Blobs:
    """A directory or an S3 bucket full of blobs. Open it after forking, not before.

    Every method raises UnavailableError when the store is full, silent or down.
    """

    def __init__(self, store: LocalStore | S3Store, *, root: Path | None) -> None:
        self._store = store
        self._root = root

    @classmethod
    def open(cls, url: str) -> Self:
        """Open ``file:///directory``, which is made if need be, or ``s3://bucket/prefix``.

        The directory is read as it is written, without percent-encoding. S3 follows the AWS_*
        environment; an AWS_ENDPOINT_URL may be http. Raises InputError for any other URL.
        """
        if url.startswith("file:///"):
            root = Path(url.removeprefix("file://"))
            return cls(LocalStore(root, mkdir=True), root=root)
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise InputError(f"Blobs are kept in file:///... or s3://bucket/..., not {url!r}.")
        store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            client_options={
                "allow_http": True,
                "read_timeout": timedelta(seconds=30),
                "timeout": timedelta(hours=1),  # of a whole download, however large
            },
            retry_config={"max_retries": 8, "retry_timeout": timedelta(seconds=30)},
        )
        return cls(store, root=None)

    def put(self, data: bytes) -> str:
        """Keep ``data``; returns its key."""
        key = hashlib.sha256(data).hexdigest()
        self._put(key, data, size=len(data))
        return key

    def put_file(self, path: Path) -> str:
        """Keep the content of a file, read piece by piece; returns its key."""
        key = _digest(path)
        self._put(key, path, size=path.stat().st_size)
        return key

    def get(self, key: str) -> bytes:
        """Return the whole content. Raises NotFoundError, and BundleError if it is damaged."""
        return b"".join(self.stream(key))

    def stream(self, key: str) -> Iterator[bytes]:
        """Yield the content piece by piece.

        Raises NotFoundError at the first piece, and BundleError after the last if it is damaged.
        """
        digest = hashlib.sha256()
        with _clear_errors(key):
            for piece in obstore.get(self._store, _place(key)).stream(CHUNK):
                data = bytes(piece)
                digest.update(data)
                yield data
        if digest.hexdigest() != key:
            raise _damaged(key)

    def exists(self, key: str) -> bool:
        """Return whether there is such a blob, intact or not."""
        try:
            self.size(key)
        except NotFoundError:
            return False
        return True

    def size(self, key: str) -> int:
        """Return the size in bytes. Raises NotFoundError."""
        with _clear_errors(key):
            return obstore.head(self._store, _place(key))["size"]

    def delete(self, key: str) -> None:
        """Delete the blob, if it is there."""
        try:
            with _clear_errors(key):
                obstore.delete(self._store, _place(key))
        except NotFoundError:
            pass

    def local_path(self, key: str) -> Path | None:
        """Return the file that holds the blob, unverified; None in a store without files.

        Raises NotFoundError.
        """
        if self._root is None:
            return None
        path = self._root / _place(key)
        if not path.is_file():
            raise NotFoundError("blob", key)
        return path

    def intact_path(self, key: str) -> Path | None:
        """Return the file that holds the blob; None in a store without files.

        Raises NotFoundError, and BundleError if it is damaged.
        """
        path = self.local_path(key)
        if path is not None and _digest(path) != key:
            raise _damaged(key)
        return path

    def older(self, before: datetime) -> Iterator[str]:
        """Yield the keys of all blobs that were written before that moment."""
        with _clear_errors("*"):
            for page in obstore.list(self._store, chunk_size=PAGE):
                for found in page:
                    key = found["path"].rpartition("/")[2]
                    if found["last_modified"] < before and KEY.fullmatch(key):
                        yield key

    def forget_leftovers(self, *, before: datetime) -> int:
        """Delete what writers killed before that moment left half written; returns how many.

        Only directories keep such files; a bucket has a lifecycle rule for them.
        """
        if self._root is None:
            return 0
        leftovers = [
            path for path in self._root.glob("??/*#*") if path.stat().st_mtime < before.timestamp()
        ]
        for path in leftovers:
            path.unlink(missing_ok=True)
        return len(leftovers)

    def _put(self, key: str, content: bytes | Path, *, size: int) -> None:
        if self._has_intact(key, size):
            return
        try:
            with _clear_errors(key):
                obstore.put(self._store, _place(key), content)
        except NotFoundError as error:
            raise UnavailableError("The blob store does not exist, or no longer.") from error
        if self._root is not None:
            _write_through(self._root / _place(key))

    def _has_intact(self, key: str, size: int) -> bool:
        try:
            with _clear_errors(key):
                found = obstore.head(self._store, _place(key))
            if found["size"] != size or found["last_modified"] < datetime.now(UTC) - FRESH:
                return False
            path = self.local_path(key)
        except NotFoundError:
            return False
        if path is None:
            return True
        # A power cut can leave a file of the right length with nothing in it.
        return _digest(path) == key


def _place(key: str) -> str:
    if not KEY.fullmatch(key):
        raise NotFoundError("blob", key)
    return f"{key[:2]}/{key}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(key: str) -> BundleError:
    return BundleError(f"The blob {key} is damaged: its content has another checksum.")


def _write_through(path: Path) -> None:
    for place in (path, path.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _clear_errors(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError("blob", key) from error
    except (GenericError, OSError) as error:
        reason = str(error).partition("\n")[0]  # what follows is a dump of the client's insides
        raise UnavailableError(f"The blob store failed: {reason}") from error
