"""Steps of a source that look at each other: the formula, padding, and gates that are shut."""

import pytest
import torch

from core.models.bricks import reset
from core.models.self_attention import GatedSelfAttention


def attention(memory_dim: int = 4) -> GatedSelfAttention:
    torch.manual_seed(2)
    return reset(GatedSelfAttention(memory_dim=memory_dim))


def test_each_step_is_what_the_paper_says() -> None:
    look = attention()
    memory = torch.randn(1, 3, 4)
    found = look(memory, torch.ones(1, 3, dtype=torch.bool))

    steps = memory[0]
    for own, said in zip(steps, found[0], strict=True):
        weights = torch.stack([own @ look.keys.weight @ other for other in steps]).softmax(0)
        around = sum(weight * other for weight, other in zip(weights, steps, strict=True))
        both = torch.cat([own, around])
        fused = torch.tanh(look.fuse.weight @ both)
        gate = torch.sigmoid(look.gate.weight @ both)
        torch.testing.assert_close(said, gate * fused + (1 - gate) * own)


@pytest.mark.parametrize("padding", [0, 1, 7])
def test_padding_is_not_looked_at_and_stays_silent(padding: int) -> None:
    look = attention()
    memory = torch.randn(2, 5, 4)
    padded = torch.cat([memory, torch.full((2, padding, 4), 1e4)], dim=1)
    mask = torch.arange(5 + padding).expand(2, -1) < 5

    found = look(padded, mask)

    torch.testing.assert_close(found[:, :5], look(memory, mask[:, :5]))
    assert found[:, 5:].eq(0).all()


def test_a_gate_that_is_shut_leaves_the_memory_as_it_was() -> None:
    look = attention()
    memory = torch.rand(2, 3, 4) + 0.5
    with torch.no_grad():
        look.gate.weight.fill_(-100.0)

    found = look(memory, torch.ones(2, 3, dtype=torch.bool))

    torch.testing.assert_close(found, memory)


def test_what_is_learned_comes_through_padding_unharmed() -> None:
    look = attention()
    memory = torch.randn(2, 3, 4, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, False, False]])

    look(memory, mask).square().sum().backward()

    assert memory.grad is not None
    assert memory.grad.isfinite().all()
    assert memory.grad[1, 1:].eq(0).all()
    assert all(one.grad.isfinite().all() and one.grad.any() for one in look.parameters())
