"""Talks that the server remembers."""

from functools import partial
from uuid import UUID

from anyio import from_thread
from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from core.errors import ConflictError
from core.storage import conversations
from core.storage.tables import Conversation, Role
from services.api.deps import AnswersDep, NowDep, ResourcesDep
from services.api.once import OnceDep
from services.api.paging import cut
from services.api.schemas.fields import Before, Limit, Page
from services.api.schemas.problems import problems
from services.api.schemas.replies import (
    ConversationBody,
    ConversationDetail,
    ConversationRequest,
    TurnBody,
    TurnReply,
    TurnRequest,
)

router = APIRouter(prefix="/v1/conversations", tags=["conversations"])

READ_BACK = 16  # turns: no plan lets its model read more


@router.post(
    "", status_code=201, summary="Start a conversation", responses=problems(409, body=True)
)
def start_conversation(
    body: ConversationRequest,
    response: Response,
    resources: ResourcesDep,
    once: OnceDep,
    now: NowDep,
) -> ConversationBody:
    """Start a talk with a model; whether there is such a model shows at the first turn."""
    with resources.sessions.begin() as session:
        started = ConversationBody.model_validate(
            conversations.start(session, model=body.model, now=now)
        )
        location = f"{router.prefix}/{started.id}"
        once.keep(session, started, location=location)
    response.headers["Location"] = location
    return started


@router.get("", summary="List the conversations", responses=problems(404))
def list_conversations(
    resources: ResourcesDep, before: Before = None, limit: Limit = 50
) -> Page[ConversationBody]:
    """Conversations, newest first. 404 if the one that ``before`` names is gone."""
    with resources.sessions() as session:
        found = conversations.page(session, before=before, limit=limit + 1)
    page, following = cut(found, limit=limit)
    data = [ConversationBody.model_validate(one) for one in page]
    return Page[ConversationBody](data=data, next=following)


@router.get("/{conversation_id}", summary="Show a conversation", responses=problems(404))
def show_conversation(conversation_id: UUID, resources: ResourcesDep) -> ConversationDetail:
    """One conversation with all its turns."""
    with resources.sessions() as session:
        return _detail(session, conversations.get(session, conversation_id))


@router.post(
    "/{conversation_id}/turns",
    status_code=201,
    summary="Say something",
    responses=problems(404, 409, 429, 504, body=True),
)
def add_turn(
    conversation_id: UUID,
    body: TurnRequest,
    resources: ResourcesDep,
    answers: AnswersDep,
    once: OnceDep,
    now: NowDep,
) -> TurnReply:
    """Answer the user's turn in the light of those before; both are stored once the reply is there.

    404 unknown conversation or model, 409 another turn came in meanwhile, 429 full inbox, 503 no
    worker, 504 no reply in time.
    """
    with resources.sessions() as session:
        model = conversations.get(session, conversation_id).model
        said = [turn.text for turn in conversations.turns(session, conversation_id)]
    ask = partial(
        answers.whole,
        model=model,
        turns=[*said, body.text][-READ_BACK:],
        decode=body.decode,
        timeout_s=body.timeout_s,
    )
    # The one route that needs database and model both. It runs in a thread, where the database
    # may block, and has the event loop do the asking; no session is open while it waits.
    reply = from_thread.run(ask)
    with resources.sessions.begin() as session:
        asked = conversations.add_turn(
            session, conversation_id, role=Role.USER, text=body.text, score=None, now=now
        )
        if asked.position != len(said):
            raise ConflictError("Another turn was added to the conversation meanwhile.")
        turn = conversations.add_turn(
            session,
            conversation_id,
            role=Role.ASSISTANT,
            text=reply.text,
            score=reply.score,
            now=now,
        )
        said_now = TurnReply(turn=TurnBody.model_validate(turn), reply=reply)
        once.keep(session, said_now)
    return said_now


@router.delete(
    "/{conversation_id}", status_code=204, summary="Delete a conversation", responses=problems(404)
)
def delete_conversation(conversation_id: UUID, resources: ResourcesDep) -> None:
    """Forget a conversation and all its turns."""
    with resources.sessions.begin() as session:
        conversations.delete(session, conversation_id)


def _detail(session: Session, conversation: Conversation) -> ConversationDetail:
    turns = conversations.turns(session, conversation.id)
    return ConversationDetail(
        **ConversationBody.model_validate(conversation).model_dump(),
        turns=[TurnBody.model_validate(turn) for turn in turns],
    )
