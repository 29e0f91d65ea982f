import csv
import io
import json
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.columns import Columns
from core.data.examples import Dialogue, Example, Pair, Text
from core.data.readers import Line, format_of, read
from core.errors import DataError, InputError
from core.text.clean import normalise


def found(data: str | bytes, format_: str, kind: str = "pairs", **options: object) -> list[Line]:
    file = io.BytesIO(data.encode() if isinstance(data, str) else data)
    return [*read(file, format=format_, kind=kind, **options)]


def examples(
    data: str | bytes, format_: str, kind: str = "pairs", **options: object
) -> list[Example]:
    read_lines = found(data, format_, kind, **options)
    assert [line.problem for line in read_lines if line.problem] == []
    return [line.example for line in read_lines]


def problems(
    data: str | bytes, format_: str, kind: str = "pairs", **options: object
) -> list[tuple[int, str]]:
    return [
        (line.number, line.problem)
        for line in found(data, format_, kind, **options)
        if line.problem
    ]


HELLO = Pair("hello", "안녕")


@pytest.mark.parametrize(
    "header",
    ["source,target", "Q,A", "Question, Answer", "SRC,TGT", "input,output", "en,ko", "질문,답변"],
)
def test_well_known_headers_need_no_mapping(header: str) -> None:
    assert examples(f"{header}\nhello,안녕\n", "csv") == [HELLO]


def test_known_columns_are_found_wherever_they_stand() -> None:
    assert examples("topic,A,Q\nx,안녕,hello\n", "csv") == [HELLO]


def test_languages_decide_the_direction() -> None:
    data = "ko\ten\n안녕\thello\n"

    assert examples(data, "tsv") == [Pair("안녕", "hello")]
    assert examples(data, "tsv", languages=("en", "ko")) == [HELLO]


def test_plain_tsv_has_no_header_and_uses_its_first_columns() -> None:
    assert examples("hello\t안녕\tCC-BY\n", "tsv") == [HELLO]


def test_quotes_mean_nothing_in_tsv() -> None:
    assert examples('"hi\t"안녕" 하세요\n', "tsv") == [Pair('"hi', '"안녕" 하세요')]


@pytest.mark.parametrize(
    "columns",
    [
        Columns(source="them", target="US"),
        Columns(source=3, target=1),
        Columns(source="3", target="1"),
    ],
)
def test_columns_can_be_named_or_numbered(columns: Columns) -> None:
    for format_, comma in (("csv", ","), ("tsv", "\t")):
        data = "us,topic,them\n안녕,x,hello\n".replace(",", comma)

        assert examples(data, format_, columns=columns, header=True) == [HELLO]


def test_numbered_columns_of_a_file_without_header() -> None:
    columns = Columns(source=2, target=1)

    assert examples("안녕,hello\n", "csv", columns=columns) == [HELLO]
    assert examples("hello,안녕\n", "csv", header=False) == [HELLO]


@pytest.mark.parametrize(
    ("data", "columns", "says"),
    [
        ("us,them\n안녕,hello\n", Columns(), "--source and --target.*from 1.*: us, them"),
        ("us\n안녕\n", Columns(), "two columns.*: us"),
        ("us,them\n안녕,hello\n", Columns(source="they", target="us"), "'they'.*us, them"),
        ("us,them\n안녕,hello\n", Columns(source=1, target=3), "3"),
        ("us,them\n안녕,hello\n", Columns(source=1, target=1), "same column"),
        ("Q,A\n안녕,hello\n", Columns(source="A"), "same column"),
    ],
)
def test_a_mapping_that_does_not_fit_names_the_columns(
    data: str, columns: Columns, says: str
) -> None:
    with pytest.raises(DataError, match=says) as caught:
        found(data, "csv", columns=columns)

    assert caught.value.field == "columns"


def test_a_header_that_cannot_be_read_is_fatal_and_numbered() -> None:
    with pytest.raises(DataError, match="header, line 1") as caught:
        found("질문,답변\n".encode("cp949"), "csv")

    assert caught.value.lines[0][0] == 1


