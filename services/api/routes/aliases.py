"""Names that people call."""

from typing import Annotated

from fastapi import APIRouter, Path
from sqlalchemy.orm import Session

from core.storage import aliases
from core.storage.tables import Alias
from services.api.deps import KeptDep, NowDep, ResourcesDep
from services.api.once import OnceDep
from services.api.schemas.fields import NewName
from services.api.schemas.kept import KeptRequest
from services.api.schemas.models import (
    AliasBody,
    AliasChangeBody,
    AliasDetail,
    AliasList,
    AliasRequest,
)
from services.api.schemas.problems import problems

router = APIRouter(prefix="/v1/aliases", tags=["aliases"])

AliasName = Annotated[NewName, Path(description="What people call.")]


@router.get("", summary="List the aliases", responses=problems())
def list_aliases(resources: ResourcesDep) -> AliasList:
    """Every alias and where it points."""
    with resources.sessions() as session:
        return AliasList(data=[AliasBody.model_validate(one) for one in aliases.page(session)])


@router.get("/{name}", summary="Show an alias", responses=problems(404))
def show_alias(name: AliasName, resources: ResourcesDep) -> AliasDetail:
    """One alias and its history, newest first."""
    with resources.sessions() as session:
        return _detail(session, aliases.get(session, name))


@router.put(
    "/{name}", summary="Point an alias to a checkpoint", responses=problems(404, 409, body=True)
)
def promote_alias(
    name: AliasName, body: AliasRequest, resources: ResourcesDep, once: OnceDep, now: NowDep
) -> AliasDetail:
    """Make the alias, or point it elsewhere. 404 unknown checkpoint."""
    with resources.sessions.begin() as session:
        detail = _detail(session, aliases.promote(session, name, body.checkpoint, now=now))
        once.keep(session, detail, status=200)
    return detail


@router.post("/{name}/rollback", summary="Roll an alias back", responses=problems(404, 409))
def roll_back_alias(
    name: AliasName, resources: ResourcesDep, once: OnceDep, now: NowDep
) -> AliasDetail:
    """Point it to where it pointed before; again, and it goes back further. 409 at the start."""
    with resources.sessions.begin() as session:
        detail = _detail(session, aliases.rollback(session, name, now=now))
        once.keep(session, detail, status=200)
    return detail


@router.put(
    "/{name}/kept", summary="Let kept pairs answer", responses=problems(404, 409, body=True)
)
def give_kept(
    name: AliasName, body: KeptRequest, resources: ResourcesDep, kept: KeptDep, once: OnceDep
) -> AliasDetail:
    """Give the answer of an accepted or edited pair where its question is nearly the same.

    Else the model answers. Other API processes follow within two seconds.
    """
    with resources.sessions.begin() as session:
        told = body.model_dump(mode="json")
        detail = _detail(session, aliases.answer_from_kept(session, name, told))
        once.keep(session, detail, status=200)
    kept.refresh()
    return detail


@router.delete("/{name}/kept", summary="Let the model answer all", responses=problems(404))
def give_nothing_kept(name: AliasName, resources: ResourcesDep, kept: KeptDep) -> AliasDetail:
    """Give no answers of pairs any more."""
    with resources.sessions.begin() as session:
        detail = _detail(session, aliases.answer_from_kept(session, name, None))
    kept.refresh()
    return detail


@router.delete("/{name}", status_code=204, summary="Remove an alias", responses=problems(404))
def remove_alias(name: AliasName, resources: ResourcesDep) -> None:
    """Forget the name and its history; the checkpoints stay."""
    with resources.sessions.begin() as session:
        aliases.remove(session, name)


def _detail(session: Session, alias: Alias) -> AliasDetail:
    changes = aliases.history(session, alias.name)
    return AliasDetail(
        **AliasBody.model_validate(alias).model_dump(),
        history=[AliasChangeBody.model_validate(change) for change in changes],
    )
