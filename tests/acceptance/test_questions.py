"""Questions about articles that nobody has trained on, as a person gets them: by commands alone.

``MALGIL_ASKER`` names a checkpoint of ``qgen-pointer`` that was trained before; without it one is
trained here, through the queue, for ``MALGIL_ACCEPTANCE_MINUTES``.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from core.data.examples import Passage
from core.data.materials import read
from core.recipes import find
from core.settings import Settings
from tests.acceptance.conftest import Tell
from tests.acceptance.installations import Installation, home, up

MINUTES = float(os.environ.get("MALGIL_ACCEPTANCE_MINUTES", "10"))
AROUND_S = 600  # for all that is not training
ASKER = os.environ.get("MALGIL_ASKER")

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(MINUTES * 60 + AROUND_S)]

RECIPE = "qgen-pointer"
SQUAD = Settings().data / "qa_squad11_dev" / "dev-v1.1.rebuilt.json"
EXAMPLES = Path(__file__).parents[2] / "examples" / "passages.jsonl"
ARTICLES = 3
FEWEST = 10  # pairs about an article
SHOWN = 12  # of them, from all over it


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    if not SQUAD.exists():
        pytest.skip(f"there is no {SQUAD}; MALGIL_DATA says where the data lies")
    with home() as folder, up(folder) as installation:
        yield installation


def held_out() -> set[str]:
    """Return the titles that the recipe keeps for validation and test."""
    splits = read(find(RECIPE).material, Settings().data)
    return {cast(Passage, one).title for name in ("valid", "test") for one in splits[name]}


def teach(installation: Installation, articles: list[dict[str, Any]], folder: Path) -> str:
    """Have a name for a model that asks: one that is here, or one that learns from ``articles``."""
    if ASKER:
        installation.run("models", "import", ASKER, "--promote-to", "asker")
        return f"{Path(ASKER).name}, trained before"
    corpus = folder / "articles.json"
    corpus.write_text(json.dumps({"version": "1.1", "data": articles}))
    installation.run("corpus", "add", str(corpus), "--name", "articles", "--kind", "passages")
    limit = ("--set", f"train.time_limit_s={MINUTES * 60:g}")
    words = ("train", "articles", "--recipe", RECIPE, "--promote-to", "asker", *limit)
    ended = installation.run(*words, timeout_s=MINUTES * 60 + AROUND_S / 2)
    return f"trained here for {ended['job']['progress']['elapsed_s']:.0f} s"


def test_pairs_about_articles_that_were_never_seen(
    installation: Installation, tmp_path: Path, tell: Tell
) -> None:
    kept_out = held_out()
    articles = json.loads(SQUAD.read_text())["data"]
    told = teach(installation, [one for one in articles if one["title"] not in kept_out], tmp_path)
    unseen = [one for one in articles if one["title"] in kept_out][:ARTICLES]
    assert len(unseen) == ARTICLES
    counts = []
    for article in unseen:
        file = tmp_path / f"{article['title']}.txt"
        file.write_text("\n\n".join(one["context"] for one in article["paragraphs"]))
        counts.append(len(asked(installation, file, tell)))
    examples = asked(installation, EXAMPLES, tell)
    tell(
        f"{told}: {', '.join(map(str, counts))} pairs about {ARTICLES} articles that it never saw, "
        f"{len(examples)} about {EXAMPLES.name}; each answer a slice of its document"
    )
    assert min(counts) >= FEWEST
    assert examples


def asked(installation: Installation, file: Path, tell: Tell) -> list[dict[str, Any]]:
    """Have the pairs of a file through the queue, look at each, and show the first."""
    out = installation.home / f"{file.stem}.pairs.jsonl"
    installation.run("questions", str(file), "--model", "asker", "--out", str(out))
    pairs = [json.loads(line) for line in out.read_text().splitlines()]
    texts: dict[str, str] = {}
    for pair in pairs:
        document = pair["document_id"]
        if document not in texts:
            texts[document] = installation.run("documents", "show", document)["text"]
        answer = texts[document][pair["answer_start"] : pair["answer_end"]]
        assert answer == pair["answer"]
        assert "<unk>" not in pair["question"]
    tell(f"{file.name}: {len(pairs)} pairs")
    for pair in pairs[:: max(len(pairs) // SHOWN, 1)]:
        tell(f"  {pair['question']}\n    -> {pair['answer']}")
    return pairs
