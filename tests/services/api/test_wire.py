"""What shows only on the wire: clients that leave, uploads without an end, streams that arrive."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from core.queue.messages import Reply
from core.settings import Settings
from services.api.app import create_app
from tests.services.api.conftest import open_house
from tests.services.api.fakes import FakeDoorbell
from tests.services.api.serving import served


@dataclass
class SilentInbox:
    """Never answers, and notes who gave up; a stream brings one piece first."""

    asked: int = 0
    given_up: list[str] = field(default_factory=list)

    async def ask(self, **asked: Any) -> Reply:
        return await self._silence("ask")

    async def stream(self, **asked: Any) -> AsyncIterator[Reply]:
        yield Reply(id="1", piece="first")
        yield await self._silence("stream")

    async def _silence(self, kind: str) -> Reply:
        self.asked += 1
        try:
            await asyncio.sleep(60)
        finally:
            self.given_up.append(kind)
        raise AssertionError("Nobody gave up.")

    def wait_until_given_up(self, count: int) -> None:
        deadline = time.monotonic() + 5
        while len(self.given_up) < count:
            assert time.monotonic() < deadline, f"{len(self.given_up)} of {count} gave up."
            time.sleep(0.01)


@pytest.fixture
def silent() -> SilentInbox:
    return SilentInbox()


@pytest.fixture
def url(settings: Settings, silent: SilentInbox) -> Iterator[str]:
    with served(create_app(settings, opener=open_house(silent, FakeDoorbell()))) as url:
        yield url


def test_an_ask_is_given_up_when_its_client_leaves(url: str, silent: SilentInbox) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/v1/replies", json={"model": "m", "text": "a"}, timeout=0.3)
    silent.wait_until_given_up(1)
    told = httpx.get(f"{url}/metrics").text
    assert 'malgil_replies_total{outcome="abandoned"} 1.0' in told
    assert 'route="/v1/replies",status="499"' in told


def test_all_translations_are_given_up_when_their_client_leaves(
    url: str, silent: SilentInbox
) -> None:
    body = {"model": "m", "texts": ["a"] * 20}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/v1/translations", json=body, timeout=0.3)
    silent.wait_until_given_up(20)


def test_a_stream_arrives_piece_by_piece_and_is_given_up_with_its_client(
    url: str, silent: SilentInbox
) -> None:
    body = {"model": "m", "text": "a", "stream": True}
    with httpx.stream("POST", f"{url}/v1/replies", json=body, timeout=5) as answer:
        assert next(answer.iter_lines()) == "event: piece"
    silent.wait_until_given_up(1)


def test_an_upload_that_never_says_its_length_is_cut_off(url: str) -> None:
    def parts() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        for _ in range(200):
            yield b"x" * 50_000

    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = httpx.post(f"{url}/v1/corpora", content=parts(), headers=headers, timeout=10)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
