import csv
import json
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.exports import ExportedPair, ExportFormat, written

LETTERS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@st.composite
def exported(draw: st.DrawFn) -> list[ExportedPair]:
    """Pairs of some documents, in their order, with answers that are slices."""
    pairs = []
    for document in range(draw(st.integers(0, 3))):
        for _ in range(draw(st.integers(1, 4))):
            context = draw(
                st.sampled_from(["서울은 👩\u200d👧 수도이다.", 'The\tHan,\n "river"; e\u0301'])
            )
            start = draw(st.integers(0, len(context) - 1))
            end = draw(st.integers(start + 1, len(context)))
            shift = draw(st.integers(0, 50))
            pair = ExportedPair(
                id=str(len(pairs)),
                document_id=str(document),
                title=draw(LETTERS),
                language=None,
                question=draw(LETTERS),
                answer=context[start:end],
                answer_start=shift + start,
                answer_end=shift + end,
                review="accepted",
                reviewed_by=draw(st.none() | LETTERS),
                scores=draw(st.dictionaries(st.sampled_from("ab"), st.floats(0, 1))),
                context=context,
                context_start=shift,
            )
            pairs.append(pair)
    return pairs


def file_of(pairs: list[ExportedPair], format_: ExportFormat) -> str:
    return "".join(written(iter(pairs), format_))


def read_strictly(text: str, version: str) -> list[tuple[str, str, str]]:
    """Read SQuAD as its definition has it, no more and no less; (id, question, answer)."""
    content = json.loads(text)
    assert content.keys() == {"version", "data"}
    assert content["version"] == version
    found = []
    for article in content["data"]:
        assert article.keys() == {"title", "paragraphs"}
        assert isinstance(article["title"], str)
        assert article["paragraphs"]
        for paragraph in article["paragraphs"]:
            assert paragraph.keys() == {"context", "qas"}
            for asked in paragraph["qas"]:
                more = {"is_impossible"} if version == "v2.0" else set()
                assert asked.keys() == {"id", "question", "answers"} | more
                (answer,) = asked["answers"]
                assert answer.keys() == {"text", "answer_start"}
                start = answer["answer_start"]
                assert paragraph["context"][start : start + len(answer["text"])] == answer["text"]
                found.append((asked["id"], asked["question"], answer["text"]))
    return found


@pytest.mark.parametrize(("format_", "version"), [("squad", "1.1"), ("squad-v2", "v2.0")])
@given(pairs=exported())
def test_squad_is_read_again_by_a_strict_reader(
    format_: ExportFormat, version: str, pairs: list[ExportedPair]
) -> None:
    found = read_strictly(file_of(pairs, format_), version)
    assert found == [(pair.id, pair.question, pair.answer) for pair in pairs]


@given(exported())
def test_csv_is_read_again(pairs: list[ExportedPair]) -> None:
    rows = list(csv.DictReader(StringIO(file_of(pairs, "csv"), newline="")))
    assert [(row["id"], row["question"], row["answer"]) for row in rows] == [
        (pair.id, pair.question, pair.answer) for pair in pairs
    ]
    assert [json.loads(row["scores"]) for row in rows] == [pair.scores for pair in pairs]


@given(exported())
def test_lines_of_json_are_read_again(pairs: list[ExportedPair]) -> None:
    lines = [json.loads(line) for line in file_of(pairs, "jsonl").split("\n")[:-1]]
    assert [line["question"] for line in lines] == [pair.question for pair in pairs]
    assert [line["answer_end"] for line in lines] == [pair.answer_end for pair in pairs]


@given(exported())
def test_anki_gets_its_headers_and_three_fields(pairs: list[ExportedPair]) -> None:
    head, rest = file_of(pairs, "anki").split("#tags column:3\n", maxsplit=1)
    assert head == "#separator:tab\n#html:false\n#columns:Question\tAnswer\tTags\n"
    rows = list(csv.reader(StringIO(rest, newline=""), delimiter="\t"))
    assert [tuple(row[:2]) for row in rows] == [(pair.question, pair.answer) for pair in pairs]
    assert not any(blank in row[2] for row in rows for blank in " \t\n")


def test_nothing_is_a_whole_file_too() -> None:
    assert read_strictly(file_of([], "squad"), "1.1") == []
    assert file_of([], "jsonl") == ""
