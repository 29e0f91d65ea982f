import pytest
import torch

from core.decoding.requests import Request
from core.decoding.running import RAGGED, Opening, RunningBatch, read_sources
from core.decoding.step import Wish
from core.specs import DecodeSpec
from tests.core.decoding.tables import Table, random_table

CPU = torch.device("cpu")


def request(key: int, length: int = 1, **options: object) -> Request:
    spec = DecodeSpec.model_validate({"max_tokens": 4, **options})
    return Request(key=key, source=(1,) * length, wish=Wish(spec=spec))


class Unjoinable(Table):
    def join(self, states):
        raise MemoryError("too large together")


def test_sources_of_similar_length_are_read_together() -> None:
    lengths = [3, 300, 5, 290, 80, 2 * 80 + RAGGED, 12]
    requests = [request(key, length) for key, length in enumerate(lengths)]
    openings = read_sources(random_table(2, 5, seed=0), requests, CPU)
    read = [[len(one.source) for one in opening.requests] for opening in openings]
    assert read == [[300, 290, 224], [80, 12], [5, 3]]
    assert [len(opening.state) for opening in openings] == [3, 2, 2]


def test_a_batch_that_cannot_be_joined_stays_as_it_was() -> None:
    table = random_table(2, 5, seed=0)
    table.log_probs[:, :, 3] = -50.0
    batch = RunningBatch(Unjoinable(table.log_probs), CPU)
    (first,) = read_sources(table, [request(0, beam_size=2), request(1, beam_size=1)], CPU)
    batch.join(first)
    with pytest.raises(MemoryError):
        batch.join(Opening([request(2)], first.state[:1]))
    assert set(batch.requests) == {0, 1}
    assert batch.lines == 2
    ended = [key for _ in range(4) for one in batch.step() for key, _ in one.ended]
    assert sorted(ended) == [0, 1]


def test_draws_begin_with_a_line_each_and_beams_with_one() -> None:
    table = random_table(2, 5, seed=0)
    batch = RunningBatch(table, CPU)
    draws = request(0, beam_size=1, temperature=1.0, n_best=3)
    (opening,) = read_sources(table, [request(1, beam_size=5), draws], CPU)
    batch.join(opening)
    assert batch.lines == 4
    batch.leave({1})
    assert batch.lines == 3
    batch.leave({0})
    assert not batch.lines
    assert not batch.step()
