"""Texts that questions are asked about."""

from collections.abc import Sequence
from io import BytesIO
from itertools import islice
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Response
from sqlalchemy.orm import Session

from core.data.passages import passages
from core.pipelines.documents import Collected, collect
from core.storage import documents
from services.api.deps import NowDep, ResourcesDep
from services.api.once import FormOnceDep, OnceDep
from services.api.paging import cut
from services.api.schemas.documents import (
    DocumentBody,
    DocumentDetail,
    DocumentRequest,
    DocumentsBody,
    DocumentUpload,
    PassageBody,
    PassagePage,
    PassageQuery,
)
from services.api.schemas.fields import Before, Limit, Page
from services.api.schemas.problems import problems

router = APIRouter(prefix="/v1/documents", tags=["documents"])


@router.post("", status_code=201, summary="Upload documents", responses=problems(409, body=True))
def upload_documents(
    form: Annotated[DocumentUpload, Form()],
    resources: ResourcesDep,
    once: FormOnceDep,
    now: NowDep,
) -> DocumentsBody:
    """Keep the text of one or more files; all of them or none.

    A text that is there already is returned as it is. 422 names the file and the page, line or
    field that cannot be read.
    """

    def keep(session: Session, kept: Sequence[Collected]) -> None:
        once.keep(session, _body(kept))

    kept = collect(
        [(upload.filename or "file", upload.file) for upload in form.file],
        format=form.format,
        title=form.title,
        language=form.language,
        sessions=resources.sessions,
        now=now,
        finishing=keep,
    )
    return _body(kept)


@router.post("/text", status_code=201, summary="Add a text", responses=problems(409, body=True))
def add_text(
    body: DocumentRequest,
    response: Response,
    resources: ResourcesDep,
    once: OnceDep,
    now: NowDep,
) -> DocumentBody:
    """Keep a text as a document; one that is there already is returned as it is."""

    def keep(session: Session, kept: Sequence[Collected]) -> None:
        document = DocumentBody.model_validate(kept[0].document)
        once.keep(session, document, location=_place(document.id))

    (kept,) = collect(
        [(body.title or "text", BytesIO(body.text.encode("utf-8-sig")))],  # whatever HTML declares
        format=body.format,
        title=body.title,
        language=body.language,
        sessions=resources.sessions,
        now=now,
        finishing=keep,
    )
    response.headers["Location"] = _place(kept.document.id)
    return DocumentBody.model_validate(kept.document)


@router.get("", summary="List the documents", responses=problems(404))
def list_documents(
    resources: ResourcesDep, before: Before = None, limit: Limit = 50
) -> Page[DocumentBody]:
    """Documents without their texts, newest first. 404 if the one that ``before`` names is gone."""
    with resources.sessions() as session:
        found = documents.page(session, before=before, limit=limit + 1)
    page, following = cut(found, limit=limit)
    data = [DocumentBody.model_validate(one) for one in page]
    return Page[DocumentBody](data=data, next=following)


@router.get("/{document_id}", summary="Show a document", responses=problems(404))
def show_document(document_id: UUID, resources: ResourcesDep) -> DocumentDetail:
    """One document with its text."""
    with resources.sessions() as session:
        return DocumentDetail.model_validate(documents.get(session, document_id, with_text=True))


@router.get(
    "/{document_id}/passages", summary="List the passages of a document", responses=problems(404)
)
def list_passages(
    document_id: UUID, query: Annotated[PassageQuery, Query()], resources: ResourcesDep
) -> PassagePage:
    """Passages in their order, cut as asked: each a slice of the text."""
    with resources.sessions() as session:
        text = documents.texts(session, [document_id])[document_id]
    first, last = query.after, query.after + query.limit
    found = list(islice(passages(text, query.spec()), first, last + 1))
    data = [
        PassageBody(start=span.start, end=span.end, text=span.of(text))
        for span in found[: query.limit]
    ]
    return PassagePage(data=data, next=last if len(found) > query.limit else None)


@router.delete(
    "/{document_id}", status_code=204, summary="Delete a document", responses=problems(404, 409)
)
def delete_document(
    document_id: UUID,
    resources: ResourcesDep,
    with_pairs: Annotated[bool, Query(description="Delete its pairs as well.")] = False,  # noqa: FBT002 (a query has names)
) -> None:
    """Delete a document; 409 while it has pairs, unless they are to go with it."""
    with resources.sessions.begin() as session:
        documents.delete(session, document_id, with_pairs=with_pairs)


def _body(kept: Sequence[Collected]) -> DocumentsBody:
    new = sum(one.new for one in kept)
    data = [DocumentBody.model_validate(one.document) for one in kept]
    return DocumentsBody(data=data, new=new, known=len(kept) - new)


def _place(document_id: UUID) -> str:
    return f"{router.prefix}/{document_id}"
