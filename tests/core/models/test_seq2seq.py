from itertools import product

import pytest
import torch

from core.models.build import build
from core.models.seq2seq import Seq2Seq
from core.specs import ModelSpec

VOCABULARY = 17
SPECS = [
    ModelSpec(
        cell=cell,
        attention=attention,
        bidirectional=bidirectional,
        encoder_layers=layers,
        decoder_layers=layers,
        tied_output=tied,
        embedding_dim=6,
        hidden_dim=8,
        dropout=0.1,
    )
    for cell, attention, bidirectional, layers, tied in product(
        ("gru", "lstm"), ("general", "additive"), (True, False), (1, 2), (True, False)
    )
]


def model_of(spec: ModelSpec) -> Seq2Seq:
    torch.manual_seed(0)
    return build(spec, vocabulary_size=VOCABULARY)


def sources(*lengths: int, padding: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    width = max(lengths) + padding
    ids = torch.randint(5, VOCABULARY, (len(lengths), width))
    mask = torch.arange(width).expand(len(lengths), -1) < torch.tensor(lengths).unsqueeze(1)
    return ids.masked_fill(~mask, 0), mask


def scores(model: Seq2Seq, source, mask, words) -> torch.Tensor:
    return model.generator(model.read(source, mask, words).features)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_every_declared_option_runs_forward_and_backward(spec: ModelSpec) -> None:
    model = model_of(spec)
    source, mask = sources(5, 3)
    logits = scores(model, source, mask, torch.randint(5, VOCABULARY, (2, 4)))
    assert logits.shape == (2, 4, VOCABULARY)
    logits.square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_stepping_through_a_target_scores_it_as_teacher_forcing_does(spec: ModelSpec) -> None:
    model = model_of(spec).eval()
    source, mask = sources(5, 3)
    words = torch.randint(5, VOCABULARY, (2, 4))
    expected = scores(model, source, mask, words).log_softmax(-1)
    state = model.start(source, mask)
    for step in range(words.size(1)):
        log_probs, state = model.step(words[:, step], state)
        torch.testing.assert_close(log_probs, expected[:, step], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("padding", [0, 1, 9])
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_neither_padding_nor_company_changes_a_row(spec: ModelSpec, padding: int) -> None:
    model = model_of(spec).eval()
    source, mask = sources(7, 3, 5, padding=padding)
    words = torch.randint(5, VOCABULARY, (3, 4))
    together = scores(model, source, mask, words)
    for row, length in enumerate((7, 3, 5)):
        alone = scores(model, source[[row], :length], mask[[row], :length], words[[row]])
        torch.testing.assert_close(together[[row]], alone, atol=1e-5, rtol=1e-5)


def test_selecting_rows_keeps_what_each_was_about() -> None:
    model = model_of(SPECS[0]).eval()
    source, mask = sources(6, 2, 4)
    tokens = torch.tensor([5, 6, 7])
    log_probs, state = model.step(tokens, model.start(source, mask))
    rows = torch.tensor([2, 0, 2])
    chosen, _ = model.step(tokens[rows], model.select(state, rows))
    every, _ = model.step(tokens, state)
    torch.testing.assert_close(chosen, every[rows], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(log_probs[0], log_probs[1])


def test_a_tied_output_layer_is_the_embedding() -> None:
    tied = model_of(ModelSpec(embedding_dim=6, hidden_dim=8, tied_output=True))
    assert tied.generator.weight is tied.target_embedding.weight
