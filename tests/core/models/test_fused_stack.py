"""LSTMs that read whole rows in one call: the learned numbers, and the same in any company."""

import pytest
import torch
from torch import Tensor

from core.models.fused_stack import FusedStack, fuses
from core.models.precision import fast_bf16
from core.models.products import Multiplied, Packing
from core.models.stack import RecurrentStack

LENGTHS = (9, 1, 4, 0, 30, 9, 2, 29, 17, 3, 30, 1)
WIDE = 40  # inputs

needs_onednn = pytest.mark.skipif(
    not fuses(RecurrentStack(cell="lstm", input_dim=2, hidden_dim=2)),
    reason="this torch has no fused LSTM for this CPU",
)


def stack_of(*, layers: int = 1, residual: bool = False, reverse: bool = False) -> RecurrentStack:
    torch.manual_seed(3)
    stack = RecurrentStack(
        cell="lstm",
        input_dim=WIDE,
        hidden_dim=24,
        layers=layers,
        bidirectional=True,
        residual=residual,
        reverse=reverse,
    )
    for one in stack.parameters():
        torch.nn.init.uniform_(one, -0.3, 0.3)
    return stack.eval()


def rows(lengths: tuple[int, ...] = LENGTHS) -> tuple[Tensor, Tensor]:
    """Return inputs (B, T, I), noise at padding, and lengths (B,)."""
    chance = torch.Generator().manual_seed(4)
    every = torch.randn(len(LENGTHS), max(LENGTHS), WIDE, generator=chance)
    return every[: len(lengths), : max(*lengths, 1)], torch.tensor(lengths)


@needs_onednn
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@torch.inference_mode()
def test_it_reads_what_the_learned_layers_read(layers: int, residual: bool, reverse: bool) -> None:
    stack = stack_of(layers=layers, residual=residual, reverse=reverse)
    inputs, lengths = rows()
    found, ends = FusedStack(stack, Packing("fp32"))(inputs, lengths=lengths)
    expected, expected_ends = stack(inputs, lengths=lengths)
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)
    torch.testing.assert_close(ends, expected_ends, atol=2e-6, rtol=0)


@needs_onednn
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@torch.inference_mode()
def test_a_row_is_the_same_to_the_last_bit_in_any_company(precision: Multiplied) -> None:
    stack = FusedStack(stack_of(layers=2), Packing(precision, small=0))
    inputs, lengths = rows()
    together, ends = stack(inputs, lengths=lengths)
    for some in ([4], [1], [3], [0, 3], [7, 8, 11], list(range(5, 12))):
        steps = max(int(lengths[some].max()), 1)
        alone, last = stack(inputs[some, :steps], lengths=lengths[some])
        assert alone.equal(together[some, :steps])
        assert all(one.equal(all_[some]) for one, all_ in zip(last, ends, strict=True))


@needs_onednn
@pytest.mark.skipif(not fast_bf16(torch.device("cpu")), reason="this CPU is slow in bf16")
@torch.inference_mode()
def test_halves_are_rounded_numbers_and_small_layers_keep_theirs() -> None:
    inputs, lengths = rows()
    exact = FusedStack(stack_of(), Packing("fp32"))(inputs, lengths=lengths)[0]
    halves = FusedStack(stack_of(), Packing("bf16", small=0))(inputs, lengths=lengths)[0]
    assert halves.dtype == torch.float32
    assert 1e-5 < (halves - exact).abs().max() < 0.03
    small = FusedStack(stack_of(), Packing("bf16"))(inputs, lengths=lengths)[0]
    assert small.equal(exact)


def test_only_plain_lstms_are_fused() -> None:
    assert not fuses(RecurrentStack(cell="gru", input_dim=2, hidden_dim=2))
    assert not fuses(RecurrentStack(cell="lstm", input_dim=2, hidden_dim=2, layer_norm=True))
