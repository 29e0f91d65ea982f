"""Every architecture of the family, alone and in company, in pieces and whole."""

from functools import cache
from typing import Literal, get_origin

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.data.batches import Batch
from core.data.texts import TextBatch
from core.decoding.search import search
from core.decoding.step import Wish
from core.models.build import Network, build
from core.models.language_model import LanguageModel, last_words
from core.models.learner import LossOptions
from core.models.pointer import IMPOSSIBLE
from core.models.seq2seq import Seq2Seq
from core.pipelines.bundle import Bundle, read_bundle, write_bundle
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec
from core.text.tokenizer import BOS, EOS, Tokenizer
from tests.core.models.family import (
    VOCABULARY,
    admitted,
    idle,
    label,
    model_of,
    padded,
    pairs,
    pairwise,
    some_batch,
    values_of,
    words,
)

SPECS = pairwise()
EVERY = pytest.mark.parametrize("spec", SPECS, ids=label)
ANSWERING = pytest.mark.parametrize(
    "spec", [spec for spec in SPECS if not spec.is_language_model], ids=label
)
WRITING = pytest.mark.parametrize(
    "spec", [spec for spec in SPECS if spec.is_language_model], ids=label
)
HARDER = LossOptions(label_smoothing=0.1, coverage_weight=0.5)


def step_by_step(model: Network, batch: Batch | TextBatch) -> Tensor:
    """Return -log p (B, T) of each gold word, as decoding has it; 0 where none is asked.

    A word that cannot be said costs what training has it cost.
    """
    if isinstance(batch, TextBatch):
        start, heard, gold, mask = batch.tokens[:, :1], batch.tokens, batch.gold, batch.mask
        state = model.start(start, torch.ones_like(start, dtype=torch.bool))
    else:
        heard, gold, mask = batch.target[:, :-1], batch.target[:, 1:], batch.target_mask[:, 1:]
        state = model.start(batch.source, batch.source_mask)
    costs = []
    for step in range(heard.size(1)):
        logits, _, state = model.step(heard[:, step], state)
        costs.append(-logits.log_softmax(-1).gather(1, gold[:, step : step + 1]))
    return torch.cat(costs, dim=1).clamp(max=-IMPOSSIBLE).where(mask, 0.0)


def told(model: Seq2Seq, batch: Batch) -> dict[str, Tensor]:
    """Return what the parts of ``model`` make of each row: (B, ...), in places of their own."""
    known = batch.source.where(batch.source < VOCABULARY, 1)
    encoded = model.encoder(model.source_embedding(known), batch.source_mask)
    readout = model.read(batch.source, batch.source_mask, batch.target[:, :-1])
    every = {f"state {number}": state for number, state in enumerate(encoded.final)}
    every |= {"memory": encoded.memory, "features": readout.features}
    every["costs"] = step_by_step(model, batch)
    if readout.attention is not None:
        every["attention"] = readout.attention.transpose(1, 2)  # (B, S, T)
    return every


def direction_of(model: Network) -> list[Tensor]:
    torch.manual_seed(7)
    return [torch.randn_like(parameter) for parameter in model.parameters()]


@EVERY
def test_it_learns_with_every_parameter(spec: ModelSpec) -> None:
    model = model_of(spec).train()
    for truth in (1.0,) if spec.is_language_model else (1.0, 0.5, 0.0):
        model.zero_grad()
        options = LossOptions(label_smoothing=0.1, coverage_weight=0.5, truth=truth)
        terms = model.losses(some_batch(spec), options)
        terms.total.backward()
        assert torch.isfinite(terms.total)
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, name
                assert parameter.grad.abs().sum() > 0, name
            else:
                assert spec.freeze_embedding
                assert "embedding" in name


@EVERY
def test_its_gradients_agree_with_finite_differences(spec: ModelSpec) -> None:
    still = spec.model_copy(update={"dropout": 0.0, "weight_drop": 0.0})
    model = model_of(still).double().train()
    batch, direction = some_batch(spec), direction_of(model)
    model.losses(batch, HARDER).total.backward()
    slope = sum(
        (parameter.grad * along).sum()
        for parameter, along in zip(model.parameters(), direction, strict=True)
        if parameter.grad is not None
    )

    def cost(step: float) -> Tensor:
        for parameter, along in zip(model.parameters(), direction, strict=True):
            if parameter.requires_grad:
                parameter.data.add_(along, alpha=step)
        return model.losses(batch, HARDER).total

    with torch.no_grad():
        step = 1e-7  # so short that no ReLU turns on the way
        difference = (cost(step) - cost(-2 * step)) / (2 * step)
    assert float(difference) == pytest.approx(float(slope), rel=1e-4, abs=1e-4)


@EVERY
def test_it_learns_in_halves_nearly_what_it_learns_in_full(spec: ModelSpec) -> None:
    still = spec.model_copy(update={"dropout": 0.0, "weight_drop": 0.0})
    model, batch = model_of(still).train(), some_batch(spec)
    full = model.losses(batch, HARDER).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = model.losses(batch, HARDER)
    terms.total.backward()
    assert terms.total.dtype == torch.float32
    assert terms.total.item() == pytest.approx(full.item(), rel=0.05)
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


@EVERY
def test_stepping_costs_what_training_says(spec: ModelSpec) -> None:
    model, batch = model_of(spec).eval(), some_batch(spec)
    terms = model.losses(batch, LossOptions())
    torch.testing.assert_close(terms.nll, step_by_step(model, batch).sum(), atol=1e-5, rtol=1e-5)


