from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.data.sampling import BucketSampler, cut

sizes = st.integers(0, 300)
batch_sizes = st.integers(1, 40)
seeds = st.integers(0, 2**31 - 1)


def sampler(size: int, batch_size: int, seed: int) -> BucketSampler:
    lengths = np.random.default_rng(0).integers(1, 90, size=(2, size))
    return BucketSampler(lengths[0], lengths[1], batch_size=batch_size, seed=seed)


def listed(batches: Sequence[np.ndarray]) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


@given(size=sizes, batch_size=batch_sizes, seed=seeds, epoch=st.integers(0, 5))
def test_every_row_occurs_once_in_an_epoch(
    size: int, batch_size: int, seed: int, epoch: int
) -> None:
    batches = sampler(size, batch_size, seed).batches(epoch)

    assert sorted(row for batch in batches for row in batch) == [*range(size)]
    assert len(batches) == -(-size // batch_size)
    assert all(1 <= len(batch) <= batch_size for batch in batches)


@given(size=sizes, batch_size=batch_sizes, seed=seeds, data=st.data())
def test_a_resumed_epoch_has_exactly_the_batches_that_remained(
    size: int, batch_size: int, seed: int, data: st.DataObject
) -> None:
    one = sampler(size, batch_size, seed)
    for epoch in range(2):
        one.batches(epoch)
    whole = listed(one.batches(2))
    index = data.draw(st.integers(0, len(whole)))

    resumed = listed(sampler(size, batch_size, seed).batches(2))[index:]

    assert whole[:index] + resumed == whole


def test_epochs_and_seeds_differ() -> None:
    first = listed(sampler(200, 8, 1).batches(0))

    assert first != listed(sampler(200, 8, 1).batches(1))
    assert first != listed(sampler(200, 8, 2).batches(0))


def test_little_of_a_batch_is_padding_and_lengths_are_mixed_over_the_epoch() -> None:
    generator = np.random.default_rng(3)
    source, target = generator.integers(1, 60, size=(2, 4000))
    batches = BucketSampler(source, target, batch_size=16, seed=1).batches(0)

    padded = sum(len(batch) * target[batch].max() for batch in batches)
    longest = [int(target[batch].max()) for batch in batches]

    assert padded < 1.1 * target.sum()
    assert longest != sorted(longest)
    assert abs(np.mean(longest[:100]) - np.mean(longest)) < 10


def padded_tokens(batch: np.ndarray, source: np.ndarray, target: np.ndarray) -> int:
    return len(batch) * int(max(1, source[batch].max()) + target[batch].max() + 1)


@given(
    lengths=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=300),
    budget=st.integers(1, 400),
    seed=seeds,
)
def test_a_budget_bounds_the_tokens_of_a_batch_with_its_padding(
    lengths: list[tuple[int, int]], budget: int, seed: int
) -> None:
    source, target = np.array(lengths, dtype=np.int32).reshape(-1, 2).T
    one = BucketSampler(source, target, batch_size=7, seed=seed, batch_tokens=budget)

    for batches in (one.batches(0), one.ordered()):
        assert sorted(row for batch in batches for row in batch) == [*range(len(lengths))]
        for batch in batches:
            assert len(batch) == 1 or padded_tokens(batch, source, target) <= budget


def test_a_budget_is_used_up() -> None:
    lengths = np.random.default_rng(5).integers(1, 60, size=(2, 5000))
    source, target = lengths
    batches = BucketSampler(source, target, batch_size=1, seed=1, batch_tokens=1000).batches(3)

    padded = [padded_tokens(batch, source, target) for batch in batches]

    assert np.mean(padded) > 900


def test_translations_have_less_than_a_twentieth_of_padding() -> None:
    generator = np.random.default_rng(2)
    source = 3 + generator.poisson(12, size=20_000)  # about as captions and their translations
    target = np.maximum(1, source + generator.integers(-3, 4, size=20_000))
    one = BucketSampler(source, target, batch_size=64, seed=1, batch_tokens=4096)

    for batches in (one.batches(0), one.ordered()):
        padded = sum(padded_tokens(batch, source, target) for batch in batches)
        assert padded < (source.sum() + target.sum() + len(target)) / 0.95


@given(size=sizes, batch_size=batch_sizes, wider=st.integers(1, 3))
def test_in_order_the_longest_come_first_and_every_row_once(
    size: int, batch_size: int, wider: int
) -> None:
    lengths = np.random.default_rng(0).integers(1, 90, size=(2, size))
    one = BucketSampler(lengths[0], lengths[1], batch_size=batch_size, seed=1)
    rows = [row for batch in one.ordered(wider=wider) for row in batch]

    assert sorted(rows) == [*range(size)]
    assert lengths[1][rows].tolist() == sorted(lengths[1], reverse=True)
    assert all(len(batch) <= wider * batch_size for batch in one.ordered(wider=wider))


def test_batches_are_made_when_asked_for_and_can_be_asked_for_again() -> None:
    batches = cut(np.array([3, 1, 2, 0], dtype=np.int32), np.array([0, 1, 4]), np.array([1, 0]))

    assert batches[0].tolist() == [1, 2, 0]
    assert batches[-1].tolist() == [3]
    assert batches[0].dtype == np.int64
    batches[0][:] = 9
    assert listed(batches[:]) == listed(batches) == [[1, 2, 0], [3]]
