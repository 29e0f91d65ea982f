from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core.models.recurrence import Recurrence

CELLS = ("rnn", "gru", "lstm")
LENGTHS = torch.tensor([4, 1, 3])
INPUTS, HIDDEN = 3, 5
WAYS = list(product(CELLS, (False, True), (False, True)))  # cell, layer norm, reverse


def recurrence_of(cell: str, **how: object) -> Recurrence:
    torch.manual_seed(0)
    made = Recurrence(cell, INPUTS, HIDDEN, **how)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.5)
    return made.eval()


def rows(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def first_of(recurrence: Recurrence, count: int) -> tuple[Tensor, ...]:
    return tuple(
        0.5 * rows(count, HIDDEN, seed=7 + n) for n in range(len(recurrence.start(rows(1, 1))))
    )


@pytest.mark.parametrize("cell", CELLS)
def test_a_recurrence_computes_what_the_layer_of_torch_does(cell: str) -> None:
    ours = recurrence_of(cell)
    layer = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[cell](INPUTS, HIDDEN, batch_first=True)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(ours.weight_input)
        layer.weight_hh_l0.copy_(ours.weight_hidden)
        layer.bias_ih_l0.copy_(ours.bias)
        layer.bias_hh_l0.zero_()
        if ours.bias_candidate is not None:
            layer.bias_hh_l0[2 * HIDDEN :] = ours.bias_candidate
    inputs = rows(2, 6, INPUTS)
    torch.testing.assert_close(ours(inputs)[0], layer(inputs)[0])


@pytest.mark.parametrize(("cell", "layer_norm", "reverse"), WAYS)
def test_steps_taken_one_by_one_lead_where_the_whole_walk_does(
    cell: str, layer_norm: bool, reverse: bool
) -> None:
    recurrence = recurrence_of(cell, layer_norm=layer_norm)
    inputs, state = rows(3, 4, INPUTS), first_of(recurrence, 3)
    outputs, last = recurrence(inputs, state, LENGTHS, reverse=reverse)
    for row, length in enumerate(LENGTHS.tolist()):
        now = tuple(part[row : row + 1] for part in state)
        for time in reversed(range(length)) if reverse else range(length):
            now = recurrence.step(inputs[row : row + 1, time], now)
            torch.testing.assert_close(outputs[row, time], now[0][0])
        for part, own in zip(last, now, strict=True):
            torch.testing.assert_close(part[row], own[0])


@pytest.mark.parametrize(("cell", "layer_norm", "reverse"), WAYS)
def test_what_stands_in_padding_changes_nothing(cell: str, layer_norm: bool, reverse: bool) -> None:
    recurrence = recurrence_of(cell, layer_norm=layer_norm)
    inputs = rows(3, 4, INPUTS)
    expected, last = recurrence(inputs, None, LENGTHS, reverse=reverse)
    wider = torch.cat([inputs, rows(3, 2, INPUTS)], dim=1)
    wider[torch.arange(6) >= LENGTHS.unsqueeze(1)] = 1e4
    outputs, after = recurrence(wider, None, LENGTHS, reverse=reverse)
    torch.testing.assert_close(outputs[:, :4], expected)
    torch.testing.assert_close(after, last)
    assert outputs[torch.arange(6) >= LENGTHS.unsqueeze(1)].eq(0).all()


@settings(deadline=None, max_examples=25)
@given(
    cell=st.sampled_from(CELLS),
    reverse=st.booleans(),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
)
def test_a_row_is_walked_the_same_alone_and_in_company(
    cell: str, reverse: bool, lengths: list[int]
) -> None:
    recurrence = recurrence_of(cell)
    inputs = rows(len(lengths), max(lengths), INPUTS)
    outputs, last = recurrence(inputs, None, torch.tensor(lengths), reverse=reverse)
    for row, length in enumerate(lengths):
        alone, end = recurrence(inputs[row : row + 1, :length], reverse=reverse)
        torch.testing.assert_close(outputs[row : row + 1, :length], alone)
        torch.testing.assert_close(tuple(part[row : row + 1] for part in last), end)


@pytest.mark.parametrize("cell", CELLS)
def test_a_row_without_a_step_keeps_its_state(cell: str) -> None:
    recurrence = recurrence_of(cell)
    state = first_of(recurrence, 2)
    outputs, last = recurrence(rows(2, 3, INPUTS), state, torch.tensor([0, 3]))
    torch.testing.assert_close(tuple(part[0] for part in last), tuple(part[0] for part in state))
    assert outputs[0].eq(0).all()


@pytest.mark.parametrize(("cell", "layer_norm", "reverse"), WAYS)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
def test_gradients_are_those_of_finite_differences(
    cell: str, layer_norm: bool, reverse: bool, lengths: Tensor | None
) -> None:
    recurrence = recurrence_of(cell, layer_norm=layer_norm).double()
    inputs = rows(3, 4, INPUTS).double().requires_grad_()
    state = tuple(part.double().requires_grad_() for part in first_of(recurrence, 3))

    def walk(inputs: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        own = dict(zip(names, rest[len(state) :], strict=True))
        outputs, last = torch.func.functional_call(
            recurrence, own, (inputs, rest[: len(state)], lengths), {"reverse": reverse}
        )
        return (outputs, *last)

    names = [name for name, _ in recurrence.named_parameters()]
    assert torch.autograd.gradcheck(walk, (inputs, *state, *recurrence.parameters()))


@pytest.mark.parametrize("cell", CELLS)
def test_halves_stay_close_to_floats_and_states_stay_floats(cell: str) -> None:
    recurrence = recurrence_of(cell)
    inputs = rows(3, 4, INPUTS)
    expected, _ = recurrence(inputs, None, LENGTHS)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, last = recurrence(inputs, None, LENGTHS)
        (outputs.float().square().sum() + sum(part.sum() for part in last)).backward()
    torch.testing.assert_close(outputs.float(), expected, atol=0.03, rtol=0.03)
    assert {part.dtype for part in last} == {torch.float32}
    for name, parameter in recurrence.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.dtype == torch.float32, name


@pytest.mark.parametrize(("cell", "steps"), list(product(CELLS, (1, 4))))
def test_inference_computes_what_training_does(cell: str, steps: int) -> None:
    recurrence = recurrence_of(cell)
    expected, last = recurrence(rows(3, steps, INPUTS))
    with torch.inference_mode():
        outputs, after = recurrence(rows(3, steps, INPUTS))
    torch.testing.assert_close(outputs, expected.detach())
    torch.testing.assert_close(after, tuple(part.detach() for part in last))


@pytest.mark.parametrize("cell", CELLS)
def test_dropped_weights_are_drawn_once_for_a_walk_and_only_in_training(cell: str) -> None:
    recurrence = recurrence_of(cell, weight_drop=0.5).train()
    torch.manual_seed(3)
    weight = recurrence.draw()
    assert (weight == 0).any()
    assert recurrence.eval().draw() is not weight
    torch.testing.assert_close(recurrence.draw(), recurrence.weight_hidden)

    recurrence.train()
    torch.manual_seed(3)
    outputs, _ = recurrence(rows(2, 4, INPUTS))
    now = recurrence.start(rows(2, 1))
    for time in range(4):
        now = recurrence.step(rows(2, 4, INPUTS)[:, time], now, weight)
    torch.testing.assert_close(outputs[:, -1], now[0])
