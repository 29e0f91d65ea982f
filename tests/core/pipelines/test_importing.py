import hashlib
import io
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from core.data.columns import Columns
from core.data.examples import Text
from core.data.writing import write_jsonl
from core.errors import DataError, InputError, SpecError
from core.pipelines import importing
from core.pipelines.importing import ImportRequest, import_corpus
from core.specs import parse
from core.storage import corpora
from core.storage.tables import Corpus, Example, Split

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Sessions = sessionmaker[Session]


def table(count: int, bad: int = 0) -> bytes:
    rows = [f"question {n}\tanswer {n}\n" for n in range(count)] + ["no tab\n"] * bad
    return "".join(rows).encode()


def imported(sessions: Sessions, *files: tuple[str, bytes], **options: object) -> Corpus:
    request = parse(ImportRequest, {"name": "talk", "kind": "pairs", **options})
    opened = [(name, io.BytesIO(data)) for name, data in files]
    return import_corpus(opened, request=request, sessions=sessions, now=NOW)


def contents(sessions: Sessions, corpus: Corpus) -> dict[Split, list[dict[str, object]]]:
    with sessions() as session:
        return {split: [*corpora.stream(session, corpus.id, split)] for split in Split}


def rows(sessions: Sessions) -> int:
    with sessions() as session:
        return sum(
            session.scalars(select(func.count()).select_from(kind)).one()
            for kind in (Corpus, Example)
        )


