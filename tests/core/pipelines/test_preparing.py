from pathlib import Path

import numpy as np
import pytest

from core.data.examples import Example, Pair, Text
from core.data.materials import read
from core.errors import InputError
from core.pipelines.preparing import learn_vocabulary, prepare
from core.recipes import RECIPES
from core.settings import Settings
from core.specs import Plan, merge
from tests.core.pipelines.small import LANGUAGE, small_plan

TALE = [Text("a b c d"), Text("e f"), Text("g h i")]


def by_split(**splits: list[Example]):
    return lambda split: splits.get(split, [])


def prepared(examples, plan: Plan, folder: Path):
    tokenizer = learn_vocabulary(examples, plan)
    return tokenizer, prepare(examples, plan, tokenizer, folder)


def test_a_closed_vocabulary_has_the_words_of_what_is_held_out(tmp_path: Path) -> None:
    examples = by_split(train=[Text("a b")], valid=[Text("c")], test=[Text("d")])
    assert learn_vocabulary(examples, LANGUAGE).size == 1 + 4


def test_other_vocabularies_know_only_what_is_learned_from(tmp_path: Path) -> None:
    examples = by_split(train=[Pair("a", "b")], valid=[Pair("z", "z")])
    tokenizer = learn_vocabulary(examples, small_plan())
    assert "z" not in "".join(tokenizer.pieces(range(tokenizer.size)))


@pytest.mark.parametrize("window", [1, 2, 3])
def test_every_word_but_those_of_the_first_window_is_asked_for_once(
    window: int, tmp_path: Path
) -> None:
    plan = merge(LANGUAGE, {"model": {"window": window}})
    examples = by_split(train=TALE[:1], valid=TALE[1:2], test=TALE[2:])
    tokenizer, made = prepared(examples, plan, tmp_path)
    assert made.test is not None
    asked = [
        int(token)
        for lesson in (made.train, made.valid, made.test)
        for rows in lesson.batches.ordered()
        for batch in [lesson.batches.take(rows)]
        for token in batch.gold[batch.mask]
    ]
    whole = [id_ for piece in TALE for id_ in tokenizer.encode(piece.text)]
    assert asked == whole[window:]
    assert made.sizes["windows"] == len(whole) - window


def test_streams_hear_the_last_word_before_what_is_held_out(tmp_path: Path) -> None:
    examples = by_split(train=TALE[:1], valid=TALE[1:])
    plan = merge(LANGUAGE, {"train": {"batch_size": 1}})
    tokenizer, made = prepared(examples, plan, tmp_path)
    (rows,) = made.valid.batches.ordered()
    batch = made.valid.batches.take(rows)
    assert tokenizer.decode(batch.tokens[0].tolist()) == "d e f g h"
    assert tokenizer.decode(batch.gold[0].tolist()) == "e f g h i"


def test_words_are_counted_as_far_as_a_target_is_kept(tmp_path: Path) -> None:
    pairs: list[Example] = [Pair("x", "ab cd ef gh"), Pair("y", "ab")]
    plan = small_plan(max_target_tokens=5)
    _, made = prepared(by_split(train=pairs, valid=pairs), plan, tmp_path)
    assert made.valid.tokens == 5 + 1 + 2 + 1
    assert made.valid.words == 2 + 1 + 1 + 1  # "ab cd", "ab", and two ends


def test_an_empty_test_split_is_no_fault_and_the_others_are(tmp_path: Path) -> None:
    _, made = prepared(by_split(train=TALE, valid=TALE), LANGUAGE, tmp_path)
    assert made.test is None
    with pytest.raises(InputError, match="valid"):
        prepared(by_split(train=TALE), LANGUAGE, tmp_path)


def test_the_fables_have_exactly_the_tokens_words_and_windows_of_the_note(tmp_path: Path) -> None:
    recipe, data = RECIPES["aesop-lstm"], Settings().data
    if not (data / recipe.material.files[0]).is_file():
        pytest.skip(f"{data} has no {recipe.material.files[0]}; MALGIL_DATA says where it is")
    corpus = read(recipe.material, data)
    tokenizer, made = prepared(lambda split: corpus[split], recipe.plan, tmp_path)
    assert tokenizer.size == 4_169
    assert made.sizes["train_tokens"] + made.sizes["valid_tokens"] == 50_436
    assert made.sizes["windows"] == 50_416
    assert made.sizes["valid_tokens"] == pytest.approx(5_043, rel=0.1)
    assert np.isclose(made.valid.words, made.valid.tokens)
