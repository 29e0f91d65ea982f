import json
from io import BytesIO
from uuid import UUID

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.data.examples import Passage, example_of
from core.errors import DataError, InputError
from core.pipelines.importing import ImportRequest
from core.pipelines.pairs import bring_in, export, to_corpus
from core.storage import corpora, documents, pairs, reviews
from core.storage.pairs import NewPair, PairFilter
from core.storage.tables import ReviewState, Split
from tests.core.storage.documents import TEXT, add_document
from tests.core.storage.rows import NOW

LONG = "\n\n".join(
    f"Paragraph {number} says {number * 7} things. " + "말길 " * 60 for number in range(9)
)


@pytest.fixture
def document_id(sessions: sessionmaker[Session]) -> UUID:
    with sessions.begin() as session:
        return add_document(session, LONG, "Long").id


def brought(sessions: sessionmaker[Session], *lines: dict[str, object]) -> tuple[int, int]:
    data = "\n".join(json.dumps(line) for line in lines).encode()
    told = bring_in(BytesIO(data), name="p.jsonl", sessions=sessions, now=NOW)
    return told.read, told.new


def test_pairs_are_brought_in_by_place_or_by_words(
    sessions: sessionmaker[Session], document_id: UUID
) -> None:
    start = LONG.index("14 things")
    lines = (
        {"document_id": str(document_id), "question": "How many?", "answer": "14 things"},
        {
            "document_id": str(document_id),
            "question": "Who?",
            "answer_start": start,
            "answer_end": start + 2,
            "scores": {"sure": 1},
            "more": "left aside",
        },
    )
    assert brought(sessions, *lines) == (2, 2)
    assert brought(sessions, *lines) == (2, 0)
    with sessions() as session:
        found = pairs.page(session, limit=9)
        assert {(pair.question, pair.answer, pair.job_id) for pair in found} == {
            ("How many?", "14 things", None),
            ("Who?", "14", None),
        }


def test_lines_that_are_no_pairs_are_listed_and_nothing_is_kept(
    sessions: sessionmaker[Session], document_id: UUID
) -> None:
    of_it = {"document_id": str(document_id), "question": "?"}
    lines = (
        {**of_it, "answer": "14 things"},
        {**of_it},
        {**of_it, "answer": "nowhere"},
        {**of_it, "answer": "Paragraph"},
        {**of_it, "answer_start": 3},
        {**of_it, "answer_start": 3, "answer_end": 5, "answer": "xx"},
        {**of_it, "answer_start": 3, "answer_end": 5, "question": ""},
        {**of_it, "document_id": str(UUID(int=3)), "answer": "14 things"},
        {"question": "?"},
    )
    with pytest.raises(DataError) as caught:
        brought(sessions, *lines)
    assert sorted(line for line, _ in caught.value.lines) == list(range(2, 10))
    with pytest.raises(DataError):
        bring_in(BytesIO(b"\xff\n{"), name="p.jsonl", sessions=sessions, now=NOW)
    with pytest.raises(InputError, match="no pairs"):
        brought(sessions)
    with sessions() as session:
        assert pairs.page(session, limit=9) == []


def test_a_pair_goes_out_with_the_passage_around_it(
    sessions: sessionmaker[Session], document_id: UUID
) -> None:
    across = (LONG.index("Paragraph 1") - 3, LONG.index("Paragraph 1") + 9)
    inside = (LONG.index("35 things"), LONG.index("35 things") + 2)
    with sessions.begin() as session:
        other = add_document(session, TEXT, "Seoul")
        places = [(document_id, *across), (document_id, *inside), (other.id, 0, 3)]
        new = [
            NewPair(document_id=one, question="?", answer_start=start, answer_end=end)
            for one, start, end in places
        ]
        pairs.put(session, new, now=NOW)
        reviews.edit(session, pairs.identify(new[2]), question="왜?", by="kim", now=NOW)
    found = {(pair.title, pair.answer_start): pair for pair in export(sessions)}
    assert len(found) == 3
    for pair in found.values():
        start = pair.answer_start - pair.context_start
        assert pair.context[start : start + len(pair.answer)] == pair.answer
    assert found["Seoul", 0].question == "왜?"
    assert found["Seoul", 0].context == TEXT
    small = found["Long", inside[0]].context
    assert small.startswith("Paragraph")
    assert len(small) <= 1000
    assert small in LONG
    chosen = PairFilter(reviews=[ReviewState.EDITED])
    assert [pair.title for pair in export(sessions, chosen)] == ["Seoul"]


