from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.arrays import ArrayWriter, Ragged, RaggedWriter

ids = st.integers(0, 2**31 - 1)


def written(sequences: list[list[int]], directory: Path | None) -> Ragged:
    with RaggedWriter(directory, "some") as writer:
        for sequence in sequences:
            writer.add(sequence)
        return writer.finish()


@given(sequences=st.lists(st.lists(ids, max_size=5), max_size=20))
def test_what_was_written_is_read_from_memory_and_from_files(sequences: list[list[int]]) -> None:
    with TemporaryDirectory() as folder:
        for directory in (None, Path(folder)):
            ragged = written(sequences, directory)

            assert len(ragged) == len(sequences)
            assert [ragged[row].tolist() for row in range(len(ragged))] == sequences
            assert ragged.lengths.tolist() == [len(sequence) for sequence in sequences]


def test_more_than_one_write_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    writer = ArrayWriter(tmp_path / "many.npy", np.int64)
    for start in range(0, 300_000, 1000):
        writer.extend(range(start, start + 1000))
    writer.append(2**40)
    array = writer.finish()

    assert array[-1] == 2**40
    np.testing.assert_array_equal(array[:-1], np.arange(300_000))
    np.testing.assert_array_equal(np.load(tmp_path / "many.npy"), array)
    assert isinstance(array.base, np.memmap)


def test_numbers_that_do_not_fit_are_refused() -> None:
    writer = ArrayWriter(None, np.int32)

    with pytest.raises(OverflowError):
        writer.extend([2**31])


def test_who_maps_the_old_file_keeps_it(tmp_path: Path) -> None:
    first = written([[1, 2], [3]], tmp_path)

    second = written([[9]], tmp_path)

    assert (first[0].tolist(), first[1].tolist()) == ([1, 2], [3])
    assert second[0].tolist() == [9]
