import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.data.tensorfile import notes_of, pack, unpack
from core.errors import BundleError
from core.models.build import build
from core.models.decoders import RecurrentDecoder
from core.models.lexicon import Lexicon
from core.models.products import HalfProduct, IntegerProduct
from core.models.seq2seq import Seq2Seq
from core.models.walks import ReadyLayer
from core.pipelines.bundle import (
    Bundle,
    open_bundle,
    read_bundle,
    serving,
    write_bundle,
)
from core.pipelines.shelf import Models
from core.specs import ServingPrecision, merge
from core.text.tokenizer import Tokenizer
from tests.core.pipelines.small import small_plan

BIAS = "weights/generator.bias"


def bundle(seed: int = 0) -> Bundle:
    plan = small_plan()
    tokenizer = Tokenizer.train(["안녕하세요 hello"], plan.tokenizer)
    torch.manual_seed(seed)
    model = build(plan.model, vocabulary_size=tokenizer.size)
    return Bundle(model.eval(), tokenizer, plan, 12, {"metrics": {"bleu": 1.5}})


def test_a_bundle_survives_being_written_and_read() -> None:
    one = bundle()
    two = read_bundle(write_bundle(one))
    assert two.plan == one.plan
    assert two.step == 12
    assert two.report == one.report
    assert two.tokenizer.model == one.tokenizer.model
    ours, theirs = dict(one.model.named_parameters()), dict(two.model.named_parameters())
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert two.model.generator.weight is two.model.target_embedding.weight


def test_a_file_is_opened_as_what_it_holds_and_stays_so(tmp_path: Path) -> None:
    path, data = tmp_path / "bundle", write_bundle(bundle())
    path.write_bytes(data)
    mapped, read = open_bundle(path), read_bundle(data)
    assert (mapped.plan, mapped.step, mapped.report) == (read.plan, read.step, read.report)
    ours, theirs = mapped.model.state_dict(), read.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    with torch.no_grad():
        mapped.model.generator.bias.fill_(1.0)
    assert path.read_bytes() == data


def test_a_bundle_from_before_serving_was_planned_is_served_as_the_machine_is_best_at() -> None:
    data = write_bundle(bundle())
    plan = json.loads(notes_of(data)["plan"])
    del plan["serve"]
    older = pack(unpack(data)[0], {**notes_of(data), "plan": json.dumps(plan)})
    assert read_bundle(older).plan.serve.precision == "auto"