def test_a_file_becomes_a_corpus(sessions: Sessions) -> None:
    data = table(200)
    corpus = imported(
        sessions, ("talk.tsv", data), source_language="en", target_language="ko", licence="MIT"
    )
    found = contents(sessions, corpus)

    assert (corpus.name, corpus.version, corpus.ready, corpus.bad_lines) == ("talk", 1, True, 0)
    assert (corpus.source_language, corpus.target_language, corpus.licence) == ("en", "ko", "MIT")
    assert (corpus.sha256, corpus.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert corpus.train_count + corpus.valid_count + corpus.test_count == 200
    assert [corpus.train_count, corpus.valid_count, corpus.test_count] == [
        len(found[split]) for split in (Split.TRAIN, Split.VALID, Split.TEST)
    ]
    assert {"source": "question 7", "target": "answer 7"} in [*chain(*found.values())]


def test_examples_remember_their_lines(sessions: Sessions) -> None:
    corpus = imported(sessions, ("talk.tsv", b"a\tb\n\nc\td\ne\tf\n"))

    with sessions() as session:
        lines = session.scalars(select(Example.line).where(Example.corpus_id == corpus.id)).all()
    assert sorted(lines) == [1, 3, 4]


def test_several_files_make_one_corpus(sessions: Sessions) -> None:
    files = [
        ("a.csv", b"Q,A\nhi,hello\nhow,so\n"),
        ("b.jsonl", b'{"question":"why","answer":"so"}'),
    ]
    corpus = imported(sessions, *files)

    sources = {str(one["source"]) for split in contents(sessions, corpus).values() for one in split}
    assert sources == {"hi", "how", "why"}
    assert corpus.sha256 == hashlib.sha256(b"".join(data for _, data in files)).hexdigest()


def test_dialogues_are_imported(sessions: Sessions) -> None:
    data = "".join(f'{{"turns": ["hello {n}", "hi", "bye"]}}\n' for n in range(30)).encode()
    corpus = imported(sessions, ("talk.jsonl", data), kind="dialogues")

    assert contents(sessions, corpus)[Split.TRAIN][0]["turns"] == ["hello 0", "hi", "bye"]


def test_the_next_import_is_the_next_version_and_splits_alike(sessions: Sessions) -> None:
    first = imported(sessions, ("talk.tsv", table(100)))
    second = imported(sessions, ("talk.tsv", table(120)))
    before, after = contents(sessions, first), contents(sessions, second)

    assert second.version == 2
    for split in Split:
        assert all(one in after[split] for one in before[split])


def test_more_than_one_chunk_is_imported_whole(sessions: Sessions) -> None:
    corpus = imported(sessions, ("talk.tsv", table(importing.CHUNK + 1)))

    assert corpus.train_count + corpus.valid_count + corpus.test_count == importing.CHUNK + 1


def test_bad_lines_over_the_limit_are_listed_and_nothing_is_written(sessions: Sessions) -> None:
    with pytest.raises(DataError, match=r"^talk\.tsv: 2 of 12 lines cannot be read") as caught:
        imported(sessions, ("talk.tsv", table(10, bad=2)), bad_line_limit=1)

    assert caught.value.lines == tuple((n, "1 column(s) instead of 2") for n in (11, 12))
    assert rows(sessions) == 0


def test_bad_lines_within_the_limit_are_left_out_and_counted(sessions: Sessions) -> None:
    corpus = imported(sessions, ("talk.tsv", table(10, bad=2)), bad_line_limit=2)

    assert corpus.bad_lines == 2
    assert corpus.train_count + corpus.valid_count + corpus.test_count == 10


def test_one_line_in_a_thousand_may_be_bad_unless_told_otherwise(sessions: Sessions) -> None:
    assert imported(sessions, ("talk.tsv", table(1999, bad=2))).bad_lines == 2
    with pytest.raises(DataError, match="only 0"):
        imported(sessions, ("talk.tsv", table(998, bad=1)))
    with pytest.raises(DataError, match="only 0"):
        imported(sessions, ("talk.tsv", table(1999, bad=2)), bad_line_limit=0)


def test_a_hopeless_file_is_not_read_to_its_end(sessions: Sessions) -> None:
    data = table(10) + table(0, bad=500) + table(500)

    with pytest.raises(DataError, match="100 of the first 110 lines") as caught:
        imported(sessions, ("talk.tsv", data))

    assert len(caught.value.lines) == importing.SHOWN


def test_of_several_files_the_one_with_bad_lines_is_named(sessions: Sessions) -> None:
    with pytest.raises(DataError) as caught:
        imported(sessions, ("a.tsv", table(5)), ("b.tsv", table(5, bad=1)))
    assert str(caught.value).startswith("2 files: 1 of 11 lines ")
    assert caught.value.lines == ((6, "b.tsv: 1 column(s) instead of 2"),)

    with pytest.raises(DataError, match=r"^c\.csv: .*us, them"):
        imported(sessions, ("a.tsv", table(5)), ("c.csv", b"us,them\na,b\n"))


@pytest.mark.parametrize("data", [b"", b"\n\n", b"Q\tA\n"])
def test_a_file_without_examples_is_refused(sessions: Sessions, data: bytes) -> None:
    with pytest.raises(InputError, match="no examples"):
        imported(sessions, ("talk.tsv", data))


def test_no_file_at_all_is_refused(sessions: Sessions) -> None:
    with pytest.raises(InputError, match="no file"):
        imported(sessions)


def test_a_single_source_cannot_be_trained_and_validated_on(sessions: Sessions) -> None:
    with pytest.raises(InputError, match="too few different sources"):
        imported(sessions, ("talk.tsv", b"hi\thello\nhi\thowdy\n"))

    assert rows(sessions) == 0


@pytest.mark.parametrize("count", [2, 3, 5, 9])
def test_a_tiny_corpus_still_has_something_to_validate_on(sessions: Sessions, count: int) -> None:
    corpus = imported(sessions, ("talk.tsv", table(count)), test_share=0)

    assert corpus.valid_count >= 1
    assert corpus.train_count >= 1


def test_no_validation_is_fine_if_asked_for(sessions: Sessions) -> None:
    corpus = imported(sessions, ("talk.tsv", table(5)), valid_share=0, test_share=0)

    assert (corpus.train_count, corpus.valid_count) == (5, 0)


@given(
    sources=st.lists(st.sampled_from(["one", "Two", "two", " two", "세 번", "세  번"]), min_size=2),
    valid_share=st.floats(0, 0.4),
    test_share=st.floats(0, 0.4),
)
def test_one_source_never_straddles_splits_and_nothing_is_lost(
    sources: list[str], valid_share: float, test_share: float
) -> None:
    request = ImportRequest(
        name="talk", kind="pairs", valid_share=valid_share, test_share=test_share
    )
    data = "".join(f"{source}\ttarget\n" for source in sources).encode()
    files = [("talk.tsv", io.BytesIO(data))]
    try:
        _, found = importing.checked_rows(files, request)
    except InputError:
        return
    found = [*found]

    splits = defaultdict(set)
    for split, _, content in found:
        splits["".join(str(content["source"]).lower().split())].add(split)
    assert len(found) == len(sources)
    assert all(len(one) == 1 for one in splits.values())
    assert Split.TRAIN in set().union(*splits.values())
    if valid_share > 0:
        assert Split.VALID in set().union(*splits.values())


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"name": "Not A Name"}, "name"),
        ({"kind": "poems"}, "kind"),
        ({"format": "xlsx"}, "format"),
        ({"columns": {"sauce": "Q"}}, "columns.sauce"),
        ({"columns": {"source": 0}}, "columns.source"),
        ({"bad_line_limit": -1}, "bad_line_limit"),
        ({"valid_share": 0.5, "test_share": 0.5}, ""),
    ],
)
def test_a_request_that_makes_no_sense_names_its_field(
    options: dict[str, object], field: str
) -> None:
    with pytest.raises(SpecError) as caught:
        parse(ImportRequest, {"name": "talk", "kind": "pairs", **options})

    assert str(caught.value.field).startswith(field)


