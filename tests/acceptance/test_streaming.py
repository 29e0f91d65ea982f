"""What is streamed, put together, is what is returned: through the tokenizer and the engine."""

import random
import unicodedata
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from core.decoding.engine import Ended, Engine, Failed, Told
from core.decoding.step import Wish
from core.pipelines.questions import Question
from core.specs import DecodeSpec, TokenizerSpec
from core.text.tokenizer import EOS, Tokenizer
from tests.acceptance.conftest import Tell

OUTPUTS = 2000
LONGEST = 120  # tokens
SEEN = ["안녕하세요 반갑습니다", "오늘은 날씨가 참 좋네요", "hello world again", "각 나 다 \u0301"]
SKIN = [chr(code) for code in range(0x1F3FB, 0x1F400)]
FLAG_HALVES = [chr(code) for code in range(0x1F1E6, 0x1F200)]
MARKS = [chr(code) for code in (0x300, 0x301, 0x302, 0x308, 0x327, 0x5B0, 0x93F, 0xFE0F, 0x20DD)]


class Reciter:
    """A model that says the sequence its source names, and has something else in mind, too."""

    tells_attention = False

    def __init__(self, sequences: Sequence[Sequence[int]], words: int) -> None:
        padded = [[*one, *[EOS] * (LONGEST + 1 - len(one))] for one in sequences]
        self._says = torch.tensor(padded)
        self._doubts = torch.randn(61, words, generator=torch.Generator().manual_seed(0))

    def start(self, source: Tensor, source_mask: Tensor) -> Tensor:
        return torch.stack([source[:, 0], torch.zeros(len(source), dtype=torch.int64)], dim=1)

    def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, None, Tensor]:
        number, place = state.unbind(1)
        logits = self._doubts[(7 * number + place) % len(self._doubts)].clone()
        words = self._says[number, place.clamp(max=LONGEST)].unsqueeze(1)
        logits.scatter_add_(1, words, torch.full(words.shape, 7.0))
        return logits, None, torch.stack([number, place + 1], dim=1)

    def select(self, state: Tensor, rows: Tensor) -> Tensor:
        return state[rows]

    def join(self, states: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(states))


def a_character(chance: random.Random) -> str:
    """What is seen as one character, made of one to seven code points."""
    emoji = chr(chance.randrange(0x1F600, 0x1F650))
    return chance.choice(
        [
            chr(chance.randrange(0xAC00, 0xD7A4)),
            chr(chance.randrange(0x1100, 0x1113)) + chr(chance.randrange(0x1161, 0x1176)),
            chr(chance.randrange(0x1100, 0x1113))
            + "\u1161"
            + chr(chance.randrange(0x11A8, 0x11C3)),
            emoji,
            "👍" + chance.choice(SKIN),
            "\u200d".join(chance.choice("👩👨👧👦") for _ in range(chance.randint(2, 4))),
            chance.choice(FLAG_HALVES) + chance.choice(FLAG_HALVES),
            chance.choice("aeoun한") + "".join(chance.choices(MARKS, k=chance.randint(1, 3))),
            "❤\ufe0f",
            " ",
            chance.choice("xyz.,"),
        ]
    )


def sequences(tokenizer: Tokenizer, count: int, seed: int) -> Iterator[list[int]]:
    """Texts as ids; every fifth is of any ids whatever, broken characters and all."""
    chance = random.Random(seed)
    for number in range(count):
        if number % 5:
            text = "".join(a_character(chance) for _ in range(chance.randint(1, 20)))
            yield tokenizer.encode(text)[:LONGEST]
        else:
            some = range(5, tokenizer.size)
            yield chance.choices(some, k=chance.randint(1, LONGEST))


def wish(tokenizer: Tokenizer, said: Sequence[int], number: int) -> Wish:
    """Ask greedily, for several by a beam, by chance; some to end at a text in the middle."""
    ways = ({"beam_size": 1}, {"beam_size": 3}, {"beam_size": 1, "temperature": 0.5})
    middle = tokenizer.decode(said)[len(said) // 2 :][:2]
    stop = (
        (middle.encode(),) if middle.strip() and number % 3 == 0 and "\ufffd" not in middle else ()
    )
    return Wish(
        spec=DecodeSpec(**ways[number % len(ways)], max_tokens=LONGEST),
        spell=tokenizer.spelling,
        lead=tokenizer.lead.encode(),
        stop=stop,
    )


def begins_anew(piece: str) -> bool:
    """Whether nothing at the start of ``piece`` hangs on what came before."""
    return not unicodedata.category(piece[0]).startswith("M") and piece[0] not in {"\u200d", *SKIN}


@pytest.mark.acceptance
@pytest.mark.parametrize("kind", ["bpe", "unigram", "char"])
def test_what_is_streamed_is_what_is_returned(kind: str, tell: Tell) -> None:
    tokenizer = Tokenizer.train(SEEN, TokenizerSpec(kind=kind, vocabulary_size=400))
    every = list(sequences(tokenizer, OUTPUTS, seed=1))
    questions = [
        Question((number,), wish(tokenizer, said, number), tokenizer)
        for number, said in enumerate(every)
    ]
    engine = Engine(Reciter(every, tokenizer.size))
    streams = [question.stream() for question in questions]
    pieces: list[list[str]] = [[] for _ in questions]
    for number, question in enumerate(questions):
        engine.submit(question.request(number))
    wholes, stopped = {}, 0
    while not engine.idle:
        for event in engine.step():
            assert not isinstance(event, Failed), event
            if isinstance(event, Told):
                pieces[event.key] += map(streams[event.key].push, event.tokens)
            elif isinstance(event, Ended):
                pieces[event.key].append(streams[event.key].flush())
                best = event.hypotheses[0]
                wholes[event.key] = questions[event.key].candidate(best).text
                stopped += wholes[event.key] != tokenizer.decode(best.tokens)
    heard = [[piece for piece in some if piece] for some in pieces]
    assert ["".join(some) for some in heard] == [wholes[number] for number in range(OUTPUTS)]
    count = sum(map(len, heard))
    tell(
        f"{kind}: {OUTPUTS} outputs in {count} pieces are what was returned; "
        f"{stopped} ended before a stop"
    )
    assert count > 3 * OUTPUTS  # it came in pieces
    broken = [
        piece
        for some, said in zip(heard, every, strict=True)
        for piece in some[1:]
        if "\ufffd" not in tokenizer.decode(said) and not begins_anew(piece)
    ]
    assert not broken, broken[:5]
