import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.documents import MAX_CHARACTERS, Extracted, Format, extract, format_of
from core.data.documents.extracted import clean
from core.errors import DataError, InputError
from tests.core.data.documents.files import pdf
from tests.core.data.test_real_files import DATA

FORMATS: tuple[Format, ...] = ("text", "markdown", "html", "pdf", "squad", "jsonl")
ANYTHING = st.text() | st.text(
    alphabet="a \n\r\t\f\u2028\u0301\u1100\u1161\u11a8\ufeff\x00👩\u200d"
)


def one(data: bytes | str, format: Format = "text", name: str = "a.txt") -> Extracted:  # noqa: A002
    content = data.encode() if isinstance(data, str) else data
    (document,) = extract(content, name=name, format=format)
    return document


def refusal(data: bytes, format: Format, name: str = "file") -> InputError:  # noqa: A002
    with pytest.raises(InputError) as caught:
        list(extract(data, name=name, format=format))
    assert str(caught.value).startswith(f"{name}: ")
    return caught.value


@given(ANYTHING)
def test_cleaning_again_changes_nothing(text: str) -> None:
    kept = clean(text)
    assert clean(kept) == kept
    assert unicodedata.is_normalized("NFC", kept)
    assert "\n\n\n" not in kept
    assert not any(line != line.rstrip() for line in kept.split("\n"))
    assert not any(unicodedata.category(letter) == "Cc" for letter in kept if letter not in "\t\n")


@given(st.binary() | ANYTHING.map(lambda text: text.encode(errors="surrogatepass")))
def test_whatever_is_in_a_file_it_is_text_or_refused(data: bytes) -> None:
    for kind in FORMATS:
        try:
            documents = list(extract(data, name="file", format=kind))
        except InputError as error:
            assert str(error).startswith("file: ")  # noqa: PT017
            continue
        for document in documents:
            assert document.text
            assert document.title
            assert clean(document.text) == document.text


def test_plain_text_is_kept_as_one_normal_form() -> None:
    document = one(
        "\ufeff1.\u1112\u1161\u11ab\u1100\u1173\u11af  \r\n\r\n\r\n\r\ncafe\u0301 👩\u200d👧\f끝\n"
    )
    assert document.text == "1.한글\n\ncafé 👩\u200d👧\n\n끝"
    assert (document.title, document.language, document.format) == ("a", None, "text")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_with_a_mark_are_read(encoding: str) -> None:
    assert one("말길 text".encode(encoding)).text == "말길 text"


def test_another_encoding_is_named_with_its_line() -> None:
    error = refusal("하나\n둘".encode("cp949"), "text", "a.txt")
    assert isinstance(error, DataError)
    assert error.lines == ((1, "not UTF-8: byte 0xC7 at 1"),)
    error = refusal(b"fine\nab" + b"\xff", "text", "a.txt")
    assert "line 2 is not UTF-8: byte 0xFF at 3" in str(error)


@pytest.mark.parametrize("data", [b"", b" \n\t\r\n", b"\xef\xbb\xbf", b"\xe2\x80\x8b"[:0]])
def test_an_empty_document_is_refused(data: bytes) -> None:
    assert "no text in it" in str(refusal(data, "text", "empty.txt"))


def test_a_binary_file_is_refused() -> None:
    assert "byte 3 is NUL" in str(refusal(b"PK\0\x04", "text", "a.txt"))


def test_more_text_than_a_document_has_is_refused() -> None:
    error = refusal(b"a" * (MAX_CHARACTERS + 1), "text", "a.txt")
    assert str(MAX_CHARACTERS) in str(error)


def test_markdown_loses_its_marks_and_keeps_its_words() -> None:
    marked = (
        "---\ntitle: Told\n---\n# Heading *one*\n\nA [link](http://a) and `code`\nwrapped.\n\n"
        "3. three\n4. four\n\n   - inside\n\n> quoted\n\n```\n  x = 1\n```\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n<p>raw &amp; html</p>\n\n![picture](a.png)\n"
    )
    document = one(marked, "markdown", "a.md")
    assert document.title == "Told"
    assert document.text == (
        "Heading one\n\nA link and code\nwrapped.\n\n3. three\n\n4. four\n\n- inside\n\nquoted\n\n"
        "  x = 1\n\na | b\n1 | 2\n\nraw & html\n\npicture"
    )


def test_a_markdown_file_is_named_by_its_first_heading() -> None:
    assert one("text\n\n## 첫째 *제목*\n", "markdown", "a.md").title == "첫째 제목"


def test_markdown_that_is_nested_too_deeply_is_refused_by_its_line() -> None:
    assert one(">" * 20 + " deep", "markdown", "a.md").text == "deep"
    error = refusal(b"fine\n\n" + b">" * 5000 + b" deep", "markdown", "a.md")
    assert "line 3 is nested deeper" in str(error)


def test_html_becomes_paragraphs_without_what_nobody_reads() -> None:
    page = (
        "<!doctype html><html lang=ko><head><title>제목 &amp; more</title><style>p{}</style>"
        "<script>var a = '<p>no</p>'</script></head><body><nav><a>menu</a></nav>"
        "<h1>Head</h1><p>One\n  two <b>three</b><br>four&nbsp;five<p>Six<ul><li>a<li>b</ul>"
        "<ol><li>c<li>d</ol><table><tr><td>1<td>2</tr><tr><td>3<td>4</table>"
        "<pre>  x\n   y</pre><select><option>no</select>&#x1F600;"
    )
    document = one(page, "html", "a.html")
    assert (document.title, document.language) == ("제목 & more", "ko")
    assert document.text == (
        "Head\n\nOne two three\nfour five\n\nSix\n\n- a\n- b\n\n1. c\n2. d\n\n1 | 2\n3 | 4\n\n"
        "  x\n   y\n\n😀"
    )