@ANSWERING
@settings(max_examples=4)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 7), st.integers(1, 4)), min_size=1, max_size=3),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_neither_padding_nor_company_changes_a_row(
    spec: ModelSpec, lengths: list[tuple[int, int]], padding: tuple[int, int]
) -> None:
    model = cached_model(spec)
    together = pairs(spec, dict(enumerate(lengths)), padding)
    with torch.no_grad():
        shared, costs = told(model, together), []
        for row, (source, _) in enumerate(lengths):
            alone = pairs(spec, {row: lengths[row]})
            for name, own in told(model, alone).items():
                places = tuple(slice(size) for size in own.shape[1:])
                ours = shared[name][row]
                torch.testing.assert_close(ours[places], own[0], atol=1e-5, rtol=1e-5, msg=name)
                if name == "attention":
                    assert ours[source:].eq(0).all()
            costs.append(model.losses(alone, HARDER).total)
        whole = model.losses(together, HARDER).total
    torch.testing.assert_close(whole, torch.stack(costs).sum(), atol=1e-4, rtol=1e-5)


@WRITING
@settings(max_examples=4)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=3), padding=st.integers(0, 3))
def test_neither_padding_nor_company_changes_how_a_prompt_goes_on(
    spec: ModelSpec, lengths: list[int], padding: int
) -> None:
    model = cached_model(spec)
    prompts, mask = padded([words(row, length) for row, length in enumerate(lengths)], padding)
    heard = torch.tensor([words(row + 50, 1)[0] for row in range(len(lengths))])
    with torch.no_grad():
        first, _, state = model.step(last_words(prompts, mask), model.start(prompts, mask))
        second, *_ = model.step(heard, state)
        for row, length in enumerate(lengths):
            own, own_mask = prompts[[row], :length], mask[[row], :length]
            one, _, state = model.step(last_words(own, own_mask), model.start(own, own_mask))
            two, *_ = model.step(heard[[row]], state)
            torch.testing.assert_close(first[[row]], one, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(second[[row]], two, atol=1e-5, rtol=1e-5)


@EVERY
def test_what_it_says_costs_what_it_says_it_costs(spec: ModelSpec) -> None:
    model, batch = model_of(spec).eval(), some_batch(spec)
    if isinstance(batch, TextBatch):
        source, mask = batch.tokens, torch.ones_like(batch.tokens, dtype=torch.bool)
        firsts, end = last_words(source, mask).tolist(), None
    else:
        source, mask = batch.source, batch.source_mask
        firsts, end = [BOS] * len(source), EOS
    for width in (1, 3):
        asked = DecodeSpec(beam_size=width, max_tokens=4, length_penalty=0.0)
        wishes = [Wish(spec=asked, first=first, end=end) for first in firsts]
        found = search(model, source, mask, wishes=wishes)
        for row, hypotheses in enumerate(found):
            best = hypotheses[0]
            said = [*best.tokens, *([EOS] if best.ended else [])]
            assert best.log_prob == pytest.approx(cost_of(model, source[[row]], mask[[row]], said))


def cost_of(model: Network, source: Tensor, mask: Tensor, said: list[int]) -> float:
    """Return the log probability of ``said`` after one ``source``, step by step."""
    state, total = model.start(source, mask), 0.0
    heard = last_words(source, mask) if isinstance(model, LanguageModel) else torch.tensor([BOS])
    with torch.inference_mode():
        for word in said:
            logits, _, state = model.step(heard, state)
            total += float(logits.log_softmax(-1)[0, word])
            heard = torch.tensor([word])
    return total


@EVERY
def test_it_is_the_same_after_being_saved(spec: ModelSpec) -> None:
    tokenizer = some_tokenizer()
    plan = Plan(
        task="language" if spec.is_language_model else "chat",
        tokenizer=tokenizer.spec,
        model=spec,
        decode=DecodeSpec(beam_size=1),
    )
    model, batch = model_of(spec, tokenizer.size).eval(), some_batch(spec)
    again = read_bundle(write_bundle(Bundle(model, tokenizer, plan, 1, {}))).model
    assert torch.equal(
        model.losses(batch, LossOptions()).nll, again.losses(batch, LossOptions()).nll
    )


@cache
def some_tokenizer() -> Tokenizer:
    return Tokenizer.train(["abcdefghijkl"], TokenizerSpec(kind="char", vocabulary_size=100))


@cache
def cached_model(spec: ModelSpec) -> Network:
    return model_of(spec).eval()


@pytest.mark.parametrize("name", ModelSpec.model_fields)
def test_every_value_of_a_field_is_tried_where_it_means_something(name: str) -> None:
    tried = {getattr(spec, name) for spec in SPECS if name not in idle(spec)}
    assert tried == set(values_of(name))


@pytest.mark.parametrize("name", ModelSpec.model_fields)
def test_no_field_is_ignored(name: str) -> None:
    for spec in SPECS:
        for value in values_of(name) if name not in idle(spec) else ():
            other = admitted(spec.model_dump() | {name: value})
            if other is not None and portrait(other) != portrait(spec):
                return
    assert len(values_of(name)) == 1, f"{name} changes nothing in any architecture"


@cache
def portrait(spec: ModelSpec) -> object:
    """Return what there is to see of a fresh model, in training: its parts and a loss."""
    torch.manual_seed(0)
    model = build(spec, vocabulary_size=VOCABULARY).train()
    parts = [(name, one.shape, one.requires_grad) for name, one in model.named_parameters()]
    torch.manual_seed(0)
    return str(parts), model.losses(some_batch(spec), LossOptions()).total.item()


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, field in ModelSpec.model_fields.items()
        if get_origin(field.annotation) is Literal
    ],
)
def test_a_value_that_nobody_built_is_refused(name: str) -> None:
    spec = next(spec for spec in SPECS if name not in idle(spec))
    with pytest.raises((AssertionError, KeyError)):
        build(spec.model_copy(update={name: "unheard of"}), vocabulary_size=VOCABULARY)
