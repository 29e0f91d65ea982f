import pytest
import torch
from torch import Tensor

from core.data.batches import Batch
from core.models.attention import coverage_loss
from core.models.build import build
from core.models.learner import LossOptions
from core.models.seq2seq import Seq2Seq
from core.specs import ModelSpec
from core.text.tokenizer import BOS

VOCABULARY = 17
PLAIN = LossOptions()
SPECS = {
    "plain": {},
    "feeding": {"cell": "lstm", "input_feeding": True, "coverage": True},
    "locked": {"locked_dropout": True, "decoder_layers": 2, "weight_drop": 0.2},
    "copying": {"copy_source": True, "attention": "additive"},
    "transformer": {"encoder": "transformer", "decoder": "transformer", "heads": 2},
}
EVERY = pytest.mark.parametrize("name", SPECS)


def model_of(name: str, **more: object) -> Seq2Seq:
    torch.manual_seed(0)
    spec = ModelSpec(**({"embedding_dim": 8, "hidden_dim": 8} | SPECS[name] | more))
    model = build(spec, vocabulary_size=VOCABULARY)
    assert isinstance(model, Seq2Seq)
    return model


def batch(top: int = VOCABULARY) -> Batch:
    """Sources of 6, 2 and 4 tokens, targets of 4, 3 and 5."""
    seeded = torch.Generator().manual_seed(1)
    source_mask = torch.arange(6) < torch.tensor([[6], [2], [4]])
    target_mask = torch.arange(6) < torch.tensor([[5], [4], [6]])
    target = torch.randint(5, VOCABULARY, (3, 6), generator=seeded)
    target[:, 0] = BOS
    source = torch.randint(5, top, (3, 6), generator=seeded)
    return Batch(
        source=source.masked_fill(~source_mask, 0),
        source_mask=source_mask,
        target=target.masked_fill(~target_mask, 0),
        target_mask=target_mask,
    )


def walk(model: Seq2Seq, one: Batch, hears_gold: Tensor) -> Tensor:
    """Return -log p of the gold words where some steps hear what was likeliest before."""
    state = model.start(one.source, one.source_mask)
    said, total = one.target[:, 0], torch.zeros(())
    for step in range(one.target.size(1) - 1):
        heard = one.target[:, step].where(hears_gold[:, step], said)
        logits, _, state = model.step(heard, state)
        said = logits.argmax(-1)
        costs = logits.log_softmax(-1).gather(1, one.target[:, step + 1 : step + 2]).squeeze(1)
        total = total - costs[one.target_mask[:, step + 1]].sum()
    return total


@EVERY
def test_running_free_it_hears_what_it_found_likeliest(name: str) -> None:
    model, one = model_of(name).eval(), batch(top=VOCABULARY + 2 * (name == "copying"))
    hears_gold = torch.zeros(3, 5, dtype=torch.bool)
    hears_gold[:, 0] = True
    terms = model.losses(one, LossOptions(truth=0.0))
    torch.testing.assert_close(terms.nll, walk(model, one, hears_gold), atol=1e-4, rtol=1e-5)
    assert terms.tokens == 12


@EVERY
def test_between_the_two_a_coin_for_each_step_decides_what_it_hears(name: str) -> None:
    model, one = model_of(name).eval(), batch()
    coins = torch.rand(3, 5, generator=torch.Generator().manual_seed(3))
    hears_gold = coins < 0.5
    hears_gold[:, 0] = True
    options = LossOptions(truth=0.5, generator=torch.Generator().manual_seed(3))
    expected = walk(model, one, hears_gold)
    torch.testing.assert_close(model.losses(one, options).nll, expected, atol=1e-4, rtol=1e-5)


@EVERY
def test_hearing_the_truth_word_by_word_is_teacher_forcing(name: str) -> None:
    model, one = model_of(name, dropout=0.0, weight_drop=0.0).train(), batch()
    gradients = []
    for truth in (1.0, 1.0 - 1e-9):
        model.zero_grad()
        model.losses(one, LossOptions(truth=truth)).total.backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_coverage_is_charged_where_targets_are_real() -> None:
    model, one = model_of("feeding").eval(), batch()
    readout = model.read(one.source, one.source_mask, one.target[:, :-1])
    assert readout.attention is not None
    repeated = coverage_loss(readout.attention)[one.target_mask[:, 1:]].sum()
    plain = model.losses(one, PLAIN)
    charged = model.losses(one, LossOptions(coverage_weight=2.0))
    torch.testing.assert_close(charged.total - plain.total, 2 * repeated, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(charged.nll, plain.nll)


def test_smoothing_changes_what_is_made_small_but_not_what_is_told() -> None:
    model, one = model_of("plain").eval(), batch()
    plain, smooth = model.losses(one, PLAIN), model.losses(one, LossOptions(label_smoothing=0.1))
    torch.testing.assert_close(plain.nll, smooth.nll)
    torch.testing.assert_close(plain.total, plain.nll)
    assert not torch.allclose(plain.total, smooth.total)


def test_a_dropped_feature_of_an_embedding_is_dropped_in_all_words_of_a_row() -> None:
    model, one = model_of("locked", dropout=0.5).train(), batch()
    heard = []
    model.decoder.register_forward_pre_hook(lambda _, given: heard.append(given[0]))
    model.losses(one, LossOptions(truth=0.5))
    words = torch.cat(heard, dim=1)  # (B, T, E), step by step
    for row in words:
        dropped = row.eq(0)
        assert dropped.any()
        assert dropped.eq(dropped[:1]).all()


@EVERY
def test_selecting_rows_keeps_what_each_was_about(name: str) -> None:
    model, one = model_of(name).eval(), batch()
    tokens = torch.tensor([5, 6, 7])
    logits, _, state = model.step(tokens, model.start(one.source, one.source_mask))
    rows = torch.tensor([2, 0, 2])
    chosen, *_ = model.step(tokens[rows], model.select(state, rows))
    every, *_ = model.step(tokens, state)
    torch.testing.assert_close(chosen, every[rows], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(logits[0], logits[1])
