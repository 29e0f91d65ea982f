"""Passages in, answers and questions out, by a model that has learned a few by heart."""

import random

import pytest

from core.data.spans import Span
from core.errors import InputError, SpecError
from core.metrics.spans import answer_exact
from core.pipelines.asking import ask, find, propose
from core.pipelines.bundle import Bundle, read_bundle
from core.pipelines.learn import Finished, Saved, Stage, learn
from core.pipelines.offline import decode_batch
from core.specs import DecodeSpec, merge
from core.text.words import borders_of
from core.training.events import Measured, Validated
from tests.core.pipelines.small import PAIRS, PASSAGES, QUESTIONS, every_split, small_plan

CONTEXTS = [passage.context for passage in PASSAGES]
KNOWN = [
    (passage.context, one.answer, one.question) for passage in PASSAGES for one in passage.questions
]
STRANGE = [
    "",
    " \n",
    "?",
    "The cafe\u0301 town 부산 lies in 한국. Its river is 👩\u200d👩\u200d👧 (낙동강).",
    "İstanbul " * 90,
]


@pytest.fixture(scope="module", params=["none", "gated"])
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    plan = merge(QUESTIONS, {"model": {"questions": {"self_attention": request.param}}})
    *_, last = learn(every_split(PASSAGES), plan, scratch=tmp_path_factory.mktemp("asker"))
    assert isinstance(last, Finished)
    return last


@pytest.fixture(scope="module")
def bundle(finished: Finished) -> Bundle:
    return read_bundle(finished.data)


def test_what_was_learned_by_heart_is_asked_in_its_own_words(bundle: Bundle) -> None:
    found = ask(bundle, [(context, answer) for context, answer, _ in KNOWN])

    assert [candidates[0].text for candidates in found] == [question for *_, question in KNOWN]
    assert all(one.unknown == 0 for candidates in found for one in candidates)


def test_candidates_are_distinct_and_come_in_order(bundle: Bundle) -> None:
    (found,) = ask(bundle, [KNOWN[0][:2]], DecodeSpec(beam_size=4, n_best=3, max_tokens=12))

    assert len({one.text for one in found}) == 3
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_answers_are_found_again_by_their_characters(bundle: Bundle) -> None:
    found = find(bundle, [(context, question) for context, _, question in KNOWN])

    assert [one.span for one in found] == [answer for _, answer, _ in KNOWN]
    assert all(one.log_prob <= 0 for one in found)


def test_all_answers_are_proposed_and_none_overlaps(bundle: Bundle) -> None:
    for passage, found in zip(PASSAGES, propose(bundle, CONTEXTS, count=3), strict=True):
        assert {one.span for one in found} == {one.answer for one in passage.questions}
    for found in propose(bundle, CONTEXTS, count=99):
        places = [place for one in found for place in range(one.span.start, one.span.end)]
        assert len(places) == len(set(places))
        assert [one.log_prob for one in found] == sorted(
            (one.log_prob for one in found), reverse=True
        )


def test_a_word_that_nobody_knows_is_copied_as_it_stands(bundle: Bundle) -> None:
    context = STRANGE[3]
    start = context.index("한국")

    ((best, *_),) = ask(bundle, [(context, Span(start, start + 2))])

    assert best.unknown == 0
    assert "부산" in best.text


def test_what_shares_a_batch_changes_nothing(bundle: Bundle) -> None:
    contexts = [*CONTEXTS, *STRANGE, *(" ".join(CONTEXTS[:count]) for count in (2, 3, 4))]
    random.Random(1).shuffle(contexts)
    about = [
        (context, one.span)
        for context, found in zip(contexts, propose(bundle, contexts, count=3), strict=True)
        for one in found
    ]
    proposed, asked = propose(bundle, contexts, count=3), ask(bundle, about)
    readings = [(context, asked[row][0].text) for row, (context, _) in enumerate(about)]
    found = find(bundle, readings)

    for context, together in zip(contexts, proposed, strict=True):
        (alone,) = propose(bundle, [context], count=3)
        assert [one.span for one in together] == [one.span for one in alone]
        scores = [one.log_prob for one in alone]
        assert [one.log_prob for one in together] == pytest.approx(scores, abs=1e-5)
    for one, together, reading, answer in zip(about, asked, readings, found, strict=True):
        (alone,) = ask(bundle, [one])
        assert [each.text for each in together] == [each.text for each in alone]
        scores = [each.log_prob for each in alone]
        assert [each.log_prob for each in together] == pytest.approx(scores, abs=1e-5)
        (again,) = find(bundle, [reading])
        assert again.span == answer.span
        assert again.log_prob == pytest.approx(answer.log_prob, abs=1e-5)