def test_a_file_with_one_column_says_so() -> None:
    with pytest.raises(DataError, match="1 column"):
        found("just text\n", "tsv")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_byte_order_marks_and_line_ends_do_not_matter(mark: bytes, end: bytes, last: bool) -> None:
    lines = [b"Q,A", "hello,안녕".encode()]
    data = mark + end.join(lines) + (end if last else b"")

    assert examples(data, "csv") == [HELLO]
    assert examples(data.replace(b",", b"\t"), "tsv") == [HELLO]
    json_line = mark + json.dumps({"q": "hello", "a": "안녕"}).encode() + (end if last else b"")
    assert examples(json_line, "jsonl") == [HELLO]


def test_a_utf_16_file_is_named_as_such() -> None:
    with pytest.raises(DataError, match="UTF-16"):
        found("Q,A\n".encode("utf-16"), "csv")


def test_texts_are_composed_and_stripped() -> None:
    assert examples(" \u1112\u1161\u11ab  a \t\u3000b \n", "tsv") == [Pair("한  a", "b")]


def test_quoted_fields_may_have_several_lines_and_count_from_the_first() -> None:
    data = 'Q,A\n"one\ntwo ""2""\n\nthree","a, b"\nhello,안녕\n'

    assert found(data, "csv") == [
        Line(2, Pair('one\ntwo "2"\n\nthree', "a, b")),
        Line(6, HELLO),
    ]


def test_an_open_quote_spoils_its_own_line_only() -> None:
    data = 'Q,A\n"never closed,x\nhello,안녕\n"a ""b""","c"\n'

    assert found(data, "csv") == [
        Line(2, problem="opens a quote that is not closed"),
        Line(3, HELLO),
        Line(4, Pair('a "b"', "c")),
    ]


def test_an_open_quote_before_a_later_quote_does_not_swallow_lines() -> None:
    data = 'Q,A\n"never closed,x\nhello,안녕\n"a","b"\n"c","d"\n'
    lines = found(data, "csv")

    assert [line.number for line in lines if line.problem] == [2]
    assert [line.number for line in lines if line.example] == [3, 4, 5]


def test_what_cannot_be_read_is_numbered_and_explained() -> None:
    data = b"Q\tA\n" + b"\n".join(
        [b"a\tb", b"\xb0\xa1\tb", b"a", b"a\tb\tc", b" \tb", b"a\t", b"a\0\tb", b"", b"c\td"]
    )

    assert problems(data, "tsv") == [
        (3, "not UTF-8: byte 0xB0 at 1"),
        (4, "1 column(s) instead of 2"),
        (5, "3 column(s) instead of 2"),
        (6, "the source is empty"),
        (7, "the target is empty"),
        (8, "has a NUL character"),
    ]
    assert [line.number for line in found(data, "tsv") if line.example] == [2, 10]


def test_json_lines_that_cannot_be_read_are_numbered_and_explained() -> None:
    data = "\n".join(
        [
            '{"Q": "a", "A": "b", "id": 1}',
            '{"A": "b", "Q": "a"}',
            '{"Q": "a"',
            '{"Q": "a"}',
            '{"Q": 1, "A": "b"}',
            '["a", "b"]',
            '"a"',
            '{"Q": "a", "A": " "}',
            '{"Q": "a\\u0000", "A": "b"}',
            "[" * 100_000,
        ]
    )
    lines = found(data, "jsonl")

    assert [line.example for line in lines[:2]] == [Pair("a", "b")] * 2
    assert [line.problem.split(":")[0] for line in lines[2:]] == [
        "not JSON",
        "has no A",
        "the source is not a text",
        "has no Q",
        "neither an object nor an array",
        "the target is empty",
        "the source has a NUL character",
        "not JSON",
    ]


def test_json_pairs_may_be_arrays() -> None:
    assert examples('["x", "hello", "안녕"]\n', "jsonl", columns=Columns(source=2, target=3)) == [
        HELLO
    ]
    assert examples('["hello", "안녕"]\n', "jsonl") == [HELLO]


def test_json_names_that_do_not_fit_are_listed() -> None:
    with pytest.raises(DataError, match="us, them"):
        found('{"us": "a", "them": "b"}', "jsonl")
    with pytest.raises(DataError, match=r"--turns.*us, them"):
        found('{"us": "a", "them": "b"}', "jsonl", "dialogues")


