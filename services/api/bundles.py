"""Reading what a checkpoint file says of itself, with nothing of torch in the process.

A safetensors file is the length of its header (8 bytes, little-endian), the header as JSON, and
the tensors without a gap. Everything that can be wrong short of the weights' values is found here.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

from core.errors import BundleError, SpecError
from core.specs import Plan, parse

FORMAT = "malgil-1"  # as core.pipelines.bundle writes it, which torch keeps out of reach here
HEADER_LIMIT = 16 * 2**20  # bytes
DEPTH_LIMIT = 20  # of a report; deeper nesting is no report of ours
STEP_DIGITS = 9
WIDTHS = {  # bytes of one element
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "I64": 8,
    "U64": 8,
    "F64": 8,
}


@dataclass(frozen=True, slots=True)
class Notes:
    """What a bundle tells of itself."""

    plan: Plan
    step: int
    report: dict[str, Any]

    @property
    def metrics(self) -> dict[str, Any]:
        """Return the figures of the report."""
        metrics = self.report.get("metrics")
        return metrics if isinstance(metrics, dict) else {}


def read_notes(file: BinaryIO) -> Notes:
    """Check that ``file`` is a whole bundle and return what it says; raises BundleError.

    The file is left at an undefined position.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(HEADER_LIMIT, size - 8):
        raise BundleError("this is no safetensors file, or it is cut off in its header")
    header = _json(file.read(length), "the header")
    words = header.pop("__metadata__", None)
    if not isinstance(words, dict) or words.get("format") != FORMAT:
        raise BundleError(f"this is no checkpoint of the format {FORMAT!r}")
    _check_tensors(header, size=size - 8 - length)
    step = str(words.get("step"))
    if not (step.isascii() and step.isdigit() and len(step) <= STEP_DIGITS):
        raise BundleError("the checkpoint does not say its step")
    try:
        plan = parse(Plan, _json(str(words.get("plan")), "the plan"))
    except SpecError as error:
        raise BundleError(f"the plan does not fit this version: {error}") from error
    report = _json(str(words.get("report")), "the report")
    _check_depth(report, DEPTH_LIMIT)
    return Notes(plan=plan, step=int(step), report=report)


def _json(text: str | bytes, what: str) -> dict[str, Any]:
    """Read a JSON object of which every part can be stored and sent again."""
    try:
        data = json.loads(text, parse_constant=_refuse)
        json.dumps(data, ensure_ascii=False).encode()  # lone surrogates are found only here
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{what} of the checkpoint cannot be read") from error
    if not isinstance(data, dict):
        raise BundleError(f"{what} of the checkpoint cannot be read")
    return data


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _check_depth(data: Any, left: int) -> None:
    if left == 0:
        raise BundleError("the report of the checkpoint is nested too deeply")
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    for one in inner:
        _check_depth(one, left - 1)


def _check_tensors(tensors: Mapping[str, Any], *, size: int) -> None:
    """Check that the tensors fill the ``size`` bytes after the header without gap or overlap."""
    if "tokenizer" not in tensors or not any(name.startswith("weights/") for name in tensors):
        raise BundleError("the checkpoint has no tokenizer or no weights")
    end = 0
    for begin, upto in sorted(_span(name, tensor) for name, tensor in tensors.items()):
        if begin != end:
            raise BundleError("the tensors of the checkpoint overlap or have gaps")
        end = upto
    if end != size:
        raise BundleError("the checkpoint is cut off, or has something after its end")


def _span(name: str, tensor: Any) -> tuple[int, int]:
    """Return where a tensor begins and ends, in bytes after the header."""
    try:
        width, shape = WIDTHS[tensor["dtype"]], tensor["shape"]
        begin, end = tensor["data_offsets"]
        whole = all(isinstance(n, int) and n >= 0 for n in (*shape, begin, end))
        if whole and end - begin == width * math.prod(shape):
            return begin, end
    except (KeyError, TypeError, ValueError):
        pass
    raise BundleError(f"the tensor {name[:100]!r} of the checkpoint is damaged")