def test_columns_of_a_request_may_come_as_json() -> None:
    request = parse(
        ImportRequest, {"name": "talk", "kind": "pairs", "columns": {"source": "Q", "target": 2}}
    )

    assert request.columns == Columns(source="Q", target=2)


def test_importing_loads_neither_torch_nor_sentencepiece() -> None:
    script = (
        "import sys, core.pipelines.importing;"
        "sys.exit(bool({'torch', 'sentencepiece', 'numpy'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def paragraphs(count: int) -> bytes:
    return "".join(f"paragraph {n:03}\n\n" for n in range(count)).encode()


def test_running_text_keeps_its_order_and_is_cut_near_its_end(sessions: Sessions) -> None:
    corpus = imported(sessions, ("book.txt", paragraphs(100)), kind="text", test_share=0.1)
    found = contents(sessions, corpus)

    told = [one["text"] for split in Split for one in found[split]]
    assert told == [f"paragraph {n:03}" for n in range(100)]
    assert [len(found[split]) for split in Split] == [85, 5, 10]


@given(
    lengths=st.lists(st.integers(1, 40), min_size=2, max_size=12),
    valid_share=st.floats(0.01, 0.4),
    test_share=st.floats(0, 0.4),
)
def test_however_long_the_pieces_are_one_is_held_out_and_one_is_learned(
    lengths: list[int], valid_share: float, test_share: float
) -> None:
    request = ImportRequest(
        name="book", kind="text", valid_share=valid_share, test_share=test_share
    )
    data = "\n".join("x" * length for length in lengths).encode()

    _, found = importing.checked_rows([("book.txt", io.BytesIO(data))], request)
    splits = [split for split, _, _ in found]

    assert splits == sorted(splits, key=[*Split].index)
    assert {Split.TRAIN, Split.VALID} <= {*splits}


def test_a_text_of_one_piece_cannot_be_divided(sessions: Sessions) -> None:
    with pytest.raises(InputError, match="one piece"):
        imported(sessions, ("book.txt", b"all in one line"), kind="text")

    whole = imported(
        sessions, ("book.txt", b"all in one line"), kind="text", valid_share=0, test_share=0
    )
    assert whole.train_count == 1


def test_examples_go_where_they_say_if_the_column_is_told(sessions: Sessions) -> None:
    said = ["train", "dev", "test", "train", "Validation", "valid"]
    data = "question,answer,part\n" + "".join(f"q{n},a{n},{one}\n" for n, one in enumerate(said))
    corpus = imported(sessions, ("talk.csv", data.encode()), columns={"split": "part"})
    found = contents(sessions, corpus)

    sources = {split: [one["source"] for one in found[split]] for split in Split}
    assert sources == {
        Split.TRAIN: ["q0", "q3"],
        Split.VALID: ["q1", "q4", "q5"],
        Split.TEST: ["q2"],
    }


def test_what_is_written_for_an_import_is_divided_as_it_was(sessions: Sessions) -> None:
    splits = {
        "train": [Text("one"), Text("둘")],
        "valid": [Text("three\u2028three")],
        "test": [Text('"four"')],
    }
    file = io.BytesIO()

    count = write_jsonl(splits, file)
    corpus = imported(
        sessions, ("b.jsonl", file.getvalue()), kind="text", columns={"split": "split"}
    )

    found = contents(sessions, corpus)
    assert count == 4
    for name, texts in splits.items():
        assert [one["text"] for one in found[Split(name)]] == [one.text for one in texts]


def test_a_split_that_is_none_is_a_bad_line(sessions: Sessions) -> None:
    data = b"question,answer,part\nq,a,train\nq,a,somewhere\n"

    with pytest.raises(DataError, match="1 of 2") as caught:
        imported(sessions, ("talk.csv", data), columns={"split": "part"})

    assert caught.value.lines == ((3, "the split is 'somewhere', not train, valid or test"),)


def test_a_file_in_which_nothing_is_for_training_is_refused(sessions: Sessions) -> None:
    with pytest.raises(InputError, match="for train"):
        imported(
            sessions, ("talk.csv", b"question,answer,part\nq,a,dev\n"), columns={"split": "part"}
        )
