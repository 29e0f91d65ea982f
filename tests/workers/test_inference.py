"""The inference worker against a real inbox and a real model; only Celery's messages are played."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.orm import Session, sessionmaker

from core.decoding.engine import Engine
from core.errors import NotFoundError, SpecError, UnavailableError
from core.pipelines.bundle import Bundle, write_bundle
from core.pipelines.offline import decode_batch
from core.pipelines.threads import use_threads
from core.queue.broker import open_async_redis
from core.queue.drain import Drain
from core.queue.inbox import Bell, Inbox
from core.queue.messages import (
    INBOX,
    INBOX_GROUP,
    INFERENCE_QUEUE,
    Candidate,
    Reply,
    alive_key,
)
from core.storage import aliases, checkpoints
from tests.core.pipelines.small import SAID
from tests.core.pipelines.untaught import untaught_bundle
from workers import answering, canary, inference, runtime

Play = Callable[[Inbox], Awaitable[None]]

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """A model that was taught nothing, but says something else to everything, at some length."""
    use_threads(1)
    return untaught_bundle()


@pytest.fixture
def says(bundle: Bundle) -> Callable[[str], str]:
    """What the model says to a text when it is asked without any queue."""
    return lambda text: decode_batch(bundle, [[text]], [bundle.plan.decode])[0][0].text


@pytest.fixture
def bot(bundle: Bundle, sessions: sessionmaker[Session], valkey: Redis) -> Iterator[UUID]:
    """The model under the alias "bot", in the house of a worker that has said that it lives."""
    forget()
    valkey.set(alive_key(INFERENCE_QUEUE), runtime.worker_name())
    inference.drain().beat()
    bot = keep(sessions, bundle)
    promote(sessions, bot)
    yield bot
    inference.answering().close(timeout_s=20)
    forget()


def forget() -> None:
    for held in (inference.drain, inference.answering, inference._load_responder):
        held.cache_clear()


class Worker:
    """Hears the bell without Celery."""

    def __init__(self) -> None:
        self.rung = 0

    def ring_inbox(self) -> None:
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


def play(scene: Play, worker: Bell | None = None) -> None:
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


@contextmanager
def held_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let no step of an engine begin before the event is set."""
    may_go_on, step = threading.Event(), Engine.step

    def wait_and_step(engine: Engine) -> list:
        assert may_go_on.wait(20)
        return step(engine)

    monkeypatch.setattr(Engine, "step", wait_and_step)
    try:
        yield may_go_on
    finally:
        may_go_on.set()


def test_asks_that_come_later_do_not_wait_for_those_that_are_being_answered(
    bot: UUID, says: Callable[[str], str]
) -> None:
    long = {"temperature": 1.0, "min_tokens": 500, "max_tokens": 500}

    async def scene(inbox: Inbox) -> None:
        slow = asyncio.create_task(
            inbox.ask(model="bot", turns=["hello"], timeout_s=60, decode=long)
        )
        await until(lambda: inference._responder().asks == 1)
        for _ in range(3):
            quick = await inbox.ask(model="bot", turns=["안녕하세요"], timeout_s=20)
            assert quick.candidates[0].text == says("안녕하세요")
            assert not slow.done()
            assert quick.batch == 2
        assert (await slow).batch == 2

    play(scene)


