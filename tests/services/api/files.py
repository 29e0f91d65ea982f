"""Checkpoint files made by hand, whole or broken."""

import json
from typing import Any

from core.specs import Plan


def bundle(
    *,
    notes: dict[str, Any] | None = None,
    tensors: dict[str, Any] | None = None,
    body: bytes = b"\0" * 12,
) -> bytes:
    """Return a checkpoint file; ``notes`` and ``tensors`` replace what it says, None leaves out."""
    words = {
        "format": "malgil-1",
        "plan": Plan(context_turns=2).model_dump_json(),
        "step": "900",
        "report": json.dumps({"metrics": {"valid_loss": 1.5}, "parameters": 2}),
        **(notes or {}),
    }
    header = {
        "__metadata__": {key: value for key, value in words.items() if value is not None},
        "tokenizer": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
        "weights/embedding": {"dtype": "F32", "shape": [1, 2], "data_offsets": [4, 12]},
        **(tensors or {}),
    }
    written = json.dumps({key: value for key, value in header.items() if value is not None})
    return len(written).to_bytes(8, "little") + written.encode() + body
