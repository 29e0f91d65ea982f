from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.decoding.search import search
from core.decoding.step import Hypothesis, normalised
from core.models.build import build
from core.specs import DecodeSpec, ModelSpec
from core.text.tokenizer import BOS, EOS, PAD, SEP, UNK
from tests.core.decoding.tables import Table, plainly, random_table

WORDS = (UNK, 5, 6, 7)  # with five specials, a vocabulary of 8


def ask(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(rows).unsqueeze(1), torch.ones(rows, 1, dtype=torch.bool)


def every_sequence(table: Table, source: int, longest: int, penalty: float) -> list[Hypothesis]:
    found = []
    for length in range(longest):
        for tokens in product(WORDS, repeat=length):
            path = [BOS, *tokens, EOS]
            steps = pairwise(path)
            log_prob = sum(float(table.log_probs[source, a, b]) for a, b in steps)
            found.append(
                Hypothesis(tokens, log_prob, normalised(log_prob, length + 1, penalty), ended=True)
            )
    return sorted(found, key=lambda one: -one.score)


@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_rows_of_any_width_decode_in_company_as_they_do_alone(seed, sizes) -> None:
    table = random_table(len(sizes), 6, seed)
    specs = [DecodeSpec(beam_size=k, n_best=max(1, k // 2), max_tokens=4 + k) for k in sizes]
    source, mask = ask(len(sizes))
    together = search(table, source, mask, wishes=plainly(specs))
    for row, spec in enumerate(specs):
        alone = search(table, source[[row]], mask[[row]], wishes=plainly([spec]))[0]
        assert [one.tokens for one in together[row]] == [one.tokens for one in alone]
        assert together[row][0].score == pytest.approx(alone[0].score, abs=1e-5)


@given(seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_a_beam_of_one_is_greedy_search(seed) -> None:
    table = random_table(3, 6, seed)
    source, mask = ask(3)
    narrow = DecodeSpec(beam_size=1, max_tokens=9)
    by_greedy = search(table, source, mask, wishes=plainly([narrow] * 3))
    with_wide_company = search(table, source, mask, wishes=plainly([narrow, narrow, DecodeSpec()]))
    for greedy, beam in zip(by_greedy[:2], with_wide_company[:2], strict=True):
        assert greedy[0].tokens == beam[0].tokens
        assert greedy[0].score == pytest.approx(beam[0].score, abs=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_a_wide_beam_finds_the_likeliest_of_all_sequences(seed: int) -> None:
    table = random_table(1, 3, seed)
    source, mask = ask(1)
    table.log_probs[:, :, EOS] += 2.0  # so that sequences end before they are cut off
    table.log_probs = table.log_probs.log_softmax(-1)
    spec = DecodeSpec(beam_size=16, max_tokens=8, n_best=3, length_penalty=0.0)
    found = search(table, source, mask, wishes=plainly([spec]))[0]
    best = every_sequence(table, 0, 5, 0.0)
    assert [one.score for one in found] == pytest.approx([one.score for one in best[:3]], abs=1e-4)


@given(seed=st.integers(0, 1000), width=st.integers(2, 8))
@settings(max_examples=40, deadline=None)
def test_n_best_is_distinct_and_sorted(seed, width) -> None:
    table = random_table(2, 6, seed)
    source, mask = ask(2)
    spec = DecodeSpec(beam_size=width, n_best=width, max_tokens=8)
    for hypotheses in search(table, source, mask, wishes=plainly([spec, spec])):
        assert len({(one.tokens, one.ended) for one in hypotheses}) == len(hypotheses)
        assert [one.score for one in hypotheses] == sorted(
            (one.score for one in hypotheses), reverse=True
        )


@given(seed=st.integers(0, 1000), width=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_tokens_called_certain_are_those_that_are_returned(seed, width) -> None:
    table = random_table(3, 6, seed)
    source, mask = ask(3)
    heard: dict[int, list[int]] = {0: [], 1: [], 2: []}
    specs = [DecodeSpec(beam_size=width, max_tokens=10)] * 3
    answers = search(
        table,
        source,
        mask,
        wishes=plainly(specs),
        on_token=lambda row, token: heard[row].append(token),
    )
    for row, hypotheses in enumerate(answers):
        assert tuple(heard[row]) == hypotheses[0].tokens


def test_one_sure_sequence_is_not_lost_among_noise_that_ends_early() -> None:
    probabilities = torch.full((1, 8, 8), 1e-6)
    for word, following in zip((BOS, 5, 6, 7), (5, 6, 7, EOS), strict=True):
        probabilities[0, word, following] = 1.0
        probabilities[0, word, EOS] = max(1e-3, float(probabilities[0, word, EOS]))
    table = Table(probabilities.log())
    source, mask = ask(1)
    for width in range(1, 7):
        found = search(table, source, mask, wishes=plainly([DecodeSpec(beam_size=width)]))
        assert found[0][0].tokens == (5, 6, 7)


def test_no_reply_is_longer_than_allowed_and_none_holds_specials() -> None:
    table = random_table(2, 6, 3)
    table.log_probs[:, :, EOS] = -50.0
    source, mask = ask(2)
    specs = [DecodeSpec(beam_size=1, max_tokens=3), DecodeSpec(beam_size=4, max_tokens=7)]
    short, long = search(table, source, mask, wishes=plainly(specs))
    assert len(short[0].tokens) == 3
    assert len(long[0].tokens) == 7
    assert not short[0].ended
    assert not {PAD, BOS, SEP, EOS} & {*short[0].tokens, *long[0].tokens}


MODELS = [
    ModelSpec(cell="gru", embedding_dim=16, hidden_dim=24, dropout=0.0),
    ModelSpec(cell="lstm", embedding_dim=16, hidden_dim=24, dropout=0.0, input_feeding=True),
    ModelSpec(
        encoder="transformer",
        decoder="transformer",
        embedding_dim=16,
        hidden_dim=16,
        decoder_layers=2,
        feed_forward_dim=24,
        heads=2,
        dropout=0.0,
        copy_source=True,
    ),
]


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: f"{spec.decoder}-{spec.cell}")
def test_a_model_answers_in_a_batch_what_it_answers_alone(spec: ModelSpec) -> None:
    torch.manual_seed(4)
    model = build(spec, vocabulary_size=40).eval()
    model.generator.bias.data.normal_(std=0.5)
    lengths = torch.randint(1, 12, (32,))
    source = torch.randint(5, 43 if spec.copy_source else 40, (32, 15))  # 3 words beyond
    mask = torch.arange(15).expand(32, -1) < lengths.unsqueeze(1)
    source = source.masked_fill(~mask, PAD)
    specs = [
        DecodeSpec(
            beam_size=1 + row % 4,
            max_tokens=5 + row % 9,
            temperature=0.8 if row % 8 == 0 else None,
            seed=row,
        )
        for row in range(32)
    ]
    together = search(model, source, mask, wishes=plainly(specs))
    for row, wanted in enumerate(specs):
        length = int(lengths[row])
        alone = search(
            model, source[[row], :length], mask[[row], :length], wishes=plainly([wanted])
        )[0]
        assert alone[0].tokens == together[row][0].tokens
        assert alone[0].score == pytest.approx(together[row][0].score, abs=1e-5)
