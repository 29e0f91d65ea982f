"""Questions and answers: review them, take them out or in."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from core.data.exports import ExportFormat, written
from core.pipelines.pairs import BroughtIn, bring_in, export, to_corpus
from core.storage import pairs, reviews
from core.storage.tables import Corpus, ReviewState
from services.api.deps import KeptDep, NowDep, ResourcesDep
from services.api.once import FormOnceDep, OnceDep
from services.api.schemas.corpora import CorpusBody
from services.api.schemas.kept import NearestBody, NearestQuery, kept_body
from services.api.schemas.pairs import (
    BulkBody,
    BulkRequest,
    PairBody,
    PairCorpusRequest,
    PairCountsBody,
    PairExportQuery,
    PairListQuery,
    PairPage,
    PairQuery,
    PairsAddedBody,
    PairUpload,
    ReviewRequest,
    pair_body,
)
from services.api.schemas.problems import problems

router = APIRouter(prefix="/v1/pairs", tags=["pairs"])

PIECE = 2**16  # characters sent in one go
FILES: dict[ExportFormat, tuple[str, str]] = {
    "squad": ("application/json", "json"),
    "squad-v2": ("application/json", "json"),
    "csv": ("text/csv; charset=utf-8", "csv"),
    "jsonl": ("application/x-ndjson", "jsonl"),
    "anki": ("text/plain; charset=utf-8", "txt"),
}


@router.get("", summary="List pairs", responses=problems(404))
def list_pairs(query: Annotated[PairListQuery, Query()], resources: ResourcesDep) -> PairPage:
    """Pairs document by document. 404 if the one that ``after`` names is gone."""
    with resources.sessions() as session:
        found = pairs.page(session, query.filter(), after=query.after, limit=query.limit + 1)
    data = [pair_body(pair) for pair in found[: query.limit]]
    return PairPage(data=data, next=data[-1].id if len(found) > query.limit else None)


@router.post("", status_code=201, summary="Bring in pairs", responses=problems(409, body=True))
def upload_pairs(
    form: Annotated[PairUpload, Form()], resources: ResourcesDep, once: FormOnceDep, now: NowDep
) -> PairsAddedBody:
    """Keep pairs that a team has written; all of them or none. 422 lists the lines at fault."""

    def keep(session: Session, brought: BroughtIn) -> None:
        once.keep(session, PairsAddedBody.model_validate(brought))

    brought = bring_in(
        form.file.file,
        name=form.file.filename or "file",
        sessions=resources.sessions,
        now=now,
        finishing=keep,
    )
    return PairsAddedBody.model_validate(brought)


@router.get("/counts", summary="Count pairs by review", responses=problems())
def count_pairs(query: Annotated[PairQuery, Query()], resources: ResourcesDep) -> PairCountsBody:
    """How many pairs are in each state of review."""
    with resources.sessions() as session:
        found = pairs.counts(session, query.filter())
    return PairCountsBody.model_validate({state.value: count for state, count in found.items()})


@router.get(
    "/export",
    summary="Export pairs",
    response_class=Response,
    responses={
        **problems(),
        200: {"content": {kind.partition(";")[0]: {} for kind, _ in FILES.values()}},
    },
)
def export_pairs(
    query: Annotated[PairExportQuery, Query()], resources: ResourcesDep
) -> StreamingResponse:
    """Pairs as a file: as they were edited, and only what was kept if nothing else is told."""
    pieces = _joined(written(export(resources.sessions, query.filter()), query.format))
    first = next(pieces, "")  # what fails at once fails before the answer begins
    kind, suffix = FILES[query.format]
    headers = {"Content-Disposition": f'attachment; filename="pairs.{suffix}"'}
    return StreamingResponse(chain([first], pieces), headers=headers, media_type=kind)


@router.post(
    "/corpus",
    status_code=201,
    summary="Make pairs a corpus",
    responses=problems(409, body=True),
)
def make_corpus(
    body: PairCorpusRequest,
    response: Response,
    resources: ResourcesDep,
    once: OnceDep,
    now: NowDep,
) -> CorpusBody:
    """Make questions and answers the next version of a corpus.

    Of the kind `pairs`, from which a model learns to answer; or of `passages`, to ask.
    """

    def keep(session: Session, corpus: Corpus) -> None:
        once.keep(session, CorpusBody.model_validate(corpus), location=_place(corpus))

    corpus = to_corpus(
        resources.sessions, body.where.filter(), request=body.request(), now=now, finishing=keep
    )
    response.headers["Location"] = _place(corpus)
    return CorpusBody.model_validate(corpus)


@router.post("/bulk", summary="Review many pairs", responses=problems(409, body=True))
def review_pairs(
    body: BulkRequest, resources: ResourcesDep, once: OnceDep, now: NowDep
) -> BulkBody:
    """Accept, reject or make new again all that are meant. Edited ones are accepted as edited."""
    with resources.sessions.begin() as session:
        count = reviews.review_many(
            session, body.filter(), ReviewState(body.review), by=body.reviewer, now=now
        )
        done = BulkBody(reviewed=count)
        once.keep(session, done, status=200)
    return done


@router.get("/nearest", summary="Find kept answers", responses=problems())
def find_nearest(query: Annotated[NearestQuery, Query()], kept: KeptDep) -> NearestBody:
    """Accepted and edited pairs whose questions are nearly the same, the most alike first."""
    found = kept.like(query.question, query)
    return NearestBody(data=[kept_body(one) for one in found[: query.limit]])


@router.get("/{pair_id}", summary="Show a pair", responses=problems(404))
def show_pair(pair_id: UUID, resources: ResourcesDep) -> PairBody:
    """One pair, and what was made of it."""
    with resources.sessions() as session:
        return pair_body(pairs.get(session, pair_id))


@router.patch("/{pair_id}", summary="Review a pair", responses=problems(404, body=True))
def review_pair(
    pair_id: UUID, body: ReviewRequest, resources: ResourcesDep, now: NowDep
) -> PairBody:
    """Accept, reject or edit a pair, or make it new again, which forgets what was edited.

    An edited answer is told by its place in the document; 422 where that is none.
    """
    with resources.sessions.begin() as session:
        if body.review is None or body.edits:
            reviewed = reviews.edit(
                session,
                pair_id,
                question=body.question,
                answer_start=body.answer_start,
                answer_end=body.answer_end,
                by=body.reviewer,
                now=now,
            )
        else:
            reviewed = reviews.review(session, pair_id, body.review, by=body.reviewer, now=now)
        return pair_body(reviewed)


def _joined(pieces: Iterable[str]) -> Iterator[str]:
    """Yield few large pieces in place of many small ones."""
    held: list[str] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield "".join(held)
            held, size = [], 0
    if held:
        yield "".join(held)


def _place(corpus: Corpus) -> str:
    return f"/v1/corpora/{corpus.id}"
