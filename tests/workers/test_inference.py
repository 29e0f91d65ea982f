"""The inference worker against a real inbox and a real model; only Celery's messages are played."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
import torch
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from core.errors import NotFoundError, SpecError, UnavailableError
from core.models.build import build
from core.pipelines.bundle import Bundle, write_bundle
from core.pipelines.respond import decode_batch
from core.pipelines.threads import use_threads
from core.queue.broker import open_async_redis
from core.queue.inbox import Inbox
from core.queue.messages import INBOX, INFERENCE_QUEUE, alive_key
from core.storage import aliases, checkpoints
from core.text.tokenizer import Tokenizer
from tests.core.pipelines.small import SAID, small_plan
from workers import inference, runtime

Play = Callable[[Inbox], Awaitable[None]]

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """A model that was taught nothing, but says something else to everything, at some length."""
    plan = small_plan()
    use_threads(1)
    tokenizer = Tokenizer.train([text for pair in SAID for text in pair], plan.tokenizer)
    torch.manual_seed(1)
    model = build(plan.model, vocabulary_size=tokenizer.size).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.7)
    return Bundle(model, tokenizer, plan, step=1, report={})


@pytest.fixture
def says(bundle: Bundle) -> Callable[[str], str]:
    """What the model says to a text when it is asked without any queue."""
    return lambda text: decode_batch(bundle, [[text]], [bundle.plan.decode])[0][0].text


@pytest.fixture
def bot(bundle: Bundle, sessions: sessionmaker[Session], valkey: Redis) -> Iterator[UUID]:
    """The model under the alias "bot", in the house of a worker that has said that it lives."""
    for held in (inference.drain, inference._load_responder):
        held.cache_clear()
    valkey.set(alive_key(INFERENCE_QUEUE), runtime.worker_name())
    inference.drain().beat()
    bot = keep(sessions, bundle)
    promote(sessions, bot)
    yield bot
    for held in (inference.drain, inference._load_responder):
        held.cache_clear()


class Worker:
    """Hears the bell without Celery, and as there one ring at a time."""

    def __init__(self) -> None:
        self.rung = 0
        self._turn = threading.Lock()

    def ring_inbox(self) -> None:
        with self._turn:
            self.rung += 1
            inference.answer()


def keep(sessions: sessionmaker[Session], bundle: Bundle) -> UUID:
    data = write_bundle(bundle)
    key = runtime.blobs().put(data)
    with sessions.begin() as session:
        return checkpoints.add(
            session,
            job_id=None,
            step=1,
            spec={},
            metrics={},
            report={},
            blob_key=key,
            bytes_=len(data),
            now=runtime.now(),
        ).id


def promote(sessions: sessionmaker[Session], checkpoint: UUID) -> None:
    with sessions.begin() as session:
        aliases.promote(session, "bot", checkpoint, now=runtime.now())


def play(scene: Play, worker: Worker | None = None) -> None:
    """Run ``scene`` with an inbox whose bell ``worker`` hears."""

    async def run() -> None:
        async with open_async_redis(runtime.settings().redis_url) as redis:
            inbox = Inbox(redis, bell=worker or Worker(), limit=1000)
            await inbox.open()
            try:
                await scene(inbox)
            finally:
                await inbox.close()

    asyncio.run(run())


def test_every_ask_gets_the_reply_to_its_own_words(
    bot: UUID, says: Callable[[str], str], valkey: Redis
) -> None:
    asked = [source for source, _ in SAID] * 20
    expected = {source: says(source) for source, _ in SAID}
    assert len(set(expected.values())) == len(SAID)

    async def scene(inbox: Inbox) -> None:
        replies = await asyncio.gather(
            *(inbox.ask(model="bot", turns=[source], timeout_s=20) for source in asked)
        )
        assert [reply.candidates[0].text for reply in replies] == [expected[one] for one in asked]
        assert {reply.checkpoint for reply in replies} == {str(bot)}
        assert max(reply.batch for reply in replies) > 1, "what waits together is answered together"
        assert valkey.xlen(INBOX) == 0

    play(scene)


def test_the_pieces_of_a_streamed_reply_are_its_text(bot: UUID, says: Callable[[str], str]) -> None:
    async def scene(inbox: Inbox) -> None:
        stream = inbox.stream(model=str(bot), turns=["안녕하세요"], timeout_s=20)
        *pieces, last = [reply async for reply in stream]
        assert len(pieces) > 1
        text = last.candidates[0].text
        assert "".join(piece.piece for piece in pieces) == text == says("안녕하세요")

    play(scene)


def test_a_promoted_checkpoint_soon_answers_and_the_old_one_never_again(
    bot: UUID, bundle: Bundle, sessions: sessionmaker[Session]
) -> None:
    async def scene(inbox: Inbox) -> None:
        async def served_by() -> str | None:
            return (await inbox.ask(model="bot", turns=["hello"], timeout_s=20)).checkpoint

        assert await served_by() == str(bot)
        successor = keep(sessions, bundle)
        promote(sessions, successor)
        began = time.monotonic()
        while await served_by() != str(successor):
            assert time.monotonic() - began < 10  # half a second where nobody else computes
            await asyncio.sleep(0.02)
        assert await served_by() == str(successor), "and never the old one again"

    play(scene)


def test_an_alias_once_known_is_answered_while_the_database_is_down(
    bot: UUID, says: Callable[[str], str], sessions: sessionmaker[Session]
) -> None:
    async def scene(inbox: Inbox) -> None:
        await inbox.ask(model="bot", turns=["hello"], timeout_s=20)
        engine = sessions.kw["bind"]
        engine.dispose()
        file = Path(engine.url.database)
        file.rename(file.with_suffix(".away"))
        file.mkdir()  # which no database can be opened in
        await asyncio.sleep(inference.ALIAS_S * 1.2)
        known, unheard_of = await asyncio.gather(
            inbox.ask(model="bot", turns=["hello"], timeout_s=20),
            inbox.ask(model="other", turns=["hello"], timeout_s=20),
            return_exceptions=True,
        )
        assert known.candidates[0].text == says("hello")
        assert type(unheard_of) is UnavailableError

    play(scene)


def test_an_unknown_model_is_said_to_be_unknown_and_spoils_nothing(
    bot: UUID, says: Callable[[str], str]
) -> None:
    async def scene(inbox: Inbox) -> None:
        unknown, nobody, known = await asyncio.gather(
            inbox.ask(model="nobody", turns=["hello"], timeout_s=20),
            inbox.ask(model=str(UUID(int=0)), turns=["hello"], timeout_s=20),
            inbox.ask(model="bot", turns=["hello"], timeout_s=20),
            return_exceptions=True,
        )
        assert isinstance(unknown, NotFoundError)
        assert isinstance(nobody, NotFoundError)
        assert "nobody" in str(unknown)
        assert known.candidates[0].text == says("hello")

    play(scene)


def test_a_wrong_option_names_its_field(bot: UUID) -> None:
    async def scene(inbox: Inbox) -> None:
        with pytest.raises(SpecError) as refused:
            await inbox.ask(model="bot", turns=["hello"], timeout_s=20, decode={"beam_size": 99})
        assert refused.value.field == "decode.beam_size"

    play(scene)


def test_a_worker_that_had_its_turn_rings_for_what_is_left(
    bot: UUID,
    says: Callable[[str], str],
    messages: Callable[[str], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inference, "TURN_S", 0.0)  # a second of work would take a second
    monkeypatch.setenv("MALGIL_BATCH_LIMIT", "2")
    runtime.settings.cache_clear()
    worker = Worker()

    async def scene(inbox: Inbox) -> None:
        asking = [
            asyncio.create_task(inbox.ask(model="bot", turns=["hello"], timeout_s=20))
            for _ in range(5)
        ]
        while not all(task.done() for task in asking):
            await asyncio.sleep(0.05)
            if messages(INFERENCE_QUEUE):
                await asyncio.to_thread(worker.ring_inbox)
        assert [task.result().candidates[0].text for task in asking] == [says("hello")] * 5

    play(scene, worker)
    assert messages(INFERENCE_QUEUE) >= 2
