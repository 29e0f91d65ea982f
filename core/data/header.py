"""The header of a safetensors file, read with nothing of torch in the process.

Such a file is the length of its header (8 bytes, little-endian), the header as JSON, and the
tensors. The notes that were packed with the tensors are in the header.
"""

import json
import os
from typing import Any, BinaryIO, NoReturn

from core.errors import BundleError

HEADER_LIMIT = 16 * 2**20  # bytes; far more than any of ours, and no load on memory
NOTES = "__metadata__"


def read_header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """Return the header of ``file`` and how many bytes of tensors come after it.

    The file is left where the tensors begin. Raises BundleError where the header is damaged or
    longer than ``HEADER_LIMIT``.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(HEADER_LIMIT, size - 8):
        raise BundleError("this is no safetensors file, or its header is cut off or too long")
    return json_object(file.read(length), "the header"), size - 8 - length


def json_object(text: str | bytes, what: str) -> dict[str, Any]:
    """Read a JSON object of which every part can be stored and sent again.

    Raises BundleError saying that ``what`` of the checkpoint cannot be read.
    """
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
