"""Named tensors and a few words about them in one safetensors file: no pickle, ever."""

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from core.data.header import NOTES, read_header
from core.errors import BundleError


def pack(tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> bytes:
    """Write ``tensors`` and ``notes`` as the bytes of a safetensors file.

    The same content gives the same bytes: the library writes notes in any order, so they are
    put in theirs. Raises BundleError where they are too long to be read again.
    """
    whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    data = safetensors.torch.save(whole, metadata=dict(notes))
    header, size = read_header(BytesIO(data))
    ordered = json.dumps(header, sort_keys=True, ensure_ascii=False).encode()
    ordered += b" " * (-len(ordered) % 8)  # tensors start at a multiple of 8 bytes
    return len(ordered).to_bytes(8, "little") + ordered + data[len(data) - size :]


def unpack(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read back what ``pack`` wrote; raises BundleError where the file is damaged."""
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, ValueError) as error:
        raise BundleError(f"not a whole safetensors file: {error}") from error
    return tensors, notes_of(data)


def map_file(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a file that ``pack`` made without copying: tensors are pages of it, read when needed.

    Writing to a tensor leaves the file as it is. Raises BundleError where it is damaged.
    """
    try:
        tensors = safetensors.torch.load_file(path)
        with path.open("rb") as file:
            return tensors, _notes(read_header(file)[0])
    except (SafetensorError, ValueError, OSError) as error:
        raise BundleError(f"not a whole safetensors file: {error}") from error


def notes_of(data: bytes) -> dict[str, str]:
    """Read only the notes in the header; raises BundleError where it is damaged."""
    return _notes(read_header(BytesIO(data))[0])


def _notes(header: Mapping[str, Any]) -> dict[str, str]:
    notes = header.get(NOTES, {})
    if not isinstance(notes, dict):
        raise BundleError("the notes of the checkpoint cannot be read")
    return {str(key): str(value) for key, value in notes.items()}
