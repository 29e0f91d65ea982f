"""Who is dead, by the signs of life that a real Valkey keeps."""

from collections.abc import Iterator

import pytest
from redis import Redis

from core.queue import vitals
from core.queue.broker import open_redis
from core.queue.messages import INBOX, INBOX_GROUP
from core.queue.vitals import Vitals, consumer_key


@pytest.fixture
def client(valkey_url: str) -> Iterator[Redis]:
    with open_redis(valkey_url) as client:
        client.xgroup_create(INBOX, INBOX_GROUP, id="0", mkstream=True)
        yield client


def test_a_silent_worker_is_dead_and_what_it_left_is_counted(client: Redis) -> None:
    client.xadd(INBOX, {"ask": "x"})
    client.xreadgroup(INBOX_GROUP, "silent", {INBOX: ">"})
    client.xgroup_createconsumer(INBOX, INBOX_GROUP, "idle")
    Vitals(client, name="idle").beat()
    one = Vitals(client, name="one")
    assert one.dead() == {"silent": 1}
    assert Vitals(client, name="silent").dead() == {}


def test_after_an_outage_nobody_is_taken_for_dead_before_all_could_speak(
    client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitals, "SETTLE_S", 60.0)
    client.xgroup_createconsumer(INBOX, INBOX_GROUP, "other")
    one = Vitals(client, name="one")
    client.set(consumer_key("one"), 1)  # it has spoken lately
    one.beat()
    assert one.dead() == {"other": 0}
    client.delete(consumer_key("one"))  # as when the server was away for long, or emptied
    assert one.dead() == {}
    one.beat()
    assert one.dead() == {}
