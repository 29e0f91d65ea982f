from itertools import product

import pytest
import torch
from torch import Tensor

from core.models.encoders import RecurrentEncoder
from core.models.stack import RecurrentStack

LENGTHS = (4, 1, 3)


def encoder_of(**how: object) -> RecurrentEncoder:
    torch.manual_seed(0)
    return RecurrentEncoder(RecurrentStack(input_dim=4, hidden_dim=3, **how)).eval()


def sources(padding: int = 0) -> tuple[Tensor, Tensor]:
    width = max(LENGTHS) + padding
    mask = torch.arange(width) < torch.tensor(LENGTHS).unsqueeze(1)
    embedded = torch.randn(3, max(LENGTHS), 4, generator=torch.Generator().manual_seed(1))
    embedded = torch.cat([embedded, torch.full((3, padding, 4), 50.0)], dim=1)
    return embedded, mask


@pytest.mark.parametrize("padding", [1, 6])
@pytest.mark.parametrize(
    ("cell", "bidirectional", "layers", "reversed_source"),
    list(product(("rnn", "gru", "lstm"), (False, True), (1, 2), (False, True))),
)
def test_padding_and_company_change_nothing_that_an_encoder_leaves(
    cell: str, bidirectional: bool, layers: int, reversed_source: bool, padding: int
) -> None:
    encoder = encoder_of(
        cell=cell, bidirectional=bidirectional, layers=layers, reverse=reversed_source
    )
    embedded, mask = sources()
    whole = encoder(*sources(padding))
    for row, length in enumerate(LENGTHS):
        alone = encoder(embedded[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(whole.memory[row, :length], alone.memory[0])
        for part, own in zip(whole.final, alone.final, strict=True):
            torch.testing.assert_close(part[row], own[0])
    assert whole.memory[~whole.mask].eq(0).all()
    assert {part.shape for part in whole.final} == {(3, layers, encoder.memory_dim)}


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_reversed_source_is_read_from_its_last_token_and_stays_at_its_places(cell: str) -> None:
    embedded, _ = sources()
    mask = torch.ones(3, 4, dtype=torch.bool)
    expected = encoder_of(cell=cell)(embedded.flip(1), mask)
    encoded = encoder_of(cell=cell, reverse=True)(embedded, mask)
    torch.testing.assert_close(encoded.memory, expected.memory.flip(1))
    torch.testing.assert_close(encoded.final, expected.final)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_final_state_of_each_direction_stands_where_it_ended_reading(cell: str) -> None:
    encoded = encoder_of(cell=cell, bidirectional=True)(*sources())
    forwards = torch.stack([encoded.memory[row, n - 1, :3] for row, n in enumerate(LENGTHS)])
    torch.testing.assert_close(encoded.final[0][:, 0, :3], forwards)
    torch.testing.assert_close(encoded.final[0][:, 0, 3:], encoded.memory[:, 0, 3:])
