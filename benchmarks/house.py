"""A whole installation for the time of a measurement, in a home of its own."""

import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from core.settings import Settings
from services.embedded.children import Child, children
from services.embedded.supervisor import embedded


@contextmanager
def running(changed: Callable[[Sequence[Child]], Sequence[Child]] = list) -> Iterator[str]:
    """Run an installation, its usual children ``changed``; yields its URL."""
    with tempfile.TemporaryDirectory(prefix="malgil-bench-") as folder:
        settings = Settings(
            home=Path(folder, "home"),
            port=_free_port(),
            database_url="",
            redis_url="",
            blobs_url="",
            api_url="",
        )
        with embedded(settings, table=changed(children(settings))) as url:
            yield url


def promote(url: str, data: bytes, name: str) -> None:
    """Upload a bundle, and give it a name."""
    with httpx.Client(base_url=url, timeout=30) as client:
        files = {"file": ("bench.safetensors", data)}
        made = client.post("/v1/checkpoints", files=files).raise_for_status().json()
        promoted = client.put(f"/v1/aliases/{name}", json={"checkpoint": made["id"]})
        promoted.raise_for_status()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