def test_nothing_is_proposed_where_nothing_stands(bundle: Bundle) -> None:
    assert propose(bundle, ["", " \n"], count=3) == [[], []]
    assert next(one.span for one in find(bundle, [("", "Where?"), ("a b", "")])) == Span(0, 0)
    assert propose(bundle, [], count=3) == []
    assert ask(bundle, []) == []
    assert find(bundle, []) == []


def test_an_answer_without_a_word_is_refused(bundle: Bundle) -> None:
    with pytest.raises(InputError, match="No word stands from 3 to 4"):
        ask(bundle, [(CONTEXTS[0], Span(3, 4))])


def test_a_model_that_answers_does_not_ask_and_one_that_asks_does_not_answer(
    bundle: Bundle, tmp_path
) -> None:
    with pytest.raises(InputError, match="asks questions about passages"):
        decode_batch(bundle, [["hello"]], [bundle.plan.decode])
    *_, last = learn(every_split(PAIRS), small_plan(max_epochs=1), scratch=tmp_path)
    chatter = read_bundle(last.data)
    for call in (
        lambda: propose(chatter, ["a"], count=1),
        lambda: ask(chatter, [("a", Span(0, 1))]),
        lambda: find(chatter, [("a", "b")]),
    ):
        with pytest.raises(InputError, match="trained to chat"):
            call()


def test_the_report_tells_how_well_all_three_do(finished: Finished) -> None:
    metrics = finished.metrics

    for name in ("bleu", "bleu_1", "bleu_4", "chrf", "rouge_l"):
        assert metrics[name] == pytest.approx(100.0)
    for name in ("proposer_token_f1", "proposer_span_f1", "reader_f1", "reader_exact",
                 "round_trip_f1"):  # fmt: skip
        assert metrics[name] == 1.0
    assert metrics["unknown_share"] == metrics["unknown_in_source_share"] == 0.0
    assert metrics["valid_perplexity"] == metrics["test_perplexity"] < 1.5
    assert finished.report["examples"] == {
        **dict.fromkeys(("train", "valid", "test", "decoded"), 12),
        **dict.fromkeys(("train_passages", "valid_passages", "test_passages"), 4),
    }
    samples = finished.report["samples"]
    assert len(samples) == 10
    assert all(one["output"] == one["target"] for one in samples)
    assert ["Korea"] in [one["context"] for one in samples]
    assert "squad-f1" in finished.report["signatures"]["answer_f1"]


def test_the_sheet_has_pairs_whose_answers_stand_in_their_passages(
    finished: Finished, bundle: Bundle
) -> None:
    sheet = finished.report["sheet"]

    assert len(sheet) == 50
    assert "sheet" not in bundle.report
    for pair in sheet:
        answer, context = pair["answer"], pair["context"]
        assert context in CONTEXTS
        assert context[answer["start"] : answer["end"]].strip()
    right = [one for one in sheet if one["answer"] == one["found"]]
    assert len(right) > len(sheet) // 2


def test_a_training_of_questions_resumes_to_the_same_bytes(tmp_path) -> None:
    plan = merge(QUESTIONS, {"train": {"max_epochs": 5}, "model": {"dropout": 0.2}})
    for questions in ({}, {"separate": True}, {"self_attention": "gated"}):
        plan = merge(plan, {"model": {"questions": questions}})
        whole = list(learn(every_split(PASSAGES), plan, scratch=tmp_path / "a"))
        before, saved = [], None
        for event in learn(every_split(PASSAGES), plan, scratch=tmp_path / "b", due=lambda: True):
            before.append(event)
            if isinstance(event, Saved) and event.step == 5:
                saved = event.data
                break
        after = list(learn(every_split(PASSAGES), plan, scratch=tmp_path / "c", resume=saved))
        curves = [
            [event for event in events if isinstance(event, Measured | Validated)]
            for events in (before, after, whole)
        ]
        assert curves[0] + curves[1] == curves[2]
        assert after[-1].data == whole[-1].data


