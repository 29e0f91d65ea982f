import pytest
import torch

from core.data.tensorfile import pack
from core.errors import BundleError
from core.training.state import (
    Counters,
    TrainingState,
    copy_weights,
    load_state,
    put_weights,
)
from tests.core.training.learners import Bigrams


def state() -> TrainingState:
    torch.manual_seed(0)
    return TrainingState(
        counters=Counters(step=7, window_loss=0.1 + 0.2, best_loss=1 / 3, plateau_scale=0.25),
        weights=copy_weights(Bigrams()),
        moments={"exp_avg/a.b": torch.randn(2), "step/a.b": torch.tensor(7.0)},
        averages={f"{number}/a.b": torch.randn(2) for number in range(12)},
        generators={"torch": torch.get_rng_state().unsqueeze(0)},
        carry=tuple(torch.randn(3, number + 1) for number in range(11)),
        best={"a.b": torch.randn(2)},
    )


def test_a_state_reads_back_as_it_was_with_what_was_put_beside_it() -> None:
    whole, extra = state(), {"tokenizer": torch.arange(5, dtype=torch.uint8)}
    read, beside = load_state(whole.dump(extra))
    assert read.counters == whole.counters
    for name in ("weights", "moments", "averages", "generators", "best"):
        ours, theirs = getattr(read, name), getattr(whole, name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert len(read.carry) == 11
    assert all(torch.equal(*both) for both in zip(read.carry, whole.carry, strict=True))
    assert torch.equal(beside["tokenizer"], extra["tokenizer"])
    assert read.dump(beside) == whole.dump(extra)


def test_a_state_of_an_older_format_is_refused_by_name() -> None:
    older = pack({"weights/a": torch.zeros(1)}, {"format": "malgil-state-1", "counters": "{}"})
    with pytest.raises(BundleError, match=r"'malgil-state-1'.*'malgil-state-2'.*anew"):
        load_state(older)


def test_weights_that_do_not_fit_are_refused_by_name() -> None:
    weights = copy_weights(Bigrams())
    with pytest.raises(BundleError, match=r"output\.bias"):
        put_weights(Bigrams(), {**weights, "output.bias": torch.zeros(2)})
    with pytest.raises(BundleError, match="more"):
        put_weights(Bigrams(), {**weights, "more": torch.zeros(2)})