def test_pairs_become_a_corpus(sessions: sessionmaker[Session], document_id: UUID) -> None:
    with sessions.begin() as session:
        new = [
            NewPair(
                document_id=document_id,
                question=f"Question {number}?",
                answer_start=number,
                answer_end=number + 9,
            )
            for number in range(40)
        ]
        pairs.put(session, new, now=NOW)
        wanted = PairFilter(reviews=reviews.KEPT)
        ids = [pairs.identify(one) for one in new[:30]]
        accepted = ReviewState.ACCEPTED
        reviews.review_many(session, PairFilter(ids=ids), accepted, by=None, now=NOW)
        reviews.edit(session, ids[0], question="Edited?", by=None, now=NOW)
    request = ImportRequest(name="qa", kind="pairs", format="jsonl")
    corpus = to_corpus(sessions, wanted, request=request, now=NOW)
    assert (corpus.version, corpus.kind) == (1, "pairs")
    assert corpus.train_count + corpus.valid_count + corpus.test_count == 30
    with sessions() as session:
        contents = [
            content for split in Split for content in corpora.stream(session, corpus.id, split)
        ]
        text = documents.texts(session, [document_id])[document_id]
    assert {"source": "Edited?", "target": text[:9].strip()} in contents
    assert to_corpus(sessions, wanted, request=request, now=NOW).version == 2
    nothing = PairFilter(reviews=[ReviewState.REJECTED])
    with pytest.raises(InputError):
        to_corpus(sessions, nothing, request=request, now=NOW)


def test_pairs_become_passages_that_are_asked_about(
    sessions: sessionmaker[Session], document_id: UUID
) -> None:
    begin = LONG.index("Paragraph 5")
    spans = [(begin, begin + 9), (begin + 10, begin + 11), (LONG.index("7 things"), None)]
    with sessions.begin() as session:
        new = [
            NewPair(
                document_id=document_id,
                question="What?" if number < 2 else "How many?",
                answer_start=start,
                answer_end=end or start + 1,
            )
            for number, (start, end) in enumerate(spans)
        ]
        pairs.put(session, new, now=NOW)
    request = ImportRequest(name="asked", kind="passages", format="jsonl", test_share=0)
    corpus = to_corpus(sessions, PairFilter(), request=request, now=NOW)
    assert (corpus.kind, corpus.train_count + corpus.valid_count) == ("passages", 2)
    with sessions() as session:
        found = [
            example_of(content)
            for split in Split
            for content in corpora.stream(session, corpus.id, split)
        ]
    told = {}
    for passage in found:
        assert isinstance(passage, Passage)
        assert passage.title == ""  # of a single document nothing could be held out
        assert passage.context in LONG
        for one in passage.questions:
            told[one.question] = [passage.context[span.start : span.end] for span in one.answers]
    assert told == {"What?": ["Paragraph", "5"], "How many?": ["7"]}
    with sessions.begin() as session:
        other = add_document(session, TEXT, "Seoul")
        more = NewPair(document_id=other.id, question="?", answer_start=0, answer_end=3)
        pairs.put(session, [more], now=NOW)
    corpus = to_corpus(sessions, PairFilter(), request=request, now=NOW)
    with sessions() as session:
        titles = [
            content["title"]
            for split in Split
            for content in corpora.stream(session, corpus.id, split)
        ]
    assert sorted(titles) == ["Long", "Long", "Seoul"]
