import numpy as np
import pytest
import torch
from torch import nn

from core.errors import InputError
from core.models.build import build
from core.models.vectors import place_vectors
from core.specs import ModelSpec
from core.text.vectors import WordVectors

FOUND = np.array([False, True, True, False, True])
VECTORS = WordVectors(
    (np.arange(10, dtype=np.float32) * FOUND.repeat(2)).reshape(5, 2),
    FOUND,
)


@pytest.mark.parametrize("freeze", [True, False])
def test_found_rows_are_written_and_others_stay(freeze: bool) -> None:
    torch.manual_seed(0)
    network = nn.ModuleDict({"words": nn.Embedding(5, 2), "places": nn.Embedding(7, 3)})
    before = network["words"].weight.detach().clone()

    count = place_vectors(network, VECTORS, freeze=freeze)

    after = network["words"].weight.detach()
    found = torch.from_numpy(FOUND)
    assert count == 3
    assert after[found].equal(torch.from_numpy(VECTORS.matrix)[found])
    assert after[~found].equal(before[~found])
    assert network["words"].weight.requires_grad is not freeze
    assert network["places"].weight.requires_grad


@pytest.mark.parametrize("shape", [(5, 3), (4, 2)])
def test_sizes_that_do_not_fit_are_named(shape: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="5 vectors of 2 numbers do not fit"):
        place_vectors(nn.Embedding(*shape), VECTORS, freeze=False)


@pytest.mark.parametrize("shared", [True, False])
def test_a_whole_network_hears_the_vectors(shared: bool) -> None:
    spec = ModelSpec(
        embedding_dim=2, hidden_dim=4, shared_embedding=shared, freeze_embedding=shared
    )
    network = build(spec, vocabulary_size=5)

    place_vectors(network, VECTORS, freeze=spec.freeze_embedding)

    tables = [part for part in network.modules() if isinstance(part, nn.Embedding)]
    assert len(tables) == (1 if shared else 2)
    assert all(part.weight[4].tolist() == [8.0, 9.0] for part in tables)
    assert all(part.weight.requires_grad is not shared for part in tables)
