import pytest
import torch

from core.models.attention import (
    AdditiveAttention,
    Attention,
    LocalAttention,
    Memory,
    ProductAttention,
    attend,
    attend_covering,
    coverage_loss,
)

KINDS = ("dot", "general", "additive", "local")


def make(kind: str, *, covers: bool = False) -> Attention:
    """An attention of queries (4) over a memory (4)."""
    torch.manual_seed(3)
    attention = {
        "dot": lambda: ProductAttention(torch.nn.Identity(), covers=covers),
        "general": lambda: ProductAttention(torch.nn.Linear(4, 4, bias=False), covers=covers),
        "additive": lambda: AdditiveAttention(
            query_dim=4, memory_dim=4, hidden_dim=5, covers=covers
        ),
        "local": lambda: LocalAttention(query_dim=4, memory_dim=4, window=2, covers=covers),
    }[kind]()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)  # the number that coverage is multiplied by begins at 0
    return attention


def remember(attention: Attention, values: torch.Tensor, *lengths: int) -> Memory:
    mask = torch.arange(values.size(1)) < torch.tensor(lengths).unsqueeze(1)
    return Memory.read(values, attention.keys(values), mask)


@pytest.mark.parametrize("covers", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padding", [0, 1, 7])
def test_padding_never_changes_the_context(kind: str, padding: int, covers: bool) -> None:
    attention = make(kind, covers=covers)
    queries, values = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    padded = torch.cat([values, torch.full((2, padding, 4), 1e4)], dim=1)
    covered = torch.rand(2, 5)

    def look(values: torch.Tensor, coverage: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        memory = remember(attention, values, 5, 5)
        if covers:
            return attend_covering(attention, queries, memory, coverage)[:2]
        return attend(attention, queries, memory)

    expected, _ = look(values, covered)
    contexts, weights = look(padded, torch.cat([covered, torch.zeros(2, padding)], dim=1))
    torch.testing.assert_close(contexts, expected)
    assert weights[..., 5:].eq(0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3))


@pytest.mark.parametrize("covers", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_agree_with_finite_differences(kind: str, covers: bool) -> None:
    attention = make(kind, covers=covers).double()
    torch.manual_seed(5)
    queries, values = torch.randn(2, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    coverage = torch.rand(1, 3, dtype=torch.float64, requires_grad=True)
    weights = list(attention.parameters())

    def look(queries, values, coverage, *_) -> torch.Tensor:
        memory = remember(attention, values, 2)
        if covers:
            return attend_covering(attention, queries, memory, coverage)[0]
        return attend(attention, queries, memory)[0]

    assert torch.autograd.gradcheck(look, (queries, values, coverage, *weights))


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_been_attended_to_changes_the_next_weights(kind: str) -> None:
    attention = make(kind, covers=True)
    memory = remember(attention, torch.randn(1, 5, 4), 5)
    query = torch.randn(1, 1, 4)
    _, fresh, _ = attend_covering(attention, query, memory, torch.zeros(1, 5))
    _, weights, after = attend_covering(attention, query, memory, fresh[:, 0])
    assert not torch.allclose(fresh, weights)
    torch.testing.assert_close(after, (fresh + weights)[:, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_queries_with_coverage_know_only_those_before_them(kind: str) -> None:
    attention = make(kind, covers=True)
    memory = remember(attention, torch.randn(2, 5, 4), 5, 3)
    queries = torch.randn(2, 4, 4)
    coverage = torch.zeros(2, 5)
    contexts, weights, after = attend_covering(attention, queries, memory, coverage)
    for step in range(4):
        one = attend_covering(attention, queries[:, step : step + 1], memory, coverage)
        torch.testing.assert_close(one[0], contexts[:, step : step + 1])
        torch.testing.assert_close(one[1], weights[:, step : step + 1])
        coverage = one[2]
    torch.testing.assert_close(coverage, after)


@pytest.mark.parametrize("window", [1, 2, 64])
def test_a_local_window_is_a_gaussian_round_the_predicted_position(window: int) -> None:
    torch.manual_seed(0)
    attention = LocalAttention(query_dim=4, memory_dim=4, window=window)
    memory = remember(attention, torch.randn(2, 7, 4), 7, 3)
    queries = 3 * torch.randn(2, 5, 4)
    _, weights = attend(attention, queries, memory)
    for row, length in enumerate((7, 3)):
        for step in range(5):
            query = queries[row, step]
            inner = torch.tanh(attention.aim.weight @ query)
            centre = length * torch.sigmoid(attention.place.weight[0] @ inner).item()
            expected = torch.zeros(7)
            for position in range(length):
                distance = position - centre
                if abs(distance) <= window:
                    score = memory.keys[row, position] @ query
                    gaussian = torch.tensor(-(distance**2) / (2 * (window / 2) ** 2)).exp()
                    expected[position] = score.exp() * gaussian
            torch.testing.assert_close(weights[row, step], expected / expected.sum())


@pytest.mark.parametrize("scale", [-1e4, 1e4])
def test_a_window_at_either_end_of_a_row_still_holds_a_token(scale: float) -> None:
    attention = LocalAttention(query_dim=1, memory_dim=1, window=1)
    torch.nn.init.ones_(attention.aim.weight)
    torch.nn.init.constant_(attention.place.weight, scale)
    memory = remember(attention, torch.randn(1, 6, 1), 4)
    _, weights = attend(attention, torch.ones(1, 1, 1), memory)
    assert weights[0, 0].tolist() == pytest.approx(
        [0, 0, 0, 1, 0, 0] if scale > 0 else [*weights[0, 0, :2].tolist(), 0, 0, 0, 0]
    )
    assert weights.sum().item() == pytest.approx(1)


def test_the_coverage_loss_counts_what_is_attended_to_twice() -> None:
    weights = torch.tensor([[[0.5, 0.5, 0.0], [0.2, 0.0, 0.8], [1.0, 0.0, 0.0]]])
    assert coverage_loss(weights)[0].tolist() == pytest.approx([0.0, 0.2, 0.7])


@pytest.mark.parametrize("kind", KINDS)
def test_weights_stay_wide_where_matrices_are_halves(kind: str) -> None:
    attention = make(kind)
    values, queries = torch.randn(1, 5, 4), torch.randn(1, 2, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, weights = attend(attention, queries, remember(attention, values, 5))
    assert weights.dtype == torch.float32
