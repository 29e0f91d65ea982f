import time

import pytest

from core.data.examples import Example
from core.errors import InputError, SpecError
from core.metrics.text import corpus_scores
from core.pipelines.bundle import read_bundle
from core.pipelines.learn import Finished, Saved, Stage, learn
from core.pipelines.offline import decode_batch
from core.specs import merge
from core.training.events import Measured, Validated
from tests.core.pipelines.small import LANGUAGE, PAIRS, SAID, TALKS, every_split, small_plan


def test_a_small_set_is_learned_by_heart_and_reported(tmp_path) -> None:
    plan = small_plan()
    *_, last = learn(every_split(PAIRS), plan, scratch=tmp_path)
    assert isinstance(last, Finished)
    bundle = read_bundle(last.data)
    answers = decode_batch(bundle, [[source] for source, _ in SAID], [plan.decode] * len(SAID))
    texts = [candidates[0].text for candidates in answers]
    assert corpus_scores(texts, [target for _, target in SAID])["exact_match"] == 1.0
    assert last.metrics["exact_match"] == 1.0
    assert last.metrics["valid_perplexity"] < 1.5
    assert last.report["samples"][0]["context"] == [SAID[0][0]]
    assert last.report["examples"] == dict.fromkeys(("train", "valid", "decoded"), len(SAID))
    assert "tok:13a" in last.report["signatures"]["bleu"]


def test_stages_come_in_order(tmp_path) -> None:
    events = list(learn(every_split(PAIRS), small_plan(max_epochs=1), scratch=tmp_path))
    names = [event.name for event in events if isinstance(event, Stage)]
    assert list(dict.fromkeys(names)) == ["tokenizer", "encode", "train", "report"]


def test_a_lexicon_is_learned_if_that_is_asked_for(tmp_path) -> None:
    plan = small_plan(max_epochs=1, lexicon=4)
    *events, last = learn(every_split(PAIRS), plan, scratch=tmp_path)
    names = [event.name for event in events if isinstance(event, Stage)]
    assert list(dict.fromkeys(names))[-2:] == ["lexicon", "report"]
    bundle = read_bundle(last.data)
    assert bundle.lexicon is not None
    assert bundle.lexicon.words.shape == (bundle.tokenizer.size, 4)
    assert 0.5 < last.metrics["lexicon_coverage"] <= 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"train": {"lexicon": 5}, "model": {"copy_source": True}}, "a copy may be any"),
        ({"serve": {"shortlist": "on"}}, "serve.shortlist: needs train.lexicon"),
    ],
)
def test_a_lexicon_that_makes_no_sense_is_refused(changes, reason) -> None:
    with pytest.raises(SpecError, match=reason):
        merge(small_plan(), changes)


def test_a_language_model_has_no_lexicon() -> None:
    with pytest.raises(SpecError, match="a language model has no source"):
        merge(LANGUAGE, {"train": {"lexicon": 5}})


def test_a_run_resumed_from_saved_bytes_ends_in_the_same_bundle(tmp_path) -> None:
    plan = small_plan(max_epochs=10)
    whole = list(learn(every_split(PAIRS), plan, scratch=tmp_path / "a"))
    saved = None
    before = []
    for event in learn(every_split(PAIRS), plan, scratch=tmp_path / "b", due=lambda: True):
        before.append(event)
        if isinstance(event, Saved) and event.step == 7:
            saved = event.data
            break
    after = list(learn(every_split(PAIRS), plan, scratch=tmp_path / "c", resume=saved))

    def curve(events):
        return [event for event in events if isinstance(event, Measured | Validated)]

    assert curve(before) + curve(after) == curve(whole)
    assert after[-1].data == whole[-1].data


def test_what_others_do_between_events_counts_for_no_time_limit(tmp_path) -> None:
    plan = small_plan(max_epochs=3, time_limit_s=60.0)
    *_, calm = learn(every_split(PAIRS), plan, scratch=tmp_path)
    waited = 0.0
    last: object = None
    with pytest.MonkeyPatch.context() as patch:
        real = time.monotonic
        patch.setattr(time, "monotonic", lambda: real() + waited)
        for event in learn(every_split(PAIRS), plan, scratch=tmp_path):
            waited += 3600.0
            last = event
    assert isinstance(last, Finished)
    assert isinstance(calm, Finished)
    assert last.report["run"]["seconds"] < 60
    assert last.step == calm.step


def test_turns_of_a_talk_are_context(tmp_path) -> None:
    plan = small_plan(max_epochs=30).model_copy(update={"context_turns": 3})
    *_, last = learn(every_split(TALKS), plan, scratch=tmp_path)
    assert last.report["examples"]["train"] == 24
    bundle = read_bundle(last.data)
    contexts = [["안녕"], ["안녕", "반가워요", "밥 먹었어?"]]
    first, third = decode_batch(bundle, contexts, [plan.decode] * 2)
    assert first[0].text == "반가워요"
    assert third[0].text == "네, 먹었어요"


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"decode": {"skip": ["hi there"]}}, "decode.skip: 'hi there'"),
        (
            {"decode": {"stop": ["\ufffd"]}},
            "decode.stop: .* stands for what is no text",
        ),
        ({"decode": {"prefix": "hi there " * 40}}, "max_tokens is"),
        (
            {"model": {"attention": "none"}, "decode": {"alignments": True}},
            "alignments: this model cannot tell",
        ),
    ],
)
def test_what_its_model_cannot_do_is_refused_before_anything_is_learned(
    tmp_path, overrides, says
) -> None:
    events = learn(every_split(PAIRS), merge(small_plan(), overrides), scratch=tmp_path)
    assert next(events).name == "tokenizer"
    with pytest.raises(InputError, match=says):
        next(events)


@pytest.mark.parametrize("missing", ["train", "valid"])
def test_an_empty_split_is_named(tmp_path, missing) -> None:
    def examples(split: str) -> list[Example]:
        return [] if split == missing else PAIRS

    with pytest.raises(InputError, match=missing if missing == "valid" else "no text|train"):
        list(learn(examples, small_plan(), scratch=tmp_path))
