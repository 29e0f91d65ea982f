import threading
from dataclasses import dataclass, replace

import pytest
import torch
from structlog.testing import capture_logs

from core.errors import NotFoundError
from core.models.seq2seq import Seq2Seq
from core.pipelines.bundle import Bundle, read_bundle
from core.pipelines.learn import learn
from core.pipelines.offline import decode_batch
from core.pipelines.respond import Responder
from core.pipelines.shelf import Models
from core.queue.messages import Ask, Reply
from core.tracing import tracing
from tests.core.collecting import attributes, collecting
from tests.core.pipelines.small import LANGUAGE, PAIRS, SAID, TALE, every_split, small_plan


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> bytes:
    *_, last = learn(every_split(PAIRS), small_plan(), scratch=tmp_path_factory.mktemp("scratch"))
    return last.data


@dataclass
class Poisoned:
    """A model that dies at the third step of any batch with a source that holds a certain token."""

    model: Seq2Seq
    poison: int
    tells_attention: bool = True

    def parameters(self):
        return self.model.parameters()

    def start(self, source, mask):
        ill = (source == self.poison).any(1)
        return torch.where(ill, 3, 1000), self.model.start(source, mask)

    def step(self, tokens, state):
        left, inner = state
        if (left == 1).any():
            raise RuntimeError("out of memory")
        logits, attention, inner = self.model.step(tokens, inner)
        return logits, attention, (left - 1, inner)

    def select(self, state, rows):
        left, inner = state
        return left[rows], self.model.select(inner, rows)

    def join(self, states):
        lefts, inners = zip(*states, strict=True)
        return torch.cat(lefts), self.model.join(inners)


