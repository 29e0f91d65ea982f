"""Networks made ready to answer: the same numbers as before, or as near as their precision."""

from functools import cache

import pytest
import torch
from torch import Tensor

from core.models.build import Network, build
from core.models.decoders import RecurrentDecoder
from core.models.products import HalfProduct, IntegerProduct, PackedProduct
from core.models.ready import choose_multiplied, make_ready
from core.models.ready_generator import ReadyGenerator
from core.models.seq2seq import Seq2Seq
from core.models.walks import ReadyStack
from core.specs import ModelSpec
from tests.core.models.family import VOCABULARY, label, model_of, pairwise

EVERY = pytest.mark.parametrize("spec", pairwise(), ids=label)
LENGTHS, STEPS = (6, 1, 4, 3), 4
EVERYTHING = 0  # no weight is too small to be packed
WIDE = ModelSpec(cell="lstm", embedding_dim=128, hidden_dim=128, encoder_hidden_dim=64)


@cache
def learned(spec: ModelSpec) -> Network:
    return model_of(spec).eval()


@cache
def packed(spec: ModelSpec) -> Network:
    return make_ready(learned(spec), "fp32", small=EVERYTHING)


@torch.inference_mode()
def said(model: Network, lengths: tuple[int, ...] = LENGTHS, first: int = 0) -> Tensor:
    """Return log probabilities (B, T, V) while rows from ``first`` on are made to say something."""
    chance = torch.Generator().manual_seed(1)
    words = torch.randint(5, VOCABULARY, (len(LENGTHS), 6 + STEPS), generator=chance)
    words = words[first : first + len(lengths)]
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    state = model.start(words[:, : max(lengths)] * mask, mask)
    every = []
    for heard in words[:, 6:].unbind(1):
        logits, _, state = model.step(heard, state)
        every.append(logits.log_softmax(-1))
    return torch.stack(every, dim=1)


@EVERY
@pytest.mark.parametrize("lengths", [LENGTHS, (1, 1, 1, 1)], ids=["some", "one word"])
def test_in_float32_it_says_what_it_said(spec: ModelSpec, lengths: tuple[int, ...]) -> None:
    after, before = said(packed(spec), lengths), said(learned(spec), lengths)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)


@EVERY
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_fewer_bits_move_it_by_their_rounding(spec: ModelSpec, precision: str) -> None:
    model = learned(spec)
    moved = said(make_ready(model, precision, small=EVERYTHING)) - said(model)
    assert moved.square().mean().sqrt() < 0.05


@EVERY
def test_company_changes_nothing_in_float32(spec: ModelSpec) -> None:
    together = said(packed(spec))
    for row, length in enumerate(LENGTHS):
        alone = said(packed(spec), (length,), first=row)
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=0)


def test_the_network_that_was_given_stays_as_it_was() -> None:
    model = build(WIDE, vocabulary_size=VOCABULARY).eval()
    before, held = said(model), [name for name, _ in model.named_parameters()]
    said(make_ready(model, "int8", small=EVERYTHING))
    assert said(model).equal(before)
    assert [name for name, _ in model.named_parameters()] == held


@pytest.mark.parametrize(
    ("precision", "kind"),
    [("fp32", PackedProduct), ("bf16", HalfProduct), ("int8", IntegerProduct)],
)
def test_every_wide_product_of_a_step_is_packed(precision: str, kind: type) -> None:
    network = build(WIDE, vocabulary_size=600)
    ready = make_ready(network, precision, small=1 << 14)
    assert isinstance(ready, Seq2Seq)
    assert isinstance(ready.decoder, RecurrentDecoder)
    assert isinstance(ready.generator, ReadyGenerator)
    assert isinstance(ready.generator.product, kind)
    assert isinstance(ready.decoder.combine, kind)
    assert isinstance(ready.decoder.stack, ReadyStack)
    assert ready.target_embedding.embedding_dim == 4 * 128  # what the cell makes of each word
    assert ready.source_embedding.weight is network.source_embedding.weight


def test_a_table_that_would_be_too_large_is_not_made() -> None:
    network = build(ModelSpec(cell="lstm", embedding_dim=8, hidden_dim=512), vocabulary_size=8300)
    ready = make_ready(network, "fp32")
    assert isinstance(ready, Seq2Seq)
    assert ready.target_embedding.embedding_dim == 8


def test_a_narrow_network_is_left_in_float32() -> None:
    narrow = build(ModelSpec(embedding_dim=32, hidden_dim=32), vocabulary_size=20)
    assert choose_multiplied(narrow, "auto") == "fp32"
    assert choose_multiplied(narrow, "int8") == "int8"


def test_a_wide_network_takes_what_the_machine_multiplies_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wide = build(ModelSpec(embedding_dim=128, hidden_dim=128), vocabulary_size=200)
    for integers, halves, expected in ((1, 1, "int8"), (0, 1, "bf16"), (0, 0, "fp32")):
        monkeypatch.setattr("core.models.ready.packs_integers", lambda able=integers: bool(able))
        monkeypatch.setattr("core.models.ready.fast_bf16", lambda _device, able=halves: bool(able))
        assert choose_multiplied(wide, "auto") == expected
