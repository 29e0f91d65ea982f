"""Make the stored checkpoint of the present format: ``python -m tests.golden.make``.

Run it once for each format that is released, never to make a failing test pass.
"""

import json
import tempfile
from pathlib import Path

from core.pipelines.bundle import FORMAT, read_bundle
from core.pipelines.learn import Finished, learn
from core.pipelines.respond import decode_batch
from tests.core.pipelines.small import PAIRS, SAID, every_split, small_plan

ASKED = [*(source for source, _ in SAID), "밥은 잘 먹었어?", "good day", "전혀 모르는 말 🙂"]


def main() -> None:
    """Train a small model and store it with what it answers."""
    plan = small_plan()
    with tempfile.TemporaryDirectory() as scratch:
        *_, last = learn(every_split(PAIRS), plan, scratch=Path(scratch))
    assert isinstance(last, Finished)
    spec = plan.decode.model_copy(update={"n_best": 2})
    answers = decode_batch(read_bundle(last.data), [[one] for one in ASKED], [spec] * len(ASKED))
    expected = {
        asked: [{"text": one.text, "score": one.score} for one in candidates]
        for asked, candidates in zip(ASKED, answers, strict=True)
    }
    folder = Path(__file__).parent
    (folder / f"{FORMAT}.safetensors").write_bytes(last.data)
    text = json.dumps(expected, ensure_ascii=False, indent=2)
    (folder / f"{FORMAT}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
