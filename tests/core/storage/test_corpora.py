import tracemalloc
from collections.abc import Iterator
from datetime import UTC
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from core.errors import ConflictError, NotFoundError
from core.storage import corpora, jobs
from core.storage.tables import Corpus, CorpusKind, Example, JobKind, Split
from tests.core.storage.rows import NOW, begin_corpus, later, make_corpus, make_job

SPLITS = list(Split)


def lines(count: int, *, size: int = 10) -> Iterator[tuple[Split, int, dict[str, Any]]]:
    """Give ``count`` examples, their splits in turn."""
    for number in range(count):
        content = {"source": f"{number} " + "가" * size, "target": "나"}
        yield SPLITS[number % 3], number + 1, content


def test_a_corpus_comes_back_as_it_was_imported(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        corpus_id = begin_corpus(session).id
        corpora.add_examples(session, corpus_id, lines(7))
        corpora.finish(session, corpus_id, bad_lines=2)
    with sessions() as session:
        corpus = corpora.find(session, "greetings")
        assert corpus.id == corpus_id
        assert (corpus.kind, corpus.version) == (CorpusKind.PAIRS, 1)
        assert (corpus.train_count, corpus.valid_count, corpus.test_count) == (3, 2, 2)
        assert (corpus.bad_lines, corpus.bytes, corpus.licence) == (2, 12, "CC0-1.0")
        assert corpus.created_at == NOW
        assert corpus.created_at.tzinfo is UTC


def test_an_unfinished_corpus_is_not_seen(session: Session) -> None:
    corpus = begin_corpus(session)
    for ref in ("greetings", "greetings@1", str(corpus.id)):
        with pytest.raises(NotFoundError, match="no corpus"):
            corpora.find(session, ref)
    assert corpora.page(session, before=None, limit=9) == []


def test_versions_count_up_for_each_name(session: Session) -> None:
    versions = [make_corpus(session, name).version for name in ("a", "b", "a", "a")]
    assert versions == [1, 1, 2, 3]


def test_an_unfinished_import_takes_its_version(session: Session) -> None:
    begin_corpus(session)
    assert make_corpus(session).version == 2


def test_a_corpus_is_found_by_name_by_version_and_by_id(session: Session) -> None:
    first, second, third = make_corpus(session), make_corpus(session), begin_corpus(session)
    assert third.version == 3
    assert corpora.find(session, "greetings").id == second.id
    assert corpora.find(session, "greetings@1").id == first.id
    assert corpora.find(session, str(first.id)).id == first.id


@pytest.mark.parametrize(
    "ref", ["", "@", "@1", "other", "greetings@", "greetings@x", "greetings@2", "greetings@-1"]
)
def test_what_names_no_corpus_is_not_found(session: Session, ref: str) -> None:
    make_corpus(session)
    with pytest.raises(NotFoundError):
        corpora.find(session, ref)


@pytest.mark.parametrize(
    "ref", ["00000000-0000-0000-0000-000000000000", "greetings@²", "greetings@" + "9" * 30]
)
def test_odd_references_are_not_found_either(session: Session, ref: str) -> None:
    make_corpus(session)
    with pytest.raises(NotFoundError):
        corpora.find(session, ref)


def test_finishing_nothing_is_not_found(session: Session) -> None:
    with pytest.raises(NotFoundError):
        corpora.finish(session, uuid4(), bad_lines=0)


def test_corpora_are_listed_newest_first(session: Session) -> None:
    ids = [make_corpus(session, now=later(age)).id for age in range(5)]
    read = corpora.page(session, before=None, limit=2)
    while chunk := corpora.page(session, before=read[-1].id, limit=2):
        read.extend(chunk)
    assert [corpus.id for corpus in read] == ids[::-1]


@pytest.mark.parametrize("split", [None, *Split])
def test_examples_are_read_in_the_order_of_the_file(session: Session, split: Split | None) -> None:
    make_corpus(session, "before")
    corpus = begin_corpus(session)
    corpora.add_examples(session, corpus.id, lines(20))
    make_corpus(session, "after")
    read: list[Example] = []
    while chunk := corpora.examples(
        session, corpus.id, split=split, after=read[-1].id if read else 0, limit=3
    ):
        assert len(chunk) <= 3
        read.extend(chunk)
    expected = [line for kind, line, _ in lines(20) if split in (None, kind)]
    assert [example.line for example in read] == expected


def test_streaming_gives_one_split_in_order(session: Session) -> None:
    corpus = begin_corpus(session)
    count = 3 * corpora.CHUNK
    corpora.add_examples(session, corpus.id, lines(count))
    for split in Split:
        expected = [content for kind, _, content in lines(count) if kind == split]
        assert list(corpora.stream(session, corpus.id, split)) == expected
    assert list(corpora.stream(session, uuid4(), Split.TRAIN)) == []


def test_streaming_keeps_memory_flat(session: Session) -> None:
    def peak_of(chunks: int) -> int:
        corpus = begin_corpus(session)
        corpora.add_examples(session, corpus.id, lines(3 * chunks * corpora.CHUNK, size=300))
        tracemalloc.start()
        count = sum(1 for _ in corpora.stream(session, corpus.id, Split.TRAIN))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == chunks * corpora.CHUNK
        return peak

    assert peak_of(6) < 1.3 * peak_of(2)


def test_a_slow_reader_neither_blocks_nor_loses_its_place(
    sessions: sessionmaker[Session],
) -> None:
    with sessions.begin() as session:
        corpus_id = begin_corpus(session).id
        corpora.add_examples(session, corpus_id, lines(9 * corpora.CHUNK))
    with sessions() as reader, sessions() as writer:
        stream = corpora.stream(reader, corpus_id, Split.TRAIN)
        read = [next(stream)]
        make_job(writer)
        writer.commit()
        reader.commit()
        read.extend(stream)
    assert len(read) == 3 * corpora.CHUNK


def test_an_unused_corpus_is_deleted_with_its_examples(session: Session) -> None:
    kept, gone = make_corpus(session, "kept"), make_corpus(session, "gone")
    corpora.delete(session, gone.id)
    with pytest.raises(NotFoundError):
        corpora.find(session, "gone")
    left = session.scalars(select(Example.corpus_id)).all()
    assert left == [kept.id]
    with pytest.raises(NotFoundError):
        corpora.delete(session, gone.id)


def test_a_used_corpus_is_not_deleted_and_its_jobs_are_named(session: Session) -> None:
    job = make_job(session)
    with pytest.raises(ConflictError, match=str(job.id)):
        corpora.delete(session, job.corpus_id)
    for age in range(6):
        jobs.enqueue(
            session,
            kind=JobKind.TRAIN,
            corpus_id=job.corpus_id,
            spec={},
            priority=0,
            now=later(age),
        )
    with pytest.raises(ConflictError, match="and 2 more"):
        corpora.delete(session, job.corpus_id)
    assert corpora.find(session, "greetings").id == job.corpus_id


def test_only_old_unfinished_imports_are_forgotten(session: Session) -> None:
    old = begin_corpus(session, "old")
    corpora.add_examples(session, old.id, lines(3))
    young = begin_corpus(session, "young", now=later(60))
    ready = make_corpus(session, "ready")
    assert corpora.forget_unfinished(session, before=later(30)) == 1
    assert set(session.scalars(select(Corpus.id))) == {young.id, ready.id}
    assert session.scalars(select(func.count()).select_from(Example)).one() == 1


def test_an_import_that_was_forgotten_cannot_go_on(session: Session) -> None:
    corpus = begin_corpus(session)
    corpora.forget_unfinished(session, before=later(1))
    with pytest.raises(IntegrityError):
        corpora.add_examples(session, corpus.id, lines(1))
