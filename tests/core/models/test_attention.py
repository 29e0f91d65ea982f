import pytest
import torch

from core.models.attention import AdditiveAttention, Attention, GeneralAttention


def additive() -> Attention:
    return AdditiveAttention(query_dim=4, memory_dim=6, hidden_dim=5)


def general() -> Attention:
    return GeneralAttention(query_dim=4, memory_dim=6)


@pytest.mark.parametrize("make", [additive, general])
@pytest.mark.parametrize("padding", [0, 1, 7])
def test_padding_never_changes_the_context(make, padding: int) -> None:
    torch.manual_seed(0)
    attend = make()
    queries, memory = torch.randn(2, 3, 4), torch.randn(2, 5, 6)
    padded = torch.cat([memory, torch.full((2, padding, 6), 1e4)], dim=1)
    mask = torch.arange(5 + padding).expand(2, -1) < 5

    expected, _ = attend(queries, attend.keys(memory), memory, mask[:, :5])
    contexts, weights = attend(queries, attend.keys(padded), padded, mask)

    torch.testing.assert_close(contexts, expected)
    assert weights[..., 5:].eq(0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3))


@pytest.mark.parametrize("make", [additive, general])
def test_gradients_agree_with_finite_differences(make) -> None:
    torch.manual_seed(0)
    attend = make().double()
    queries = torch.randn(1, 2, 4, dtype=torch.float64, requires_grad=True)
    memory = torch.randn(1, 3, 6, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, False]])
    assert torch.autograd.gradcheck(
        lambda q, m: attend(q, attend.keys(m), m, mask)[0], (queries, memory)
    )
