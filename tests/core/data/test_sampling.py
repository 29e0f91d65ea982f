import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.data.sampling import BucketSampler

sizes = st.integers(0, 300)
batch_sizes = st.integers(1, 40)
seeds = st.integers(0, 2**31 - 1)


def sampler(size: int, batch_size: int, seed: int) -> BucketSampler:
    lengths = np.random.default_rng(0).integers(1, 90, size=(2, size))
    return BucketSampler(lengths[0], lengths[1], batch_size=batch_size, seed=seed)


def listed(batches: list[np.ndarray]) -> list[list[int]]:
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