def test_an_ask_that_nobody_waits_for_any_more_leaves_the_batch(
    bot: UUID, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(inbox: Inbox) -> None:
        with held_up(monkeypatch) as may_go_on:
            stream = inbox.stream(model="bot", turns=["hello"], timeout_s=60)
            asking = asyncio.create_task(anext(stream))
            await until(lambda: inference._responder().asks == 1)
            asking.cancel()
            await asyncio.wait([asking])
            monkeypatch.setattr(answering, "READ_S", 0.0)
            may_go_on.set()
            await until(lambda: inference._responder().asks == 0)
        await until(lambda: valkey.xpending(INBOX, INBOX_GROUP)["pending"] == 0)

    play(scene)


def test_no_more_than_the_limit_are_held_and_the_rest_is_left_to_others(
    bot: UUID, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALGIL_BATCH_LIMIT", "2")
    runtime.settings.cache_clear()

    async def scene(inbox: Inbox) -> None:
        with held_up(monkeypatch) as may_go_on:
            asking = [
                asyncio.create_task(inbox.ask(model="bot", turns=["hello"], timeout_s=20))
                for _ in range(5)
            ]
            await until(lambda: valkey.xlen(INBOX) == 5 and inference._responder().asks > 0)
            await asyncio.sleep(0.05)
            assert inference._responder().asks <= 2
            other = Drain(valkey, name="other")
            [(left, _)], _ = await asyncio.to_thread(other.exchange, (), 1)
            other.send([(left, Reply(id=left.id, candidates=(Candidate("from another", 0.0),)))])
            may_go_on.set()
            said = [reply.candidates[0].text for reply in await asyncio.gather(*asking)]
        assert sorted(said).count("from another") == 1

    play(scene)


def test_asks_outlive_a_queue_that_goes_away_and_pieces_come_once(
    bot: UUID, says: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    depart, arrive, calls = Drain.depart, Drain.arrive, []

    def depart_once_more(drain: Drain, replies: list, count: int) -> None:
        calls.append(len(replies))
        if replies and len(calls) % 3 == 0:
            drain.send(replies)  # it came through, but nobody was told so
            raise RedisError("the connection broke")
        depart(drain, replies, count)

    def arrive_once_more(drain: Drain) -> tuple:
        brought = arrive(drain)
        if calls[-1] and len(calls) % 3 == 1 and not any(brought):
            raise RedisError("the connection broke on the way back")
        return brought

    monkeypatch.setattr(Drain, "depart", depart_once_more)
    monkeypatch.setattr(Drain, "arrive", arrive_once_more)
    monkeypatch.setattr(answering, "RETRY_S", 0.0)

    async def scene(inbox: Inbox) -> None:
        stream = inbox.stream(model="bot", turns=["안녕하세요"], timeout_s=20)
        *pieces, last = [reply async for reply in stream]
        assert "".join(piece.piece for piece in pieces) == last.candidates[0].text
        assert last.candidates[0].text == says("안녕하세요")

    play(scene)
    assert len(calls) > 3


def test_what_a_dead_predecessor_of_the_same_host_and_process_left_is_answered(
    bot: UUID, says: Callable[[str], str], valkey: Redis
) -> None:
    async def scene(inbox: Inbox) -> None:
        predecessor = Drain(valkey, name=runtime.worker_name.__wrapped__())  # a word of its own
        asking = asyncio.create_task(inbox.ask(model="bot", turns=["hello"], timeout_s=20))
        await until(lambda: predecessor.begin(1) != [])
        await until(inference.drain().somebody_died)
        inference.answer()
        assert (await asking).candidates[0].text == says("hello")

    class Deaf:
        def ring_inbox(self) -> None:
            pass

    play(scene, Deaf())


def test_a_worker_that_is_told_to_leave_answers_what_it_holds_and_takes_no_more(
    bot: UUID,
    says: Callable[[str], str],
    valkey: Redis,
    messages: Callable[[str], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene(inbox: Inbox) -> None:
        with held_up(monkeypatch) as may_go_on:
            held = asyncio.create_task(inbox.ask(model="bot", turns=["hello"], timeout_s=20))
            await until(lambda: inference._responder().asks == 1)
            inference._stop()
            left = asyncio.create_task(inbox.ask(model="bot", turns=["hello"], timeout_s=20))
            await until(lambda: valkey.xlen(INBOX) == 2)
            may_go_on.set()
            await asyncio.to_thread(inference._leave)
        assert (await held).candidates[0].text == says("hello")
        assert messages(INFERENCE_QUEUE) == 1, "it rings for what others are to answer"
        assert not left.done()
        left.cancel()

    play(scene)


def test_a_worker_that_stands_still_does_not_count_as_alive(
    bot: UUID, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(inbox: Inbox) -> None:
        canary.heard(INFERENCE_QUEUE)
        assert valkey.exists(alive_key(INFERENCE_QUEUE))
        with held_up(monkeypatch) as may_go_on:
            asking = asyncio.create_task(inbox.ask(model="bot", turns=["hello"], timeout_s=20))
            await until(lambda: inference._responder().asks == 1)
            valkey.delete(alive_key(INFERENCE_QUEUE))
            canary.heard(INFERENCE_QUEUE)
            assert valkey.exists(alive_key(INFERENCE_QUEUE)), "it may take a while"
            monkeypatch.setattr(inference, "ALIVE_S", 0.0)
            valkey.delete(alive_key(INFERENCE_QUEUE))
            canary.heard(INFERENCE_QUEUE)
            assert not valkey.exists(alive_key(INFERENCE_QUEUE))
            may_go_on.set()
            await asking

    play(scene)


async def until(so: Callable[[], bool]) -> None:
    """Wait for something to be so."""
    began = time.monotonic()
    while not await asyncio.to_thread(so):
        assert time.monotonic() - began < 20
        await asyncio.sleep(0.01)
