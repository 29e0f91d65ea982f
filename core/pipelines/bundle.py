"""A checkpoint as one file, and as a model that is ready to answer."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.data.tensorfile import pack, unpack
from core.errors import BundleError, SpecError
from core.models.build import Network, build
from core.pipelines.formats import FORMATS, present
from core.specs import Plan, parse
from core.text.kinds import TextTokenizer, open_tokenizer
from core.training.state import copy_weights, put_weights

FORMAT = FORMATS[-1]
TOKENIZER = "tokenizer"  # what opens the vocabulary again, as a tensor of bytes
WEIGHT = "weights/"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A trained model with everything needed to use it and to know how it was made."""

    model: Network
    tokenizer: TextTokenizer
    plan: Plan
    step: int
    report: dict[str, Any]


def write_bundle(bundle: Bundle) -> bytes:
    """Return ``bundle`` as the bytes of one safetensors file."""
    weights = {WEIGHT + name: value for name, value in copy_weights(bundle.model).items()}
    notes = {
        "format": FORMAT,
        "plan": bundle.plan.model_dump_json(),
        "step": str(bundle.step),
        "report": json.dumps(bundle.report, ensure_ascii=False),
    }
    return pack({**weights, TOKENIZER: bytes_tensor(bundle.tokenizer.model)}, notes)


def read_bundle(data: bytes) -> Bundle:
    """Read what ``write_bundle`` wrote; raises BundleError where it is damaged or unknown."""
    tensors, notes = unpack(data)
    form = notes.get("format", "none")
    if form not in FORMATS:
        known = " and ".join(repr(one) for one in FORMATS)
        raise BundleError(f"the checkpoint has format {form!r}; this version reads {known}")
    try:
        plan = parse(Plan, json.loads(notes["plan"]))
        report = json.loads(notes["report"])
        step = int(notes["step"])
        tokenizer = open_tokenizer(plan.tokenizer, tensor_bytes(tensors.pop(TOKENIZER)))
    except (KeyError, ValueError, RuntimeError, SpecError) as error:
        raise BundleError(f"the checkpoint is incomplete: {error}") from error
    model = build(plan.model, vocabulary_size=tokenizer.size)
    weights = {name.removeprefix(WEIGHT): value for name, value in tensors.items()}
    put_weights(model, present(weights, form))
    return Bundle(model.eval(), tokenizer, plan, step, report)


def bytes_tensor(data: bytes) -> torch.Tensor:
    """Return ``data`` as a tensor of bytes (N,)."""
    return torch.from_numpy(np.frombuffer(data, dtype=np.uint8).copy())


def tensor_bytes(tensor: torch.Tensor) -> bytes:
    """Return the bytes that ``bytes_tensor`` was given."""
    return tensor.numpy().tobytes()


class Models:
    """The bundles in memory, by checkpoint id; the one not asked for longest leaves first."""

    def __init__(self, fetch: Callable[[str], bytes], *, limit: int) -> None:
        self._fetch = fetch
        self._limit = limit
        self._ready: OrderedDict[str, Bundle] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, checkpoint: str) -> Bundle:
        """Return the bundle of ``checkpoint``, reading it first if need be."""
        with self._lock:
            if checkpoint not in self._ready:
                self._ready[checkpoint] = read_bundle(self._fetch(checkpoint))
            self._ready.move_to_end(checkpoint)
            while len(self._ready) > self._limit:
                self._ready.popitem(last=False)
            return self._ready[checkpoint]
