import pytest
import torch

from core.models.bricks import TIED_STD, WIDE_STD
from core.models.build import build
from core.models.decoders import RecurrentDecoder
from core.models.language_model import LanguageModel
from core.models.recurrence import Recurrence
from core.models.seq2seq import Seq2Seq
from core.specs import ModelSpec

SMALL = {"embedding_dim": 6, "hidden_dim": 8}


def seq2seq(**spec: object) -> Seq2Seq:
    model = build(ModelSpec(**(SMALL | spec)), vocabulary_size=17)
    assert isinstance(model, Seq2Seq)
    return model


def test_a_tied_output_layer_is_the_target_embedding() -> None:
    shared = seq2seq()
    assert shared.generator.weight is shared.target_embedding.weight
    assert shared.target_embedding is shared.source_embedding
    apart = seq2seq(shared_embedding=False)
    assert apart.generator.weight is apart.target_embedding.weight
    assert apart.source_embedding.weight is not apart.target_embedding.weight
    untied = seq2seq(tied_output=False)
    assert untied.generator.weight.shape == (17, 8)


def test_a_language_model_is_what_has_no_encoder() -> None:
    spec = ModelSpec(encoder="none", bidirectional=False, **SMALL)
    assert isinstance(build(spec, vocabulary_size=17), LanguageModel)


def test_a_frozen_embedding_never_learns() -> None:
    model = seq2seq(freeze_embedding=True, tied_output=False)
    frozen = [name for name, one in model.named_parameters() if not one.requires_grad]
    assert frozen == ["source_embedding.weight"]


@pytest.mark.parametrize("attention", ["none", "general"])
@pytest.mark.parametrize("peeky", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_features_are_projected_only_where_their_size_does_not_fit(
    attention: str, peeky: bool, tied: bool
) -> None:
    model = seq2seq(
        attention=attention, peeky=peeky, tied_output=tied, embedding_dim=8, bidirectional=False
    )
    assert isinstance(model.decoder, RecurrentDecoder)
    fits = attention == "none" and not (peeky and tied)
    assert (model.decoder.combine is None) == fits


def test_an_lstm_begins_by_keeping_what_it_has() -> None:
    model = seq2seq(cell="lstm", encoder_layers=2)
    recurrences = [part for part in model.modules() if isinstance(part, Recurrence)]
    assert len(recurrences) == 5
    for one in recurrences:
        gates = one.bias.detach().view(4, -1)
        assert gates[1].eq(1).all()
        assert gates[[0, 2, 3]].eq(0).all()


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_each_gate_of_a_recurrence_begins_orthogonal(cell: str) -> None:
    model = seq2seq(cell=cell)
    for part in model.modules():
        if isinstance(part, Recurrence):
            for gate in part.weight_hidden.detach().split(8):
                torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("spec", "source", "target"),
    [
        ({}, TIED_STD, TIED_STD),
        ({"tied_output": False}, WIDE_STD, WIDE_STD),
        ({"shared_embedding": False}, WIDE_STD, TIED_STD),
        ({"encoder": "transformer", "bridge": "mean"}, 1 / 8, 1 / 8),
        ({"decoder": "transformer", "shared_embedding": False}, WIDE_STD, 1 / 8),
    ],
)
def test_embeddings_begin_as_wide_as_their_readers_like(
    spec: dict[str, object], source: float, target: float
) -> None:
    torch.manual_seed(0)
    sizes = {"embedding_dim": 64, "hidden_dim": 64}
    model = build(ModelSpec(**(sizes | spec)), vocabulary_size=500)
    assert isinstance(model, Seq2Seq)
    assert model.source_embedding.weight.std().item() == pytest.approx(source, rel=0.05)
    assert model.target_embedding.weight.std().item() == pytest.approx(target, rel=0.05)


def test_a_network_has_as_many_parameters_as_the_textbook_says() -> None:
    """A window of words, an embedding, an LSTM and a softmax: the sizes of Aesop's fables."""
    spec = ModelSpec(
        encoder="none",
        cell="lstm",
        embedding_dim=100,
        hidden_dim=256,
        window=20,
        bidirectional=False,
        tied_output=False,
    )
    model = build(spec, vocabulary_size=4169)
    assert sum(one.numel() for one in model.parameters()) == 1_853_901
