"""Make the stored checkpoints of the present format: ``python -m tests.golden.make``.

Run it once for each format that is released, never to make a failing test pass.
"""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.data.examples import Example, Text
from core.pipelines.asking import ask, find, propose
from core.pipelines.bundle import FORMAT, Bundle, read_bundle
from core.pipelines.learn import Finished, learn
from core.pipelines.offline import decode_batch
from core.specs import DecodeSpec, Plan, merge
from tests.core.pipelines.small import (
    PAIRS,
    PASSAGES,
    QUESTIONS,
    SAID,
    every_split,
    small_plan,
)

ASKED = [*(source for source, _ in SAID), "밥은 잘 먹었어?", "good day", "전혀 모르는 말 🙂"]
SAYINGS: list[Example] = [Text(f"{source} {target}") for source, target in SAID]

BEGUN = ["밥", "hello hi", "good night", "how are", "네, 안녕하세요."]  # all of known words

ASKER = "asking"
CONTEXTS = [
    *(passage.texts[0] for passage in PASSAGES),
    "The cafe\u0301 town 부산 lies in 한국. Its river is 👩\u200d👩\u200d👧 (낙동강).",
]

SMALL = {"embedding_dim": 12, "hidden_dim": 16}
LEARNT_WHOLE = {"learning_rate": 0.015, "max_epochs": 120, "label_smoothing": 0.0}
SYSTEMS = {  # name: what differs from the small plan; together they have every kind of part
    "gru": {"model": SMALL},
    "copying": {
        "model": SMALL
        | {
            "cell": "lstm",
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_hidden_dim": 8,
            "bridge": "last",
            "attention": "additive",
            "coverage": True,
            "input_feeding": True,
            "copy_source": True,
            "layer_norm": True,
            "residual": True,
        },
    },
    "peeking": {
        "model": SMALL
        | {
            "cell": "lstm",
            "bidirectional": False,
            "reversed_source": True,
            "bridge": "last",
            "attention": "none",
            "peeky": True,
            "tied_output": False,
            "shared_embedding": False,
        },
    },
    "looking-first": {
        "model": SMALL
        | {
            "cell": "rnn",
            "bridge": "zero",
            "attention": "local",
            "attention_window": 3,
            "attention_position": "before",
        },
    },
    "mixed": {
        "model": {
            "encoder": "transformer",
            "embedding_dim": 16,
            "hidden_dim": 16,
            "feed_forward_dim": 24,
            "bridge": "mean",
            "attention": "dot",
        },
    },
    "transformer": {
        "model": {
            "encoder": "transformer",
            "decoder": "transformer",
            "embedding_dim": 16,
            "hidden_dim": 16,
            "feed_forward_dim": 24,
        },
        "train": {"learning_rate": 0.005},
    },
    "window": {
        "task": "language",
        "tokenizer": {"kind": "closed"},
        "model": SMALL | {"encoder": "none", "cell": "lstm", "window": 4, "tied_output": False},
        "decode": {"beam_size": 1},
    },
    "stream": {
        "task": "language",
        "tokenizer": {"kind": "word"},
        "model": SMALL | {"encoder": "none", "bidirectional": False, "decoder_layers": 2},
        "train": {"bptt": 8},
        "decode": {"beam_size": 1},
    },
}


def main() -> None:
    """Train small models and store each with what it answers."""
    folder = Path(__file__).parent
    for name, changes in SYSTEMS.items():
        plan = merge(small_plan(), {"train": LEARNT_WHOLE})
        plan = merge(plan, changes)
        goes_on = plan.task == "language"
        examples, asked = (SAYINGS, BEGUN) if goes_on else (PAIRS, ASKED)
        with tempfile.TemporaryDirectory() as scratch:
            *_, last = learn(every_split(examples), plan, scratch=Path(scratch))
        assert isinstance(last, Finished)
        answers = decode_batch(
            read_bundle(last.data), [[one] for one in asked], [wish(plan)] * len(asked)
        )
        expected = {
            one: [{"text": candidate.text, "score": candidate.score} for candidate in candidates]
            for one, candidates in zip(asked, answers, strict=True)
        }
        (folder / f"{FORMAT}.{name}.safetensors").write_bytes(last.data)
        text = json.dumps(expected, ensure_ascii=False, indent=2)
        (folder / f"{FORMAT}.{name}.json").write_text(text + "\n", encoding="utf-8")
    store_asker(folder)


def store_asker(folder: Path) -> None:
    """Train a small model that asks, and store it with what its three parts say."""
    with tempfile.TemporaryDirectory() as scratch:
        *_, last = learn(every_split(PASSAGES), QUESTIONS, scratch=Path(scratch))
    assert isinstance(last, Finished)
    (folder / f"{FORMAT}.{ASKER}.safetensors").write_bytes(last.data)
    text = json.dumps(asked_of(read_bundle(last.data)), ensure_ascii=False, indent=2)
    (folder / f"{FORMAT}.{ASKER}.json").write_text(text + "\n", encoding="utf-8")


def asked_of(bundle: Bundle) -> list[dict[str, Any]]:
    """Return what ``bundle`` proposes, asks and finds again in passages, as plain data."""
    told = []
    for context in CONTEXTS:
        for one in propose(bundle, [context], count=3)[0]:
            (questions,) = ask(bundle, [(context, one.span)])
            (found,) = find(bundle, [(context, questions[0].text)])
            told.append(
                {
                    "proposal": asdict(one),
                    "questions": [asdict(question) for question in questions],
                    "found": asdict(found),
                }
            )
    return told


def wish(plan: Plan) -> DecodeSpec:
    """Return what a stored checkpoint is asked for: all that its own beam finds."""
    return plan.decode.model_copy(update={"n_best": plan.decode.beam_size})


if __name__ == "__main__":
    main()
