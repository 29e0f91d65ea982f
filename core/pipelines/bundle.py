"""A checkpoint as one file, and as a model that is ready to answer."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.data.tensorfile import map_file, pack, unpack
from core.decoding.step import Wish
from core.errors import BundleError, SpecError
from core.models.blank import build_with
from core.models.build import Network
from core.models.lexicon import Lexicon
from core.models.ready import make_ready
from core.pipelines.formats import FORMATS, present
from core.specs import DecodeSpec, Plan, ServingPrecision, parse
from core.text.kinds import TextTokenizer, open_tokenizer
from core.training.state import copy_weights

FORMAT = FORMATS[-1]
TOKENIZER = "tokenizer"  # what opens the vocabulary again, as a tensor of bytes
WEIGHT = "weights/"
LEXICON = "lexicon/"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A trained model with everything needed to use it and to know how it was made."""

    model: Network
    tokenizer: TextTokenizer
    plan: Plan
    step: int
    report: dict[str, Any]
    lexicon: Lexicon | None = None  # which words a source calls up, if that was learned
    # What was asked of it lately, made ready for decoding; it goes when the model goes
    wishes: dict[tuple[DecodeSpec, int], Wish] = field(
        default_factory=dict, repr=False, compare=False
    )


def write_bundle(bundle: Bundle) -> bytes:
    """Return ``bundle`` as the bytes of one safetensors file."""
    weights = {WEIGHT + name: value for name, value in copy_weights(bundle.model).items()}
    notes = {
        "format": FORMAT,
        "plan": bundle.plan.model_dump_json(),
        "step": str(bundle.step),
        "report": json.dumps(bundle.report, ensure_ascii=False),
    }
    lexicon = {} if bundle.lexicon is None else bundle.lexicon.tensors()
    words = {LEXICON + name: value for name, value in lexicon.items()}
    return pack({**weights, **words, TOKENIZER: bytes_tensor(bundle.tokenizer.model)}, notes)


def read_bundle(data: bytes) -> Bundle:
    """Read what ``write_bundle`` wrote; raises BundleError where it is damaged or unknown."""
    return _read(*unpack(data))


def open_bundle(path: Path) -> Bundle:
    """Read a file of what ``write_bundle`` wrote, its weights only when they are used.

    Raises BundleError where it is damaged or unknown.
    """
    return _read(*map_file(path))


def serving(bundle: Bundle, precision: ServingPrecision | None = None) -> Bundle:
    """Return ``bundle`` with a model that only answers, in ``precision`` or as its plan says.

    What a source does not call up is left out of account where the plan says so, by itself only
    where the model is not to be exact.
    """
    asked = bundle.plan.serve
    chosen = precision or asked.precision
    listed = asked.shortlist == "on" or (asked.shortlist == "auto" and chosen != "fp32")
    lexicon = bundle.lexicon if listed else None
    return replace(bundle, model=make_ready(bundle.model, chosen, lexicon=lexicon))


def _read(tensors: dict[str, torch.Tensor], notes: dict[str, str]) -> Bundle:
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
    words = {name: tensors.pop(name) for name in list(tensors) if name.startswith(LEXICON)}
    weights = {name.removeprefix(WEIGHT): value for name, value in tensors.items()}
    model = build_with(plan.model, present(weights, form), vocabulary_size=tokenizer.size)
    return Bundle(model.eval(), tokenizer, plan, step, report, _lexicon(words, tokenizer.size))


def _lexicon(tensors: dict[str, torch.Tensor], vocabulary_size: int) -> Lexicon | None:
    if not tensors:
        return None
    try:
        return Lexicon.of(
            vocabulary_size,
            **{name.removeprefix(LEXICON): value for name, value in tensors.items()},
        )
    except (TypeError, ValueError) as error:
        raise BundleError(f"the lexicon of the checkpoint is damaged: {error}") from error


def bytes_tensor(data: bytes) -> torch.Tensor:
    """Return ``data`` as a tensor of bytes (N,)."""
    return torch.from_numpy(np.frombuffer(data, dtype=np.uint8).copy())


def tensor_bytes(tensor: torch.Tensor) -> bytes:
    """Return the bytes that ``bytes_tensor`` was given."""
    return tensor.numpy().tobytes()
