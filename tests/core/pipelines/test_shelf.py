"""The models in memory: who comes, who stays, who leaves."""

import gc
import threading
import weakref

import pytest

from core.errors import BundleError
from core.pipelines.bundle import write_bundle
from core.pipelines.questions import question_of
from core.pipelines.shelf import Models
from tests.core.pipelines.test_bundle import bundle

DATA = {name: write_bundle(bundle(seed)) for seed, name in enumerate("abc")}
SIZE = len(DATA["a"])


class Store:
    """Gives content, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, name: str) -> bytes:
        self.asked.append(name)
        return DATA[name]


def test_the_model_not_used_for_longest_leaves_memory_first() -> None:
    store = Store()
    models = Models(store, limit=2)
    a = models.get("a")
    models.get("b")
    assert models.get("a") is a
    models.get("c")
    assert models.get("a") is a
    models.get("b")
    assert store.asked == ["a", "b", "c", "b"]


def test_a_model_that_leaves_takes_along_what_was_asked_of_it() -> None:
    models = Models(Store(), limit=1)
    first = models.get("a")
    question = question_of(first, ["hello"], first.plan.decode)
    assert question_of(first, ["hi"], first.plan.decode).wish is question.wish
    left = [weakref.ref(first.model), weakref.ref(first.tokenizer)]
    del first, question
    models.get("b")
    gc.collect()
    assert [one() for one in left] == [None, None]


def test_as_many_stay_as_bytes_allow_but_the_newest_always() -> None:
    models = Models(Store(), limit=9, limit_bytes=2 * SIZE + 100)
    for name in "abc":
        models.get(name)
    assert [name for name in "abc" if models.known(name)] == ["b", "c"]
    small = Models(Store(), limit=9, limit_bytes=10)
    small.get("a")
    assert small.known("a") is not None


def test_what_nobody_asks_for_is_let_go() -> None:
    now = 0.0
    models = Models(Store(), limit=9, clock=lambda: now)
    models.get("a")
    models.get("b")
    now = 50.0
    models.known("b")
    now = 70.0
    assert models.forget_idle(60.0) == ["a"]
    assert models.known("a") is None
    assert models.known("b") is not None


def test_a_model_that_is_read_keeps_nobody_from_another() -> None:
    begun, may_go = threading.Event(), threading.Event()

    def fetch(name: str) -> bytes:
        if name == "b":
            begun.set()
            assert may_go.wait(timeout=30)
        return DATA[name]

    models = Models(fetch, limit=9)
    models.get("a")
    reading = threading.Thread(target=models.get, args=("b",))
    reading.start()
    assert begun.wait(timeout=30)
    assert models.known("a") is not None
    assert models.known("b") is None
    may_go.set()
    reading.join(timeout=30)
    assert models.known("b") is not None


def test_what_cannot_be_read_leaves_nothing_behind() -> None:
    models = Models(lambda _: b"nothing", limit=1)
    with pytest.raises(BundleError):
        models.get("a")
    assert models.known("a") is None
