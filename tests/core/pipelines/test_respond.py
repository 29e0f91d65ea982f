from dataclasses import replace

import pytest

from core.errors import NotFoundError
from core.models.seq2seq import Seq2Seq
from core.pipelines.bundle import Bundle, Models, read_bundle
from core.pipelines.learn import learn
from core.pipelines.respond import Responder, decode_batch, decode_spec
from core.queue.messages import Ask, Reply
from core.specs import DecodeSpec
from tests.core.pipelines.small import LANGUAGE, PAIRS, SAID, TALE, every_split, small_plan


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> bytes:
    *_, last = learn(every_split(PAIRS), small_plan(), scratch=tmp_path_factory.mktemp("scratch"))
    return last.data


class Poisoned:
    """A model that dies at the third step of any batch whose sources hold a certain token."""

    def __init__(self, model: Seq2Seq, poison: int) -> None:
        self.model = model
        self.poison = poison

    def parameters(self):
        return self.model.parameters()

    def start(self, source, mask):
        self.left = 3 if (source == self.poison).any() else 1000
        return self.model.start(source, mask)

    def step(self, tokens, state):
        self.left -= 1
        if not self.left:
            raise RuntimeError("out of memory")
        return self.model.step(tokens, state)

    def select(self, state, rows):
        return self.model.select(state, rows)


class Scene:
    """A responder whose models are one bundle called bot, and what it sent."""

    def __init__(self, data: bytes) -> None:
        self.sent: list[tuple[Ask, Reply]] = []
        self.calls: list[int] = []
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

        models = Models(fetch, limit=3)

        def bundle_of(name: str) -> Bundle:
            bundle = models.get(name)
            if name != "twin":
                return bundle
            return replace(bundle, model=Poisoned(bundle.model, bundle.tokenizer.encode("독")[0]))

        self.responder = Responder(bundle_of=bundle_of, resolve=resolve, clock=lambda: self.time)

    def answer(self, *asks: Ask) -> dict[str, Reply]:
        """Answer ``asks``; the final reply of each, by id."""
        self.responder.answer([(ask, 99.0) for ask in asks], self._send)
        final = [(ask.id, reply) for ask, reply in self.sent if reply.final]
        assert len(final) == len(dict(final)) == len(asks), "each ask ends exactly once"
        return dict(final)

    def _send(self, replies) -> None:
        self.calls.append(len(replies))
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
    assert scene.calls == [3]
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


def test_a_stream_that_had_begun_ends_with_an_error_and_never_starts_again(scene) -> None:
    greedy = {"beam_size": 1}
    replies = scene.answer(
        ask("a", "hello", model="twin", stream=True, decode=greedy),
        ask("b", "독", model="twin", decode=greedy),
    )
    assert replies["a"].error == "MalgilError"
    assert scene.pieces("a") == "h"


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


@pytest.mark.parametrize(
    ("own", "asked", "chosen"),
    [
        ({"beam_size": 4}, {"temperature": 0.7}, {"beam_size": 1, "temperature": 0.7}),
        ({"beam_size": 4}, {"n_best": 6}, {"beam_size": 6, "n_best": 6}),
        ({"beam_size": 4, "n_best": 4}, {"beam_size": 2}, {"beam_size": 2, "n_best": 2}),
        ({"beam_size": 1, "temperature": 0.7}, {"beam_size": 3}, {"temperature": None}),
        ({"beam_size": 1, "temperature": 0.7}, {"max_tokens": 3}, {"temperature": 0.7}),
        ({}, {"skip": ["a"]}, {"skip": ("a",)}),
        ({"anti_generic": 0.3}, {"beam_size": 1}, {"anti_generic": 0.0}),
    ],
)
def test_what_is_asked_decides_about_the_rest(own, asked, chosen) -> None:
    found = decode_spec(DecodeSpec(**own), ask("a", "b", decode=asked)).model_dump()
    assert {key: found[key] for key in chosen} == chosen
