"""A checkpoint file is checked without torch, and what the training writes passes."""

import json
import struct
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BundleError
from core.specs import ModelSpec, Plan, TokenizerSpec
from services.api import bundles
from tests.services.api.files import bundle


def tensor(dtype: object = "F32", shape: object = (1, 2), span: object = (4, 12)) -> dict[str, Any]:
    return {"weights/embedding": {"dtype": dtype, "shape": shape, "data_offsets": span}}


def test_a_whole_file_says_what_it_is() -> None:
    notes = bundles.read_notes(BytesIO(bundle()))
    assert notes.plan == Plan(context_turns=2)
    assert notes.step == 900
    assert notes.metrics == {"valid_loss": 1.5}


def test_what_the_training_writes_passes() -> None:
    from core.models.build import build
    from core.pipelines.bundle import Bundle, write_bundle
    from core.pipelines.formats import FORMATS
    from core.text.tokenizer import Tokenizer

    assert FORMATS == bundles.FORMATS
    plan = Plan(
        tokenizer=TokenizerSpec(kind="char", vocabulary_size=32, byte_fallback=False),
        model=ModelSpec(embedding_dim=4, hidden_dim=4),
    )
    tokenizer = Tokenizer.train(["abc abc", "bca"], plan.tokenizer)
    model = build(plan.model, vocabulary_size=tokenizer.size)
    report = {"metrics": {"valid_loss": 2.0}, "samples": [{"output": "가"}]}
    data = write_bundle(Bundle(model, tokenizer, plan, 7, report))
    notes = bundles.read_notes(BytesIO(data))
    assert (notes.plan, notes.step, notes.report) == (plan, 7, report)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"abc",
        b"\xff" * 8,
        struct.pack("<Q", 100) + b"{}",
        struct.pack("<Q", 2**63),
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"\xff\xfe{}",
        struct.pack("<Q", 50_000) + b"[" * 50_000,
        bundle()[:-1],
        bundle() + b"\0",
        bundle(notes={"format": "malgil-99"}),
        bundle(notes={"format": None}),
        bundle(notes={"plan": None}),
        bundle(notes={"plan": '{"task": "sing"}'}),
        bundle(notes={"plan": '"chat"'}),
        bundle(notes={"step": None}),
        bundle(notes={"step": "-1"}),
        bundle(notes={"step": "9" * 30}),
        bundle(notes={"step": "²"}),
        bundle(notes={"report": None}),
        bundle(notes={"report": "[]"}),
        bundle(notes={"report": '{"a": NaN}'}),
        bundle(notes={"report": '{"a": "\\ud800"}'}),
        bundle(notes={"report": '{"a":' * 30 + "1" + "}" * 30}),
        bundle(notes={"report": "9" * 5000}),
        bundle(tensors={"tokenizer": None}),
        bundle(tensors={"weights/embedding": None}),
        bundle(tensors={"weights/embedding": 7}),
        bundle(tensors=tensor(dtype="F31")),
        bundle(tensors=tensor(dtype=["F32"])),
        bundle(tensors=tensor(shape=[1, 3])),
        bundle(tensors=tensor(shape=[-1, -2])),
        bundle(tensors=tensor(shape=[1.0, 2])),
        bundle(tensors=tensor(shape=None)),
        bundle(tensors=tensor(span=[0, 8])),
        bundle(tensors=tensor(span=[5, 13])),
        bundle(tensors=tensor(span=[4])),
        bundle(tensors=tensor(span="ab")),
        bundle(tensors={"__metadata__": 1}),
    ],
)
def test_a_damaged_file_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        bundles.read_notes(BytesIO(data))


@given(
    st.lists(st.tuples(st.integers(0, len(bundle()) - 1), st.integers(0, 255)), max_size=4),
    st.integers(0, len(bundle())),
)
def test_any_damage_is_found_or_does_no_harm(flips: list[tuple[int, int]], length: int) -> None:
    data = bytearray(bundle())
    for place, value in flips:
        data[place] = value
    for damaged in (bytes(data), bytes(data[:length])):
        try:
            notes = bundles.read_notes(BytesIO(damaged))
        except BundleError:
            continue
        json.dumps(notes.report, ensure_ascii=False, allow_nan=False).encode()