class Shelf:
    """Models one of which, twin, can be poisoned; a gate may keep them from being read."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self.gate = threading.Event()
        self.gate.set()

    def known(self, name: str) -> Bundle | None:
        bundle = self.models.known(name)
        return None if bundle is None else self._spoilt(name, bundle)

    def get(self, name: str) -> Bundle:
        assert self.gate.wait(timeout=30)
        return self._spoilt(name, self.models.get(name))

    def _spoilt(self, name: str, bundle: Bundle) -> Bundle:
        if name != "twin":
            return bundle
        return replace(bundle, model=Poisoned(bundle.model, bundle.tokenizer.encode("독")[0]))


class Scene:
    """A responder whose models are one bundle called bot, and what it sent."""

    def __init__(self, data: bytes) -> None:
        self.sent: list[tuple[Ask, Reply]] = []
        self.fetched: list[str] = []
        self.time = 100.0

        def resolve(name: str) -> str:
            if name not in {"bot", "twin", "broken"}:
                raise NotFoundError("model", name)
            return name

        def fetch(name: str) -> bytes:
            self.fetched.append(name)
            if name == "broken":
                raise OSError("the disk is gone")
            return data

        self.shelf = Shelf(Models(fetch, limit=3))
        self.responder = Responder(models=self.shelf, resolve=resolve, clock=lambda: self.time)

    def admit(self, *asks: Ask) -> None:
        self.responder.admit([(ask, 99.0) for ask in asks], self.send)

    def finish(self) -> dict[str, Reply]:
        """Go on to the end of everything; the final reply to each ask, by its id."""
        while self.responder.busy:
            self.responder.step(self.send)
        final = [(ask.id, reply) for ask, reply in self.sent if reply.final]
        assert len(final) == len(dict(final)), "each ask ends exactly once"
        assert self.responder.asks == 0
        return dict(final)

    def answer(self, *asks: Ask) -> dict[str, Reply]:
        """Answer ``asks``, all there at once; the final reply to each, by its id."""
        self.admit(*asks)
        replies = self.finish()
        assert {one.id for one in asks} <= replies.keys()
        return replies

    def send(self, replies) -> None:
        self.sent += replies

    def pieces(self, id_: str) -> str:
        return "".join(reply.piece or "" for ask, reply in self.sent if ask.id == id_)


@pytest.fixture
def scene(data) -> Scene:
    return Scene(data)


def ask(id_: str, text: str, **more) -> Ask:
    fields = {"mailbox": "m", "model": "bot", "deadline": 200.0, **more}
    return Ask(id=id_, turns=(text,), **fields)


def test_asks_with_different_options_share_a_batch_and_each_gets_its_own(scene) -> None:
    replies = scene.answer(
        ask("a", "안녕하세요", decode={"beam_size": 1}),
        ask("b", "고마워요", decode={"n_best": 3}),
        ask("c", "hello", decode={"max_tokens": 2}),
    )
    assert replies["a"].candidates[0].text == "네, 안녕하세요."
    assert len(replies["b"].candidates) == 3
    assert replies["b"].candidates[0].text == "천만에요."
    assert replies["c"].candidates[0].text == "hi"
    assert {reply.batch for reply in replies.values()} == {3}
    assert replies["a"].queue_ms == pytest.approx(1000.0)


def test_streamed_pieces_are_the_reply_character_for_character(scene) -> None:
    asks = [ask(str(i), source, stream=i % 2 == 0) for i, (source, _) in enumerate(SAID)]
    replies = scene.answer(*asks)
    for i, one in enumerate(asks):
        text = replies[one.id].candidates[0].text
        assert scene.pieces(one.id) == (text if i % 2 == 0 else "")
    assert replies["0"].candidates[0].text == SAID[0][1]


def test_replies_that_are_ranked_anew_are_streamed_as_they_end(scene) -> None:
    other = {"beam_size": 4, "n_best": 4, "anti_generic": 1.0}
    replies = scene.answer(
        ask("a", "고마워요", stream=True, decode=other), ask("b", "고마워요", stream=True)
    )
    assert len(replies["a"].candidates) == 4
    assert replies["a"].candidates[0].score >= replies["a"].candidates[1].score
    for id_ in ("a", "b"):
        assert scene.pieces(id_) == replies[id_].candidates[0].text


def test_an_ask_that_is_wrong_fails_alone_and_says_where(scene) -> None:
    replies = scene.answer(
        ask("good", "hello"),
        ask("wide", "hello", decode={"beam_size": 99}),
        ask("odd", "hello", decode={"colour": 1}),
        ask("nobody", "hello", model="nobody"),
        ask("late", "hello", deadline=99.5),
    )
    assert replies["good"].candidates[0].text == "hi there"
    assert (replies["wide"].error, replies["wide"].field) == ("SpecError", "decode.beam_size")
    assert (replies["odd"].error, replies["odd"].field) == ("SpecError", "decode.colour")
    assert (replies["nobody"].error, replies["nobody"].message) == ("NotFoundError", "nobody")
    assert replies["late"].error == "ReplyTimeoutError"
    assert replies["good"].batch == 1


def test_what_became_of_an_ask_is_logged_under_its_request(scene) -> None:
    with capture_logs() as told:
        replies = scene.answer(
            ask("a", "안녕하세요", request="r-1"),
            ask("b", "안녕하세요", request="r-2", decode={"beam_size": 0}),
        )
    assert replies["a"].tokens == len("네, 안녕하세요.")
    answered, refused = (
        next(one for one in told if one["event"] == event)
        for event in ("answered", "an ask was refused")
    )
    assert (answered["request_id"], answered["ask"], answered["batch"]) == ("r-1", "a", 1)
    assert refused["request_id"] == "r-2"
    assert "beam_size" in refused["reason"]


def test_what_became_of_an_ask_is_part_of_its_trace(scene, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with collecting(monkeypatch) as spans:
        scene.answer(ask("a", "안녕하세요", trace=outside))
        tracing.close()
    (span,) = spans
    assert span.name == "answer"
    assert span.trace_id.hex() == outside.split("-")[1]
    assert span.parent_span_id.hex() == outside.split("-")[2]
    assert span.start_time_unix_nano == 99_000_000_000
    assert attributes(span)["malgil.model"] == "bot"
    assert attributes(span)["malgil.batch"] == 1


def test_models_in_one_batch_of_asks_do_not_disturb_each_other(scene) -> None:
    replies = scene.answer(
        ask("a", "hello"), ask("b", "hello", model="broken"), ask("c", "good night", model="twin")
    )
    assert replies["a"].candidates[0].text == "hi there"
    assert replies["b"].message == "the model failed on this input"
    assert replies["c"].candidates[0].text == "sleep well"


def test_what_breaks_a_batch_breaks_only_the_ask_that_did_it(scene) -> None:
    replies = scene.answer(
        ask("a", "hello", model="twin"),
        ask("b", "독", model="twin"),
        ask("c", "잘 자", model="twin"),
    )
    assert replies["a"].candidates[0].text == "hi there"
    assert replies["b"].error == "MalgilError"
    assert replies["b"].message == "the model failed on this input"
    assert replies["c"].candidates[0].text == "좋은 꿈 꾸세요."


def test_a_stream_whose_company_breaks_goes_on_and_says_nothing_twice(scene) -> None:
    greedy = {"beam_size": 1}
    replies = scene.answer(
        ask("a", "hello", model="twin", stream=True, decode=greedy),
        ask("b", "독", model="twin", stream=True, decode=greedy),
    )
    assert scene.pieces("a") == replies["a"].candidates[0].text == "hi there"
    assert replies["b"].error == "MalgilError"


def test_asks_come_and_go_while_others_are_answered(scene) -> None:
    scene.admit(ask("a", "안녕하세요", stream=True))
    scene.responder.step(scene.send)
    scene.admit(ask("b", "hello"), ask("late", "hello", deadline=99.0))
    assert scene.responder.asks == 2
    scene.responder.step(scene.send)
    scene.responder.give_up(["a", "nobody"], scene.send, reason="it has left")
    replies = scene.finish()
    assert (replies["a"].error, replies["a"].message) == ("ReplyTimeoutError", "it has left")
    assert replies["b"].candidates[0].text == "hi there"
    assert replies["late"].error == "ReplyTimeoutError"


def test_a_deadline_counts_while_an_ask_is_being_answered(scene) -> None:
    scene.responder.warm_up(["bot"])
    scene.admit(ask("a", "hello", deadline=101.0), ask("b", "good night"))
    scene.responder.step(scene.send)
    scene.time = 101.5
    replies = scene.finish()
    assert replies["a"].error == "ReplyTimeoutError"
    assert replies["b"].candidates[0].text == "sleep well"
    assert replies["b"].queue_ms == pytest.approx(1000.0)
    assert replies["b"].model_ms == pytest.approx(1500.0)


def test_who_waits_for_a_model_to_be_read_keeps_nobody_else_waiting(scene) -> None:
    scene.answer(ask("first", "hello"))
    scene.shelf.gate.clear()
    scene.admit(ask("a", "hello", model="twin"), ask("b", "hello"), ask("c", "hi", model="twin"))
    while not any(one.id == "b" and reply.final for one, reply in scene.sent):
        scene.responder.step(scene.send)
    assert not any(one.id in {"a", "c"} for one, _ in scene.sent)
    assert scene.responder.asks == 2
    scene.responder.give_up(["c"], scene.send, reason="nobody waits")
    assert scene.responder.asks == 1
    scene.shelf.gate.set()
    replies = scene.finish()
    assert replies["a"].candidates[0].text == "hi there"
    assert replies["c"].error == "ReplyTimeoutError"
    assert scene.fetched == ["bot", "twin"]


def test_a_deadline_counts_while_a_model_is_read(scene) -> None:
    scene.shelf.gate.clear()
    scene.admit(ask("a", "hello", deadline=101.0), ask("b", "hello"))
    scene.time = 102.0
    scene.responder.step(scene.send)
    assert [(one.id, reply.error) for one, reply in scene.sent] == [("a", "ReplyTimeoutError")]
    scene.shelf.gate.set()
    assert scene.finish()["b"].candidates[0].text == "hi there"


def test_models_take_their_steps_in_turns(scene) -> None:
    scene.responder.warm_up(["bot", "twin"])
    asked = [ask(str(i), "hello", stream=True, decode={"beam_size": 1}) for i in range(6)]
    others = [replace(one, id=f"{one.id}'", model="twin") for one in asked]
    scene.admit(*asked, *others)
    for _ in range(4):
        scene.responder.step(scene.send)
    heard = [scene.pieces(one.id) for one in (*asked, *others)]
    assert heard[0]
    assert len(set(heard)) == 1, "after an even number of steps, all are as far"
    scene.finish()


def test_pieces_say_where_they_belong(scene) -> None:
    scene.answer(ask("a", "안녕하세요", stream=True))
    pieces = [reply for _, reply in scene.sent if not reply.final]
    assert len(pieces) > 1
    for before, piece in enumerate(pieces):
        assert piece.begins == len("".join(one.piece for one in pieces[:before]))


def test_a_stop_ends_a_reply_before_itself_whole_or_streamed(scene) -> None:
    stop = {"stop": ["하세요"]}
    replies = scene.answer(
        ask("a", "안녕하세요", decode=stop),
        ask("b", "안녕하세요", decode=stop, stream=True),
    )
    assert replies["a"].candidates[0].text == replies["b"].candidates[0].text == "네, 안녕"
    assert scene.pieces("b") == "네, 안녕"


def test_how_a_reply_came_about_is_told_where_it_is_asked(scene) -> None:
    replies = scene.answer(
        ask("a", "hello", details=True, decode={"n_best": 2}),
        ask("b", "hello", decode={"alignments": True}),
        ask("c", "hello"),
    )
    assert replies["c"].candidates[0].details is None
    for one in replies["a"].candidates:
        assert "".join(one.details.tokens).replace("▁", " ").strip() == one.text
        total = sum(one.details.log_probs)
        assert one.score == pytest.approx(total / len(one.details.log_probs), abs=1e-4)
        assert one.details.alignment is one.details.source is None
    told = replies["b"].candidates[0].details
    assert "".join(told.source).replace("▁", " ").strip() == "hello"
    assert len(told.alignment) == len(told.tokens)
    assert all(sum(row) == pytest.approx(1.0, abs=1e-4) for row in told.alignment)


def test_a_model_that_cannot_be_made_ready_does_not_keep_the_others_from_it(scene) -> None:
    scene.responder.warm_up(["nobody", "bot"])
    assert scene.fetched == ["bot"]
    scene.answer(ask("a", "hello"))
    assert scene.fetched == ["bot"]


@pytest.fixture(scope="module")
def teller(tmp_path_factory) -> bytes:
    *_, last = learn(every_split(TALE), LANGUAGE, scratch=tmp_path_factory.mktemp("tale"))
    return last.data


def test_a_language_model_goes_on_with_what_it_is_asked(teller) -> None:
    scene = Scene(teller)
    replies = scene.answer(
        ask("a", "the fox saw", stream=True),
        ask("b", "the fox saw the grapes on", decode={"max_tokens": 2}),
        ask("c", "the grapes on the vine", decode={"skip": ["high"]}),
        ask("d", "the fox", decode={"temperature": 1.5, "seed": 4}),
    )
    said = {id_: reply.candidates[0].text for id_, reply in replies.items()}
    assert said["a"].startswith("the grapes on the vine")
    assert scene.pieces("a") == said["a"]
    assert said["b"] == "the vine"
    assert "high" not in said["c"].split()
    again = Scene(teller).answer(ask("d", "the fox", decode={"temperature": 1.5, "seed": 4}))
    assert again["d"].candidates[0].text == said["d"]


def test_asks_of_a_language_model_do_not_disturb_each_other(teller) -> None:
    bundle = read_bundle(teller)
    prompts = [["fox"], ["the grapes on the"], ["the fox went home and the grapes hung high"]]
    spec = bundle.plan.decode
    together = decode_batch(bundle, prompts, [spec] * len(prompts))
    alone = [decode_batch(bundle, [prompt], [spec])[0] for prompt in prompts]
    assert [one[0].text for one in together] == [one[0].text for one in alone]
    for one, other in zip(together, alone, strict=True):
        assert one[0].score == pytest.approx(other[0].score, abs=1e-5)


def test_a_word_that_a_closed_vocabulary_lacks_is_named(teller) -> None:
    replies = Scene(teller).answer(ask("a", "the wolf"), ask("b", "the fox"))
    assert replies["a"].error == "InputError"
    assert "wolf" in replies["a"].message
    assert replies["b"].error is None
