"""Questions about texts that nobody has trained on, as a person gets them: by commands alone.

``MALGIL_ASKER`` and ``MALGIL_ASKER_KO`` name checkpoints of ``qgen-pointer`` and
``qgen-pointer-ko`` that were trained before; without them they are trained here, through the
queue, for ``MALGIL_ACCEPTANCE_MINUTES`` each.
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

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(MINUTES * 60 + AROUND_S)]

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


def test_pairs_about_articles_that_were_never_seen(
    installation: Installation, tmp_path: Path, tell: Tell
) -> None:
    told = teach(installation, "qgen-pointer", os.environ.get("MALGIL_ASKER"), tmp_path)
    test = read(find("qgen-pointer").material, Settings().data)["test"]
    titles = {cast(Passage, one).title for one in test}
    articles = json.loads(SQUAD.read_text(encoding="utf-8"))["data"]
    unseen = [one for one in articles if one["title"] in titles][:ARTICLES]
    assert len(unseen) == ARTICLES
    counts = []
    for article in unseen:
        file = tmp_path / f"{article['title']}.txt"
        file.write_text("\n\n".join(one["context"] for one in article["paragraphs"]))
        counts.append(len(asked(installation, "qgen-pointer", file, tell)))
    examples = asked(installation, "qgen-pointer", examples_in("en", tmp_path), tell)
    tell(
        f"{told}: {', '.join(map(str, counts))} pairs about {ARTICLES} articles that it never saw, "
        f"{len(examples)} about {EXAMPLES.name}; each answer a slice of its document"
    )
    assert min(counts) >= FEWEST
    assert examples


def test_pairs_about_korean_texts(installation: Installation, tmp_path: Path, tell: Tell) -> None:
    told = teach(installation, "qgen-pointer-ko", os.environ.get("MALGIL_ASKER_KO"), tmp_path)
    pairs = asked(installation, "qgen-pointer-ko", examples_in("ko", tmp_path), tell)
    tell(
        f"{told}: {len(pairs)} pairs about the Korean texts of {EXAMPLES.name}, of a kind it never "
        "saw; each answer a slice of its document"
    )
    assert len(pairs) >= FEWEST


def teach(installation: Installation, recipe: str, bundle: str | None, folder: Path) -> str:
    """Give the name of a recipe to a model of it: one that is here, or one that learns now."""
    if bundle:
        installation.run("models", "import", bundle, "--promote-to", recipe)
        return f"{Path(bundle).name}, trained before"
    corpus = str(folder / "corpus.jsonl")
    installation.run("recipe", "data", recipe, "--out", corpus)
    as_divided = ("--kind", "passages", "--split", "split")
    installation.run("corpus", "add", corpus, "--name", recipe, *as_divided)
    limit = ("--set", f"train.time_limit_s={MINUTES * 60:g}")
    words = ("train", recipe, "--recipe", recipe, "--promote-to", recipe, *limit)
    ended = installation.run(*words, timeout_s=MINUTES * 60 + AROUND_S / 2)
    return f"{recipe}, trained here for {ended['job']['progress']['elapsed_s']:.0f} s"


def examples_in(language: str, folder: Path) -> Path:
    """Write the texts in one language that come with the project."""
    lines = EXAMPLES.read_text(encoding="utf-8").splitlines()
    texts = [one for one in map(json.loads, lines) if one["language"] == language]
    file = folder / f"examples.{language}.jsonl"
    told = ({"title": one["title"], "text": one["context"]} for one in texts)
    file.write_text("\n".join(map(json.dumps, told)))
    return file


def asked(installation: Installation, model: str, file: Path, tell: Tell) -> list[dict[str, Any]]:
    """Have the pairs of a file through the queue, look at each, and show some."""
    out = file.with_suffix(".pairs.jsonl")
    installation.run("questions", str(file), "--model", model, "--out", str(out))
    pairs = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    texts: dict[str, str] = {}
    for pair in pairs:
        document = pair["document_id"]
        if document not in texts:
            texts[document] = installation.run("documents", "show", document)["text"]
        assert texts[document][pair["answer_start"] : pair["answer_end"]] == pair["answer"]
        assert "<unk>" not in pair["question"]
    tell(f"{file.name}: {len(pairs)} pairs")
    for pair in pairs[:: max(len(pairs) // SHOWN, 1)]:
        tell(f"  {pair['question']}\n    -> {pair['answer']}")
    return pairs
