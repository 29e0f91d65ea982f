from io import BytesIO

import pytest

from core.data.documents import Format, extract
from core.data.documents.apart import extract_apart
from core.errors import DataError, InputError
from tests.core.data.documents.files import pdf


@pytest.mark.parametrize(
    ("data", "format_"),
    [
        ("말길 👩\u200d👧 cafe\u0301\u2028 끝".encode(), "text"),
        (b'{"text": "a"}\n{"text": "b\\u2028c", "language": "en"}\n', "jsonl"),
        (pdf(["한 줄"]), "pdf"),
    ],
)
def test_a_file_reads_the_same_in_a_process_of_its_own(data: bytes, format_: Format) -> None:
    file = BytesIO(data)
    file.seek(3)
    here = list(extract(data, name="file", format=format_, language="ko"))
    assert list(extract_apart(file, name="file", format=format_, language="ko")) == here


@pytest.mark.parametrize("data", [b"\xff", b'{"text": 3}', b"", b"{}\n" * 30])
def test_a_refusal_is_the_same_from_there(data: bytes) -> None:
    with pytest.raises(InputError) as here:
        list(extract(data, name="a\nb 'c'", format="jsonl"))
    with pytest.raises(type(here.value)) as there:
        list(extract_apart(BytesIO(data), name="a\nb 'c'", format="jsonl"))
    assert str(there.value) == str(here.value)
    assert there.value.field == here.value.field
    if isinstance(here.value, DataError):
        assert isinstance(there.value, DataError)
        assert there.value.lines == here.value.lines


def test_what_takes_too_long_is_refused() -> None:
    with pytest.raises(InputError, match=r"slow\.html: reading it takes more than 2 s"):
        list(extract_apart(BytesIO(b"<!--" * 2_000_000), name="slow.html", format="html", time_s=2))


def test_what_takes_too_much_memory_is_refused() -> None:
    limit = 256 * 2**20
    file = BytesIO(b"<p>x" * 5_000_000)
    with pytest.raises(InputError, match=r"large\.html: "):
        list(extract_apart(file, name="large.html", format="html", memory_bytes=limit))


def test_five_megabytes_in_one_line_are_read() -> None:
    data = ("그는 갔다. " * 400_000).encode()
    (document,) = extract_apart(BytesIO(data), name="long.txt", format="text")
    assert len(document.text) == len("그는 갔다. ") * 400_000 - 1
