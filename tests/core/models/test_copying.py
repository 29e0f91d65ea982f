"""Whole models that copy: every kind of attention, with words beyond the vocabulary."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.data.batches import Batch
from core.decoding.search import search
from core.decoding.step import SIGNS, Wish
from core.models.build import build
from core.models.learner import LossOptions
from core.models.pointer import IMPOSSIBLE
from core.models.seq2seq import Seq2Seq
from core.specs import DecodeSpec, ModelSpec
from core.text.tokenizer import BOS, EOS, PAD, UNK

V = 13
TRANSFORMER: dict[str, Any] = {"embedding_dim": 8, "heads": 2}
SPECS = [
    ModelSpec.model_validate(
        {"embedding_dim": 6, "hidden_dim": 8, "dropout": 0.1, "copy_source": True, **options}
    )
    for options in (
        {},
        {"cell": "lstm", "attention": "additive", "coverage": True},
        {"attention": "local", "attention_window": 1},
        {"attention": "additive", "attention_position": "before", "tied_output": False},
        {"input_feeding": True, "cell": "rnn", "shared_embedding": False},
        {"attention": "dot", "bidirectional": False, "peeky": True},
        {"encoder": "transformer", "decoder": "transformer", **TRANSFORMER},
        {"decoder": "transformer", **TRANSFORMER},
    )
]
EVERY_SPEC = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: repr(spec.attention))


def model_of(spec: ModelSpec) -> Seq2Seq:
    torch.manual_seed(0)
    model = build(spec, vocabulary_size=V)
    assert isinstance(model, Seq2Seq)
    return model


def batch_of(*rows: tuple[list[int], list[int]], padding: int = 0) -> Batch:
    """Return sources and targets side by side, with more padding than they need."""
    source, source_mask = padded([source for source, _ in rows], padding)
    target, target_mask = padded([[BOS, *target, EOS] for _, target in rows], padding)
    return Batch(source=source, source_mask=source_mask, target=target, target_mask=target_mask)


def padded(sequences: list[list[int]], padding: int) -> tuple[Tensor, Tensor]:
    width = max(map(len, sequences)) + padding
    ids = torch.tensor([one + [PAD] * (width - len(one)) for one in sequences])
    lengths = torch.tensor([[len(one)] for one in sequences])
    return ids, torch.arange(width) < lengths


COPIED = ([5, V, 7, V + 1, V], [V + 1, 6, 7, V])  # words beyond the vocabulary among others
PLAIN = ([8, 9], [9, UNK, 10])
MANY = ([V, V + 1, V + 2, 5, V + 3, 6, V + 4], [V + 4, V, 12])


@EVERY_SPEC
def test_a_model_that_copies_learns_without_a_nan(spec: ModelSpec) -> None:
    model = model_of(spec)
    for truth in (1.0, 0.5):
        model.zero_grad()
        options = LossOptions(label_smoothing=0.1, truth=truth)
        terms = model.losses(batch_of(COPIED, PLAIN, MANY), options)
        terms.total.backward()  # type: ignore[no-untyped-call]

        assert terms.total.isfinite()
        assert terms.nll.isfinite()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name


@EVERY_SPEC
def test_stepping_gives_the_gold_words_the_chance_that_training_does(spec: ModelSpec) -> None:
    model = model_of(spec).eval()
    batch = batch_of(COPIED, PLAIN, MANY)
    expected = model.losses(batch, LossOptions()).nll

    state = model.start(batch.source, batch.source_mask)
    total = torch.zeros(())
    for before, gold, real in zip(
        batch.target.T[:-1], batch.target.T[1:], batch.target_mask.T[1:], strict=True
    ):
        log_probs, _, state = model.step(before, state)
        assert log_probs.shape == (3, V + 5)
        torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(3))
        chances = log_probs.gather(1, gold.unsqueeze(1)).squeeze(1).clamp(min=IMPOSSIBLE)
        total = total - chances[real].sum()

    torch.testing.assert_close(total, expected, atol=1e-4, rtol=1e-5)


@EVERY_SPEC
@settings(max_examples=10)
@given(padding=st.integers(0, 5), others=st.lists(st.sampled_from([PLAIN, MANY]), max_size=3))
def test_neither_padding_nor_company_changes_a_loss(
    spec: ModelSpec, padding: int, others: list[tuple[list[int], list[int]]]
) -> None:
    model = model_of(spec).eval()

    def loss(*rows: tuple[list[int], list[int]], padding: int = 0) -> Tensor:
        return model.losses(batch_of(*rows, padding=padding), LossOptions()).nll

    alone = loss(COPIED) + sum(loss(other) for other in others)
    together = loss(COPIED, *others, padding=padding)
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-5)


@EVERY_SPEC
@pytest.mark.parametrize("beam_size", [1, 3])
def test_neither_padding_nor_company_changes_what_is_said(spec: ModelSpec, beam_size: int) -> None:
    model = model_of(spec).eval()
    spec_ = DecodeSpec(beam_size=beam_size, max_tokens=6)

    def said(*rows: tuple[list[int], list[int]]) -> list[tuple[int, ...]]:
        batch = batch_of(*rows, padding=len(rows) - 1)
        wishes = [Wish(spec=spec_, never=(*SIGNS, UNK))] * len(rows)
        found = search(model, batch.source, batch.source_mask, wishes=wishes)
        return [best[0].tokens for best in found]

    together = said(COPIED, PLAIN, MANY)

    assert together == said(COPIED) + said(PLAIN) + said(MANY)
    for tokens, (source, _) in zip(together, (COPIED, PLAIN, MANY), strict=True):
        assert UNK not in tokens
        assert {token for token in tokens if token >= V} <= set(source)


def test_selected_rows_copy_from_their_own_source() -> None:
    model = model_of(SPECS[0]).eval()
    batch = batch_of(COPIED, PLAIN, MANY)
    tokens, rows = torch.tensor([5, 6, V]), torch.tensor([2, 0, 2])
    *_, state = model.step(tokens, model.start(batch.source, batch.source_mask))

    every, *_ = model.step(tokens, state)
    chosen, *_ = model.step(tokens[rows], model.select(state, rows))

    torch.testing.assert_close(chosen, every[rows], atol=1e-6, rtol=1e-6)
