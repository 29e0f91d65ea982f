"""A checkpoint of any released format still loads and answers the same."""

import json
from pathlib import Path

import pytest

from core.pipelines.bundle import read_bundle
from core.pipelines.formats import FORMATS
from core.pipelines.offline import decode_batch
from tests.golden.make import ASKER, asked_of, wish

ALL = sorted(Path(__file__).parent.glob("*.safetensors"))
ASKERS = [path for path in ALL if ASKER in path.stem]
BEFORE_GATES = [path for path in ASKERS if path.stem.startswith("malgil-2.")]
STORED = [path for path in ALL if path not in ASKERS]


@pytest.mark.parametrize("form", FORMATS)
def test_there_is_a_stored_checkpoint_of_every_format(form: str) -> None:
    assert any(path.name.startswith(form) for path in STORED)


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_stored_checkpoint_answers_what_it_always_answered(path: Path) -> None:
    bundle = read_bundle(path.read_bytes())
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    asked = [[one] for one in expected]
    answers = decode_batch(bundle, asked, [wish(bundle.plan)] * len(asked))
    for candidates, wanted in zip(answers, expected.values(), strict=True):
        assert [one.text for one in candidates] == [one["text"] for one in wanted]
        scores = [one["score"] for one in wanted]
        assert [one.score for one in candidates] == pytest.approx(scores, abs=1e-4)


@pytest.mark.parametrize("path", ASKERS, ids=lambda path: path.stem)
def test_a_stored_checkpoint_asks_what_it_always_asked(path: Path) -> None:
    found = asked_of(read_bundle(path.read_bytes()))
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    for one, wanted in zip(found, expected, strict=True):
        for part in ("proposal", "found"):
            assert one[part]["span"] == wanted[part]["span"]
            assert one[part]["log_prob"] == pytest.approx(wanted[part]["log_prob"], abs=1e-4)
        texts, scores = (
            [[question[key] for question in each["questions"]] for each in (one, wanted)]
            for key in ("text", "score")
        )
        assert texts[0] == texts[1]
        assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def test_there_is_a_stored_checkpoint_that_asks() -> None:
    assert ASKERS


@pytest.mark.parametrize("path", BEFORE_GATES, ids=lambda path: path.stem)
def test_a_setting_that_a_checkpoint_is_older_than_is_off(path: Path) -> None:
    data = path.read_bytes()
    questions = read_bundle(data).plan.model.questions

    assert b"self_attention" not in data
    assert questions is not None
    assert questions.self_attention == "none"
