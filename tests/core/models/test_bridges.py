import pytest
import torch
from torch import Tensor

from core.models.bridges import LastBridge, LinearBridge, ZeroBridge
from core.models.encoders import Encoded


def encoded(padding: int = 0) -> Encoded:
    """Two rows of 3 and 2 tokens, a memory of 4, two layers of h and c; padding is not zero."""
    torch.manual_seed(0)
    memory = torch.randn(2, 3, 4, dtype=torch.float64)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    final = tuple(torch.randn(2, 2, 4, dtype=torch.float64) for _ in range(2))
    beyond = torch.full((2, padding, 4), 1e4, dtype=torch.float64)
    nothing = torch.zeros(2, padding, dtype=torch.bool)
    return Encoded(torch.cat([memory, beyond], 1), torch.cat([mask, nothing], 1), final)


def linear(*, of_mean: bool) -> LinearBridge:
    bridge = LinearBridge(memory_dim=4, hidden_dim=3, layers=2, states=2, of_mean=of_mean)
    return bridge.double()


def test_the_last_bridge_hands_every_layer_over_as_it_is() -> None:
    given = encoded()
    assert LastBridge()(given) is given.final


def test_the_zero_bridge_says_nothing_and_has_nothing_to_learn() -> None:
    bridge = ZeroBridge(hidden_dim=3, layers=2, states=2)
    for state in bridge(encoded()):
        assert state.shape == (2, 2, 3)
        assert state.eq(0).all()
    assert not list(bridge.parameters())


def test_the_linear_bridge_reads_the_last_layers_h() -> None:
    bridge, given = linear(of_mean=False), encoded()
    expected = torch.tanh(given.final[0][:, -1] @ bridge.project.weight.T + bridge.project.bias)
    h, c = bridge(given)
    torch.testing.assert_close(torch.cat([h.flatten(1), c.flatten(1)], dim=1), expected)


def test_the_mean_bridge_reads_the_mean_of_real_tokens() -> None:
    bridge, given = linear(of_mean=True), encoded()
    mean = torch.stack([given.memory[0].mean(0), given.memory[1, :2].mean(0)])
    expected = torch.tanh(mean @ bridge.project.weight.T + bridge.project.bias)
    h, c = bridge(given)
    torch.testing.assert_close(torch.cat([h.flatten(1), c.flatten(1)], dim=1), expected)


@pytest.mark.parametrize("of_mean", [False, True])
@pytest.mark.parametrize("padding", [1, 7])
def test_padding_never_changes_a_first_state(padding: int, of_mean: bool) -> None:
    bridge = linear(of_mean=of_mean)
    for ours, theirs in zip(bridge(encoded()), bridge(encoded(padding)), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("of_mean", [False, True])
def test_gradients_agree_with_finite_differences(of_mean: bool) -> None:
    bridge, given = linear(of_mean=of_mean), encoded()

    def cross(memory: Tensor, final: Tensor, *_: Tensor) -> tuple[Tensor, ...]:
        return bridge(Encoded(memory, given.mask, (final,)))

    inputs = (given.memory.requires_grad_(), given.final[0].requires_grad_())
    assert torch.autograd.gradcheck(cross, (*inputs, *bridge.parameters()))
