"""Talks that are remembered, turn by turn."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import NotFoundError
from core.storage.paging import newest_first
from core.storage.session import locked
from core.storage.tables import Conversation, Role, Turn


def start(session: Session, *, model: str, now: datetime) -> Conversation:
    """Begin a conversation with ``model``, an alias or a checkpoint id."""
    conversation = Conversation(model=model, created_at=now)
    session.add(conversation)
    session.flush()
    return conversation


def get(session: Session, conversation_id: UUID) -> Conversation:
    """Return the conversation without its turns. Raises NotFoundError."""
    query = select(Conversation).where(Conversation.id == conversation_id)
    conversation = session.scalars(query).one_or_none()
    if conversation is None:
        raise NotFoundError("conversation", conversation_id)
    return conversation


def page(session: Session, *, before: UUID | None, limit: int) -> list[Conversation]:
    """List conversations, newest first; ``before`` is the last id of the page before."""
    return newest_first(session, Conversation, before=before, limit=limit)


def turns(session: Session, conversation_id: UUID) -> list[Turn]:
    """Return what was said, oldest first. Raises NotFoundError."""
    get(session, conversation_id)
    query = select(Turn).where(Turn.conversation_id == conversation_id).order_by(Turn.position)
    return list(session.scalars(query))


def add_turn(
    session: Session,
    conversation_id: UUID,
    *,
    role: Role,
    text: str,
    score: float | None,
    now: datetime,
) -> Turn:
    """Add what was said, at the next position; the first is 0. Raises NotFoundError."""
    query = select(Conversation.id).where(Conversation.id == conversation_id)
    if session.scalars(locked(query)).one_or_none() is None:  # two at once get two positions
        raise NotFoundError("conversation", conversation_id)
    last = session.scalars(
        select(func.max(Turn.position)).where(Turn.conversation_id == conversation_id)
    ).one()
    turn = Turn(
        conversation_id=conversation_id,
        position=0 if last is None else last + 1,
        role=role,
        text=text,
        score=score,
        created_at=now,
    )
    session.add(turn)
    session.flush()
    return turn


def delete(session: Session, conversation_id: UUID) -> None:
    """Delete the conversation with its turns. Raises NotFoundError."""
    query = sql_delete(Conversation).where(Conversation.id == conversation_id)
    if session.scalars(query.returning(Conversation.id)).one_or_none() is None:
        raise NotFoundError("conversation", conversation_id)
