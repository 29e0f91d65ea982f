"""A chatbot on real data, as a person makes one: with the command line alone."""

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from core.settings import Settings
from tests.acceptance.conftest import Tell
from tests.acceptance.installations import MALGIL, Installation, home, up

MINUTES = float(os.environ.get("MALGIL_ACCEPTANCE_MINUTES", "10"))
AROUND_S = 600  # for all that is not training

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(MINUTES * 60 + AROUND_S)]

PAIRS = Settings().data / "chat_ko_songys" / "ChatbotData.csv"
PERPLEXITY_LIMIT = 60.0
DIFFERENT = 3  # of the first replies
TALKS = (
    ("안녕하세요", "오늘 하루 어땠어요?"),
    ("너무 피곤해", "그래도 할 일이 많아"),
    ("여자친구랑 헤어졌어", "어떻게 하면 잊을 수 있을까?"),
    ("주말에 뭐 하지?", "영화 볼까?"),
    ("시험에 떨어졌어", "다시 도전해 볼까?"),
)


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    if not PAIRS.exists():
        pytest.skip(f"there is no {PAIRS}; MALGIL_DATA says where the data lies")
    with home() as folder, up(folder) as installation:
        yield installation


def chat(installation: Installation, *said: str) -> list[str]:
    """Say this to the bot, line by line, and return what it answers."""
    ran = subprocess.run(
        [*MALGIL, "chat", "friend"],
        env={**os.environ, "MALGIL_API_URL": installation.url},
        input="\n".join(said) + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.splitlines()


def transcripts(installation: Installation) -> list[list[str]]:
    """Lead all the conversations; the replies of each."""
    return [chat(installation, *said) for said in TALKS]


def test_a_bot_taught_by_real_people_talks_with_us(installation: Installation, tell: Tell) -> None:
    corpus = installation.run("corpus", "add", str(PAIRS), "--name", "songys")
    words = ("train", "songys", "--recipe", "chat", "--promote-to", "friend")
    limit = ("--set", f"train.time_limit_s={MINUTES * 60:g}")
    ended = installation.run(*words, *limit, timeout_s=MINUTES * 60 + AROUND_S / 2)
    talks = transcripts(installation)
    for said, replies in zip(TALKS, talks, strict=True):
        lines = zip(said, replies, strict=True)
        tell("\n".join(f"  {ours}\n    -> {theirs}" for ours, theirs in lines))
    tell(summary(corpus, ended))
    assert all(reply.strip() for replies in talks for reply in replies)
    assert len({replies[0] for replies in talks}) >= DIFFERENT
    assert ended["checkpoint"]["metrics"]["valid_perplexity"] < PERPLEXITY_LIMIT


def summary(corpus: dict[str, Any], ended: dict[str, Any]) -> str:
    """Return the figures in a sentence."""
    metrics = ended["checkpoint"]["metrics"]
    progress = ended["job"]["progress"]
    return (
        f"chat on {corpus['train_count']} real pairs: {progress['step']} steps in "
        f"{progress['elapsed_s'] / 60:.1f} min (limit {MINUTES:g}); held out: perplexity "
        f"{metrics['valid_perplexity']:.1f} (limit {PERPLEXITY_LIMIT:g}), chrF "
        f"{metrics['chrf']:.1f}, distinct-2 {metrics['distinct_2']:.3f}"
    )