def test_what_serves_is_another_model_with_the_same_opinions() -> None:
    one = bundle()
    source = torch.tensor([[5, 6, 7]])
    ready = serving(one, "fp32")
    assert ready.model is not one.model
    assert (ready.plan, ready.tokenizer) == (one.plan, one.tokenizer)
    said = []
    with torch.inference_mode():
        for model in (one.model, ready.model):
            state = model.start(source, torch.ones_like(source, dtype=torch.bool))
            said.append(model.step(torch.tensor([2]), state)[0])
    torch.testing.assert_close(said[0], said[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("asked", [None, "int8"])
def test_models_are_served_in_the_precision_that_is_asked_for(
    asked: ServingPrecision | None, tmp_path: Path
) -> None:
    tokenizer = bundle().tokenizer
    plan = merge(small_plan(), {"model": {"hidden_dim": 256}, "serve": {"precision": "bf16"}})
    model = build(plan.model, vocabulary_size=tokenizer.size)
    path = tmp_path / "bundle"
    path.write_bytes(write_bundle(Bundle(model, tokenizer, plan, 0, {})))
    opened = Models(lambda _: path, limit=1, precision=asked).get("a")
    assert isinstance(opened.model, Seq2Seq)
    assert isinstance(opened.model.decoder, RecurrentDecoder)
    (layer,) = opened.model.decoder.stack.layers
    assert isinstance(layer, ReadyLayer)
    expected = IntegerProduct if asked == "int8" else HalfProduct
    assert type(layer.directions[0].hidden) is expected


def with_lexicon(**serve: str) -> Bundle:
    one = bundle()
    plan = merge(one.plan, {"train": {"lexicon": 2}, "serve": serve})
    words = torch.arange(2 * one.tokenizer.size, dtype=torch.int32) % one.tokenizer.size
    lexicon = Lexicon.of(
        one.tokenizer.size, words=words.view(-1, 2), always=torch.tensor([3], dtype=torch.int32)
    )
    return replace(one, plan=plan, lexicon=lexicon)


def test_a_lexicon_goes_with_its_bundle() -> None:
    one = with_lexicon()
    two = read_bundle(write_bundle(one))
    assert one.lexicon is not None
    assert two.lexicon is not None
    assert two.lexicon.called_up([7]).tolist() == one.lexicon.called_up([7]).tolist()
    assert read_bundle(write_bundle(bundle())).lexicon is None


@pytest.mark.parametrize(
    ("shortlist", "precision", "used"),
    [
        ("auto", "int8", True),
        ("auto", "fp32", False),
        ("on", "fp32", True),
        ("off", "int8", False),
    ],
)
def test_a_lexicon_is_used_as_the_plan_says(
    shortlist: str, precision: ServingPrecision, used: bool
) -> None:
    for asked in (precision, None):  # by the worker, or by the plan itself
        one = with_lexicon(shortlist=shortlist, precision=precision if asked is None else "bf16")
        model = serving(one, asked).model
        assert isinstance(model, Seq2Seq)
        assert (model.lexicon is not None) == used


@pytest.mark.parametrize(
    "spoilt",
    [
        {"lexicon/words": None},
        {"lexicon/always": torch.zeros(0, dtype=torch.int32)},
        {"lexicon/words": torch.zeros(3, 2, dtype=torch.int32)},
        {"lexicon/always": torch.tensor([10_000], dtype=torch.int32)},
        {"lexicon/always": torch.tensor([-1], dtype=torch.int32)},
        {"lexicon/always": torch.tensor([1.0])},
        {"lexicon/odd": torch.zeros(1)},
    ],
    ids=lambda spoilt: next(iter(spoilt)),
)
def test_a_damaged_lexicon_is_refused_as_such(spoilt: dict[str, torch.Tensor | None]) -> None:
    data = write_bundle(with_lexicon())
    tensors = {name: part for name, part in (unpack(data)[0] | spoilt).items() if part is not None}
    with pytest.raises(BundleError, match="lexicon of the checkpoint is damaged"):
        read_bundle(pack(tensors, notes_of(data)))


def test_the_words_about_a_bundle_can_be_read_without_its_weights() -> None:
    data = write_bundle(bundle())
    notes = notes_of(data)
    assert notes["format"] == "malgil-2"
    assert json.loads(notes["plan"])["model"]["hidden_dim"] == 32


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:100],
        lambda data: b"",
        lambda data: b"\xff" * 64,
        lambda data: data[: len(data) // 2],
        lambda data: pack({"a": torch.zeros(2)}, {}),
        lambda data: pack({"a": torch.zeros(2)}, {"format": "malgil-2"}),
        lambda data: pack({}, notes_of(data)),
        lambda data: pack({**unpack(data)[0], "weights/odd": torch.zeros(1)}, notes_of(data)),
        lambda data: pack(unpack(data)[0], {**notes_of(data), "plan": '{"model": {"cell": "x"}}'}),
        lambda data: pack({**unpack(data)[0], BIAS: torch.zeros(1)}, notes_of(data)),
    ],
)
def test_a_damaged_bundle_is_refused_as_such(spoil, tmp_path: Path) -> None:
    data = spoil(write_bundle(bundle()))
    path = tmp_path / "spoilt"
    path.write_bytes(data)
    with pytest.raises(BundleError):
        read_bundle(data)
    with pytest.raises(BundleError):
        open_bundle(path)


def test_a_bundle_of_a_later_format_is_refused_by_name() -> None:
    data = write_bundle(bundle())
    later = pack(unpack(data)[0], {**notes_of(data), "format": "malgil-9"})
    with pytest.raises(BundleError, match="malgil-9"):
        read_bundle(later)
