from datetime import UTC
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from core.errors import ConflictError, NotFoundError
from core.storage import aliases
from core.storage.tables import AliasChange, Checkpoint
from tests.core.storage.rows import NOW, later, make_checkpoint


def pointed(session: Session, name: str = "bot") -> UUID:
    return aliases.get(session, name).checkpoint_id


def test_a_promoted_name_points_to_its_checkpoint(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        checkpoint = make_checkpoint(session)
        aliases.promote(session, "bot", checkpoint.id, now=NOW)
    with sessions() as session:
        alias = aliases.get(session, "bot")
        assert (alias.checkpoint_id, alias.updated_at) == (checkpoint.id, NOW)
        assert alias.updated_at.tzinfo is UTC
        assert alias.checkpoint.blob_key == checkpoint.blob_key


def test_rolling_back_again_and_again_goes_further_back(session: Session) -> None:
    ids = [make_checkpoint(session).id for _ in range(3)]
    for age, checkpoint_id in enumerate(ids):
        aliases.promote(session, "bot", checkpoint_id, now=later(age))
    assert aliases.rollback(session, "bot", now=later(10)).checkpoint_id == ids[1]
    alias = aliases.rollback(session, "bot", now=later(11))
    assert (alias.checkpoint_id, alias.updated_at) == (ids[0], later(11))
    with pytest.raises(ConflictError, match="nothing before"):
        aliases.rollback(session, "bot", now=later(12))
    assert pointed(session) == ids[0]


def test_a_promotion_after_a_rollback_is_taken_back_to_where_it_was_made(
    session: Session,
) -> None:
    a, b, c = (make_checkpoint(session).id for _ in range(3))
    aliases.promote(session, "bot", a, now=NOW)
    aliases.promote(session, "bot", b, now=NOW)
    aliases.rollback(session, "bot", now=NOW)
    aliases.promote(session, "bot", c, now=NOW)
    aliases.rollback(session, "bot", now=NOW)
    assert pointed(session) == a


def test_promoting_what_it_points_to_already_changes_nothing(session: Session) -> None:
    a, b = make_checkpoint(session).id, make_checkpoint(session).id
    aliases.promote(session, "bot", a, now=NOW)
    aliases.promote(session, "bot", b, now=later(1))
    assert aliases.promote(session, "bot", b, now=later(2)).updated_at == later(1)
    assert len(aliases.history(session, "bot")) == 2
    aliases.rollback(session, "bot", now=later(3))
    assert pointed(session) == a


def test_the_history_is_told_newest_first(session: Session) -> None:
    a, b = make_checkpoint(session).id, make_checkpoint(session).id
    aliases.promote(session, "bot", a, now=later(0))
    aliases.promote(session, "bot", b, now=later(1))
    aliases.rollback(session, "bot", now=later(2))
    told = [
        (change.action.value, change.checkpoint_id, change.created_at)
        for change in aliases.history(session, "bot")
    ]
    assert told == [("rollback", a, later(2)), ("promote", b, later(1)), ("promote", a, later(0))]
    assert aliases.history(session, "nobody") == []


def test_names_are_listed_with_their_checkpoints(session: Session) -> None:
    checkpoint = make_checkpoint(session)
    for name in ("zebra", "ant"):
        aliases.promote(session, name, checkpoint.id, now=NOW)
    listed = [(alias.name, alias.checkpoint.id) for alias in aliases.page(session)]
    assert listed == [("ant", checkpoint.id), ("zebra", checkpoint.id)]


def test_a_removed_name_is_gone_with_its_history(session: Session) -> None:
    checkpoint_id = make_checkpoint(session).id
    aliases.promote(session, "bot", checkpoint_id, now=NOW)
    aliases.remove(session, "bot")
    for ask in (aliases.get, aliases.remove):
        with pytest.raises(NotFoundError, match="no alias"):
            ask(session, "bot")
    assert session.scalars(select(func.count()).select_from(AliasChange)).one() == 0
    aliases.promote(session, "bot", checkpoint_id, now=NOW)
    with pytest.raises(ConflictError):
        aliases.rollback(session, "bot", now=NOW)


def test_what_does_not_exist_is_not_found(session: Session) -> None:
    with pytest.raises(NotFoundError, match="no checkpoint"):
        aliases.promote(session, "bot", uuid4(), now=NOW)
    with pytest.raises(NotFoundError, match="no alias"):
        aliases.rollback(session, "bot", now=NOW)


def test_a_checkpoint_that_has_a_name_cannot_be_deleted(session: Session) -> None:
    checkpoint = make_checkpoint(session)
    aliases.promote(session, "bot", checkpoint.id, now=NOW)
    with pytest.raises(IntegrityError):
        session.execute(delete(Checkpoint).where(Checkpoint.id == checkpoint.id))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(moves=st.lists(st.one_of(st.integers(0, 2), st.just("back")), max_size=12))
def test_an_alias_is_an_undo_stack(sessions: sessionmaker[Session], moves: list[object]) -> None:
    with sessions() as session:
        ids = [make_checkpoint(session).id for _ in range(3)]
        stack: list[UUID] = []
        for age, move in enumerate(moves):
            if isinstance(move, int):
                aliases.promote(session, "bot", ids[move], now=later(age))
                if stack[-1:] != [ids[move]]:
                    stack.append(ids[move])
            elif len(stack) > 1:
                stack.pop()
                aliases.rollback(session, "bot", now=later(age))
            else:
                with pytest.raises(ConflictError if stack else NotFoundError):
                    aliases.rollback(session, "bot", now=later(age))
            assert not stack or pointed(session) == stack[-1]


def test_a_name_gives_kept_answers_until_it_is_told_not_to(session: Session) -> None:
    checkpoint = make_checkpoint(session)
    aliases.promote(session, "bot", checkpoint.id, now=NOW)
    assert aliases.get(session, "bot").kept is None
    assert aliases.answer_from_kept(session, "bot", {"least": 0.9}).kept == {"least": 0.9}
    assert aliases.that_answer_from_kept(session) == {"bot": {"least": 0.9}}
    aliases.promote(session, "bot", make_checkpoint(session).id, now=later(1))
    assert aliases.rollback(session, "bot", now=later(2)).kept == {"least": 0.9}
    assert aliases.answer_from_kept(session, "bot", None).kept is None
    assert aliases.that_answer_from_kept(session) == {}
    with pytest.raises(NotFoundError):
        aliases.answer_from_kept(session, "nobody", {})
