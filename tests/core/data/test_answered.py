"""Passages, from SQuAD documents and from lines of JSON: an answer stands where it is said to."""

import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.answered import Tally, passage_of
from core.data.columns import Columns
from core.data.examples import AnsweredQuestion, Passage, content_of, example_of, split_of
from core.data.readers import read
from core.data.spans import Span
from core.data.squad import read_squad
from core.errors import DataError, InputError

CONTEXT = "둘리는 서울 쌍문동에 산다. Dooly lives in Ssangmun-dong 👍🏽, in Seoul. 서울!"


def answer(text: str, start: int) -> dict[str, Any]:
    return {"text": text, "answer_start": start}


def question(*answers: dict[str, Any], text: str = "어디?") -> dict[str, Any]:
    return {"id": "1", "question": text, "answers": list(answers)}


def document(*qas: Any, context: Any = CONTEXT, title: Any = "둘리") -> BytesIO:
    paragraph = {"context": context, "qas": list(qas)}
    data = {"version": "1.1", "data": [{"title": title, "paragraphs": [paragraph]}]}
    return BytesIO(json.dumps(data).encode())


def test_an_answer_at_its_offset_is_taken_as_it_stands() -> None:
    start = CONTEXT.rindex("서울")
    tally = Tally()

    (found,) = read_squad(document(question(answer("서울", start))), tally)

    assert found.passage == Passage(
        "둘리", CONTEXT, (AnsweredQuestion("어디?", (Span(start, start + 2),)),)
    )
    assert (tally.answers, tally.mended, tally.bad) == (1, 0, 0)


def test_a_wrong_offset_is_mended_where_the_answer_stands_in_one_place_only() -> None:
    tally = Tally()

    (found,) = read_squad(document(question(answer("쌍문동", 0))), tally)

    start = CONTEXT.index("쌍문동")
    assert found.passage.questions[0].answer == Span(start, start + 3)
    assert (tally.answers, tally.mended, tally.bad) == (1, 1, 0)


@pytest.mark.parametrize(
    ("wrong", "rest"),
    [("서울", "in several places"), ("부산", "nowhere"), ("쌍문\u110b", "nowhere")],
)
def test_an_answer_is_never_guessed(wrong: str, rest: str) -> None:
    tally = Tally()
    good = answer("Dooly", CONTEXT.index("Dooly"))

    kept, first, second = read_squad(
        document(question(answer(wrong, 1)), question(answer(wrong, 1), good, text="Who?")), tally
    )

    assert [one.question for one in kept.passage.questions] == ["Who?"]
    assert first.problem.startswith("data[0].paragraphs[0].qas[0].answers[0]: ")
    assert second.problem.startswith("data[0].paragraphs[0].qas[1].answers[0]: ")
    assert rest in first.problem
    assert (tally.questions, tally.answers, tally.bad) == (1, 1, 2)


def test_a_question_that_the_context_does_not_answer_has_no_answer() -> None:
    impossible = {"question": "Why?", "is_impossible": True, "answers": [], "plausible_answers": []}
    tally = Tally()

    (found,) = read_squad(document(impossible), tally)

    assert found.passage.questions == (AnsweredQuestion("Why?", ()),)
    assert tally.unanswerable == 1


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (document(context=""), r"data\[0\]\.paragraphs\[0\]\.the context is empty"),
        (document(context=None), "the context is not a text"),
        (document(title=None), r"data\[0\]: has no title"),
        (document({"question": "Q?"}), r"qas\[0\]: answers is not an array"),
        (document({"answers": []}), r"qas\[0\]: the question is not a text"),
        (document(question(answer("", 0))), "text is not a text"),
        (document(question({"text": "서울", "answer_start": "5"})), "answer_start is not a number"),
        (document(question(answer("서울", -1))), "answer_start is not a number"),
        (document(question("서울")), r"answers\[0\]: is not an object"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(file: BytesIO, says: str) -> None:
    problems = [one.problem for one in read_squad(file) if one.problem]

    assert len(problems) == 1
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(problems[0])


@pytest.mark.parametrize("data", [b"{", b"[]", b"{}", b"\xff", b'{"data": 1}'])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(DataError, match=r"not JSON|SQuAD document"):
        list(read_squad(BytesIO(data)))


def test_people_may_answer_differently_and_the_commonest_answer_counts() -> None:
    spans = (Span(1, 2), Span(3, 4), Span(3, 4), Span(1, 2), Span(5, 6))

    assert AnsweredQuestion("Q?", spans).answer == Span(1, 2)
    assert AnsweredQuestion("Q?", ()).answer is None


spans = st.tuples(st.integers(0, 50), st.integers(1, 9)).map(lambda one: Span(one[0], sum(one)))
questions = st.builds(AnsweredQuestion, st.text(min_size=1), st.lists(spans).map(tuple))


@given(passage=st.builds(Passage, st.text(), st.text(min_size=1), st.lists(questions).map(tuple)))
def test_a_passage_comes_back_from_its_content(passage: Passage) -> None:
    assert example_of(json.loads(json.dumps(content_of(passage)))) == passage


@given(title=st.text(min_size=1), others=st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_an_article_is_never_parted(title: str, others: list[str]) -> None:
    found = {
        split_of(Passage(title, context, ()), valid_share=0.3, test_share=0.3) for context in others
    }

    assert len(found) == 1


@given(context=st.text(min_size=1).filter(lambda text: text.strip() and "\0" not in text))
def test_a_line_of_json_is_read_as_it_was_written(context: str) -> None:
    passage = Passage("t", context, (AnsweredQuestion("Q?", (Span(0, len(context)),)),))
    line = json.dumps({**content_of(passage), "split": "test"})

    (found,) = read(BytesIO(line.encode()), format="jsonl", kind="passages")

    kept = context.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert found.example.context == kept
    assert found.example.questions == passage.questions


def test_a_line_says_its_split_and_the_text_of_an_answer_is_checked() -> None:
    asked = [
        {"question": "Where?", "answers": [{"start": 0, "end": 3, "text": "Seoul"}]},
        {"question": "Who?", "answers": [{"start": 0, "end": 999}]},
    ]
    line = json.dumps({"context": "in Seoul", "questions": asked, "split": "valid"}).encode()

    kept, problem = read(
        BytesIO(line), format="jsonl", kind="passages", columns=Columns(split="split")
    )

    assert kept.split == "valid"
    assert kept.example.questions == (AnsweredQuestion("Where?", (Span(3, 8),)),)
    assert problem.problem == "questions[1].answers[0]: start 0, end 999: the context has 8"


def test_passages_are_read_from_what_can_hold_them() -> None:
    with pytest.raises(InputError, match="squad or jsonl"):
        read(BytesIO(b""), format="csv", kind="passages")


def test_a_passage_without_a_list_of_questions_is_none() -> None:
    assert passage_of({"context": "a"}, Tally()).problems == ("questions is not an array",)
