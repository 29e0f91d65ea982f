from core.decoding.requests import Request
from core.decoding.step import Wish
from core.decoding.waiting import COMPANY, PATIENCE, Room, Waiting
from core.specs import DecodeSpec


def request(key: int, *, priority: int = 0, width: int = 1, source: int = 5) -> Request:
    spec = DecodeSpec(beam_size=width, max_tokens=10)
    return Request(key=key, source=(7,) * source, wish=Wish(spec=spec), priority=priority)


def waiting(*requests: Request) -> Waiting:
    queue = Waiting()
    for one in requests:
        queue.put(one)
    return queue


def keys(requests: list[Request]) -> list[int]:
    return [one.key for one in requests]


def test_the_most_urgent_come_first_and_equals_in_their_order() -> None:
    queue = waiting(request(1), request(2, priority=-1), request(3), request(4, priority=5))
    assert keys(queue.take(Room(lines=3, tokens=1000), running=0)) == [2, 1, 3]
    assert keys(queue.take(Room(lines=3, tokens=1000), running=0)) == [4]
    assert not queue


def test_nobody_overtakes_who_does_not_fit() -> None:
    queue = waiting(request(1, width=4), request(2))
    assert not queue.take(Room(lines=3, tokens=1000), running=1)
    assert keys(queue.take(Room(lines=5, tokens=1000), running=1)) == [1, 2]


def test_tokens_are_budgeted_with_all_lines_at_their_longest() -> None:
    queue = waiting(request(1, width=2, source=5), request(2))
    assert not queue.take(Room(lines=9, tokens=24), running=1)
    assert keys(queue.take(Room(lines=9, tokens=25 + 14), running=1)) == [1]


def test_who_is_larger_than_everything_runs_alone() -> None:
    queue = waiting(request(1, source=500), request(2))
    assert keys(queue.take(Room(lines=4, tokens=100), running=0)) == [1]
    assert not queue.take(Room(lines=3, tokens=0), running=1)


def test_beside_many_a_few_steps_are_waited_for_company() -> None:
    queue = waiting(request(1))
    for _ in range(PATIENCE):
        assert not queue.take(Room(lines=99, tokens=1000), running=64)
    assert keys(queue.take(Room(lines=99, tokens=1000), running=64)) == [1]
    for key in range(64 // COMPANY + 1):
        queue.put(request(key))
    assert len(queue.take(Room(lines=99, tokens=1000), running=64)) == 64 // COMPANY + 1


def test_beside_few_nobody_waits_for_company() -> None:
    queue = waiting(request(1))
    assert keys(queue.take(Room(lines=9, tokens=1000), running=3)) == [1]


def test_what_is_forgotten_never_begins() -> None:
    queue = waiting(request(1), request(2), request(3))
    queue.forget({1, 3})
    assert len(queue) == 1
    assert keys(queue.take(Room(lines=9, tokens=1000), running=0)) == [2]
