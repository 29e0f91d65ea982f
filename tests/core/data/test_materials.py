"""Materials: files written here, then the data that lies beside the project, where it does."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from core.data.examples import Dialogue, Example, Pair, Text
from core.data.materials import read
from core.errors import DataError, InputError
from core.recipes.materials import Material
from tests.core.data.test_real_files import DATA


def written(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def all_of(folder: Path, files: Mapping[str, str], material: Material) -> list[Example]:
    """Return the training examples, with nothing held out."""
    return read(replace(material, valid=0, test=0), written(folder, files))["train"]


def test_toy_questions_and_answers_lose_their_padding(tmp_path: Path) -> None:
    text = "16+75  _91  \nsep 27, 1994  _1994-09-27\n"

    assert all_of(tmp_path, {"a/b.txt": text}, Material(reader="toy", files=("a/b.txt",))) == [
        Pair("16+75", "91"),
        Pair("sep 27, 1994", "1994-09-27"),
    ]


@pytest.mark.parametrize("field", ["files", "valid_files", "test_files"])
def test_a_file_without_examples_is_named(tmp_path: Path, field: str) -> None:
    folder = written(tmp_path, {"some.txt": "one\ntwo\n", "none.txt": "\n"})
    material = replace(Material(reader="text", files=("some.txt",)), **{field: ("none.txt",)})

    with pytest.raises(InputError, match=r"none\.txt: there are no examples"):
        read(material, folder)


def test_lines_of_two_files_belong_together(tmp_path: Path) -> None:
    files = {"x.de": "Hallo\nJa\u2028!\n", "x.en": "Hello\nYes\u2028!\n"}
    there = Material(reader="lines", files=("x.de", "x.en"))
    back = Material(reader="lines", files=("x.en", "x.de"))

    assert all_of(tmp_path, files, there)[1] == Pair("Ja\u2028!", "Yes\u2028!")
    assert all_of(tmp_path, files, back)[0] == Pair("Hello", "Hallo")


def test_columns_give_the_direction(tmp_path: Path) -> None:
    files = {"x.txt": "Go.\t가.\tCC-BY\n"}
    material = Material(reader="table", files=("x.txt",))

    assert all_of(tmp_path, files, material) == [Pair("Go.", "가.")]
    assert all_of(tmp_path, files, replace(material, columns=(2, 1))) == [Pair("가.", "Go.")]


def test_an_abstract_is_joined_and_has_one_summary(tmp_path: Path) -> None:
    line = json.dumps({"source": ["One.", "Two."], "target": ["Both.", "All."], "title": "x"})
    material = Material(reader="abstracts", files=("x.jsonl",))

    assert all_of(tmp_path, {"x.jsonl": line}, material) == [Pair("One. Two.", "Both.")]


def test_talks_and_running_text_are_read(tmp_path: Path) -> None:
    talk = json.dumps({"turns": [["1", "hi"], ["2", "hello"]]})
    talks = Material(reader="dialogues", files=("x.jsonl",))
    text = {"x.txt": "the cat sat\n\n <unk> N times \n"}

    assert all_of(tmp_path, {"x.jsonl": talk}, talks) == [Dialogue(("hi", "hello"))]
    assert all_of(tmp_path, text, Material(reader="text", files=("x.txt",))) == [
        Text("the cat sat"),
        Text("<unk> N times"),
    ]
    assert all_of(tmp_path, text, Material(reader="penn", files=("x.txt",))) == [
        Text("the cat sat <eos>"),
        Text("<unk> N times <eos>"),
    ]


def test_fables_are_cleaned_as_the_notes_do(tmp_path: Path) -> None:
    book = (
        "AESOP\n\nTHE FOX AND THE GRAPES\nTHE END\n\n\n\n\n"
        "THE FOX AND THE GRAPES\n\n\nA Fox saw\n(some) grapes.\n\n\n\n\n"
        'THE END\n\n\n"It\'s..."\n\n\n\n\nILLUSTRATIONS\n\n\n[x]'
    )
    mark = " ".join(["|"] * 20)

    found = all_of(tmp_path, {"x.txt": book}, Material(reader="fables", files=("x.txt",)))

    assert found == [
        Text(f"{mark} the fox and the grapes . a fox saw ( some ) grapes ."),
        Text(f'{mark} the end . " it\'s . . " {mark}'),
    ]


def test_what_makers_held_out_comes_beside_what_we_hold_out(tmp_path: Path) -> None:
    files = {
        "train.txt": "".join(f"{n}\ta\n" for n in range(100)),
        "valid.txt": "v\ta\n",
        "test.txt": "t\ta\n",
    }
    material = Material(
        reader="table",
        files=("train.txt",),
        valid_files=("valid.txt",),
        test_files=("test.txt",),
        valid=5,
        limit=50,
    )
    splits = read(material, written(tmp_path, files))

    assert {name: len(found) for name, found in splits.items()} == {
        "train": 45,
        "valid": 6,
        "test": 1,
    }
    assert splits["valid"][-1] == Pair("v", "a")
    assert {int(pair.source) for pair in splits["train"]} < set(range(50))


def test_a_missing_file_says_what_to_set(tmp_path: Path) -> None:
    material = Material(reader="toy", files=("toy/addition.txt",))

    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"MALGIL_DATA.*toy/addition\.txt.*--corpus") as caught:
            read(material, root)
        assert str(root) in str(caught.value)
    with pytest.raises(InputError, match="--corpus"):
        read(Material(reader="penn"), tmp_path)


@pytest.mark.parametrize(
    ("material", "files", "says"),
    [
        (Material(reader="toy", files=("x",)), {"x": "1_2\n1+2 3\n"}, "x, line 2: "),
        (Material(reader="lines", files=("x", "y")), {"x": "a\nb\n", "y": "a\n"}, "x, line 2: y "),
        (Material(reader="lines", files=("x", "y")), {"x": "a\n", "y": "a\nb\n"}, "y, line 2: x "),
        (Material(reader="lines", files=("x", "y")), {"x": "a\n", "y": " \n"}, "y, line 1: is emp"),
        (Material(reader="lines", files=("x",)), {"x": "a\n"}, "x: a second file"),
        (
            Material(reader="table", files=("x.tsv",)),
            {"x.tsv": "a\tb\na\n"},
            r"x\.tsv, line 2: 1 c",
        ),
        (Material(reader="table", files=("x.tsv",)), {"x.tsv": "a\n"}, r"x\.tsv: .*two columns"),
        (
            Material(reader="dialogues", files=("x",)),
            {"x": '{"turns": ["a"]}'},
            "x, line 1: a dial",
        ),
        (Material(reader="abstracts", files=("x",)), {"x": '{"source": []}'}, "x, line 1: is not"),
        (Material(reader="penn", files=("x",)), {"x": "a\n\0\n"}, "x, line 2: has a NUL"),
        (Material(reader="fables", files=("x",)), {"x": "a\n"}, "x: the first fable"),
    ],
)
def test_an_error_names_file_and_line(
    tmp_path: Path, material: Material, files: Mapping[str, str], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        read(material, written(tmp_path, files))


def real(material: Material) -> dict[str, list[Example]]:
    for name in material.files:
        if not (DATA / name).exists():
            pytest.skip(f"{DATA / name} is not here")
    return read(material, DATA)


def sources(examples: list[Example]) -> set[str]:
    return {one.source if isinstance(one, Pair) else one.texts[0] for one in examples}


def test_addition_is_45_000_and_5_000() -> None:
    splits = real(Material(reader="toy", files=("toy/addition.txt",), valid=5000))

    assert (len(splits["train"]), len(splits["valid"])) == (45_000, 5_000)
    assert all(
        int(one.target) == sum(map(int, one.source.split("+")))
        for split in splits.values()
        for one in split
    )


def test_no_date_is_asked_for_in_both_splits() -> None:
    splits = real(Material(reader="toy", files=("toy/date.txt",), valid=0.1))

    assert not sources(splits["train"]) & sources(splits["valid"])
    assert len(splits["train"]) + len(splits["valid"]) == 50_000
    assert 4_500 < len(splits["valid"]) < 5_500


@pytest.mark.parametrize("columns", [(1, 2), (2, 1)])
def test_sentences_are_split_by_their_english_side(columns: tuple[int, int]) -> None:
    english = "source" if columns == (1, 2) else "target"
    material = Material(
        reader="table",
        files=("tatoeba_en_fr/fra.txt",),
        columns=columns,
        split_by=english,
        limit=10_000,
        valid=0.2,
    )
    splits = real(material)

    sides = [{getattr(one, english) for one in splits[split]} for split in ("train", "valid")]
    assert not sides[0] & sides[1]
    assert [len(splits[split]) for split in ("train", "valid")] == [8_015, 1_985]


@pytest.mark.parametrize(
    ("material", "train", "valid"),
    [
        (Material(reader="table", files=("chat_ko_songys/ChatbotData.csv",)), 11_823, 0),
        (Material(reader="table", files=("summ_ko_sae4k/sae4k_v1.txt",)), 30_837, 0),
        (
            Material(
                reader="lines",
                files=("multi30k/train.de", "multi30k/train.en"),
                valid_files=("multi30k/val.de", "multi30k/val.en"),
            ),
            29_000,
            1_014,
        ),
        (
            Material(
                reader="table",
                files=("python_docs_en_ko/train.tsv", "tatoeba_en_ko/kor.txt"),
                valid_files=("python_docs_en_ko/valid.tsv",),
            ),
            28_609 + 3_798,
            1_150,
        ),
        (
            Material(
                reader="dialogues",
                files=("chat_en_topical/valid_freq.jsonl", "chat_en_topical/valid_rare.jsonl"),
                valid_files=("chat_en_topical/test_rare.jsonl",),
            ),
            1_078,
            539,
        ),
        (
            Material(
                reader="abstracts",
                files=("summ_scitldr/train.jsonl",),
                valid_files=("summ_scitldr/dev.jsonl",),
            ),
            1_992,
            619,
        ),
    ],
    ids=lambda value: value.files[0] if isinstance(value, Material) else str(value),
)
def test_a_real_set_is_read_whole(material: Material, train: int, valid: int) -> None:
    splits = real(replace(material, valid=0))

    assert (len(splits["train"]), len(splits["valid"])) == (train, valid)


def test_the_fables_are_those_of_the_notes() -> None:
    splits = real(Material(reader="fables", files=("lm_aesop/data.txt",), valid=0.1))
    text = " ".join(one.texts[0] for split in ("train", "valid") for one in splits[split])
    words = text.split()

    assert len(f" {text} ") == 213_716
    assert len(words) == 50_436
    assert len(set(words)) == 4_168
    held_out = sum(len(one.texts[0].split()) for one in splits["valid"])
    assert held_out / len(words) == pytest.approx(0.1, abs=0.005)
