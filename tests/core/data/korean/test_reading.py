"""Tables of sentences read as passages."""

from pathlib import Path

import pytest

from core.data.examples import Passage
from core.data.korean.reading import in_plain_style, is_prose, passages_of
from core.data.materials import read
from core.errors import DataError, InputError
from core.recipes import RECIPES
from core.recipes.materials import Material
from tests.core.data.test_real_files import DATA

LINES = [
    "함수 객체",
    "사용자는 함수의 이름을 서버로 보냅니다.",
    "서버는 객체를 파일에 저장합니다. 서버가 결과를 사용자에게 반환합니다.",
    "함수를 호출하십시오:",
    "파일의 이름은 사용자에게 문자열을 제공합니다.",
]


def table(folder: Path, lines: list[str], name: str = "t.tsv") -> Material:
    (folder / name).write_text("".join(f"x\t{line}\n" for line in lines), encoding="utf-8")
    return Material(reader="korean", files=(name,), columns=(1, 2), valid=0)


def test_prose_goes_together_until_something_else_comes() -> None:
    assert list(passages_of(LINES)) == [
        ("함수 객체", " ".join(LINES[1:3])),
        ("함수 객체", LINES[4]),
    ]


def test_a_passage_is_no_longer_than_it_should_be() -> None:
    found = list(passages_of(["사용자는 이름을 서버로 보냅니다."] * 40))
    assert max(len(context) for _, context in found) <= 300
    assert sum(context.count(".") for _, context in found) == 40


def test_nothing_is_no_passage() -> None:
    assert list(passages_of([])) == []
    assert list(passages_of(["함수 객체", ""])) == []


@pytest.mark.parametrize(
    "line",
    [
        *("", "짧다.", "사용자는 이름을 서버로 보냅니다", "x = 함수를 부르고 값을 저장합니다."),
        *("print()는 문자열을 출력합니다.", "사용자는 (이름을 서버로 보냅니다."),
        *(
            "사용자는 이름)을 서버(로 보냅니다.",
            "The quick brown fox jumps over the lazy 개입니다.",
        ),
        *('사용자는 "이름을 서버로 보냅니다.', f"{'사용자는 ' * 80}보냅니다."),
    ],
)
def test_code_brackets_left_open_and_other_tongues_are_no_prose(line: str) -> None:
    assert not is_prose(line)


def test_sentences_are_told_plainly_where_that_is_known() -> None:
    said = "서버는 객체를 저장합니다. 머리를 긋습니다. 끝이 아닙니다."
    assert in_plain_style(said) == "서버는 객체를 저장한다. 머리를 긋습니다. 끝이 아니다."
    assert in_plain_style("") == ""
    assert in_plain_style("서버는 객체를 저장한다.") == "서버는 객체를 저장한다."


def test_every_second_passage_is_read_plainly(tmp_path: Path) -> None:
    first, second = read(table(tmp_path, LINES), tmp_path)["train"]
    assert first.context == " ".join(LINES[1:3])
    assert second.context == "파일의 이름은 사용자에게 문자열을 제공한다."
    for passage in (first, second):
        for one in passage.questions:
            assert all(span.of(passage.context) in passage.context for span in one.answers)


def test_a_table_becomes_passages_with_questions(tmp_path: Path) -> None:
    found = read(table(tmp_path, LINES), tmp_path)["train"]
    assert [type(one) for one in found] == [Passage, Passage]
    assert found[0].title == "함수 객체"
    pairs = [(one.question, one.answers[0].of(found[0].context)) for one in found[0].questions]
    assert ("서버가 결과를 누구에게 반환하는가?", "사용자") in pairs


def test_lines_in_no_order_are_passages_of_their_own(tmp_path: Path) -> None:
    material = table(tmp_path, LINES)
    scattered = Material(
        reader="korean", files=material.files, scattered=material.files, columns=(1, 2), valid=0
    )
    found = read(scattered, tmp_path)["train"]
    assert [one.title for one in found] == [""] * len(found)
    assert {one.context for one in found} <= {*LINES, *map(in_plain_style, LINES)}
    assert len(found) == 3


def test_the_same_files_give_the_same_passages(tmp_path: Path) -> None:
    material = table(tmp_path, LINES)
    assert read(material, tmp_path) == read(material, tmp_path)


def test_a_table_that_nothing_can_be_asked_about_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no examples"):
        read(table(tmp_path, ["가자.", "함수 객체"]), tmp_path)


def test_a_line_without_a_target_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("x\t사용자는 이름을 서버로 보냅니다.\nx\n", encoding="utf-8")
    material = Material(reader="korean", files=("t.tsv",), columns=(1, 2))
    with pytest.raises(DataError, match=r"t\.tsv, line 2"):
        read(material, tmp_path)


def test_the_real_sentences_give_many_questions_whose_answers_stand_where_they_should() -> None:
    material = RECIPES["qgen-pointer-ko"].material
    if any(not (DATA / name).is_file() for name in (*material.files, *material.test_files)):
        pytest.skip(f"{DATA} has no {material.files[0]}; MALGIL_DATA says where it is")
    splits = read(material, DATA)
    asked = {
        split: [(one, question) for one in found for question in one.questions]
        for split, found in splits.items()
    }
    assert 8_000 < len(asked["train"]) < 15_000
    assert min(len(asked["valid"]), len(asked["test"])) > 300
    for passage, question in (pair for pairs in asked.values() for pair in pairs):
        (span,) = question.answers
        assert span.of(passage.context) not in question.question
        assert question.question.endswith("가?")
    titles = [{one.title for one in splits[split]} - {""} for split in ("train", "valid")]
    assert not titles[0] & titles[1]
