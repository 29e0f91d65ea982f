"""Names for checkpoints, and the history of what each name has meant."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from core.errors import ConflictError, NotFoundError
from core.storage import checkpoints
from core.storage.session import locked
from core.storage.tables import Alias, AliasAction, AliasChange


def promote(session: Session, name: str, checkpoint_id: UUID, *, now: datetime) -> Alias:
    """Let ``name`` mean the checkpoint; a new name is made, and the same again changes nothing.

    Raises NotFoundError for the checkpoint, and ConflictError when someone else makes the same
    name at the same moment.
    """
    checkpoints.get(session, checkpoint_id)
    alias = _locked(session, name)
    if alias is None:
        alias = Alias(name=name, checkpoint_id=checkpoint_id, updated_at=now)
        session.add(alias)
        try:
            session.flush()
        except IntegrityError as error:
            raise ConflictError(f"Someone else has just made the alias {name!r}.") from error
    elif alias.checkpoint_id == checkpoint_id:
        return get(session, name)
    return _point(session, alias, checkpoint_id, AliasAction.PROMOTE, now=now)


def rollback(session: Session, name: str, *, now: datetime) -> Alias:
    """Let ``name`` mean what it meant before the newest promotion not yet taken back.

    Raises NotFoundError, and ConflictError when it never meant anything else.
    """
    alias = _locked(session, name)
    if alias is None:
        raise NotFoundError("alias", name)
    stack: list[UUID] = []
    for change in reversed(history(session, name)):
        if change.action == AliasAction.PROMOTE:
            stack.append(change.checkpoint_id)
        else:
            stack.pop()
    if len(stack) < 2:
        raise ConflictError(f"The alias {name!r} pointed to nothing before.")
    return _point(session, alias, stack[-2], AliasAction.ROLLBACK, now=now)


def answer_from_kept(session: Session, name: str, kept: Mapping[str, Any] | None) -> Alias:
    """Let ``name`` answer from pairs that people kept, as a KeptSpec says, or from none.

    Promotion and rollback leave that as it is. Raises NotFoundError.
    """
    alias = _locked(session, name)
    if alias is None:
        raise NotFoundError("alias", name)
    alias.kept = None if kept is None else dict(kept)
    session.flush()
    return get(session, name)


def that_answer_from_kept(session: Session) -> dict[str, dict[str, Any]]:
    """Return what was told ``answer_from_kept``, by name."""
    query = select(Alias.name, Alias.kept).where(Alias.kept.is_not(None))
    return {name: kept for name, kept in session.execute(query) if kept is not None}


def page(session: Session) -> list[Alias]:
    """List all aliases by name, their checkpoints loaded."""
    query = select(Alias).options(joinedload(Alias.checkpoint)).order_by(Alias.name)
    return list(session.scalars(query))


def get(session: Session, name: str) -> Alias:
    """Return the alias, its checkpoint loaded. Raises NotFoundError."""
    query = select(Alias).options(joinedload(Alias.checkpoint)).where(Alias.name == name)
    alias = session.scalars(query).one_or_none()
    if alias is None:
        raise NotFoundError("alias", name)
    return alias


def history(session: Session, name: str) -> list[AliasChange]:
    """Return what happened to the alias, newest first."""
    query = select(AliasChange).where(AliasChange.name == name).order_by(AliasChange.id.desc())
    return list(session.scalars(query))


def remove(session: Session, name: str) -> None:
    """Delete the name with its history; the checkpoints stay. Raises NotFoundError."""
    query = delete(Alias).where(Alias.name == name).returning(Alias.name)
    if session.scalars(query).one_or_none() is None:
        raise NotFoundError("alias", name)


def _locked(session: Session, name: str) -> Alias | None:
    return session.scalars(locked(select(Alias).where(Alias.name == name))).one_or_none()


def _point(
    session: Session, alias: Alias, checkpoint_id: UUID, action: AliasAction, *, now: datetime
) -> Alias:
    alias.checkpoint_id, alias.updated_at = checkpoint_id, now
    session.add(
        AliasChange(name=alias.name, action=action, checkpoint_id=checkpoint_id, created_at=now)
    )
    session.flush()
    return get(session, alias.name)
