from itertools import product

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from core.models.build import build
from core.models.cells import CellNorms
from core.models.explain import explain
from core.models.language_model import LanguageModel
from core.models.recurrence import Recurrence
from core.specs import ModelSpec

VOCABULARY, ROWS, SOURCE, TARGET, WINDOW = 23, 3, 5, 4, 6
SMALL = {"embedding_dim": 8, "hidden_dim": 8, "heads": 2, "feed_forward_dim": 12, "dropout": 0.0}


def small(**fields: object) -> ModelSpec:
    return ModelSpec.model_validate({**SMALL, **fields})


SPECS = [
    *(
        small(cell=cell, encoder_layers=layers, decoder_layers=layers, bidirectional=both)
        for cell, layers, both in product(("rnn", "gru", "lstm"), (1, 2), (True, False))
    ),
    *(
        small(attention=attention, bidirectional=False, attention_position=position)
        for attention, position in product(
            ("dot", "general", "additive", "local"), ("before", "after")
        )
    ),
    *(small(attention=one, coverage=True) for one in ("general", "additive", "local")),
    small(attention="none", peeky=True),
    small(attention="none", tied_output=False),
    small(input_feeding=True, peeky=True),
    small(copy_source=True, layer_norm=True, residual=True),
    small(bridge="mean", shared_embedding=False, embedding_dim=6),
    small(bridge="zero", encoder_hidden_dim=5, reversed_source=True),
    small(encoder="transformer", decoder="transformer", encoder_layers=2, decoder_layers=2),
    small(encoder="transformer", decoder="transformer", copy_source=True),
    small(encoder="transformer", bridge="mean"),
    small(decoder="transformer", encoder_hidden_dim=5),
    *(small(encoder="none", cell=cell, bidirectional=False) for cell in ("gru", "lstm")),
    small(encoder="none", bidirectional=False, embedding_dim=6, decoder_layers=2),
    small(encoder="none", window=WINDOW, bidirectional=True, tied_output=False),
    small(encoder="none", window=WINDOW, bidirectional=True, decoder_layers=2),
    small(encoder="none", decoder="transformer", bidirectional=False, decoder_layers=2),
]


def admitted() -> st.SearchStrategy[ModelSpec]:
    """Any spec that is not refused."""
    flags = ("residual", "layer_norm", "locked_dropout", "reversed_source", "input_feeding")
    more = ("coverage", "peeky", "copy_source", "shared_embedding", "tied_output", "bidirectional")
    return (
        st.fixed_dictionaries(
            {
                "encoder": st.sampled_from(("recurrent", "transformer", "none")),
                "decoder": st.sampled_from(("recurrent", "transformer")),
                "cell": st.sampled_from(("rnn", "gru", "lstm")),
                "attention": st.sampled_from(("none", "dot", "general", "additive", "local")),
                "attention_position": st.sampled_from(("before", "after")),
                "bridge": st.sampled_from(("last", "zero", "linear", "mean")),
                "embedding_dim": st.sampled_from((8, 6)),
                "encoder_hidden_dim": st.sampled_from((None, 4, 8)),
                "encoder_layers": st.integers(1, 2),
                "decoder_layers": st.integers(1, 2),
                "window": st.sampled_from((None, WINDOW)),
                **dict.fromkeys((*flags, *more), st.booleans()),
            }
        )
        .map(made)
        .filter(lambda spec: spec is not None)
    )


def made(fields: dict[str, object]) -> ModelSpec | None:
    try:
        return small(**fields)
    except ValidationError:
        return None


def words(steps: int) -> torch.Tensor:
    return torch.randint(5, VOCABULARY, (ROWS, steps))


def counted(spec: ModelSpec) -> int:
    """Multiply-adds for each row of a real forward pass, as torch counts them.

    It does not see into fused layers. Those with norms are not fused, and norms do not count.
    """
    network = build(spec, vocabulary_size=VOCABULARY).eval()
    for part in network.modules():
        if isinstance(part, Recurrence):
            part.norms = CellNorms(part.cell, part.hidden_dim)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        if isinstance(network, LanguageModel):
            steps = spec.window or TARGET
            state = network.reader.resume(())
            features, _ = network.reader(network.embedding(words(steps)), state)
            network.generator(features)
        else:
            mask = torch.ones(ROWS, SOURCE, dtype=torch.bool)
            readout = network.read(words(SOURCE), mask, words(TARGET))
            network.generator(readout.features)
            if network.pointer is not None:
                network.pointer.gate(readout.features)
    return counter.get_total_flops() // (2 * ROWS)


@pytest.mark.parametrize(
    "spec", SPECS, ids=lambda spec: str(spec.model_dump(exclude_defaults=True))
)
def test_what_is_told_is_what_torch_counts(spec: ModelSpec) -> None:
    torch.manual_seed(0)
    told = explain(spec, vocabulary_size=VOCABULARY)
    said = 1 if spec.window else TARGET  # a window says one word
    assert told.cost.total(SOURCE, said) == counted(spec)


@pytest.mark.parametrize(
    "spec", SPECS, ids=lambda spec: str(spec.model_dump(exclude_defaults=True))
)
def test_every_parameter_is_told_once(spec: ModelSpec) -> None:
    network = build(spec, vocabulary_size=VOCABULARY)
    told = explain(spec, vocabulary_size=VOCABULARY)
    shapes = {
        f"{part.name}.{one.name}": one.shape
        for part in told.parts
        for one in part.parameters
        if not one.tied
    }
    assert shapes == {name: tuple(one.shape) for name, one in network.named_parameters()}
    assert told.count == sum(one.numel() for one in network.parameters())
    assert told.weight_bytes == 4 * told.count


@given(spec=admitted())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_every_network_that_is_admitted_is_told_right(spec: ModelSpec) -> None:
    told = explain(spec, vocabulary_size=VOCABULARY)
    network = build(spec, vocabulary_size=VOCABULARY)
    assert told.cost.total(SOURCE, 1 if spec.window else TARGET) == counted(spec)
    assert told.count == sum(one.numel() for one in network.parameters())


def test_the_model_of_the_fables_is_told_as_published() -> None:
    spec = ModelSpec(
        encoder="none",
        cell="lstm",
        bidirectional=False,
        window=20,
        embedding_dim=100,
        hidden_dim=256,
        tied_output=False,
    )
    assert explain(spec, vocabulary_size=4169).count == 1_853_901


def test_a_tied_output_layer_is_told_and_not_counted_twice() -> None:
    told = explain(small(), vocabulary_size=VOCABULARY)
    weight, bias = next(part for part in told.parts if part.name == "generator").parameters
    assert (weight.tied, bias.tied) == (True, False)


def test_explaining_takes_nobody_elses_random_numbers() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    explain(small(), vocabulary_size=VOCABULARY)
    assert torch.equal(torch.rand(2), expected)
