import hashlib
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store

from core.errors import BundleError, InputError, NotFoundError, UnavailableError
from core.storage.blobs import Blobs

LARGE = random.Random(0).randbytes(12_000_000)  # more than one part of an upload
LARGE_KEY = hashlib.sha256(LARGE).hexdigest()
UNKNOWN = "0" * 64


@pytest.fixture
def store(blobs_url: str) -> Blobs:
    return Blobs.open(blobs_url)


def damage(store: Blobs, url: str, key: str, content: bytes) -> None:
    """Write something else under the key, as no one should."""
    path = store.local_path(key)
    if path is not None:
        path.write_bytes(content)
        return
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    direct = S3Store(bucket, prefix=prefix, client_options={"allow_http": True})
    obstore.put(direct, f"{key[:2]}/{key}", content)


@pytest.mark.parametrize("data", [b"", "말길".encode(), LARGE], ids=["empty", "small", "large"])
def test_what_is_put_comes_back(store: Blobs, data: bytes) -> None:
    key = store.put(data)
    assert key == hashlib.sha256(data).hexdigest()
    assert store.get(key) == data
    assert b"".join(store.stream(key)) == data
    assert store.size(key) == len(data)
    assert store.exists(key)


def test_a_file_is_kept_under_the_key_of_its_content(store: Blobs, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(LARGE)
    assert store.put_file(path) == LARGE_KEY
    assert store.get(LARGE_KEY) == LARGE


def test_a_large_blob_is_streamed_in_pieces(store: Blobs) -> None:
    sizes = [len(piece) for piece in store.stream(store.put(LARGE))]
    assert sum(sizes) == len(LARGE)
    assert max(sizes) < len(LARGE) / 2


def test_another_process_finds_it(store: Blobs, blobs_url: str) -> None:
    key = store.put(b"kept")
    assert Blobs.open(blobs_url).get(key) == b"kept"


def test_what_is_not_there_is_not_found(store: Blobs) -> None:
    assert not store.exists(UNKNOWN)
    for ask in (store.get, store.size, lambda key: next(store.stream(key))):
        with pytest.raises(NotFoundError, match="no blob"):
            ask(UNKNOWN)


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "A" * 64, "a" * 63 + "\n"])
def test_what_is_no_key_is_not_found(store: Blobs, key: str) -> None:
    with pytest.raises(NotFoundError):
        store.get(key)
    store.delete(key)


def test_deleting_twice_is_fine(store: Blobs) -> None:
    key = store.put(b"short-lived")
    store.delete(key)
    store.delete(key)
    assert not store.exists(key)


@pytest.mark.parametrize("content", [b"", b"evil", b"good!"], ids=["empty", "changed", "longer"])
def test_a_damaged_blob_is_noticed(store: Blobs, blobs_url: str, content: bytes) -> None:
    key = store.put(b"good")
    damage(store, blobs_url, key, content)
    with pytest.raises(BundleError, match="damaged"):
        store.get(key)
    with pytest.raises(BundleError, match="damaged"):
        list(store.stream(key))
    if store.local_path(key) is not None:
        with pytest.raises(BundleError, match="damaged"):
            store.intact_path(key)


def test_a_truncated_blob_is_made_whole_by_putting_it_again(store: Blobs, blobs_url: str) -> None:
    key = store.put(b"good")
    damage(store, blobs_url, key, b"go")
    store.put(b"good")
    assert store.get(key) == b"good"


def test_a_file_of_zeros_after_a_power_cut_is_made_whole_too(blobs: Blobs) -> None:
    key = blobs.put(b"good")
    path = blobs.local_path(key)
    assert path is not None
    path.write_bytes(bytes(4))
    blobs.put(b"good")
    assert blobs.get(key) == b"good"


