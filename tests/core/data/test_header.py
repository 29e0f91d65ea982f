import subprocess
import sys
from io import BytesIO

import pytest
import torch

from core.data.header import HEADER_LIMIT, json_object, read_header
from core.data.tensorfile import notes_of, pack
from core.errors import BundleError
from services.api.bundles import read_notes
from tests.services.api.files import bundle


def stretched(length: int) -> bytes:
    """A whole bundle whose header is filled up with blanks to ``length`` bytes."""
    data = bundle()
    end = 8 + int.from_bytes(data[:8], "little")
    return length.to_bytes(8, "little") + data[8:end].ljust(length) + data[end:]


def test_the_file_is_left_where_the_tensors_begin() -> None:
    file = BytesIO(pack({"a": torch.ones(3)}, {"b": "c"}))
    header, size = read_header(file)
    assert header["a"]["shape"] == [3]
    assert header["__metadata__"] == {"b": "c"}
    assert len(file.read()) == size == 12


def test_every_reader_takes_headers_up_to_the_same_length() -> None:
    longest = stretched(HEADER_LIMIT)
    assert notes_of(longest)["step"] == "900"
    assert read_notes(BytesIO(longest)).step == 900
    longer = stretched(HEADER_LIMIT + 8)
    for refuse in (lambda: notes_of(longer), lambda: read_notes(BytesIO(longer))):
        with pytest.raises(BundleError, match="too long"):
            refuse()


def test_what_is_packed_can_be_read_again_or_is_refused_at_once() -> None:
    assert notes_of(pack({}, {"a": "b" * 2**20}))["a"] == "b" * 2**20
    with pytest.raises(BundleError, match="too long"):
        pack({}, {"a": "b" * HEADER_LIMIT})


@pytest.mark.parametrize("text", ["", "[]", "7", '{"a": NaN}', '{"a": "\\ud800"}', "[" * 100_000])
def test_what_is_no_object_that_can_be_sent_again_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match=r"^the plan of the checkpoint cannot be read$"):
        json_object(text, "the plan")


def test_a_header_is_read_without_torch() -> None:
    script = "import sys, core.data.header; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
