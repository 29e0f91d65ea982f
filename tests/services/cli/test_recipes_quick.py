"""Every recipe from its data to its headline, small enough for a test."""

import json
from pathlib import Path

import pytest

from core.pipelines.bundle import read_bundle
from core.recipes import RECIPES
from core.settings import Settings
from tests.services.cli.conftest import Malgil

DATA = Settings().data
BRIEF = ("--set", "train.time_limit_s=0.5", "--set", "train.report_rows=4", "--quick")
READERS = {recipe.material.reader: name for name, recipe in RECIPES.items()}  # one name for each


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALGIL_THREADS", "1")  # the machine is shared


def corpus_of(name: str, folder: Path) -> Path:
    """Write a small corpus of the first kind that a recipe reads."""
    if RECIPES[name].corpus_kinds[0] == "text":
        path = folder / "text.txt"
        tale = "the fox saw the grapes . they hung high on the vine and he wanted them so ."
        path.write_text("".join(f"{tale} it was day {n % 7} of the week\n" for n in range(12)))
        return path
    if RECIPES[name].corpus_kinds[0] == "passages":
        path = folder / "passages.json"
        answer = {"text": "the vine", "answer_start": 29}
        articles = [
            {
                "title": f"tale {n}",
                "paragraphs": [
                    {
                        "context": f"In tale {n:02} the grapes hung on the vine until day {n}.",
                        "qas": [{"question": "where did they hang?", "answers": [answer]}],
                    }
                ],
            }
            for n in range(10, 40)
        ]
        path.write_text(json.dumps({"data": articles}))
        return path
    path = folder / "pairs.tsv"
    path.write_text("".join(f"what is {n} and one?\tit is {n + 1}.\n" for n in range(60)))
    return path


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_runs_in_seconds_on_data_of_ones_own(
    name: str, tmp_path: Path, malgil: Malgil
) -> None:
    out, corpus = tmp_path / "made.safetensors", corpus_of(name, tmp_path)
    ran = malgil(
        "recipe", "run", name, *BRIEF, "--corpus", corpus, "--json", "--out", out,
        "--set", "tokenizer.vocabulary_size=400", "--results", tmp_path / "results",
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    *events, last = ran.lines
    assert {"log", "progress", "metrics"} <= {event["event"] for event in events}
    assert RECIPES[name].headline.metric in {*last["metrics"], "test_perplexity"}
    assert read_bundle(out.read_bytes()).report["metrics"] == last["metrics"]
    result = json.loads((tmp_path / "results" / f"{name}-seed1.json").read_text())
    assert result["quick"]
    assert result["metrics"].keys() == last["metrics"].keys()


@pytest.mark.parametrize("name", READERS.values())
def test_every_kind_of_material_is_learned_from_by_itself(name: str, malgil: Malgil) -> None:
    material = RECIPES[name].material
    if not material.files and material.reader not in {"calculator", "algorithms"}:
        assert malgil("recipe", "run", name, *BRIEF).code == 2  # and it says to name a corpus
        return
    if not material.shipped and any(not (DATA / file).is_file() for file in material.files):
        pytest.skip(f"{DATA} has no {material.files[0]}; MALGIL_DATA says where it is")
    ran = malgil("recipe", "run", name, *BRIEF)
    assert ran.code == 0, ran.out + ran.err
    assert RECIPES[name].headline.source in ran.out


def test_treebank_files_are_learned_validated_and_tested_on_in_their_order(
    tmp_path: Path, malgil: Malgil
) -> None:
    files = []
    for split, count in (("train", 40), ("valid", 12), ("test", 12)):
        path = tmp_path / f"ptb.{split}.txt"
        path.write_text(
            "".join(f" the <unk> sold N shares of lot {n % 5} \n" for n in range(count))
        )
        files += ["--corpus", path]
    ran = malgil("recipe", "run", "ptb-lstm", *BRIEF, *files, "--json")
    assert ran.code == 0, ran.out
    last = ran.lines[-1]
    assert last["report"]["examples"]["test_tokens"] == 12 * 9
    assert last["metrics"]["test_perplexity"] == last["metrics"]["test_word_perplexity"]
    assert not any(
        word in sample["output"].split()
        for sample in last["report"]["samples"]
        for word in ("<unk>", "N", "<eos>")
    )


def test_pairs_of_a_model_that_asks_stand_on_a_page(tmp_path: Path, malgil: Malgil) -> None:
    name = "qgen-pointer"
    ran = malgil(
        "recipe", "run", name, *BRIEF, "--corpus", corpus_of(name, tmp_path),
        "--set", "tokenizer.vocabulary_size=400", "--results", tmp_path / "results",
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    page = (tmp_path / "results" / f"{name}-seed1.html").read_text()
    assert "pairs to look at" in ran.out
    pairs = page.split("<article>")[1:]
    assert len(pairs) == 50
    assert all("<mark>" in pair for pair in pairs)
    assert "http" not in page
    assert "sheet" not in json.loads((tmp_path / "results" / f"{name}-seed1.json").read_text())


def test_a_model_that_learned_from_a_rule_is_asked_about_what_people_asked(
    tmp_path: Path, malgil: Malgil
) -> None:
    material = RECIPES["qgen-pointer-ko"].material
    if any(not (DATA / file).is_file() for file in material.files):
        pytest.skip(f"{DATA} has no {material.files[0]}; MALGIL_DATA says where it is")
    ran = malgil("recipe", "run", "qgen-pointer-ko", *BRIEF, "--json", "--results", tmp_path)
    assert ran.code == 0, ran.out + ran.err
    people = ran.lines[-1]["metrics"]["people"]
    assert people.keys() >= {"bleu", "chrf", "reader_f1", "proposer_span_f1", "round_trip_f1"}
    (sample, *_) = ran.lines[-1]["report"]["people"]
    assert sample["target"] == "한글을 만든 임금은 누구인가?"
    kept = json.loads((tmp_path / "qgen-pointer-ko-seed1.json").read_text(encoding="utf-8"))
    assert kept["metrics"]["people"].keys() == people.keys()


def test_mails_are_read_with_their_subject(tmp_path: Path, malgil: Malgil) -> None:
    mails = tmp_path / "mails.csv"
    rows = "".join(f"Order {n},Where is order {n}?,It is on its way.\n" for n in range(60))
    mails.write_text("subject,body,reply\n" + rows)
    ran = malgil("recipe", "run", "mail-reply", *BRIEF, "--corpus", mails, "--json",
                 "--set", "tokenizer.kind=char")  # fmt: skip
    assert ran.code == 0, ran.out
    (context,) = ran.lines[-1]["report"]["samples"][0]["context"]
    assert context.startswith("Order ")
    assert "\nWhere is order" in context


def test_word_vectors_are_where_it_begins(tmp_path: Path, malgil: Malgil) -> None:
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("".join(f"{word} {' '.join(['0.5'] * 16)}\n" for word in ("what", "is")))
    ran = malgil(
        "recipe", "run", "word-lstm", *BRIEF, "--corpus", corpus_of("word-lstm", tmp_path),
        "--vectors", vectors, "--set", "tokenizer.vocabulary_size=400",
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    assert "2 pieces begin with a vector of vectors.txt" in ran.out


def test_data_of_a_recipe_becomes_a_file_with_its_splits(tmp_path: Path, malgil: Malgil) -> None:
    out = tmp_path / "calculator.jsonl"
    ran = malgil("recipe", "data", "calculator", "--out", out, "--json")
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert ran.data["examples"] == len(lines) == 20_000
    assert {line["split"] for line in lines} == {"train", "valid"}
    assert "--kind pairs --split split" in ran.data["add"]
