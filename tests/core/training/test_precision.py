import pytest
import torch
from torch import nn

from core.specs import TrainSpec
from core.training.events import Measured, Started
from core.training.loop import fit
from core.training.precision import (
    choose_precision,
    full_precision,
    pick_device,
    to_device,
)
from tests.core.training.learners import Bigrams, pair_lessons

SPEC = TrainSpec(batch_size=8, max_epochs=2, warmup_steps=0, report_every=1)


def matrix(width: int) -> list[nn.Parameter]:
    return [nn.Parameter(torch.zeros(4 * width, width)), nn.Parameter(torch.zeros(width))]


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_a_precision_that_is_named_is_taken(name) -> None:
    chosen = choose_precision(TrainSpec(precision=name), matrix(4))
    assert (chosen.name, chosen.reason) == (name, "as the plan says")


def test_a_narrow_model_is_trained_in_fp32_and_told_why() -> None:
    chosen = choose_precision(TrainSpec(), matrix(8))
    assert chosen.name == "fp32"
    assert "width 8" in chosen.reason or "not faster" in chosen.reason


def test_matrices_are_multiplied_as_chosen_and_weights_stay_as_they_are() -> None:
    layer = nn.Linear(4, 4)
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with choose_precision(TrainSpec(precision=name), layer.parameters()).context():
            assert layer(torch.ones(1, 4)).dtype == kind
    assert layer.weight.dtype == torch.float32
    assert full_precision(layer.parameters()).name == "fp32"


def test_training_in_bf16_keeps_to_the_curve_of_fp32() -> None:
    curves = {}
    for name in ("fp32", "bf16"):
        spec = SPEC.model_copy(update={"precision": name})
        model = Bigrams(dropout=0.0)
        events = list(
            fit(model, train=pair_lessons(40, spec), valid=pair_lessons(8, spec), spec=spec)
        )
        (started,) = [event for event in events if isinstance(event, Started)]
        assert started.precision == name
        assert all(one.dtype == torch.float32 for one in model.parameters())
        curves[name] = [event.loss for event in events if isinstance(event, Measured)]
    assert curves["bf16"] == pytest.approx(curves["fp32"], rel=0.01)
    assert curves["bf16"] != curves["fp32"]


def test_a_batch_stays_where_it_is_on_the_cpu_and_moves_elsewhere() -> None:
    lessons = pair_lessons(8, SPEC)
    batch = lessons.take(lessons.batches(0)[0])
    assert to_device(batch, torch.device("cpu")) is batch
    moved = to_device(batch, torch.device("meta"))
    assert moved.source.device.type == moved.target_mask.device.type == "meta"
    assert pick_device().type in ("cpu", "cuda")
