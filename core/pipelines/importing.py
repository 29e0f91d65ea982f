"""From uploaded files to a corpus: everything is checked before anything is written."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO

from pydantic import Field, model_validator
from sqlalchemy.orm import Session, sessionmaker

from core.data.columns import GUESSED, Columns
from core.data.examples import Example, content_of, place, split_at, split_of
from core.data.readers import Format, Kind, Line, format_of, read
from core.errors import DataError, InputError
from core.specs import Name, Spec
from core.storage import corpora
from core.storage.tables import Corpus, CorpusKind, Split

CHUNK = 5000  # examples in one transaction, so that no writer waits long
SHOWN = 20  # bad lines that an error lists
GIVE_UP = 100  # bad lines over the limit after which the rest is not looked at
USUAL_LIMIT = 1000  # one bad line in so many is left out without being asked

Files = Sequence[tuple[str, BinaryIO]]  # name and content, which can be rewound
Row = tuple[Split, int, dict[str, Any]]


class ImportRequest(Spec):
    """What the files are and what they shall become."""

    name: Name
    kind: Kind
    format: Format | None = None  # None: as the end of each file's name says
    columns: Columns = GUESSED
    header: bool | None = None  # None: if the first row looks like one
    source_language: str | None = Field(default=None, min_length=1, max_length=16)
    target_language: str | None = Field(default=None, min_length=1, max_length=16)
    licence: str | None = None
    bad_line_limit: int | None = Field(default=None, ge=0)  # None: one line in a thousand
    valid_share: float = Field(default=0.05, ge=0, lt=1)
    test_share: float = Field(default=0.05, ge=0, lt=1)

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> "ImportRequest":
        if self.valid_share + self.test_share >= 1:
            raise ValueError("valid_share and test_share leave nothing to train on")
        return self


def import_corpus(
    files: Files,
    *,
    request: ImportRequest,
    sessions: sessionmaker[Session],
    now: datetime,
    finishing: Callable[[Session, Corpus], None] = lambda *_: None,
) -> Corpus:
    """Make the next version of a corpus out of ``files``, read one after the other.

    An example's split is what it says itself where ``request.columns.split`` is told. Else it
    depends on its source alone, so that examples with the same source are never parted, in this
    version or the next. If that leaves nothing to validate on, the source that comes nearest is
    taken for it. Running text keeps its order and is cut: validation and test are its end.

    Lines that cannot be read are left out up to ``request.bad_line_limit``. ``finishing`` is
    done in the transaction that lets the corpus be seen.

    Raises DataError listing the first bad lines where there are more, or where the columns
    cannot be found, and InputError where there are too few examples; nothing is written then.
    """
    bad, rows = checked_rows(files, request)
    sha256, size = _digest(files)
    with sessions.begin() as session:
        corpus = corpora.create(
            session,
            name=request.name,
            kind=CorpusKind(request.kind),
            source_language=request.source_language,
            target_language=request.target_language,
            licence=request.licence,
            sha256=sha256,
            bytes_=size,
            now=now,
        )
    while chunk := list(islice(rows, CHUNK)):
        with sessions.begin() as session:
            corpora.add_examples(session, corpus.id, chunk)
    with sessions.begin() as session:
        corpus = corpora.finish(session, corpus.id, bad_lines=bad)
        finishing(session, corpus)
        return corpus


def checked_rows(files: Files, request: ImportRequest) -> tuple[int, Iterator[Row]]:
    """Look at every line of ``files``; return how many are bad, and the rows of the others.

    Raises as ``import_corpus`` does, before the first row.
    """
    if not files:
        raise InputError("There is no file to import.", field="file")
    survey = _survey(files, request)
    if not survey.examples:
        raise InputError(f"{_source(files)}: there are no examples.", field="file")
    return survey.bad, _rows(files, request, _divider(survey, request))


@dataclass(slots=True)
class _Survey:
    """What a first reading found."""

    examples: int = 0
    bad: int = 0
    first_bad: list[tuple[int, str]] = field(default_factory=list)
    lowest: float = 1.0  # place of an example
    highest: float = 0.0
    characters: int = 0
    last: int = 0  # characters before the last example
    trained: bool = False  # an example says itself that it is to be learned from

    def add(self, line: Line, example: Example) -> None:
        """Take note of one example."""
        where = place(example)
        self.examples += 1
        self.lowest, self.highest = min(self.lowest, where), max(self.highest, where)
        self.last = self.characters
        self.characters += _size(example)
        self.trained = self.trained or line.split == "train"


def _survey(files: Files, request: ImportRequest) -> _Survey:
    survey = _Survey()
    for name, line in _lines(files, request):
        if line.example is not None:
            survey.add(line, line.example)
            continue
        survey.bad += 1
        if survey.bad <= SHOWN:
            prefix = f"{name}: " if len(files) > 1 else ""
            survey.first_bad.append((line.number, f"{prefix}{line.problem}"))
        if survey.bad >= _limit(survey, request) + GIVE_UP:
            break
    _refuse_bad(survey, _limit(survey, request), _source(files))
    return survey


def _source(files: Files) -> str:
    return files[0][0] if len(files) == 1 else f"{len(files)} files"


def _refuse_bad(survey: _Survey, limit: int, source: str) -> None:
    if survey.bad <= limit:
        return
    first = "the first " if survey.bad >= limit + GIVE_UP else ""
    raise DataError(
        f"{source}: {survey.bad} of {first}{survey.bad + survey.examples} lines cannot be read, "
        f"but only {limit} may be left out.",
        lines=survey.first_bad,
        field="file",
    )


def _limit(survey: _Survey, request: ImportRequest) -> int:
    if request.bad_line_limit is not None:
        return request.bad_line_limit
    return (survey.examples + survey.bad) // USUAL_LIMIT


def _divider(survey: _Survey, request: ImportRequest) -> Callable[[Line, Example], Split]:
    """Return what says the split of each example, in their order."""
    if request.columns.split is not None:
        if not survey.trained:
            raise InputError("No example says that it is for train.", field="split")
        return lambda line, _: Split(line.split or "train")
    if request.kind == "text":
        return _cut(survey, request)
    valid_share, test_share = _shares(survey, request)
    return lambda _, example: Split(
        split_of(example, valid_share=valid_share, test_share=test_share)
    )


def _cut(survey: _Survey, request: ImportRequest) -> Callable[[Line, Example], Split]:
    """Return what cuts running text near its end, by its characters."""
    valid_share, test_share = request.valid_share, request.test_share
    if survey.last == 0 and valid_share + test_share > 0:
        raise InputError(
            "The text is one piece, so that nothing can be held out. Break it into lines, "
            "or lower valid_share and test_share to nothing.",
            field="file",
        )
    before, held_out = 0, valid_share == 0

    def split(_: Line, example: Example) -> Split:
        nonlocal before, held_out
        where = before / survey.characters
        found = split_at(where, valid_share=valid_share, test_share=test_share)
        if not held_out and (found != "train" or before == survey.last):
            found, held_out = "valid", True  # one piece at least, however long the pieces are
        before += _size(example)
        return Split(found)

    return split


def _size(example: Example) -> int:
    return sum(map(len, example.texts))


def _shares(survey: _Survey, request: ImportRequest) -> tuple[float, float]:
    """Return the shares of validation and test that leave no split empty that is needed."""
    valid_share, test_share = request.valid_share, request.test_share
    if 0 < valid_share <= survey.lowest:
        test_share = max(0.0, valid_share + test_share - survey.lowest)
        valid_share = math.nextafter(survey.lowest, 1)
    if survey.highest < valid_share + test_share:
        raise InputError(
            f"{survey.examples} example(s) with too few different sources: none is left to train "
            "on. Add examples, or lower valid_share and test_share.",
            field="file",
        )
    return valid_share, test_share


def _rows(
    files: Files, request: ImportRequest, split_of_line: Callable[[Line, Example], Split]
) -> Iterator[Row]:
    for _, line in _lines(files, request):
        if line.example is not None:
            split = split_of_line(line, line.example)
            yield split, line.number, content_of(line.example)


def _lines(files: Files, request: ImportRequest) -> Iterator[tuple[str, Line]]:
    for name, file in files:
        file.seek(0)
        found = read(
            file,
            format=request.format or format_of(name, request.kind),
            kind=request.kind,
            columns=request.columns,
            header=request.header,
            languages=(request.source_language, request.target_language),
        )
        try:
            for line in found:
                yield name, line
        except DataError as error:
            raise DataError(f"{name}: {error}", lines=error.lines, field=error.field) from error


def _digest(files: Files) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for _, file in files:
        file.seek(0)
        while data := file.read(2**20):
            digest.update(data)
            size += len(data)
    return digest.hexdigest(), size
