import pytest

from core.specs import TrainSpec
from core.training.schedule import learning_rate


@pytest.mark.parametrize("decay", ["constant", "linear", "inverse_sqrt", "cosine", "plateau"])
def test_the_rate_rises_to_its_peak_and_never_again(decay) -> None:
    spec = TrainSpec(learning_rate=0.01, warmup_steps=10, decay=decay)
    rates = [learning_rate(spec, step=step, total_steps=100) for step in range(1, 121)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[9] == pytest.approx(0.01)
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert min(rates) > 0  # also beyond the forecast


@pytest.mark.parametrize("decay", ["constant", "linear", "inverse_sqrt", "cosine", "plateau"])
def test_without_warm_up_the_first_step_is_at_the_peak(decay) -> None:
    spec = TrainSpec(learning_rate=0.01, warmup_steps=0, decay=decay)
    assert learning_rate(spec, step=1, total_steps=1000) == pytest.approx(0.01, rel=0.01)


def test_inverse_square_root_halves_after_four_times_the_warm_up() -> None:
    spec = TrainSpec(learning_rate=0.01, warmup_steps=10, decay="inverse_sqrt")
    assert learning_rate(spec, step=40, total_steps=100) == pytest.approx(0.005)


def test_cosine_is_at_half_its_peak_half_way() -> None:
    spec = TrainSpec(learning_rate=0.01, warmup_steps=20, decay="cosine")
    assert learning_rate(spec, step=60, total_steps=100) == pytest.approx(0.005)


def test_a_plateau_falls_only_by_what_validations_say() -> None:
    spec = TrainSpec(learning_rate=0.01, warmup_steps=0, decay="plateau")
    rates = [
        learning_rate(spec, step=step, total_steps=100, plateau_scale=scale)
        for step, scale in [(1, 1.0), (90, 1.0), (91, 0.5)]
    ]
    assert rates == [0.01, 0.01, 0.005]
