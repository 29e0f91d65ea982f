"""Corpora and their examples. A corpus is seen only once it is ready, and never changes then."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.errors import ConflictError, InputError, NotFoundError
from core.storage.paging import newest_first
from core.storage.session import locked
from core.storage.tables import Corpus, CorpusKind, Example, Job, Split

CHUNK = 1000  # examples written or read in one go
RACES = 5  # imports of one name at the same moment that are sorted out before giving up
NAMED = 5  # jobs that an error message lists


def create(  # noqa: PLR0913 (an argument for each column)
    session: Session,
    *,
    name: str,
    kind: CorpusKind,
    source_language: str | None,
    target_language: str | None,
    licence: str | None,
    sha256: str,
    bytes_: int,
    now: datetime,
) -> Corpus:
    """Begin the next version of the corpus ``name``; it stays unseen until ``finish``.

    Raises ConflictError when many begin one at the same moment.
    """
    for _ in range(RACES):
        corpus = Corpus(
            name=name,
            kind=kind,
            source_language=source_language,
            target_language=target_language,
            licence=licence,
            sha256=sha256,
            bytes=bytes_,
            created_at=now,
        )
        try:
            with session.begin_nested():
                newest = session.scalars(
                    select(func.max(Corpus.version)).where(Corpus.name == name)
                ).one()
                corpus.version = (newest or 0) + 1
                session.add(corpus)
        except IntegrityError:  # someone else took that version in between
            continue
        return corpus
    raise ConflictError(f"Too many imports of {name!r} at the same moment.")


def add_examples(
    session: Session, corpus_id: UUID, rows: Iterable[tuple[Split, int, dict[str, Any]]]
) -> None:
    """Add examples, each as (split, line in the file, content)."""
    rest = iter(rows)
    while chunk := list(islice(rest, CHUNK)):
        session.execute(
            insert(Example),
            [
                {"corpus_id": corpus_id, "split": split, "line": line, "content": content}
                for split, line, content in chunk
            ],
        )


def finish(session: Session, corpus_id: UUID, *, bad_lines: int) -> Corpus:
    """Count the examples and let the corpus be seen. Raises NotFoundError."""
    count = select(Example.split, func.count()).where(Example.corpus_id == corpus_id)
    counts = dict(session.execute(count.group_by(Example.split)).all())
    corpus = session.scalars(
        update(Corpus)
        .where(Corpus.id == corpus_id)
        .values(
            train_count=counts.get(Split.TRAIN, 0),
            valid_count=counts.get(Split.VALID, 0),
            test_count=counts.get(Split.TEST, 0),
            bad_lines=bad_lines,
            ready=True,
        )
        .returning(Corpus)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if corpus is None:
        raise NotFoundError("corpus", corpus_id)
    return corpus


def find(session: Session, ref: str) -> Corpus:
    """Return a corpus by id, ``name`` (its newest version) or ``name@version``.

    Raises NotFoundError, also for one that is not ready.
    """
    name, _, version = ref.partition("@")
    query = select(Corpus).where(Corpus.ready.is_(True), Corpus.name == name)
    if version.isascii() and version.isdigit() and len(version) < 10:
        query = query.where(Corpus.version == int(version))
    elif "@" in ref:
        raise NotFoundError("corpus", ref)
    newest = query.order_by(Corpus.version.desc()).limit(1)
    corpus = session.scalars(newest).one_or_none() or _by_id(session, ref)
    if corpus is None:
        raise NotFoundError("corpus", ref)
    return corpus


def whole(session: Session, corpus_id: UUID) -> Corpus:
    """Return a corpus to learn from, all of which is there.

    Raises NotFoundError, and InputError when examples have vanished.
    """
    corpus = _by_id(session, str(corpus_id))
    if corpus is None:
        raise NotFoundError("corpus", corpus_id)
    count = select(Example.split, func.count()).where(Example.corpus_id == corpus_id)
    left = dict(session.execute(count.group_by(Example.split)).all())
    told = {"train": corpus.train_count, "valid": corpus.valid_count, "test": corpus.test_count}
    for split, imported in told.items():
        found = left.get(Split(split), 0)
        if found < imported:
            raise InputError(
                f"The corpus {corpus.name}@{corpus.version} ({corpus_id}) has lost examples: "
                f"{found} of {imported} for {split} are left."
            )
    return corpus


def page(session: Session, *, before: UUID | None, limit: int) -> list[Corpus]:
    """List what is ready, newest first; ``before`` is the last id of the page before."""
    return newest_first(session, Corpus, Corpus.ready.is_(True), before=before, limit=limit)


def examples(
    session: Session, corpus_id: UUID, *, split: Split | None, after: int = 0, limit: int
) -> list[Example]:
    """Return examples in the order of the file, from the one after id ``after`` on."""
    found: list[Example] = []
    for wanted in Split if split is None else [split]:  # split by split, as the index has them
        query = select(Example).where(Example.corpus_id == corpus_id, Example.split == wanted)
        query = query.where(Example.id > after).order_by(Example.id).limit(limit)
        found.extend(session.scalars(query))
    return sorted(found, key=lambda example: example.id)[:limit]


def chunk(
    session: Session, corpus_id: UUID, split: Split, *, after: int = 0
) -> list[tuple[int, dict[str, Any]]]:
    """Return (id, content) of the next examples of a split, from the one after ``after`` on."""
    query = (
        select(Example.id, Example.content)
        .where(Example.corpus_id == corpus_id, Example.split == split, Example.id > after)
        .order_by(Example.id)
        .limit(CHUNK)
    )
    return [(id_, content) for id_, content in session.execute(query)]


def stream(session: Session, corpus_id: UUID, split: Split) -> Iterator[dict[str, Any]]:
    """Yield the contents of one split in the order of the file, few in memory at a time.

    Each chunk is a query of its own, so a slow reader holds up nobody and may commit in between.
    """
    after = 0
    while found := chunk(session, corpus_id, split, after=after):
        for _, content in found:
            yield content
        after = found[-1][0]


def delete(session: Session, corpus_id: UUID) -> None:
    """Delete the corpus with its examples.

    Raises NotFoundError, and ConflictError naming the jobs that use it.
    """
    # The lock makes a job that is being queued for it wait, and then find no corpus.
    query = locked(select(Corpus.id).where(Corpus.id == corpus_id), exclusive=True)
    if session.scalars(query).one_or_none() is None:
        raise NotFoundError("corpus", corpus_id)
    users = session.scalars(
        select(Job.id).where(Job.corpus_id == corpus_id).order_by(Job.created_at.desc(), Job.id)
    ).all()
    if users:
        named = ", ".join(str(user) for user in users[:NAMED])
        more = f" and {len(users) - NAMED} more" if len(users) > NAMED else ""
        raise ConflictError(f"The corpus is used by the jobs {named}{more}.")
    session.execute(sql_delete(Corpus).where(Corpus.id == corpus_id))


def forget_unfinished(session: Session, *, before: datetime) -> int:
    """Delete imports that were begun before that moment and never finished; returns how many."""
    query = sql_delete(Corpus).where(Corpus.ready.is_(False), Corpus.created_at < before)
    return len(session.scalars(query.returning(Corpus.id)).all())


def _by_id(session: Session, ref: str) -> Corpus | None:
    try:
        corpus_id = UUID(ref)
    except ValueError:
        return None
    return session.scalars(
        select(Corpus).where(Corpus.ready.is_(True), Corpus.id == corpus_id)
    ).one_or_none()
