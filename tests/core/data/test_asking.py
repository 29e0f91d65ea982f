"""Passages as tensors: every question keeps its answer, wherever a passage is cut."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.data.asking import EncodedPassages, collate
from core.data.examples import AnsweredQuestion, Passage
from core.data.marks import FIRST, INSIDE, OUTSIDE, shape_of, unmarked, with_answer, with_shape
from core.data.readings import read_passage, stretches_of
from core.data.spans import Span
from core.specs import TokenizerSpec
from core.text.tokenizer import BOS, EOS, UNK, Tokenizer

WORDS = ["Seoul", "lies", "in", "Korea", ".", "한강", "e\u0301", "👍🏽", "(", "x9", "the"]


@cache
def tokenizer() -> Tokenizer:
    spec = TokenizerSpec(kind="word", split_marks=True, vocabulary_size=16)
    return Tokenizer.train(["Seoul lies in Korea . the Where is"] * 4, spec)


@st.composite
def passages(draw: st.DrawFn) -> Passage:
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=14))
    starts = np.cumsum([0, *(len(word) + 1 for word in words)])
    questions = []
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(0, len(words) - 1))
        last = draw(st.integers(first, len(words) - 1))
        span = Span(int(starts[first]), int(starts[last]) + len(words[last]))
        questions.append(AnsweredQuestion(draw(st.sampled_from(["Where?", "x9 is 한강"])), (span,)))
    return Passage("t", " ".join(words), tuple(questions))


@pytest.mark.parametrize("copied", [False, True])
@given(some=st.lists(passages(), min_size=1, max_size=4), longest=st.integers(1, 20))
def test_every_answer_is_where_it_was_or_counted(copied, some, longest) -> None:
    encoded = EncodedPassages.encode(
        some, tokenizer(), max_source_tokens=longest, max_target_tokens=9, copy_source=copied
    )
    told = [answer_of(passage, one) for passage in some for one in passage.questions]
    kept = []
    for row in range(len(encoded)):
        batch = collate(encoded, [row])
        for number in range(len(batch.of)):
            first, last = batch.spans[number].tolist()
            marked = unmarked(batch.asked[number])
            tags = [OUTSIDE] * len(marked.tags)
            tags[first : last + 1] = [FIRST, *([INSIDE] * (last - first))]
            assert marked.tags.tolist() == tags
            kept.append(last - first + 1)

    assert len(kept) + encoded.left_out == len(told)
    assert len(encoded.questions) == len(kept)
    if longest >= 20:
        assert kept == told


def answer_of(passage: Passage, question: AnsweredQuestion) -> int:
    """Count the tokens of an answer: here as many as spaces part."""
    span = question.answers[0]
    return len(passage.context[span.start : span.end].split())


def test_stretches_follow_each_other_and_leave_nothing_out() -> None:
    text = " ".join(WORDS * 3)
    whole = read_passage(text, tokenizer(), copied=False)

    parts = list(stretches_of(text, tokenizer(), copied=False, longest=5))

    assert np.concatenate([part.source for part in parts]).tolist() == whole.source.tolist()
    assert [len(part.located) for part in parts] == [5, 5, 5, 5, 5, 5, 3]


def test_words_that_only_a_passage_has_have_ids_there_and_in_its_questions() -> None:
    reading = read_passage("한강 lies x9 한강", tokenizer(), copied=True)
    size = tokenizer().size

    words = unmarked(torch.from_numpy(reading.source)[None]).words[0].tolist()

    assert [words[0], *words[2:]] == [size, size + 1, size]
    assert reading.question("x9 한강 unheard", tokenizer()) == [size + 1, size, UNK]
    plain = read_passage("한강", tokenizer(), copied=False)
    assert plain.question("x9 한강", tokenizer()) == [UNK] * 2


def test_a_batch_holds_passages_once_and_their_questions_side_by_side() -> None:
    span = (Span(0, 5),)
    first = Passage("", "Seoul lies in Korea", (AnsweredQuestion("Where is Seoul", span),) * 2)
    second = Passage("", "Korea", (AnsweredQuestion("in", span),))
    encoded = EncodedPassages.encode(
        [first, second], tokenizer(), max_source_tokens=9, max_target_tokens=9
    )

    batch = collate(encoded, [1, 0])

    assert batch.source.shape == (2, 4)
    assert batch.source_mask.sum(1).tolist() == [1, 4]
    assert batch.of.tolist() == [0, 1, 1]
    assert batch.golds.tolist() == [[0, 0, 0], [1, 0, 0]]  # no span comes twice
    assert batch.target_mask.sum(1).tolist() == [3, 5, 5]
    assert (batch.target[0, 0], batch.target[0, 2]) == (BOS, EOS)
    assert encoded.question_lengths.tolist() == [6, 1]
    assert encoded.tokens == 7 + 3


def test_arrays_on_disk_are_the_arrays_in_memory(tmp_path: Path) -> None:
    passage = Passage("", "Seoul lies", (AnsweredQuestion("Where?", (Span(0, 5),)),))
    limits = {"max_source_tokens": 9, "max_target_tokens": 9}

    there = EncodedPassages.encode([passage], tokenizer(), directory=tmp_path, **limits)
    here = EncodedPassages.encode([passage], tokenizer(), **limits)

    for name in ("source", "spans", "questions"):
        assert getattr(there, name)[0].tolist() == getattr(here, name)[0].tolist()


def test_a_mark_changes_no_word_and_no_shape() -> None:
    source = np.array([with_shape(word, text) for word, text in ((7, "A"), (2**24 - 1, "9"))])

    marked = unmarked(torch.from_numpy(with_answer(source, 1, 1))[None])

    assert marked.words[0].tolist() == [7, 2**24 - 1]
    assert marked.tags[0].tolist() == [OUTSIDE, FIRST]
    assert marked.shapes[0].tolist() == [shape_of("A"), shape_of("9")]
    assert int(with_shape(2**24 - 1, "?")) < 2**31


def test_words_differ_in_how_they_are_written() -> None:
    shapes = [shape_of(text) for text in ("seoul", "Seoul", "USA", "2,067", "50th", "서울", "?!")]

    assert len(set(shapes)) == len(shapes)
    assert 0 not in shapes  # which is padding
    assert shape_of("McDonald") == shape_of("Seoul") == shape_of("A")
