import json
from pathlib import Path

import numpy as np
import pytest

from core.errors import DataError, InputError
from core.specs import TokenizerSpec
from core.text.kinds import TextTokenizer, train_tokenizer
from core.text.vectors import load_vectors

LINES = ("the Cat sat .", "the Cat sat on the mat .")
ROWS = {"the": [1.0, 2.0], "cat": [3.0, 4.0], "sat": [-0.5, 1e-3], "dog": [9.0, 9.0]}


def tokenizer(kind: str = "closed") -> TextTokenizer:
    spec = TokenizerSpec.model_validate({"kind": kind, "vocabulary_size": 400})
    return train_tokenizer(LINES, spec)


def written(folder: Path, text: str, name: str = "vectors.txt") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def table(rows: dict[str, list[float]]) -> str:
    return "".join(f"{word} {' '.join(map(str, row))}\n" for word, row in rows.items())


@pytest.mark.parametrize("kind", ["closed", "word"])
@pytest.mark.parametrize("header", ["", "4 2\n"])
def test_whole_words_are_found(tmp_path: Path, kind: str, header: str) -> None:
    words = tokenizer(kind)
    vectors = load_vectors(written(tmp_path, header + table(ROWS)), words, dim=2)

    by_word = {
        words.pieces([id_])[0].removeprefix("▁"): vectors.matrix[id_].tolist()
        for id_ in np.flatnonzero(vectors.found)
    }
    assert by_word == {
        "the": [1.0, 2.0],
        "Cat": [3.0, 4.0],  # in lower case only
        "sat": [-0.5, pytest.approx(1e-3)],
    }
    assert vectors.share == 3 / words.size
    assert not vectors.matrix[~vectors.found].any()


def test_json_holds_the_same(tmp_path: Path) -> None:
    words = tokenizer()
    text = load_vectors(written(tmp_path, table(ROWS)), words, dim=2)
    json_ = load_vectors(written(tmp_path, json.dumps(ROWS), "vectors.json"), words, dim=2)

    np.testing.assert_array_equal(json_.matrix, text.matrix)
    np.testing.assert_array_equal(json_.found, text.found)


@pytest.mark.parametrize("first", [["Cat", "cat"], ["cat", "Cat"]])
def test_a_word_in_its_own_case_comes_first(tmp_path: Path, first: list[str]) -> None:
    rows = {word: [float(word == "Cat")] * 2 for word in first}
    words = tokenizer()
    vectors = load_vectors(written(tmp_path, table(rows)), words, dim=2)

    assert vectors.matrix[words.encode("Cat")[0]].tolist() == [1.0, 1.0]


def test_words_with_spaces_are_only_words(tmp_path: Path) -> None:
    rows = {". . .": [1.0, 1.0], "at name": [1.0, 1.0], "the": [1.0, 2.0]}
    vectors = load_vectors(written(tmp_path, table(rows)), tokenizer(), dim=2)

    assert vectors.found.sum() == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("sat 1", r"vectors\.txt, line 2: a vector of 1 numbers, and the embedding has 2"),
        ("sat 1 2 3", r"line 2: a vector of 3 numbers, and the embedding has 2"),
        ("dog 1 2 3", r"line 2: a vector of 3 numbers"),
        ("", "line 2"),
        ("sat 1 two", "line 2: 'sat' has something that is no number"),
        ("sat 1 nan", "line 2: 'sat' has something that is no number"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = written(tmp_path, f"the 1 2\n{line}\nCat 3 4\n")

    with pytest.raises(DataError, match=says) as caught:
        load_vectors(path, tokenizer(), dim=2)
    assert caught.value.lines[0][0] == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "not JSON"),
        ("[]", "not an object"),
        ('{"the": [1]}', "'the' has 1 numbers instead of 2"),
        ('{"the": 1}', "'the' has 0 numbers"),
        ('{"the": [1, "a"]}', "no number"),
        ('{"the": [1, NaN]}', "no number"),
    ],
)
def test_bad_json_is_explained(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        load_vectors(written(tmp_path, text, "vectors.json"), tokenizer(), dim=2)


@pytest.mark.parametrize(("kind", "rows"), [("closed", {"dog": [1.0, 2.0]}), ("char", ROWS)])
def test_vectors_of_other_words_are_no_use(
    tmp_path: Path, kind: str, rows: dict[str, list[float]]
) -> None:
    with pytest.raises(InputError, match="for none of"):
        load_vectors(written(tmp_path, table(rows)), tokenizer(kind), dim=2)