@pytest.mark.parametrize(
    "line",
    [
        '{"turns": ["a", "b"]}',
        '{"id": 7, "Turns": [["1", "a"], ["2", "b"]]}',
        '[["1", "a"], ["2", "b"]]',
        '["a", "b"]',
        '{"messages": [{"role": "system", "content": "be kind"},'
        ' {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}',
        '{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}',
    ],
)
def test_dialogues_come_in_many_shapes(line: str) -> None:
    assert examples(line, "jsonl", "dialogues") == [Dialogue(("a", "b"))]


def test_the_name_of_the_turns_can_be_told() -> None:
    data = '{"talk": ["a", "b"]}'

    assert examples(data, "jsonl", "dialogues", columns=Columns(turns="talk")) == [
        Dialogue(("a", "b"))
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"turns": ["a"]}', "a dialogue needs two turns"),
        ('{"turns": ["a", ""]}', "turn 2 is empty"),
        ('{"turns": ["a", ["1", "b", "c"]]}', "turn 2 is not a text"),
        ('{"turns": ["a", {"role": "user"}]}', "turn 2 is not a text"),
        ('{"turns": "a"}', "the turns are not an array"),
    ],
)
def test_a_broken_dialogue_is_explained(line: str, problem: str) -> None:
    assert problems(f'{{"turns": ["a", "b"]}}\n{line}', "jsonl", "dialogues") == [(2, problem)]


def test_dialogues_in_a_table_are_refused() -> None:
    with pytest.raises(InputError, match="jsonl"):
        found("a,b", "csv", "dialogues")


def test_an_overlong_line_is_bad_and_never_in_memory() -> None:
    class Endless(io.RawIOBase):
        """64 MiB in one line, then a good one."""

        def __init__(self) -> None:
            self.parts: Iterator[bytes] = iter([b"a\tb\n", *[b"x" * 2**20] * 64, b"\nhello\tyou"])
            self.rest = b""

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:
            self.rest = self.rest or next(self.parts, b"")
            size = min(len(buffer), len(self.rest))
            buffer[:size], self.rest = self.rest[:size], self.rest[size:]
            return size

    tracemalloc.start()
    try:
        lines = [*read(io.BufferedReader(Endless()), format="tsv", kind="pairs")]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert lines == [
        Line(1, Pair("a", "b")),
        Line(2, problem="longer than 1048576 bytes"),
        Line(3, Pair("hello", "you")),
    ]
    assert peak < 16 * 2**20


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("a.csv", "csv"),
        ("B.TSV", "tsv"),
        ("kor.txt", "tsv"),
        ("c.jsonl", "jsonl"),
        ("d.v2.ndjson", "jsonl"),
    ],
)
def test_the_format_follows_from_the_name(name: str, format_: str) -> None:
    assert format_of(name) == format_


def test_an_unknown_name_asks_for_the_format() -> None:
    with pytest.raises(InputError, match=r"a\.xlsx"):
        format_of("a.xlsx")


texts = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])).filter(
    lambda text: text.strip()
)


@given(pairs=st.lists(st.tuples(texts, texts)))
def test_what_csv_and_json_writers_write_is_read(pairs: list[tuple[str, str]]) -> None:
    expected = [Pair(normalise(one).strip(), normalise(two).strip()) for one, two in pairs]
    table = io.StringIO()
    csv.writer(table).writerows([("source", "target"), *pairs])
    objects = "\n".join(json.dumps({"source": one, "target": two}) for one, two in pairs)

    assert examples(table.getvalue(), "csv") == expected
    assert examples(objects, "jsonl") == expected


@given(
    data=st.one_of(st.binary(), st.text('a,"\t\n\r[]{}:').map(str.encode)),
    format_=st.sampled_from(["csv", "tsv", "jsonl", "text"]),
    kind=st.sampled_from(["pairs", "dialogues", "text"]),
    header=st.sampled_from([None, True, False]),
)
def test_no_bytes_break_a_reader(data: bytes, format_: str, kind: str, header: bool | None) -> None:
    try:
        lines = found(data, format_, kind, header=header)
    except InputError:
        return
    numbers = [line.number for line in lines]
    assert numbers == sorted(set(numbers))
    assert all((line.example is None) != (line.problem is None) for line in lines)


