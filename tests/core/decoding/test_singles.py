import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from core.decoding.search import search
from core.decoding.singles import Singles
from core.decoding.step import Wish
from core.specs import DecodeSpec
from core.text.tokenizer import BOS, EOS
from tests.core.decoding.tables import plainly, random_table

ONE = torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, 1, dtype=torch.bool)


def spell(id_: int) -> bytes:
    return bytes([ord("a") + id_])


def test_a_prefix_is_said_first_and_counts() -> None:
    table = random_table(1, 6, seed=3)
    wish = Wish(spec=DecodeSpec(beam_size=1, max_tokens=5), prefix=(9, 5, 9))
    heard: list[int] = []
    ((found,),) = search(table, *ONE, wishes=[wish], on_token=lambda _, token: heard.append(token))
    assert found.tokens[:3] == (9, 5, 9)
    assert len(found.tokens) <= 5
    assert tuple(heard) == found.tokens
    path = [BOS, *found.tokens, *([EOS] if found.ended else [])]
    expected = [float(table.log_probs[0, a, b]) for a, b in pairwise(path)]
    assert found.token_log_probs == pytest.approx(expected, abs=1e-5)


def test_draws_are_distinct_and_the_best_comes_first() -> None:
    table = random_table(1, 6, seed=3)
    spec = DecodeSpec(beam_size=1, temperature=0.6, n_best=16, max_tokens=2)
    (found,) = search(table, *ONE, wishes=plainly([spec]))
    assert 1 < len(found) < 16  # some were drawn twice
    assert len({one.tokens for one in found}) == len(found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_a_banned_text_is_never_said_and_the_next_best_word_is() -> None:
    table = random_table(1, 6, seed=3)
    table.log_probs[:, :, EOS] = -50.0
    greedy = DecodeSpec(beam_size=1, max_tokens=12)
    ((free,),) = search(table, *ONE, wishes=[Wish(spec=greedy, spell=spell)])
    text = b"".join(map(spell, free.tokens))
    for banned in (text[:2], text[3:6]):
        for temperature in (None, 1.0):
            spec = greedy.model_copy(update={"temperature": temperature})
            wish = Wish(spec=spec, spell=spell, banned=(banned,))
            ((found,),) = search(table, *ONE, wishes=[wish])
            assert banned not in b"".join(map(spell, found.tokens))
            assert len(found.tokens) == 12


def test_a_stop_ends_a_reply_with_the_word_that_completes_it() -> None:
    table = random_table(1, 6, seed=3)
    table.log_probs[:, :, EOS] = -50.0
    spec = DecodeSpec(beam_size=1, max_tokens=12)
    ((free,),) = search(table, *ONE, wishes=[Wish(spec=spec, spell=spell)])
    text = b"".join(map(spell, free.tokens))
    stop = text[2:4]
    ((found,),) = search(table, *ONE, wishes=[Wish(spec=spec, spell=spell, stop=(b"zz", stop))])
    assert found.tokens == free.tokens[: text.index(stop) + 2]
    assert found.ended
    assert len(found.token_log_probs) == len(found.tokens)


def test_without_scores_the_words_are_the_same() -> None:
    table = random_table(1, 6, seed=3)
    spec = DecodeSpec(beam_size=1, max_tokens=12, no_repeat_ngram=2)
    ((scored,),) = search(table, *ONE, wishes=[Wish(spec=spec)])
    ((bare,),) = search(table, *ONE, wishes=[Wish(spec=spec, scored=False)])
    assert bare.tokens == scored.tokens
    assert math.isnan(bare.score)
    both = search(
        table,
        ONE[0].expand(2, 1),
        ONE[1].expand(2, 1),
        wishes=[Wish(spec=spec), Wish(spec=spec, scored=False)],
    )
    assert both[0] == [scored]
    assert math.isnan(both[1][0].score)


def test_where_it_looked_is_told_for_each_word_of_those_who_ask() -> None:
    pool = Singles()
    asks = DecodeSpec(beam_size=1, alignments=True, max_tokens=2)
    assert pool.begin(1, Wish(spec=asks), 2) == 1
    assert pool.begin(2, Wish(spec=DecodeSpec(beam_size=1, max_tokens=2)), 3) == 1
    logits = torch.tensor([[0.0] * 5 + [1.0, 0.0]] * 2)
    looks = torch.tensor([[0.25, 0.75, 0.0], [0.2, 0.3, 0.5]])
    pool.advance(logits.clone(), looks)
    advance = pool.advance(logits.clone(), looks.flip(1).clone())
    found = {key: hypotheses[0] for key, hypotheses in advance.ended}
    np.testing.assert_allclose(found[1].attention, [[0.25, 0.75], [0.0, 0.75]])
    assert found[2].attention is None


def test_requests_that_leave_take_all_their_lines() -> None:
    pool = Singles()
    draws = DecodeSpec(beam_size=1, temperature=1.0, n_best=3)
    assert pool.begin(1, Wish(spec=draws), 1) == 3
    assert pool.begin(2, Wish(spec=DecodeSpec(beam_size=1)), 1) == 1
    assert pool.leave({1}) == [3]
    assert pool.lines == 1
