import math

import pytest

from core.data.examples import Example, Exchange, Pair, Text
from core.metrics.likelihood import perplexities
from core.pipelines.bundle import Bundle, read_bundle
from core.pipelines.evaluating import HeldOut, answers, figures, held_out, scorer
from core.pipelines.learn import Finished, learn
from core.pipelines.looking import attention_maps
from core.specs import DecodeSpec, Plan, merge
from core.training.events import Validated
from tests.core.pipelines.small import LANGUAGE, PAIRS, SAID, TALE, every_split, small_plan

SUMS: list[Example] = [Pair(f"{a}+{b}", str(a + b)) for a in range(5) for b in range(5)]


def learned(examples: list[Example], plan: Plan, folder) -> tuple[list[Validated], Finished]:
    events = list(learn(every_split(examples), plan, scratch=folder))
    assert isinstance(events[-1], Finished)
    return [event for event in events if isinstance(event, Validated)], events[-1]


@pytest.fixture(scope="module")
def adder(tmp_path_factory) -> tuple[list[Validated], Finished]:
    plan = merge(
        small_plan(max_epochs=30, score_rows=25, report_rows=20, validate_every=None),
        {"task": "transform", "decode": {"beam_size": 1},
         "train": {"learning_rate": 0.01}, "model": {"attention": "dot", "bidirectional": False}},
    )  # fmt: skip
    return learned(SUMS, plan, tmp_path_factory.mktemp("adder"))


def test_the_score_rises_on_the_way_and_ends_as_the_report_has_it(adder) -> None:
    validated, finished = adder
    scores = [one.scores["exact_match"] for one in validated]
    assert scores[0] < scores[-1]
    assert len(scores) == 30
    assert finished.metrics["exact_match"] == pytest.approx(scores[-1], abs=0.25)


def test_a_transformation_is_told_by_length_of_what_it_works_on(adder) -> None:
    _, finished = adder
    assert list(finished.metrics["by_length"]) == ["3"]
    assert finished.report["examples"]["decoded"] == 2 * 20  # validation, and then test
    assert finished.metrics["test_exact_match"] == finished.metrics["exact_match"]


def test_the_report_says_on_what_it_ran_and_the_bundle_does_not(adder) -> None:
    _, finished = adder
    run = finished.report["run"]
    assert run["seconds"] > 0
    assert run["seed"] == 1
    assert "torch" in run["machine"]
    assert {"precision", "threads", "processes", "device"} <= run.keys()
    kept = read_bundle(finished.data).report
    assert "run" not in kept
    assert {**kept, "run": run} == finished.report


def test_attention_is_shown_for_each_piece_that_was_said(adder) -> None:
    _, finished = adder
    one = finished.report["attention"][0]
    assert "".join(one["source"]) == SUMS[0].source
    assert one["output"][-1] == "</s>"
    assert len(one["weights"]) == len(one["output"])
    assert all(sum(line) == pytest.approx(1, abs=0.01) for line in one["weights"])


def test_what_attends_to_nothing_shows_nothing(tmp_path) -> None:
    plan = merge(small_plan(max_epochs=1), {"model": {"attention": "none"}})
    _, finished = learned(PAIRS, plan, tmp_path)
    assert finished.report["attention"] == []


def test_a_language_model_is_judged_by_perplexity_and_goes_on_from_beginnings(tmp_path) -> None:
    validated, finished = learned(TALE, LANGUAGE, tmp_path)
    metrics = finished.metrics
    assert metrics["valid_perplexity"] == pytest.approx(math.exp(metrics["valid_loss"]))
    assert metrics["valid_word_perplexity"] == metrics["valid_perplexity"]  # tokens are words
    assert metrics["test_perplexity"] < 5
    assert metrics["valid_loss"] == pytest.approx(validated[-1].valid_loss)
    sample = finished.report["samples"][0]
    assert sample["context"] == ["the fox saw the"]
    assert sample["output"]
    assert "bleu" not in metrics


def test_perplexity_per_word_does_not_depend_on_what_a_token_is(tmp_path) -> None:
    _, finished = learned(PAIRS, small_plan(max_epochs=3), tmp_path)
    tokens = sum(len(target) + 1 for _, target in SAID)
    words = sum(len(target.split()) + 1 for _, target in SAID)
    found = perplexities(finished.metrics["valid_loss"] * tokens, tokens=tokens, words=words)
    assert finished.metrics["valid_word_perplexity"] == pytest.approx(found["word_perplexity"])


def test_a_summary_is_told_beside_the_first_words_of_its_source(tmp_path) -> None:
    plan = merge(small_plan(max_epochs=1), {"task": "summarise"})
    _, finished = learned(PAIRS, plan, tmp_path)
    assert {"rouge_1", "rouge_2", "rouge_l"} <= finished.metrics.keys()
    assert {"lead_words", "lead_sentence"} <= finished.metrics["baselines"].keys()
    assert "rouge" in finished.report["signatures"]


def test_nothing_is_scored_on_the_way_unless_it_is_asked_for(tmp_path) -> None:
    _, finished = learned(PAIRS, small_plan(max_epochs=1), tmp_path)
    bundle = read_bundle(finished.data)
    assert scorer(bundle, every_split(PAIRS)) is None
    asked = Bundle(bundle.model, bundle.tokenizer, small_plan(score_rows=3), 0, {})
    score = scorer(asked, every_split(PAIRS))
    assert score is not None
    assert score().keys() == {"chrf"}


def test_answers_that_are_drawn_differ_and_come_again_with_their_seed(tmp_path) -> None:
    _, finished = learned(TALE, merge(LANGUAGE, {"train": {"max_epochs": 1}}), tmp_path)
    bundle, contexts = read_bundle(finished.data), [["the fox"]] * 6
    spec = DecodeSpec(beam_size=1, temperature=2.0, max_tokens=8)
    first = [one.text for one in answers(bundle, contexts, spec)]
    assert len(set(first)) > 1
    assert [one.text for one in answers(bundle, contexts, spec)] == first


def test_only_texts_that_have_a_beginning_are_gone_on_with(tmp_path) -> None:
    _, finished = learned(TALE, merge(LANGUAGE, {"train": {"max_epochs": 1}}), tmp_path)
    bundle = read_bundle(finished.data)
    held = held_out(every_split([Text("fox"), Text("the fox saw")]), bundle)
    assert held.all == [Exchange(("the",), "fox saw")]
    assert attention_maps(bundle, held.all, ["grapes"]) == []
    assert figures(bundle, HeldOut([], []), []).keys() == {
        "distinct_1",
        "distinct_2",
        "top_10_share",
    }
