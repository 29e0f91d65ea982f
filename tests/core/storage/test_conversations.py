from datetime import UTC
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from core.errors import NotFoundError
from core.storage import conversations
from core.storage.tables import Role, Turn
from tests.core.storage.rows import NOW, later


def say(session: Session, conversation_id: UUID, text: str, *, role: Role = Role.USER) -> Turn:
    return conversations.add_turn(
        session, conversation_id, role=role, text=text, score=None, now=NOW
    )


def test_a_conversation_remembers_its_turns_in_order(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        talk = conversations.start(session, model="bot", now=NOW)
        say(session, talk.id, "안녕")
        conversations.add_turn(
            session, talk.id, role=Role.ASSISTANT, text="반가워요", score=-0.25, now=later(1)
        )
        say(session, talk.id, "")
    with sessions() as session:
        assert conversations.get(session, talk.id).model == "bot"
        turns = conversations.turns(session, talk.id)
        assert [(turn.position, turn.role.value, turn.text, turn.score) for turn in turns] == [
            (0, "user", "안녕", None),
            (1, "assistant", "반가워요", -0.25),
            (2, "user", "", None),
        ]
        assert turns[1].created_at == later(1)
        assert turns[1].created_at.tzinfo is UTC


def test_two_conversations_do_not_mix(session: Session) -> None:
    one = conversations.start(session, model="bot", now=NOW)
    other = conversations.start(session, model="bot", now=NOW)
    say(session, one.id, "a")
    assert say(session, other.id, "b").position == 0
    assert [turn.text for turn in conversations.turns(session, one.id)] == ["a"]


def test_conversations_are_listed_newest_first(session: Session) -> None:
    ids = [conversations.start(session, model="bot", now=later(age)).id for age in range(3)]
    first = conversations.page(session, before=None, limit=2)
    rest = conversations.page(session, before=first[-1].id, limit=2)
    assert [talk.id for talk in first + rest] == ids[::-1]


def test_a_deleted_conversation_leaves_nothing(session: Session) -> None:
    talk = conversations.start(session, model="bot", now=NOW)
    say(session, talk.id, "bye")
    conversations.delete(session, talk.id)
    assert session.scalars(select(func.count()).select_from(Turn)).one() == 0


def test_what_does_not_exist_is_not_found(session: Session) -> None:
    for ask in (conversations.get, conversations.turns, conversations.delete):
        with pytest.raises(NotFoundError, match="no conversation"):
            ask(session, uuid4())
    with pytest.raises(NotFoundError):
        say(session, uuid4(), "hello?")
