"""Reading what a checkpoint file says of itself, with nothing of torch in the process.

Everything that can be wrong short of the weights' values is found here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from core.data.header import NOTES, json_object, read_header
from core.errors import BundleError, SpecError
from core.specs import Plan, parse

FORMATS = ("malgil-1", "malgil-2")  # as core.pipelines.formats has them, behind torch
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
    header, size = read_header(file)
    words = header.pop(NOTES, None)
    if not isinstance(words, dict) or words.get("format") not in FORMATS:
        raise BundleError(f"this is no checkpoint of the formats {', '.join(FORMATS)}")
    _check_tensors(header, size=size)
    step = str(words.get("step"))
    if not (step.isascii() and step.isdigit() and len(step) <= STEP_DIGITS):
        raise BundleError("the checkpoint does not say its step")
    try:
        plan = parse(Plan, json_object(str(words.get("plan")), "the plan"))
    except SpecError as error:
        raise BundleError(f"the plan does not fit this version: {error}") from error
    report = json_object(str(words.get("report")), "the report")
    _check_depth(report, DEPTH_LIMIT)
    return Notes(plan=plan, step=int(step), report=report)


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
