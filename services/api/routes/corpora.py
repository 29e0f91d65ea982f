"""Upload text, look at it, delete it."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Query, Response
from sqlalchemy.orm import Session

from core.pipelines.importing import import_corpus
from core.storage import corpora
from core.storage.tables import Corpus, Split
from services.api.deps import NowDep, ResourcesDep
from services.api.once import FormOnceDep
from services.api.paging import cut
from services.api.schemas.corpora import CorpusBody, CorpusUpload, ExampleBody, ExamplePage
from services.api.schemas.fields import AfterId, Before, CorpusRef, Limit, Page
from services.api.schemas.problems import problems

router = APIRouter(prefix="/v1/corpora", tags=["corpora"])

Ref = Annotated[CorpusRef, Path()]


@router.post(
    "",
    status_code=201,
    summary="Upload a corpus",
    responses=problems(409, body=True),
)
def upload_corpus(
    form: Annotated[CorpusUpload, Form()],
    response: Response,
    resources: ResourcesDep,
    once: FormOnceDep,
    now: NowDep,
) -> CorpusBody:
    """Read one or more files into the next version of a corpus; all of it or nothing.

    422 lists the first lines that cannot be read, if there are more than may be left out.
    """

    def keep(session: Session, corpus: Corpus) -> None:
        once.keep(session, CorpusBody.model_validate(corpus), location=_place(corpus))

    corpus = import_corpus(
        [(upload.filename or "file", upload.file) for upload in form.file],
        request=form.request(),
        sessions=resources.sessions,
        now=now,
        finishing=keep,
    )
    response.headers["Location"] = _place(corpus)
    return CorpusBody.model_validate(corpus)


@router.get("", summary="List the corpora", responses=problems(404))
def list_corpora(
    resources: ResourcesDep, before: Before = None, limit: Limit = 50
) -> Page[CorpusBody]:
    """Corpora, newest first. 404 if the one that ``before`` names is gone."""
    with resources.sessions() as session:
        found = corpora.page(session, before=before, limit=limit + 1)
    page, following = cut(found, limit=limit)
    return Page[CorpusBody](data=[CorpusBody.model_validate(one) for one in page], next=following)


@router.get("/{ref}", summary="Show a corpus", responses=problems(404))
def show_corpus(ref: Ref, resources: ResourcesDep) -> CorpusBody:
    """One corpus."""
    with resources.sessions() as session:
        return CorpusBody.model_validate(corpora.find(session, ref))


@router.get("/{ref}/examples", summary="List the examples of a corpus", responses=problems(404))
def list_examples(
    ref: Ref,
    resources: ResourcesDep,
    split: Annotated[Split | None, Query(description="Only those of one split.")] = None,
    after: AfterId = 0,
    limit: Limit = 50,
) -> ExamplePage:
    """Examples in the order of the file."""
    with resources.sessions() as session:
        corpus = corpora.find(session, ref)
        found = corpora.examples(session, corpus.id, split=split, after=after, limit=limit + 1)
    data = [ExampleBody.model_validate(one) for one in found[:limit]]
    return ExamplePage(data=data, next=data[-1].id if len(found) > limit else None)


@router.delete("/{ref}", status_code=204, summary="Delete a corpus", responses=problems(404, 409))
def delete_corpus(ref: Ref, resources: ResourcesDep) -> None:
    """Delete one version with all its examples; 409 while jobs use it."""
    with resources.sessions.begin() as session:
        corpora.delete(session, corpora.find(session, ref).id)


def _place(corpus: Corpus) -> str:
    return f"{router.prefix}/{corpus.id}"
