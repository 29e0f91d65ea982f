"""Named tensors and a few words about them in one safetensors file: no pickle, ever."""

import json
from collections.abc import Mapping

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from core.errors import BundleError

HEADER_LIMIT = 32 * 2**20  # bytes


def pack(tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> bytes:
    """Write ``tensors`` and ``notes`` as the bytes of a safetensors file.

    The same content gives the same bytes: the library writes notes in any order, so they are
    put in theirs.
    """
    whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    data = safetensors.torch.save(whole, metadata=dict(notes))
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    ordered = json.dumps(header, sort_keys=True, ensure_ascii=False).encode()
    ordered += b" " * (-len(ordered) % 8)  # tensors start at a multiple of 8 bytes
    return len(ordered).to_bytes(8, "little") + ordered + data[8 + length :]


def unpack(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read back what ``pack`` wrote; raises BundleError where the file is damaged."""
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, ValueError) as error:
        raise BundleError(f"not a whole safetensors file: {error}") from error
    return tensors, notes_of(data)


def notes_of(data: bytes) -> dict[str, str]:
    """Read only the notes in the header; raises BundleError where it is damaged."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > HEADER_LIMIT or length > len(data) - 8:
        raise BundleError("not a safetensors file: its header is cut off")
    try:
        header = json.loads(data[8 : 8 + length])
        notes = header.get("__metadata__", {})
        return {str(key): str(value) for key, value in notes.items()}
    except (ValueError, AttributeError) as error:
        raise BundleError(f"not a safetensors file: {error}") from error
