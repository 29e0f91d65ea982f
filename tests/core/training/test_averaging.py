import pytest
import torch
from torch import Tensor

from core.specs import TrainSpec
from core.training.averaging import Average, by_name, by_number, make_average

SPECS = [
    TrainSpec(average="ema", ema_decay=0.9),
    TrainSpec(average="last", average_last=3),
    TrainSpec(optimiser="sgd", average="triggered", average_patience=2),
]


def walk(average: Average, raw: list[Tensor], steps: range) -> list[list[Tensor] | None]:
    """Let weights wander; validate after each second update, in vain from the third on."""
    seen = []
    for step in steps:
        chance = torch.Generator().manual_seed(step)
        for one in raw:
            one.add_(torch.randn(one.shape, generator=chance))
        average.after_update()
        if step % 2:
            average.before_validation()
            average.after_validation(stale=max(0, step // 2 - 2))
        weights = average.weights()
        seen.append(weights and [one.clone() for one in weights])
    return seen


def test_without_an_average_the_raw_weights_stand_for_themselves() -> None:
    raw = [torch.zeros(3)]
    assert walk(make_average(TrainSpec(), raw), raw, range(6)) == [None] * 6


def test_a_moving_average_forgets_at_its_rate_and_faster_at_first() -> None:
    raw = [torch.zeros(1)]
    average = make_average(TrainSpec(average="ema", ema_decay=0.5), raw)
    raw[0].fill_(1.0)
    average.after_update()
    assert average.weights()[0].item() == pytest.approx(1 - 2 / 11)
    for _ in range(20):
        average.after_update()
    raw[0].fill_(3.0)
    before = average.weights()[0].item()
    average.after_update()
    assert average.weights()[0].item() == pytest.approx((before + 3) / 2)


def test_the_last_validations_count_alike_and_older_ones_not_at_all() -> None:
    raw = [torch.zeros(1)]
    average = make_average(TrainSpec(average="last", average_last=3), raw)
    for value in (100.0, 1.0, 2.0, 6.0):
        raw[0].fill_(value)
        average.before_validation()
    assert average.weights()[0].item() == pytest.approx(3.0)


def test_a_triggered_average_is_the_mean_of_all_weights_since() -> None:
    raw = [torch.zeros(1)]
    average = make_average(SPECS[2], raw)
    for value, stale, begins in [(9.0, 0, False), (8.0, 1, False), (2.0, 2, True), (4.0, 0, False)]:
        raw[0].fill_(value)
        average.after_update()
        if value > 4:
            assert average.weights() is None
        assert average.after_validation(stale=stale) is begins
    raw[0].fill_(9.0)
    average.after_update()
    assert average.weights()[0].item() == pytest.approx((2 + 4 + 9) / 3)
    assert raw[0].item() == 9.0
    assert average.after_validation(stale=99) is False  # it has begun already


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.average)
@pytest.mark.parametrize("stop", [0, 1, 5, 9, 10])
def test_an_average_goes_on_from_what_another_held(spec, stop) -> None:
    names = ["one", "two.three"]

    def start() -> list[Tensor]:
        return [torch.zeros(2), torch.ones(3, 1)]

    raw = start()
    whole = walk(make_average(spec, raw), raw, range(14))
    raw = start()
    first = make_average(spec, raw)
    walk(first, raw, range(stop))
    held, taken = first.dump()
    saved = by_name(held, names)
    copies = [one.clone() for one in raw]
    second = make_average(spec, copies)
    second.load(by_number(saved, names), taken)
    walk(first, raw, range(stop, 14))  # must not reach what was saved
    after = walk(second, copies, range(stop, 14))
    for one, other in zip(after, whole[stop:], strict=True):
        assert (one is None) == (other is None)
        assert one is None or all(torch.equal(*both) for both in zip(one, other, strict=True))
