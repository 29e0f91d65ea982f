import json

import pytest
import torch

from core.data.tensorfile import notes_of, pack, unpack
from core.errors import BundleError
from core.models.build import build
from core.pipelines.bundle import Bundle, Models, read_bundle, write_bundle
from core.text.tokenizer import Tokenizer
from tests.core.pipelines.small import small_plan


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
    ],
)
def test_a_damaged_bundle_is_refused_as_such(spoil) -> None:
    with pytest.raises(BundleError):
        read_bundle(spoil(write_bundle(bundle())))


def test_a_bundle_of_a_later_format_is_refused_by_name() -> None:
    data = write_bundle(bundle())
    later = pack(unpack(data)[0], {**notes_of(data), "format": "malgil-9"})
    with pytest.raises(BundleError, match="malgil-9"):
        read_bundle(later)


def test_the_model_not_used_for_longest_leaves_memory_first() -> None:
    data = {name: write_bundle(bundle(seed)) for seed, name in enumerate("abc")}
    fetched = []

    def fetch(name: str) -> bytes:
        fetched.append(name)
        return data[name]

    models = Models(fetch, limit=2)
    a = models.get("a")
    models.get("b")
    assert models.get("a") is a
    models.get("c")
    assert models.get("a") is a
    models.get("b")
    assert fetched == ["a", "b", "c", "b"]
