import pytest
import torch
from torch import nn

from core.errors import BundleError
from core.models.stack import RecurrentStack
from core.pipelines.formats import FORMATS, present


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_what_torchs_own_layers_learned_computes_the_same_today(
    cell: str, bidirectional: bool
) -> None:
    torch.manual_seed(0)
    kind = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
    old = kind(3, 4, num_layers=2, bidirectional=bidirectional, batch_first=True)
    for parameter in old.parameters():
        nn.init.normal_(parameter, std=0.5)
    named = {f"encoder.rnn.{name}": one.detach() for name, one in old.named_parameters()}
    new = RecurrentStack(
        cell=cell, input_dim=3, hidden_dim=4, layers=2, bidirectional=bidirectional
    )
    converted = present(named, "malgil-1")
    new.load_state_dict(
        {name.removeprefix("encoder.stack."): one for name, one in converted.items()}
    )
    inputs = torch.randn(2, 5, 3)
    torch.testing.assert_close(new(inputs)[0], old(inputs)[0], atol=1e-6, rtol=1e-5)


def test_the_one_embedding_of_the_first_format_is_that_of_sources() -> None:
    weight = torch.randn(3, 2)
    assert present({"embedding.weight": weight}, "malgil-1")["source_embedding.weight"] is weight


def test_what_was_written_today_is_left_as_it_is() -> None:
    weights = {"embedding.weight": torch.randn(3, 2)}
    assert present(weights, FORMATS[-1]) == weights


def test_a_layer_that_is_not_whole_is_called_damaged() -> None:
    with pytest.raises(BundleError, match="bias_ih"):
        present(
            {
                "decoder.rnn.weight_ih_l0": torch.zeros(4, 2),
                "decoder.rnn.weight_hh_l0": torch.zeros(4, 1),
            },
            "malgil-1",
        )
