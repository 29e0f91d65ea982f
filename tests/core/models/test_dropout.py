import pytest
import torch

from core.models.dropout import Dropout, drop


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.5, 0.999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_as_much_is_dropped_as_was_asked_for_and_the_mean_stays(rate, dtype) -> None:
    torch.manual_seed(0)
    dropped = drop(torch.ones(400, 1003, dtype=dtype), rate).float()
    assert dropped.eq(0).float().mean().item() == pytest.approx(rate, abs=0.005)
    spread = (rate / (1 - rate) / dropped.numel()) ** 0.5
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.005 + 5 * spread)


def test_nothing_is_dropped_outside_of_training_or_at_a_rate_of_none() -> None:
    inputs = torch.ones(3, 5)
    assert Dropout(0.5).eval()(inputs) is inputs
    assert Dropout(0.0)(inputs) is inputs


def test_the_same_seed_drops_the_same() -> None:
    inputs = torch.ones(7, 3)
    torch.manual_seed(5)
    first = drop(inputs, 0.4)
    torch.manual_seed(5)
    assert torch.equal(drop(inputs, 0.4), first)
    assert not torch.equal(drop(inputs, 0.4), first)


def test_gradients_flow_where_something_was_kept() -> None:
    inputs = torch.ones(6, 7, requires_grad=True)
    outputs = drop(inputs, 0.5)
    outputs.sum().backward()
    assert inputs.grad is not None
    assert torch.equal(inputs.grad, outputs.detach())
