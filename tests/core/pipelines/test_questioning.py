"""Texts in, questions about slices of them out."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import SpecError
from core.pipelines.bundle import Bundle
from core.pipelines.questioning import Seconds, question_texts
from core.specs import GenerateSpec, PassageSpec
from tests.core.pipelines.small import PASSAGES

SPEC = GenerateSpec(answers=3, per_kind=1.0, passages=PassageSpec(max_characters=100))
ANY = SPEC.model_copy(update={"round_trip": 0.0})
TEXTS = [passage.context for passage in PASSAGES]
LONG = "\n\n".join(TEXTS)


def test_what_was_learned_is_asked_about_at_its_place_in_the_document(asker: Bundle) -> None:
    (found,) = question_texts(asker, [LONG], SPEC)
    assert found.passages == len(PASSAGES)
    assert {(one.question, one.answer) for one in found.kept} >= {
        (asked.question, asked.answer.of(passage.context))
        for passage in PASSAGES
        for asked in passage.questions[:1]
    }
    assert all(one.span.of(LONG) == one.answer for one in found.kept)


def test_what_is_worked_on_beside_a_text_changes_nothing(asker: Bundle) -> None:
    together = question_texts(asker, [*TEXTS, "", LONG, "👩‍👩‍👧 " * 40], ANY)
    for text, among in zip([*TEXTS, "", LONG], together, strict=False):
        (alone,) = question_texts(asker, [text], ANY)
        assert [(one.question, one.span) for one in alone.kept] == [
            (one.question, one.span) for one in among.kept
        ]
        for one, other in zip(alone.kept, among.kept, strict=True):
            assert one.scores == pytest.approx(other.scores, abs=1e-5)
        assert (alone.passages, alone.asked, alone.dropped) == (
            among.passages,
            among.asked,
            among.dropped,
        )


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200))
def test_every_answer_is_a_slice_of_its_text_whatever_that_is(asker: Bundle, text: str) -> None:
    (found,) = question_texts(asker, [text], ANY)
    for one in found.kept:
        assert text[one.span.start : one.span.end] == one.answer
        assert one.answer.strip()


def test_several_questions_about_an_answer_have_ranks(asker: Bundle) -> None:
    spec = ANY.model_copy(update={"questions": 2, "alike": 1.0, "decode": {"beam_size": 3}})
    (found,) = question_texts(asker, TEXTS[:1], spec)
    ranks = [(one.span, one.rank) for one in found.kept]
    assert len(set(ranks)) == len(ranks)
    assert {rank for _, rank in ranks} == {0, 1}


def test_ways_to_decode_that_make_no_sense_are_refused(asker: Bundle) -> None:
    with pytest.raises(SpecError, match="beam_size"):
        question_texts(asker, TEXTS[:1], SPEC.model_copy(update={"decode": {"beam_size": 99}}))


def test_it_is_told_where_the_time_went(asker: Bundle) -> None:
    seconds = Seconds()
    question_texts(asker, TEXTS, SPEC, seconds)
    assert set(seconds.spent) == {"model", "filters"}
