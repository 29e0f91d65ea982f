"""The inbox and the drain against a real Valkey; the worker is played by the test."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
from redis import Redis
from redis.exceptions import RedisError

from core.errors import (
    InboxFullError,
    MalgilError,
    NotFoundError,
    NoWorkerError,
    ReplyTimeoutError,
    SpecError,
)
from core.queue.broker import open_async_redis, open_redis
from core.queue.drain import MAX_DELIVERIES, QUIET_S, Drain
from core.queue.inbox import Inbox
from core.queue.messages import (
    BELL,
    INBOX,
    INBOX_GROUP,
    INFERENCE_QUEUE,
    RETRIES,
    Ask,
    Candidate,
    Reply,
    alive_key,
)
from core.queue.vitals import CONSUMER_ALIVE_S, consumer_key

Play = Callable[[Inbox], Awaitable[None]]


class CountedBell:
    """Hears how often it is rung."""

    def __init__(self) -> None:
        self.rung = 0

    def ring_inbox(self) -> None:
        self.rung += 1


@pytest.fixture
def client(valkey_url: str) -> Iterator[Redis]:
    with open_redis(valkey_url) as client:
        client.set(alive_key(INFERENCE_QUEUE), "somebody")
        yield client


def play(
    valkey_url: str, scene: Play, *, limit: int = 100, bell: CountedBell | None = None
) -> None:
    """Run ``scene`` with an open inbox."""

    async def run() -> None:
        async with open_async_redis(valkey_url) as redis:
            inbox = Inbox(redis, bell=bell or CountedBell(), limit=limit)
            await inbox.open()
            try:
                await scene(inbox)
            finally:
                await inbox.close()

    asyncio.run(run())


async def read(drain: Drain, count: int = 64, *, at_least: int = 1) -> list[Ask]:
    """Read as the worker does, until so many asks are there."""
    asks: list[Ask] = []
    for _ in range(500):
        asks += [ask for ask, _ in (await asyncio.to_thread(drain.exchange, (), count))[0]]
        if len(asks) >= at_least:
            return asks
        await asyncio.sleep(0.01)
    raise AssertionError("the asks did not come")


def lose_what_came(drain: Drain) -> None:
    """Break the connection of ``drain`` with an answer in it that has not been read."""
    drain._line._connection._sock.shutdown(socket.SHUT_RDWR)
    while drain._line._connection._sock.recv(1 << 16):
        pass


def answer_to(ask: Ask, text: str = "") -> Reply:
    return Reply(id=ask.id, candidates=(Candidate(text or ask.turns[-1].upper(), -0.5),))


def test_a_reply_finds_whoever_asked(client, valkey_url) -> None:
    drain = Drain(client, name="w")

    async def scene(inbox: Inbox) -> None:
        asking = [
            asyncio.create_task(inbox.ask(model="bot", turns=[word], timeout_s=5))
            for word in ("one", "two", "three")
        ]
        asks = await read(drain, at_least=3)
        drain.send([(ask, answer_to(ask)) for ask in reversed(asks)])
        replies = await asyncio.gather(*asking)
        assert [reply.candidates[0].text for reply in replies] == ["ONE", "TWO", "THREE"]
        assert client.xlen(INBOX) == 0

    play(valkey_url, scene)


def test_pieces_come_before_the_whole(client, valkey_url) -> None:
    drain = Drain(client, name="w")

    async def scene(inbox: Inbox) -> None:
        stream = inbox.stream(model="bot", turns=["hi"], timeout_s=5)
        first = asyncio.create_task(anext(stream))
        [ask] = await read(drain)
        assert ask.stream
        drain.send([(ask, Reply(id=ask.id, piece="안"))])
        drain.send([(ask, Reply(id=ask.id, piece="녕", begins=1))])
        drain.send([(ask, answer_to(ask, "안녕"))])
        heard = [await first, *[reply async for reply in stream]]
        assert [reply.piece for reply in heard] == ["안", "녕", None]
        assert heard[-1].candidates[0].text == "안녕"

    play(valkey_url, scene)


def test_a_piece_that_comes_twice_is_heard_once_and_one_that_is_lost_is_missed(
    client, valkey_url
) -> None:
    drain = Drain(client, name="w")

    async def scene(inbox: Inbox) -> None:
        stream = inbox.stream(model="bot", turns=["hi"], timeout_s=5)
        first = asyncio.create_task(anext(stream))
        [ask] = await read(drain)
        piece = Reply(id=ask.id, piece="on")
        drain.send([(ask, piece)])
        drain.send([(ask, piece), (ask, Reply(id=ask.id, piece="ce", begins=2))])
        drain.send([(ask, Reply(id=ask.id, piece="more", begins=5))])
        assert [(await first).piece, (await anext(stream)).piece] == ["on", "ce"]
        with pytest.raises(NoWorkerError, match="lost"):
            await anext(stream)

    play(valkey_url, scene)


def test_one_bell_is_enough_for_many_asks_until_it_is_silenced(client, valkey_url) -> None:
    bell = CountedBell()
    drain = Drain(client, name="w")

    async def scene(inbox: Inbox) -> None:
        asking = [
            asyncio.create_task(inbox.ask(model="bot", turns=["x"], timeout_s=5)) for _ in range(20)
        ]
        await read(drain, at_least=20)
        await asyncio.sleep(0.05)  # they may be read before the bell is rung
        assert bell.rung == 1
        assert drain.begin(10) == []
        assert not client.exists(BELL)
        asking.append(asyncio.create_task(inbox.ask(model="bot", turns=["y"], timeout_s=5)))
        await read(drain)
        await asyncio.sleep(0.05)
        assert bell.rung == 2
        for task in asking:
            task.cancel()

    play(valkey_url, scene, bell=bell)


def test_a_full_inbox_refuses_at_once(client, valkey_url) -> None:
    async def scene(inbox: Inbox) -> None:
        waiting = [
            asyncio.create_task(inbox.ask(model="bot", turns=["x"], timeout_s=5)) for _ in range(3)
        ]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        with pytest.raises(InboxFullError, match="3 asks"):
            await inbox.ask(model="bot", turns=["x"], timeout_s=5)
        assert time.monotonic() - began < 1
        for task in waiting:
            task.cancel()

    play(valkey_url, scene, limit=3)


def test_without_a_living_worker_an_ask_is_refused_at_once(client, valkey_url) -> None:
    client.delete(alive_key(INFERENCE_QUEUE))

    async def scene(inbox: Inbox) -> None:
        with pytest.raises(NoWorkerError):
            await inbox.ask(model="bot", turns=["x"], timeout_s=5)
        assert client.xlen(INBOX) == 0

    play(valkey_url, scene)


def test_an_ask_nobody_answers_ends_at_its_deadline_and_is_taken_back(client, valkey_url) -> None:
    async def scene(inbox: Inbox) -> None:
        began = time.monotonic()
        with pytest.raises(ReplyTimeoutError):
            await inbox.ask(model="bot", turns=["x"], timeout_s=0.2)
        assert 0.2 <= time.monotonic() - began < 2
        assert client.xlen(INBOX) == 0

    play(valkey_url, scene)


def test_a_deadline_is_kept_by_a_server_that_does_not_answer(client, valkey_url) -> None:
    async def scene(inbox: Inbox) -> None:
        asking = asyncio.create_task(inbox.ask(model="bot", turns=["x"], timeout_s=1))
        await asyncio.sleep(0.2)
        began = time.monotonic()
        client.client_pause(4000)
        with pytest.raises(ReplyTimeoutError):
            await asking
        assert time.monotonic() - began < 3

    try:
        play(valkey_url, scene)
    finally:
        client.client_unpause()


def test_an_asker_that_goes_away_takes_its_ask_along(client, valkey_url) -> None:
    async def scene(inbox: Inbox) -> None:
        asking = asyncio.create_task(inbox.ask(model="bot", turns=["x"], timeout_s=5))
        await asyncio.sleep(0.1)
        assert client.xlen(INBOX) == 1
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert client.xlen(INBOX) == 0
        assert Drain(client, name="w").exchange((), 10)[0] == []

    play(valkey_url, scene)


def test_an_asker_that_goes_away_at_once_leaves_nothing_behind(client, valkey_url) -> None:
    async def scene(inbox: Inbox) -> None:
        for wait_s in (0.0, 0.0002, 0.0005, 0.001):  # before it is sent, on its way, and after
            asking = asyncio.create_task(inbox.ask(model="bot", turns=["x"], timeout_s=5))
            await asyncio.sleep(wait_s)
            asking.cancel()
            await asyncio.wait([asking])
        await asyncio.sleep(0.1)
        assert client.xlen(INBOX) == 0

    play(valkey_url, scene)


def test_an_ask_that_cannot_be_written_spoils_no_other(client, valkey_url) -> None:
    drain = Drain(client, name="w")

    async def scene(inbox: Inbox) -> None:
        good, bad = (
            asyncio.create_task(inbox.ask(model="bot", turns=[text], timeout_s=5))
            for text in ("fine", "\ud800")
        )
        [ask] = await read(drain)
        drain.send([(ask, answer_to(ask))])
        assert (await good).candidates[0].text == "FINE"
        with pytest.raises(UnicodeEncodeError):
            await bad

    play(valkey_url, scene)


def test_connections_that_broke_are_made_anew(client, valkey_url) -> None:
    drain = Drain(client, name="w")

    async def scene(inbox: Inbox) -> None:
        for word in ("once", "more"):
            asking = asyncio.create_task(inbox.ask(model="bot", turns=[word], timeout_s=5))
            [ask] = await read(drain)
            drain.send([(ask, answer_to(ask))])
            assert (await asking).candidates[0].text == word.upper()
            client.client_kill_filter(_type="normal", skipme=True)
            with pytest.raises(RedisError):
                drain.exchange((), 1)

    play(valkey_url, scene)


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        ({"error": "NotFoundError", "message": "bot"}, NotFoundError, "model 'bot'"),
        ({"error": "SpecError", "message": "beam", "field": "decode.beam_size"}, SpecError, "beam"),
        ({"error": "MalgilError", "message": "it broke"}, MalgilError, "it broke"),
        ({"error": "Exception", "message": "sly"}, MalgilError, "sly"),
    ],
)
def test_an_error_the_worker_names_is_raised_as_itself(
    client, valkey_url, reply, kind, words
) -> None:
    drain = Drain(client, name="w")

    async def scene(inbox: Inbox) -> None:
        asking = asyncio.create_task(inbox.ask(model="bot", turns=["x"], timeout_s=5))
        [ask] = await read(drain)
        drain.send([(ask, Reply(id=ask.id, **reply))])
        with pytest.raises(kind, match=words) as caught:
            await asking
        assert type(caught.value) is kind
        assert getattr(caught.value, "field", None) == reply.get("field")

    play(valkey_url, scene)


def test_the_asks_of_a_dead_worker_go_to_a_living_one_and_those_of_a_living_one_stay(
    client, valkey_url
) -> None:
    dead, busy, living = (Drain(client, name=name) for name in ("dead", "busy", "living"))

    async def scene(inbox: Inbox) -> None:
        first = asyncio.create_task(inbox.ask(model="bot", turns=["first"], timeout_s=5))
        await read(dead, 1)
        second = asyncio.create_task(inbox.ask(model="bot", turns=["second"], timeout_s=5))
        busy.beat()
        [theirs] = await read(busy, 1)
        claimed = living.claim(10)
        assert [ask.turns for ask, _ in claimed] == [("first",)]
        living.send([(ask, answer_to(ask)) for ask, _ in claimed])
        busy.send([(theirs, answer_to(theirs))])
        assert (await first).candidates[0].text == "FIRST"
        assert (await second).candidates[0].text == "SECOND"
        Drain(client, name="living").claim(10)
        names = {one["name"] for one in client.xinfo_consumers(INBOX, INBOX_GROUP)}
        assert b"dead" not in names
        assert client.hgetall(RETRIES) == {b"worker_died": b"1"}

    play(valkey_url, scene)


def test_an_ask_that_several_workers_died_of_is_refused(client, valkey_url) -> None:
    async def scene(inbox: Inbox) -> None:
        asking = asyncio.create_task(inbox.ask(model="bot", turns=["poison"], timeout_s=5))
        await read(Drain(client, name="w0"))
        for turn in range(1, MAX_DELIVERIES):
            assert len(Drain(client, name=f"w{turn}").claim(10)) == 1
        assert Drain(client, name="last").claim(10) == []
        with pytest.raises(NoWorkerError, match="workers died"):
            await asking
        assert client.xlen(INBOX) == 0

    play(valkey_url, scene)


def test_one_trip_posts_replies_and_brings_new_asks_and_whom_nobody_waits_for(
    client, valkey_url
) -> None:
    drain = Drain(client, name="w")

    async def scene(inbox: Inbox) -> None:
        first, second = (
            asyncio.create_task(inbox.ask(model="bot", turns=[text], timeout_s=5))
            for text in ("first", "second")
        )
        one, other = sorted(await read(drain, at_least=2), key=lambda ask: ask.turns)
        third = asyncio.create_task(
            inbox.ask(model="bot", turns=["third"], timeout_s=5, priority=1, details=True)
        )
        second.cancel()
        await asyncio.sleep(0.1)
        [(new, _)], gone = drain.exchange([(one, answer_to(one))], 10)
        assert (new.turns, new.priority, new.details) == (("third",), 1, True)
        assert gone == [other.id]
        assert (await first).candidates[0].text == "FIRST"
        assert drain.exchange([(other, answer_to(other)), (new, answer_to(new))], 0) == ([], [])
        assert (await third).candidates[0].text == "THIRD"
        assert client.xpending(INBOX, INBOX_GROUP)["pending"] == 0

    play(valkey_url, scene)


def test_what_could_not_be_posted_is_posted_again(client, valkey_url) -> None:
    drain = Drain(client, name="w")

    async def scene(inbox: Inbox) -> None:
        asking = asyncio.create_task(inbox.ask(model="bot", turns=["x"], timeout_s=5))
        [ask] = await read(drain)
        client.client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(RedisError):
            drain.exchange([(ask, answer_to(ask))], 1)
        drain.exchange([(ask, answer_to(ask))], 1)
        assert (await asking).candidates[0].text == "X"
        assert client.xlen(INBOX) == 0

    play(valkey_url, scene)


def test_asks_that_were_lost_on_their_way_are_found_again(client, valkey_url) -> None:
    drain = Drain(client, name="w")
    drain.beat()

    async def scene(inbox: Inbox) -> None:
        first = asyncio.create_task(inbox.ask(model="bot", turns=["first"], timeout_s=5))
        [held] = await read(drain)
        second = asyncio.create_task(inbox.ask(model="bot", turns=["second"], timeout_s=5))
        await asyncio.sleep(0.05)
        drain.depart((), 4)  # read by the server, and never heard of
        while not drain.is_back:
            await asyncio.sleep(0.01)
        lose_what_came(drain)
        with pytest.raises(RedisError):
            drain.arrive()
        assert drain.may_have_lost
        [(ask, _)] = drain.claim(4)
        assert ask.turns == ("second",)
        assert not drain.may_have_lost
        drain.exchange([(held, answer_to(held)), (ask, answer_to(ask))], 0)
        assert (await first).candidates[0].text == "FIRST"
        assert (await second).candidates[0].text == "SECOND"
        assert client.xlen(INBOX) == 0

    play(valkey_url, scene)


def test_a_wiped_server_is_used_again_as_if_new(client, valkey_url) -> None:
    drain = Drain(client, name="w")
    drain.begin(1)

    async def scene(inbox: Inbox) -> None:
        client.flushall()
        client.set(alive_key(INFERENCE_QUEUE), "somebody")
        asking = asyncio.create_task(inbox.ask(model="bot", turns=["again"], timeout_s=5))
        [ask] = await read(drain)
        drain.send([(ask, answer_to(ask))])
        assert (await asking).candidates[0].text == "AGAIN"

    play(valkey_url, scene)


def test_what_a_wiped_server_has_lost_is_put_again(client, valkey_url) -> None:
    drain = Drain(client, name="w")

    async def scene(inbox: Inbox) -> None:
        asking = asyncio.create_task(inbox.ask(model="bot", turns=["again"], timeout_s=9))
        stream = inbox.stream(model="bot", turns=["half"], timeout_s=9)
        piece = asyncio.create_task(anext(stream))
        [streamed] = [ask for ask in await read(drain, at_least=2) if ask.stream]
        drain.send([(streamed, Reply(id=streamed.id, piece="ha"))])
        assert (await piece).piece == "ha"
        client.flushall()
        await asyncio.sleep(3)  # nobody says that a worker lives: an accepted ask outlasts that
        client.set(alive_key(INFERENCE_QUEUE), "somebody")
        [ask] = await read(Drain(client, name="other"))
        drain.send([(ask, answer_to(ask))])
        assert (await asking).candidates[0].text == "AGAIN"
        assert int(client.hget(RETRIES, "queue_lost") or 0) >= 1
        with pytest.raises(NoWorkerError, match="lost"):
            await anext(stream)

    play(valkey_url, scene)


def test_an_ask_that_was_put_twice_is_taken_once(client, valkey_url) -> None:
    drain = Drain(client, name="w")

    async def scene(inbox: Inbox) -> None:
        asking = asyncio.create_task(inbox.ask(model="bot", turns=["x"], timeout_s=5))
        [ask] = await read(drain)
        client.xadd(INBOX, {"ask": ask.dump()})
        assert drain.begin(10) == []
        drain.send([(ask, answer_to(ask))])
        assert (await asking).candidates[0].text == "X"
        assert client.xlen(INBOX) == 0
        assert client.xpending(INBOX, INBOX_GROUP)["pending"] == 0

    play(valkey_url, scene)


def test_a_living_worker_says_so_for_a_while(client) -> None:
    Drain(client, name="w").beat()
    assert 0 < client.ttl(consumer_key("w")) <= CONSUMER_ALIVE_S


def test_a_worker_that_lingers_needs_no_bell_and_leaves_none_behind(client, valkey_url) -> None:
    bell = CountedBell()
    drain = Drain(client, name="w")
    drain.begin(1)

    async def scene(inbox: Inbox) -> None:
        lingering = asyncio.create_task(asyncio.to_thread(drain.linger, 10, 2.0))
        await asyncio.sleep(0.1)
        asking = asyncio.create_task(inbox.ask(model="bot", turns=["hi"], timeout_s=5))
        began = time.monotonic()
        [(ask, _)] = await lingering
        assert time.monotonic() - began < 1
        await asyncio.sleep(QUIET_S)
        drain.send([(ask, answer_to(ask))])
        assert (await asking).candidates[0].text == "HI"
        assert bell.rung == 0
        assert not client.exists(BELL)
        assert await asyncio.to_thread(drain.linger, 10, 0.05) == []
        assert not client.exists(BELL)

    play(valkey_url, scene, bell=bell)


def test_a_stream_whose_worker_died_ends_with_an_error_and_is_not_begun_again(
    client, valkey_url
) -> None:
    async def scene(inbox: Inbox) -> None:
        stream = inbox.stream(model="bot", turns=["hi"], timeout_s=5)
        first = asyncio.create_task(anext(stream))
        dead = Drain(client, name="dead")
        [ask] = await read(dead)
        dead.send([(ask, Reply(id=ask.id, piece="on"))])
        assert (await first).piece == "on"
        assert Drain(client, name="living").claim(10) == []
        with pytest.raises(NoWorkerError, match="middle of the reply"):
            await anext(stream)
        assert client.xlen(INBOX) == 0

    play(valkey_url, scene)