def test_an_intact_blob_is_never_written_again(blobs: Blobs) -> None:
    key = blobs.put(b"good")
    path = blobs.local_path(key)
    assert path is not None
    before = path.stat()
    blobs.put(b"good")
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_an_old_blob_is_written_again_so_that_it_counts_as_new(blobs: Blobs) -> None:
    key = blobs.put(b"good")
    path = blobs.local_path(key)
    assert path is not None
    old = datetime.now(UTC) - timedelta(hours=2)
    os.utime(path, (old.timestamp(), old.timestamp()))
    assert list(blobs.older(old + timedelta(minutes=1))) == [key]
    blobs.put(b"good")
    assert list(blobs.older(old + timedelta(minutes=1))) == []
    assert blobs.get(key) == b"good"


def test_blobs_are_listed_by_age(store: Blobs) -> None:
    keys = {store.put(bytes([number])) for number in range(5)}
    now = datetime.now(UTC)
    assert set(store.older(now + timedelta(minutes=1))) == keys
    assert set(store.older(now - timedelta(minutes=1))) == set()


def test_the_same_content_can_be_put_by_many_at_once(store: Blobs, blobs_url: str) -> None:
    def put(_: int) -> str:
        return Blobs.open(blobs_url).put(LARGE)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(put, range(8))) == {LARGE_KEY}
    assert store.get(LARGE_KEY) == LARGE


def test_only_a_directory_has_files_to_offer(store: Blobs, blobs_url: str) -> None:
    key = store.put(b"here")
    path = store.local_path(key)
    assert store.intact_path(key) == path
    if blobs_url.startswith("s3:"):
        assert path is None
        return
    assert path is not None
    assert path.read_bytes() == b"here"
    assert path.relative_to(blobs_url.removeprefix("file://")) == Path(key[:2], key)
    with pytest.raises(NotFoundError):
        store.local_path(UNKNOWN)


def test_a_directory_may_have_any_name(tmp_path: Path) -> None:
    blobs = Blobs.open(f"file://{tmp_path}/말 길%20#1?/blobs")
    assert blobs.get(blobs.put(b"fine")) == b"fine"
    assert (tmp_path / "말 길%20#1?" / "blobs").is_dir()


@pytest.mark.parametrize("url", ["", "blobs", "file://blobs", "s3://", "gs://bucket", "http://a/b"])
def test_other_places_are_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"Blobs are kept in"):
        Blobs.open(url)


def test_a_store_that_cannot_write_is_unavailable(blobs: Blobs, tmp_path: Path) -> None:
    key = hashlib.sha256(b"data").hexdigest()
    (tmp_path / "blobs" / key[:2]).write_text("in the way")
    with pytest.raises(UnavailableError, match="The blob store") as raised:
        blobs.put(b"data")
    assert "\n" not in str(raised.value)


def test_a_bucket_that_does_not_exist_is_unavailable(s3_url: str) -> None:
    blobs = Blobs.open("s3://no-such-bucket/blobs")
    with pytest.raises(UnavailableError, match="does not exist"):
        blobs.put(b"data")


def test_what_a_killed_writer_left_is_invisible_and_can_be_cleared(
    blobs: Blobs, tmp_path: Path
) -> None:
    root = tmp_path / "blobs"
    writer = f"""
import obstore, os
from obstore.store import LocalStore
def pieces():
    yield bytes(8_000_000)
    os._exit(9)
obstore.put(LocalStore({str(root)!r}), "{LARGE_KEY[:2]}/{LARGE_KEY}", pieces())
"""
    assert subprocess.run([sys.executable, "-c", writer], check=False).returncode == 9
    assert len([path for path in root.rglob("*") if path.is_file()]) == 1
    assert not blobs.exists(LARGE_KEY)
    now = datetime.now(UTC)
    assert blobs.forget_leftovers(before=now - timedelta(days=1)) == 0
    assert blobs.forget_leftovers(before=now + timedelta(days=1)) == 1
    blobs.put(LARGE)
    assert blobs.forget_leftovers(before=now + timedelta(days=1)) == 0
    assert blobs.get(LARGE_KEY) == LARGE
