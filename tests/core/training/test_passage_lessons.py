"""What a model that asks learns from; and that its parts, if separate, learn without each other."""

import pytest
import torch

from core.specs import TrainSpec, merge
from core.training.loop import fit
from core.training.passage_lessons import PassageLessons
from core.training.state import copy_weights
from tests.core.models.askers import SPECS, asker, encoded

SPEC = TrainSpec(
    batch_size=2, max_epochs=6, learning_rate=0.02, clip_norm=0.05, validate_every=None,
    patience=None, keep="last",
)  # fmt: skip


def lessons(spec: TrainSpec = SPEC) -> PassageLessons:
    return PassageLessons(encoded(copied=True), spec)


def test_every_passage_comes_once_in_an_epoch_and_the_longest_first_in_validation() -> None:
    some = lessons()

    assert len(some) == 4
    assert sorted(row for rows in some.batches(0) for row in rows) == [0, 1, 2, 3]
    assert [rows.tolist() for rows in some.batches(3)] == [
        rows.tolist() for rows in lessons().batches(3)
    ]
    assert [row for rows in some.ordered() for row in rows] == [2, 0, 1, 3]


def test_batches_can_be_bounded_by_their_tokens() -> None:
    small = lessons(SPEC.model_copy(update={"batch_tokens": 1}))

    assert all(len(rows) == 1 for rows in small.batches(0))


def test_a_passage_that_does_not_fit_is_described() -> None:
    assert lessons().describe(0) == (
        "9 source tokens and 2 questions, bounded by train.max_source_tokens and "
        "train.max_target_tokens"
    )


@pytest.mark.parametrize("separate", [True, False])
def test_what_the_reader_learns_is_felt_by_others_only_if_they_share(separate: bool) -> None:
    found = []
    for weight in (0.0, 2.0):
        changes = {"questions": {"separate": separate, "reading_weight": weight}}
        model = asker(merge(SPECS["pointer"], changes))
        list(fit(model, train=lessons(), valid=lessons(), spec=SPEC))
        found.append(copy_weights(model))
    alone, together = found

    same = {
        name.split(".")[0]
        for name in alone
        if not name.startswith("reader") and torch.equal(alone[name], together[name])
    }
    assert same == ({"passage", "proposer", "writer"} if separate else set())
    if separate:
        assert all(
            torch.equal(alone[name], together[name])
            for name in alone
            if not name.startswith("reader")
        )
    assert any(
        not torch.equal(alone[name], together[name]) for name in alone if name.startswith("reader")
    )