def test_what_is_left_out_and_never_closed_is_not_lost() -> None:
    assert one("<p>a</p><nav>b<p>c", "html", "a.html").text == "a\n\nbc"


@pytest.mark.parametrize("charset", ["euc-kr", "EUC-KR", "ks_c_5601-1987", "cp949"])
def test_html_is_read_in_the_encoding_that_it_declares(charset: str) -> None:
    page = f'<html><meta charset="{charset}"><p>말길 똠방각하'.encode("cp949")
    assert one(page, "html", "a.html").text == "말길 똠방각하"


@pytest.mark.parametrize("charset", ["klingon", "base64", "rot-13"])
def test_an_encoding_that_is_none_is_named(charset: str) -> None:
    error = refusal(f"<meta charset={charset}><p>a".encode(), "html", "a.html")
    assert charset in str(error)


def test_depth_and_entities_of_html_cost_nothing() -> None:
    assert one("<div>" * 50_000 + "deep", "html", "a.html").text == "deep"
    bomb = "<!DOCTYPE a [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><p>&b;"
    assert "&b;" in one(bomb, "html", "a.html").text


def test_pages_of_a_pdf_become_paragraphs() -> None:
    long = "The road that words take goes on and on, and is bro-"
    data = pdf(
        [long, "ken where the line ends. It goes on.", "- item", "- another"],
        ["말길은 말이 다니는 길이다.", "", "끝"],
        title="Told",
    )
    document = one(data, "pdf", "a.pdf")
    assert document.title == "Told"
    assert document.text.startswith(
        "The road that words take goes on and on, and is broken where the line ends. It goes on."
    )
    assert "\n- item\n- another\n" in document.text
    assert "말길은 말이 다니는 길이다." in document.text


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_a_pdf_that_needs_a_password_is_refused_and_one_that_does_not_is_read(
    algorithm: str,
) -> None:
    asking = pdf(["a"], password="secret", algorithm=algorithm)
    assert "encrypted" in str(refusal(asking, "pdf", "a.pdf"))
    assert one(pdf(["open"], password="", algorithm=algorithm), "pdf", "a.pdf").text == "open"


def test_a_pdf_of_pictures_is_refused() -> None:
    error = str(refusal(pdf([], []), "pdf", "scan.pdf"))
    assert "none of its 2 pages has text" in error


@pytest.mark.parametrize("data", [b"", b"no pdf", b"%PDF-1.7\n", pdf(["text"])[:300]])
def test_a_damaged_pdf_is_refused(data: bytes) -> None:
    assert "PDF" in str(refusal(data, "pdf", "a.pdf"))


def test_articles_of_squad_are_documents() -> None:
    first = {
        "title": "One",
        "paragraphs": [{"context": "a.", "qas": []}, {"context": "b.", "qas": []}],
    }
    second = {"title": "Two", "context": "whole"}
    data = json.dumps({"version": "1.1", "data": [first, second]}).encode()
    found = list(extract(data, name="s.json", format="squad", language="en"))
    assert [(one.name, one.title, one.text, one.language) for one in found] == [
        ("s.json:1", "One", "a.\n\nb.", "en"),
        ("s.json:2", "Two", "whole", "en"),
    ]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({}, "data"),
        ([], "data"),
        ({"data": []}, "data"),
        ({"data": [3]}, "data[0].title"),
        ({"data": [{"title": "a"}]}, "data[0].paragraphs"),
        (
            {"data": [{"title": "a", "paragraphs": [{"context": 3}]}]},
            "data[0].paragraphs[0].context",
        ),
    ],
)
def test_a_field_of_squad_that_is_not_there_is_named(content: object, field: str) -> None:
    assert f"s.json: {field} " in str(refusal(json.dumps(content).encode(), "squad", "s.json"))


def test_lines_of_json_are_documents_and_wrong_ones_are_listed() -> None:
    data = b'{"text": "a", "title": "A", "language": "en", "url": 3}\n\n{"context": "b"}\n'
    found = list(extract(data, name="d.jsonl", format="jsonl", language="ko"))
    assert [(one.name, one.title, one.text, one.language) for one in found] == [
        ("d.jsonl:1", "A", "a", "en"),
        ("d.jsonl:3", "d.jsonl:3", "b", "ko"),
    ]
    error = refusal(data + b'[]\n{"text": 3}\n{"text": " "}\n{"text": "a", "title": 3}\n{', "jsonl")
    assert isinstance(error, DataError)
    assert [line for line, _ in error.lines] == [4, 5, 6, 7, 8]
    assert "text is no text" in error.lines[1][1]


def test_the_end_of_a_name_says_what_a_file_is() -> None:
    names = ("a.TXT", "b.md", "c.htm", "d.pdf", "e.json", "f.jsonl")
    assert tuple(format_of(name) for name in names) == FORMATS
    with pytest.raises(InputError, match=r"a\.docx"):
        format_of("a.docx")


def test_real_articles_are_read() -> None:
    path = Path(DATA, "qa_squad11_dev", "dev-v1.1.rebuilt.json")
    if not path.exists():
        pytest.skip(f"{path} is not here")
    found = list(extract(path.read_bytes(), name=path.name, format="squad"))
    assert len(found) == 48
    assert all(unicodedata.is_normalized("NFC", document.text) for document in found)