@pytest.mark.parametrize(
    ("data", "format_"),
    [
        ("one\n\n  two two \r\n", "text"),
        ('{"text": "one", "id": 1}\n\n{"id": 2, "text": " two two"}', "jsonl"),
        ('{"content": "one"}\n{"content": "two two"}', "jsonl"),
    ],
)
def test_running_text_is_read_piece_by_piece(data: str, format_: str) -> None:
    assert examples(data, format_, "text") == [Text("one"), Text("two two")]


def test_the_column_of_running_text_can_be_told() -> None:
    data = '{"body": "one", "text": "no"}'

    assert examples(data, "jsonl", "text", columns=Columns(source="body")) == [Text("one")]
    with pytest.raises(DataError, match=r"--source.*us, them"):
        found('{"us": "a", "them": "b"}', "jsonl", "text")


def test_running_text_that_cannot_be_read_is_numbered_and_explained() -> None:
    assert problems(b"fine\n\xb0\xa1\na\0b\n", "text", "text") == [
        (2, "not UTF-8: byte 0xB0 at 1"),
        (3, "has a NUL character"),
    ]
    assert problems('{"text": "a"}\n{"text": 1}\n[]', "jsonl", "text") == [
        (2, "the text is not a text"),
        (3, "has no text"),
    ]


@pytest.mark.parametrize(
    ("format_", "kind"),
    [("csv", "text"), ("tsv", "text"), ("text", "pairs"), ("text", "dialogues")],
)
def test_a_format_that_cannot_hold_the_kind_is_refused(format_: str, kind: str) -> None:
    with pytest.raises(InputError, match="read from") as caught:
        found("a,b", format_, kind)

    assert caught.value.field == "format"


def test_columns_of_a_txt_file_are_refused() -> None:
    with pytest.raises(InputError, match="no columns") as error:
        found("a line", "text", "text", columns=Columns(split="part"))
    assert error.value.field == "split"


def test_a_txt_file_is_running_text_where_that_is_asked_for() -> None:
    assert format_of("book.TXT", "text") == "text"
    assert format_of("book.jsonl", "text") == "jsonl"
    with pytest.raises(InputError, match=r"book\.csv"):
        format_of("book.csv", "text")


MAIL = Pair("Opening hours\nWhen do you open?", "At nine.")


@pytest.mark.parametrize(
    "header", ["subject,body,reply", "Subject,Message,Reply", "제목,본문,답장"]
)
def test_a_mail_is_read_with_its_subject_before_it(header: str) -> None:
    assert examples(f"{header}\nOpening hours,When do you open?,At nine.\n", "csv") == [MAIL]


def test_the_subject_can_be_told_or_left_out() -> None:
    data = "re,reply,q\nOpening hours,At nine.,When do you open?\n,At nine.,When do you open?\n"
    told = Columns(source="q", target="reply", subject="re")

    assert examples(data, "csv", columns=told) == [MAIL, Pair("When do you open?", "At nine.")]
    plain = Columns(source="body", target="reply")
    mail = "subject,body,reply\nx,When?,At nine.\n"
    assert examples(mail, "csv", columns=plain) == [Pair("When?", "At nine.")]


def test_a_mail_may_be_an_object() -> None:
    line = {"subject": "Opening hours", "body": "When do you open?", "reply": "At nine."}

    assert examples(json.dumps(line), "jsonl") == [MAIL]


@pytest.mark.parametrize(
    ("data", "format_", "kind"),
    [
        ("Q,A,part\na,b,dev\n", "csv", "pairs"),
        ('{"Q": "a", "A": "b", "part": "valid"}', "jsonl", "pairs"),
        ('{"turns": ["a", "b"], "part": "validation"}', "jsonl", "dialogues"),
        ('{"text": "a", "part": "Valid"}', "jsonl", "text"),
    ],
)
def test_a_line_says_its_split_where_that_is_asked_for(data: str, format_: str, kind: str) -> None:
    told, plain = Columns(split="part"), Columns()

    assert [line.split for line in found(data, format_, kind, columns=told)] == ["valid"]
    assert [line.split for line in found(data, format_, kind, columns=plain)] == [None]
    with pytest.raises(DataError, match="'no'"):
        found(data, format_, kind, columns=Columns(split="no"))
