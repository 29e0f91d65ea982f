"""Networks that ask: what shares a batch changes nothing, and every part learns."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from core.decoding.search import search
from core.decoding.step import Wish
from core.models.asker import Asker
from core.models.explain import explain
from core.models.learner import LossOptions, Parted
from core.models.proposers import NEVER, best_spans, labels
from core.models.reader import spans_between
from core.models.ready import make_ready
from core.recipes import RECIPES
from core.specs import DecodeSpec, merge
from tests.core.models.askers import SPECS, VOCABULARY, asker, batch_of, encoded

SEVERAL = [0, 1, 2, 3]


@pytest.fixture(params=SPECS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def grown(tensor: Tensor, count: int) -> Tensor:
    """Return ``tensor`` (B, S) with padding behind."""
    return torch.nn.functional.pad(tensor, (0, count))


def questions_of(name: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return sources (N, S) and questions (N, T), with their masks."""
    batch = batch_of(SPECS[name], [0, 1, 2])
    mask = batch.target_mask[:, 2:].clone()
    mask[:, 0] = True
    return batch.asked, batch.source_mask[batch.of], batch.target[:, 1:-1], mask


def test_losses_of_a_batch_are_the_sums_of_its_passages(name: str) -> None:
    model = asker(SPECS[name]).eval()
    together = model.losses(batch_of(SPECS[name], SEVERAL), LossOptions())
    alone = [model.losses(batch_of(SPECS[name], [row]), LossOptions()) for row in SEVERAL]

    assert together.tokens == sum(one.tokens for one in alone)
    for part in ("total", "nll"):
        whole = sum(getattr(one, part) for one in alone)
        torch.testing.assert_close(getattr(together, part), whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("padding", [0, 1, 6])
def test_spans_are_proposed_alike_in_any_company(name: str, padding: int) -> None:
    model, batch = asker(SPECS[name]).eval(), batch_of(SPECS[name], SEVERAL)
    with torch.inference_mode():
        together = model.propose(grown(batch.source, padding), grown(batch.source_mask, padding))
        for row in SEVERAL:
            one = batch_of(SPECS[name], [row])
            alone = model.propose(one.source, one.source_mask)[0]
            own, beyond = together[row, : len(alone)], together[row, len(alone) :]
            torch.testing.assert_close(own, alone, rtol=0, atol=1e-5)
            assert beyond.eq(NEVER).all()
            found, wanted = best_spans(together[row], 3), best_spans(alone, 3)
            assert [one[:2] for one in found] == [one[:2] for one in wanted]


@pytest.mark.parametrize("padding", [0, 1, 6])
def test_answers_are_found_alike_in_any_company(name: str, padding: int) -> None:
    model = asker(SPECS[name]).eval()
    source, mask, question, asked = questions_of(name)
    with torch.inference_mode():
        together = model.find(*(grown(one, padding) for one in (source, mask, question, asked)))
        for row in range(len(source)):
            length, words = int(mask[row].sum()), int(asked[row].sum())
            alone = model.find(
                *(one[row : row + 1, :length] for one in (source, mask)),
                *(one[row : row + 1, :words] for one in (question, asked)),
            )[0]
            torch.testing.assert_close(together[row, :length], alone, rtol=0, atol=1e-5)
            assert together[row, length:].eq(NEVER).all()


@pytest.mark.parametrize("beam", [1, 3])
def test_questions_are_written_alike_in_any_company(name: str, beam: int) -> None:
    model = asker(SPECS[name]).eval()
    source, mask, _, _ = questions_of(name)
    wish = Wish(spec=DecodeSpec(beam_size=beam, n_best=beam, max_tokens=7))
    together = search(model, source, mask, wishes=[wish] * len(source))
    for row, found in enumerate(together):
        (alone,) = search(model, source[row : row + 1], mask[row : row + 1], wishes=[wish])
        assert [one.tokens for one in found] == [one.tokens for one in alone]
        assert [one.log_prob for one in found] == pytest.approx(
            [one.log_prob for one in alone], abs=1e-5
        )


def test_what_is_written_depends_on_the_answer_that_is_marked(name: str) -> None:
    model, batch = asker(SPECS[name]).eval(), batch_of(SPECS[name], [0])
    with torch.inference_mode():
        state = model.start(batch.asked, batch.source_mask[batch.of])
        logits, _, _ = model.step(torch.full((2,), 2), state)

    assert not torch.allclose(logits[0], logits[1])


def test_every_weight_learns_something(name: str) -> None:
    model = asker(SPECS[name])
    model.losses(batch_of(SPECS[name], SEVERAL), LossOptions()).total.backward()

    idle = [one for one, weight in model.named_parameters() if weight.grad is None]
    still = [one for one, weight in model.named_parameters() if not weight.grad.any()]
    assert (idle, still) == ([], [])


def test_a_tiny_set_is_learned_by_heart_by_all_three(name: str) -> None:
    model, batch = asker(SPECS[name]), batch_of(SPECS[name], SEVERAL)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(250):
        optimiser.zero_grad()
        model.losses(batch, LossOptions()).total.backward()
        optimiser.step()
    model.eval()
    with torch.inference_mode():
        wish = Wish(spec=DecodeSpec(beam_size=1, max_tokens=9))
        of = batch.source_mask[batch.of]
        asked = search(model, batch.asked, of, wishes=[wish] * len(of))
        proposed = [
            best_spans(one, 1)[0][:2] for one in model.propose(batch.source, batch.source_mask)
        ]
    said = [list(one[0].tokens) for one in asked]
    questions = encoded(copied=SPECS[name].copy_source).questions
    wanted = [questions[row].tolist() for row in range(6)]
    assert said[0:3] == wanted[0:3]  # two questions about one answer cannot both be asked
    assert said[5] == wanted[5]
    assert proposed[0] in {(0, 1), (3, 3)}
    assert proposed[1:] == [(3, 3), (4, 6), (0, 0)]


@pytest.mark.parametrize("weight", ["proposal_weight", "reading_weight"])
def test_a_part_without_weight_learns_nothing(weight: str) -> None:
    spec = merge(SPECS["separate"], {"questions": {weight: 0.0}})
    model = asker(spec)
    model.losses(batch_of(spec, SEVERAL), LossOptions()).total.backward()
    proposing, writing, reading = model.parts()

    silent, loud = (proposing, reading) if weight == "proposal_weight" else (reading, proposing)
    assert not any(one.grad.any() for one in silent if one.grad is not None)
    assert all(one.grad.any() for one in [*writing, *loud])


@pytest.mark.parametrize("name", ["separate", "separate note"])
def test_separate_parts_share_nothing(name: str) -> None:
    model = asker(SPECS[name])
    parts = [{id(one) for one in part} for part in model.parts()]

    assert isinstance(model, Parted)
    assert sum(map(len, parts)) == len(list(model.parameters()))
    assert not any(one & other for one, other in pairwise([*parts, parts[0]]))


def test_parts_that_are_joined_share_their_words() -> None:
    model = asker(SPECS["pointer"])

    assert len(model.parts()) == 1
    assert model.passage.vectors.words is model.writer.target_embedding
    assert model.reader.vectors.words is model.writer.source_embedding


def test_the_note_has_the_shapes_of_the_note() -> None:
    model = asker(RECIPES["qgen-note"].plan.model)
    shapes = {name: tuple(one.shape) for name, one in model.named_parameters()}

    assert shapes["passage.vectors.words.weight"] == (VOCABULARY, 50)
    assert shapes["passage.encoder.stack.layers.0.directions.0.weight_hidden"] == (300, 100)
    assert shapes["passage.encoder.stack.layers.0.directions.1.weight_hidden"] == (300, 100)
    assert shapes["proposer.tags.weight"] == (2, 200)
    assert shapes["writer.encoder.encoder.stack.layers.0.directions.0.weight_input"] == (600, 200)
    assert shapes["writer.decoder.stack.layers.0.directions.0.weight_input"] == (600, 50)
    assert shapes["writer.decoder.stack.layers.0.directions.0.weight_hidden"] == (600, 200)
    assert shapes["writer.generator.weight"] == (VOCABULARY, 200)
    assert "writer.generator.bias" not in shapes
    assert not any(name.startswith("writer.bridge") for name in shapes)


def test_tags_are_those_of_all_answers() -> None:
    golds = torch.tensor([[0, 1, 2], [0, 2, 3], [1, 0, 0]])
    mask = torch.ones(3, 4, dtype=torch.bool)

    assert labels(golds, mask).int().tolist() == [[0, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_spans_compared_as_wholes_have_chances_that_sum_to_one() -> None:
    batch = batch_of(SPECS["pointer"], SEVERAL)
    scores = asker(SPECS["pointer"]).eval().propose(batch.source, batch.source_mask)

    torch.testing.assert_close(scores.exp().sum((1, 2)), torch.ones(4))


def test_the_chance_of_a_tagged_span_is_that_of_its_tags() -> None:
    model, batch = asker(SPECS["note"]).eval(), batch_of(SPECS["note"], [2])
    memory = model.passage(batch.source, batch.source_mask).memory
    tags = model.proposer.tags(memory).log_softmax(-1)[0]  # type: ignore[attr-defined]

    scores = model.propose(batch.source, batch.source_mask)[0]

    expected = tags[3, 0] + tags[4, 1] + tags[5, 1] + tags[6, 0]
    torch.testing.assert_close(scores[4, 1], expected)
    torch.testing.assert_close(scores[0, 0], tags[0, 1] + tags[1, 0])
    torch.testing.assert_close(scores[11, 0], tags[11, 1] + tags[10, 0])


def test_the_best_spans_do_not_overlap_and_come_in_order() -> None:
    scores = torch.tensor([[-3.0, -1.0], [-2.0, -1.5], [-9.0, NEVER]])

    assert best_spans(scores, 5) == [(0, 1, -1.0), (2, 2, -9.0)]
    assert best_spans(scores, 1) == [(0, 1, -1.0)]


def test_an_answer_ends_no_earlier_than_it_begins() -> None:
    first, last = torch.tensor([[-1.0, -2.0, -3.0]]), torch.tensor([[-4.0, -5.0, -6.0]])

    found = spans_between(first, last, 2)[0]

    assert found.tolist() == [[-5.0, -6.0], [-7.0, -8.0], [-9.0, NEVER]]


def test_a_network_that_is_made_ready_writes_the_same(name: str) -> None:
    model = asker(SPECS[name]).eval()
    ready = make_ready(model, "fp32")
    source, mask, _, _ = questions_of(name)
    wish = Wish(spec=DecodeSpec(beam_size=2, max_tokens=6))

    assert isinstance(ready, Asker)
    for one, other in zip(
        search(model, source, mask, wishes=[wish] * len(source)),
        search(ready, source, mask, wishes=[wish] * len(source)),
        strict=True,
    ):
        assert one[0].tokens == other[0].tokens
        assert one[0].log_prob == pytest.approx(other[0].log_prob, abs=1e-4)


def test_it_is_explained_with_every_weight_counted_once(name: str) -> None:
    explanation = explain(SPECS[name], vocabulary_size=VOCABULARY)

    assert explanation.count == sum(one.numel() for one in asker(SPECS[name]).parameters())
    assert {part.name.split(".")[0] for part in explanation.parts} == {
        "passage", "proposer", "writer", "reader",
    }  # fmt: skip
    assert explanation.cost.source > 0


@pytest.mark.parametrize("truth", [0.0, 0.5])
def test_own_words_can_be_heard_in_training(name: str, truth: float) -> None:
    model, batch = asker(SPECS[name]), batch_of(SPECS[name], SEVERAL)
    chance = torch.Generator().manual_seed(3)
    options = LossOptions(truth=truth, generator=chance, label_smoothing=0.1)

    terms = model.losses(batch, options)

    plain = model.losses(batch, LossOptions())
    assert terms.tokens == plain.tokens
    assert not torch.equal(terms.nll, plain.nll)
