"""Named tensors and a few words about them in one safetensors file: no pickle, ever."""

import json
from collections.abc import Mapping
from io import BytesIO

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


def notes_of(data: bytes) -> dict[str, str]:
    """Read only the notes in the header; raises BundleError where it is damaged."""
    header, _ = read_header(BytesIO(data))
    notes = header.get(NOTES, {})
    if not isinstance(notes, dict):
        raise BundleError("the notes of the checkpoint cannot be read")
    return {str(key): str(value) for key, value in notes.items()}
