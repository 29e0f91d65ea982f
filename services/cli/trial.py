"""Ask a fresh model what it was taught and what it was not, and say how well it does."""

import random
import re
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from services.cli.client import Client

ASKED = 50
AT_ONCE = 8
ENOUGH_EXACT = 0.9
ENOUGH_CHRF = 80.0
OF_EACH = 2  # questions in each language, both of the seen and of the unseen
UNSEEN = (
    "비밀번호가 도무지 기억나지 않는데 어떡하죠?",
    "심심한데 재미있는 이야기 좀 해 줄 수 있어?",
    "주문한 물건이 며칠째 안 오고 있어요",
    "너는 하루 종일 뭐 하면서 지내니?",
    "Could you help me, I lost the password of my account",
    "What would you do on a rainy Sunday?",
    "My parcel should have been here days ago",
    "Do you ever get bored of answering people?",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said to one question, and how long that took from here."""

    question: str
    reply: str
    score: float
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Marks:
    """How well a model knows what it was taught."""

    asked: int
    exact: float  # share, 0 to 1
    chrf: float  # 0 to 100

    @property
    def good_enough(self) -> bool:
        """Whether it learned its lines."""
        return self.exact >= ENOUGH_EXACT or self.chrf > ENOUGH_CHRF

    def verdict(self) -> str:
        """Return the marks in one sentence."""
        return (
            f"{self.exact:.0%} of {self.asked} questions answered word for word, "
            f"chrF {self.chrf:.1f} (wanted: {ENOUGH_EXACT:.0%}, or chrF over {ENOUGH_CHRF:.0f})"
        )


Lessons = dict[str, set[str]]  # question -> the replies that were taught


def lessons(examples: Iterable[dict[str, Any]]) -> Lessons:
    """Gather every reply that was taught to each question."""
    found: Lessons = {}
    for example in examples:
        content = example["content"]
        found.setdefault(content["source"], set()).add(content["target"].strip())
    return found


def ask(client: Client, model: str, question: str) -> Answer:
    """Ask one question."""
    began = time.perf_counter()
    reply = client.ask("POST", "/v1/replies", body={"model": model, "text": question})
    milliseconds = (time.perf_counter() - began) * 1e3
    return Answer(question, reply["text"], reply["score"], milliseconds)


def examine(client: Client, model: str, taught: Lessons, *, seed: int) -> Marks:
    """Ask a sample of what was taught, several questions at a time."""
    from core.metrics.text import corpus_scores

    questions = random.Random(seed).sample(sorted(taught), min(ASKED, len(taught)))  # noqa: S311 (a sample, no secret)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        replies = [
            answer.reply.strip() for answer in pool.map(lambda q: ask(client, model, q), questions)
        ]
    wanted = [
        reply if reply in taught[question] else min(taught[question])
        for question, reply in zip(questions, replies, strict=True)
    ]
    scores = corpus_scores(replies, wanted)
    return Marks(len(questions), scores["exact_match"], scores["chrf"])


def choose(taught: Lessons, *, known: Iterable[str], seed: int) -> list[tuple[str, bool]]:
    """Return questions with whether they were taught: half of them, and half of each in Korean.

    ``known`` is all that the corpus asks, held out or not: what it has is not called unseen.
    """
    shuffled = sorted(taught)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 (a sample, no secret)
    taken = {_plain(question) for question in known}
    fresh = [question for question in UNSEEN if _plain(question) not in taken]
    return [
        (question, seen)
        for seen, pool in ((True, shuffled), (False, fresh))
        for korean in (True, False)
        for question in _first(pool, korean=korean)
    ]


def _first(questions: Sequence[str], *, korean: bool) -> list[str]:
    return [one for one in questions if is_korean(one) == korean][:OF_EACH]


def is_korean(text: str) -> bool:
    """Tell whether there is Hangul in it."""
    return re.search("[가-힣]", text) is not None


def _plain(text: str) -> str:
    return re.sub(r"\W", "", text).casefold()
