"""Sets of questions: files written here, then the data that lies beside the project."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.data.answered import Tally
from core.data.asked import asked_by_people, read_fairytale
from core.data.examples import AnsweredQuestion, Passage
from core.data.materials import read
from core.data.spans import Span
from core.data.squad import read_squad
from core.errors import DataError
from core.recipes.materials import Material
from tests.core.data.test_real_files import DATA

STORY = {"story": "snow", "sections": ["The sun set. The moon rose.", "The dog barked."]}


def asked(answers: list[str], sections: list[str], text: str = "What?") -> dict[str, Any]:
    return {"story": "snow", "sections": sections, "question": text, "answers": answers}


def written(folder: Path, *questions: Any) -> Path:
    (folder / "s.jsonl").write_text(json.dumps(STORY))
    (folder / "q.jsonl").write_text("\n".join(map(json.dumps, questions)))
    return folder


def test_an_answer_counts_where_it_stands_once_in_the_sections_that_are_named(
    tmp_path: Path,
) -> None:
    tally = Tally()
    written(
        tmp_path,
        asked(["The moon", "it was the moon"], ["1"], "What rose?"),
        asked(["The dog"], ["1", "2"], "Who barked?"),
        asked(["The"], ["1"], "In two places?"),
        asked(["The"], ["1", "2"], "In two sections?"),
        asked(["The dog"], ["1"], "In a section that is not named?"),
    )

    first, second = read_fairytale("s.jsonl", "q.jsonl", tmp_path, tally)

    assert first == Passage(
        "snow", STORY["sections"][0], (AnsweredQuestion("What rose?", (Span(13, 21),)),)
    )
    assert second.questions == (AnsweredQuestion("Who barked?", (Span(0, 7),)),)
    assert (tally.passages, tally.questions, tally.answers, tally.bad) == (2, 2, 2, 4)


@pytest.mark.parametrize(
    "wrong", [{}, [], asked(["The sun"], ["9"]), asked(["The sun"], ["x"]), asked([3], ["1"])]
)
def test_a_line_that_is_no_question_is_named(tmp_path: Path, wrong: Any) -> None:
    written(tmp_path, asked(["The sun"], ["1"]), wrong)

    with pytest.raises(DataError, match=r"q\.jsonl, line 2: is not a question"):
        list(read_fairytale("s.jsonl", "q.jsonl", tmp_path))


def test_people_asked_about_passages_in_one_language(tmp_path: Path) -> None:
    answer = {"text": "The sun", "start": 0}
    passage = {"title": "a", "context": "The sun set.",
               "questions": [{"question": "What set?", "answers": [answer]}]}  # fmt: skip
    lines = [{**passage, "language": "en"}, {**passage, "language": "ko"}]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, lines)))

    found = list(asked_by_people("p.jsonl", tmp_path, language="ko"))

    assert found == [Passage("a", "The sun set.", (AnsweredQuestion("What set?", (Span(0, 7),)),))]


@pytest.mark.parametrize("wrong", ["{", "[]", '{"context": "a", "questions": 3}'])
def test_a_line_that_is_no_passage_is_named(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "p.jsonl").write_text(wrong + "\n")

    with pytest.raises(DataError, match=r"p\.jsonl, line 1"):
        list(asked_by_people("p.jsonl", tmp_path, language="ko"))


def test_documents_and_stories_stand_side_by_side(tmp_path: Path) -> None:
    written(tmp_path, asked(["The sun"], ["1"]))
    paragraph = {"context": "in Seoul", "qas": []}
    document = {"data": [{"title": "Seoul", "paragraphs": [paragraph]}]}
    (tmp_path / "d.json").write_text(json.dumps(document))
    material = Material(reader="passages", files=("d.json", "s.jsonl", "q.jsonl"), valid=0)

    found = read(material, tmp_path)["train"]

    assert [one.title for one in found] == ["Seoul", "snow", "snow"]


def test_what_is_wrong_in_a_document_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text('{"data": [{"paragraphs": []}]}')

    with pytest.raises(DataError, match=r"d\.json: data\[0\]: has no title"):
        read(Material(reader="passages", files=("d.json",)), tmp_path)


def test_stories_without_questions_are_refused(tmp_path: Path) -> None:
    written(tmp_path)

    with pytest.raises(DataError, match="a second file holds the questions"):
        read(Material(reader="passages", files=("s.jsonl",)), tmp_path)


def test_the_real_squad_is_read_whole_and_every_answer_stands_where_it_should() -> None:
    path = DATA / "qa_squad11_dev/dev-v1.1.rebuilt.json"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    tally = Tally()
    with path.open("rb") as file:
        found = [one.passage for one in read_squad(file, tally)]

    assert (tally.passages, tally.questions, tally.answers) == (2_067, 10_570, 34_726)
    assert (tally.mended, tally.bad) == (0, 0)
    assert len({one.title for one in found}) == 48


@pytest.mark.parametrize(
    ("split", "sections", "kept"), [("train", 3_349, 2_640), ("val", 380, 361)]
)
def test_the_real_stories_keep_what_stands_in_one_place(split, sections, kept) -> None:
    stories, questions = (f"qa_fairytale/{split}.{name}.jsonl" for name in ("stories", "questions"))
    if not (DATA / stories).exists():
        pytest.skip(f"{DATA / stories} is not here")
    tally = Tally()
    found = list(read_fairytale(stories, questions, DATA, tally))

    assert (len(found), tally.questions) == (sections, kept)
    for passage in found:
        for question in passage.questions:
            for span in question.answers:
                text = passage.context[span.start : span.end]
                assert text
                assert passage.context.count(text) == 1
