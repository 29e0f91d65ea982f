from itertools import product

import pytest
import torch
from torch import Tensor

from core.models.stack import RecurrentStack

LENGTHS = torch.tensor([5, 2, 3])
REAL = torch.arange(5) < LENGTHS.unsqueeze(1)
INPUTS, HIDDEN = 4, 3


def stack_of(**how: object) -> RecurrentStack:
    torch.manual_seed(0)
    return RecurrentStack(input_dim=INPUTS, hidden_dim=HIDDEN, **{"cell": "lstm", **how})


def rows(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("cell", "layers", "bidirectional", "residual", "layer_norm", "locked"),
    list(product(("rnn", "gru", "lstm"), (1, 3), *[(False, True)] * 4)),
)
def test_every_stack_runs_forward_and_backward_and_never_reads_padding(
    cell: str, layers: int, bidirectional: bool, residual: bool, layer_norm: bool, locked: bool
) -> None:
    stack = stack_of(
        cell=cell,
        layers=layers,
        bidirectional=bidirectional,
        residual=residual,
        layer_norm=layer_norm,
        dropout=0.2,
        locked_dropout=locked,
    )
    inputs = rows(3, 5, INPUTS)
    outputs, last = stack(inputs, lengths=LENGTHS)
    (outputs.square().sum() + sum(part.square().sum() for part in last)).backward()
    assert all(one.grad is not None and one.grad.any() for one in stack.parameters())

    stack.eval()
    expected, last = stack(inputs, lengths=LENGTHS)
    inputs[~REAL] = 1e3
    outputs, after = stack(inputs, lengths=LENGTHS)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(after, last)
    assert outputs[~REAL].eq(0).all()
    assert outputs.shape == (3, 5, stack.output_dim)
    assert {part.shape for part in last} == {(3, layers, stack.output_dim)}


@pytest.mark.parametrize(("cell", "residual"), list(product(("gru", "lstm"), (False, True))))
def test_a_stack_can_be_walked_in_steps_and_in_stretches(cell: str, residual: bool) -> None:
    stack = stack_of(cell=cell, layers=2, residual=residual).eval()
    inputs = rows(3, 5, INPUTS)
    expected, last = stack(inputs)
    _, state = stack(inputs[:, :2])
    stretch, after = stack(inputs[:, 2:4], state)
    torch.testing.assert_close(stretch, expected[:, 2:4])
    output, after = stack.step(inputs[:, 4], after)
    torch.testing.assert_close(output, expected[:, 4])
    torch.testing.assert_close(after, last)


def test_one_draw_drops_the_same_in_every_call() -> None:
    stack = stack_of(layers=2, dropout=0.5, locked_dropout=True, weight_drop=0.4).train()
    inputs = rows(3, 5, INPUTS)
    draw = stack.draw(inputs)
    whole, _ = stack(inputs, draw=draw)
    first, state = stack(inputs[:, :1], draw=draw)
    rest = [first[:, 0]]
    for time in range(1, 5):
        output, state = stack.step(inputs[:, time], state, draw)
        rest.append(output)
    torch.testing.assert_close(torch.stack(rest, dim=1), whole)
    kept = torch.tensor([2, 0])
    torch.testing.assert_close(stack(inputs[kept], draw=draw.select(kept))[0], whole[kept])
    assert not torch.equal(stack(inputs)[0], whole)


def test_a_residual_layer_adds_to_what_it_was_given() -> None:
    plain = stack_of(layers=2).eval()
    residual = stack_of(layers=2, residual=True).eval()
    inputs = rows(3, 5, INPUTS)
    below, _ = plain.layers[0](inputs, None, None, None)
    torch.testing.assert_close(residual(inputs)[0], plain(inputs)[0] + below)


def test_reading_backwards_is_reading_the_reverse() -> None:
    forwards, backwards = stack_of(layers=2).eval(), stack_of(layers=2, reverse=True).eval()
    inputs = rows(3, 5, INPUTS)
    expected, last = forwards(inputs.flip(1))
    outputs, after = backwards(inputs)
    torch.testing.assert_close(outputs, expected.flip(1))
    torch.testing.assert_close(after, last)