@pytest.fixture(scope="module", params=["unigram", "bpe", "char"])
def in_pieces(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model that reads pieces of words, and has hardly learned where these end."""
    tokenizer = {"kind": request.param, "split_marks": False, "vocabulary_size": 400}
    plan = merge(QUESTIONS, {"tokenizer": tokenizer, "train": {"max_epochs": 2}})
    scratch = tmp_path_factory.mktemp(request.param)
    *_, last = learn(every_split(PASSAGES), plan, scratch=scratch)
    return read_bundle(last.data)


def test_pieces_of_words_keep_their_place_too(in_pieces: Bundle) -> None:
    bundle = in_pieces
    for context, found in zip(STRANGE, propose(bundle, STRANGE, count=4), strict=True):
        for one in found:
            assert 0 <= one.span.start < one.span.end <= len(context)
            said = context[one.span.start : one.span.end]
            assert said == said.strip() != ""
        about = [(context, one.span) for one in found]
        asked = ask(bundle, about)
        assert all(candidates for candidates in asked)
    text = STRANGE[3]
    inside = text.index("부산") + 1  # an answer may begin within a token
    assert ask(bundle, [(text, Span(inside, inside + 1))])[0]


@pytest.mark.parametrize("text", ["Copperfield's unforgettable weaknesses", *STRANGE[2:]])
def test_answers_are_whole_words_where_tokens_are_pieces(in_pieces: Bundle, text: str) -> None:
    borders = borders_of(text)

    for one in propose(in_pieces, [text], count=99)[0]:
        assert {one.span.start, one.span.end} <= borders
    (found,) = find(in_pieces, [(text, "Which river?")])
    assert {found.span.start, found.span.end} <= borders


def test_an_answer_is_found_within_a_word_that_is_longer_than_answers_are(in_pieces) -> None:
    text = "unforgettablenesses" * 9
    (found,) = find(in_pieces, [(text, "Which river?")])

    assert propose(in_pieces, [text], count=9) == [[]]
    assert 0 <= found.span.start < found.span.end <= len(text)


def test_the_note_says_unknown_where_it_lacks_a_word(tmp_path) -> None:
    note = {
        "attention": "none", "bridge": "last", "copy_source": False, "coverage": False,
        "questions": {"proposer": "tags", "condition": "answer"},
    }  # fmt: skip
    plan = merge(QUESTIONS, {"model": note, "tokenizer": {"vocabulary_size": 22}})
    events = list(learn(every_split(PASSAGES), plan, scratch=tmp_path))
    bundle = read_bundle(events[-1].data)

    found = ask(bundle, [(context, answer) for context, answer, _ in KNOWN])
    unknown = [one for (one, *_) in found if one.unknown]
    assert unknown
    assert all(one.text.count("<unk>") == one.unknown for one in unknown)
    assert events[-1].metrics["unknown_share"] == pytest.approx(len(unknown) / len(KNOWN))
    assert events[-1].metrics["unknown_in_source_share"] > 0
    assert [event.name for event in events if isinstance(event, Stage)][-1] == "report"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task": "chat"}, "model.questions: belongs to the task questions"),
        ({"model": {"questions": None}}, "model.questions: belongs to the task questions"),
        ({"context_turns": 2}, "context_turns: a passage is one text"),
        ({"train": {"lexicon": 3}}, "train.lexicon"),
        ({"train": {"score_rows": 3}}, "train.score_rows"),
        ({"decode": {"anti_generic": 0.3}}, "decode.anti_generic"),
        (
            {"model": {"encoder": "none", "copy_source": False, "coverage": False}},
            "model.encoder: a",
        ),
        ({"model": {"decoder": "transformer", "coverage": False}}, "model.decoder: a model with"),
        ({"model": {"shared_embedding": False}}, "model.shared_embedding: questions.separate"),
        ({"model": {"questions": {"condition": "answer"}}}, "model.copy_source: with questions"),
        (
            {"model": {"copy_source": False, "questions": {"condition": "answer"}}},
            "model.coverage: with questions.condition answer",
        ),
        (
            {
                "model": {
                    "copy_source": False,
                    "coverage": False,
                    "questions": {"condition": "answer", "self_attention": "gated"},
                }
            },
            "model.questions.self_attention: with questions.condition answer",
        ),
        ({"model": {"questions": {"self_attention": "yes"}}}, "model.questions.self_attention"),
        ({"model": {"questions": {"longest_answer": 0}}}, "model.questions.longest_answer"),
        ({"tokenizer": {"kind": "char"}}, "tokenizer.*split_marks"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(changes, reason) -> None:
    with pytest.raises(SpecError, match=reason):
        merge(QUESTIONS, changes)


def test_answers_are_compared_as_squad_compares_them() -> None:
    assert answer_exact("The Han!", ["han"])
