import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.texts import EncodedText
from core.errors import InputError
from core.training.text_lessons import StreamLessons, WindowLessons


def counted(length: int) -> EncodedText:
    return EncodedText(np.arange(length, dtype=np.int32))


@given(length=st.integers(2, 300), streams=st.integers(1, 20), bptt=st.integers(1, 40))
def test_each_stream_is_read_through_once_and_in_order(
    length: int, streams: int, bptt: int
) -> None:
    lessons = StreamLessons(counted(length), streams=streams, bptt=bptt)
    taken = [lessons.take(rows) for rows in lessons.batches(0)]
    read = [
        [token for batch in taken for token in batch.tokens[row]] for row in range(len(lessons))
    ]

    flat = [int(token) for stream in read for token in stream]
    assert flat == [*range(len(flat))]
    assert length - 1 - len(flat) < len(lessons)
    assert all(bool((batch.gold == batch.tokens + 1).all()) for batch in taken)
    assert all(batch.tokens.shape[1] == bptt for batch in taken[:-1])
    assert all(bool(batch.mask.all()) for batch in taken)


@given(bptt=st.integers(1, 40), rows=st.lists(st.integers(0, 6), min_size=1, unique=True))
def test_some_of_the_streams_are_read_as_among_all(bptt: int, rows: list[int]) -> None:
    lessons = StreamLessons(counted(100), streams=7, bptt=bptt)

    for starts in lessons.batches(0):
        some, every = lessons.take(starts[rows]), lessons.take(starts)
        assert some.tokens.tolist() == every.tokens[rows].tolist()


def test_streams_are_the_same_in_every_epoch_and_can_be_taken_up_anywhere() -> None:
    lessons = StreamLessons(counted(100), streams=3, bptt=7)
    first, second = lessons.batches(0), lessons.batches(1)

    assert [rows.tolist() for rows in first] == [rows.tolist() for rows in second]
    assert [rows.tolist() for rows in first[2:]] == [rows.tolist() for rows in first][2:]
    assert lessons.carries


def test_windows_over_the_fables_are_as_many_as_published() -> None:
    lessons = WindowLessons(counted(50_436), window=20, batch_size=128, seed=1)

    assert len(lessons) == sum(map(len, lessons.batches(0))) == 50_416


@given(
    length=st.integers(5, 200),
    window=st.integers(1, 4),
    batch=st.integers(1, 30),
    seed=st.integers(0, 99),
)
def test_every_window_is_asked_for_the_token_after_it_once(
    length: int, window: int, batch: int, seed: int
) -> None:
    lessons = WindowLessons(counted(length), window=window, batch_size=batch, seed=seed)

    for batches in (lessons.batches(seed), lessons.ordered()):
        asked = [lessons.take(rows) for rows in batches]
        assert sorted(int(word) for one in asked for word in one.gold[one.mask]) == [
            *range(window, length)
        ]
        assert all(len(one.tokens) <= batch for one in asked)


def test_windows_are_shuffled_differently_in_each_epoch_and_alike_for_one() -> None:
    lessons = WindowLessons(counted(500), window=5, batch_size=10, seed=1)

    assert lessons.batches(0)[0].tolist() == lessons.batches(0)[0].tolist()
    assert lessons.batches(0)[0].tolist() != lessons.batches(1)[0].tolist()
    assert lessons.ordered()[1].tolist() == [*range(10, 20)]


def test_a_text_that_is_too_short_is_refused() -> None:
    with pytest.raises(InputError, match="1 tokens, and 2"):
        StreamLessons(counted(1), streams=4, bptt=5)
    with pytest.raises(InputError, match="20 tokens, and 21"):
        WindowLessons(counted(20), window=20, batch_size=4, seed=1)
