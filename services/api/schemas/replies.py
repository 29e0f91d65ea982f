"""Replies, translations and conversations."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from core.storage.tables import Role
from services.api.schemas.fields import (
    Body,
    Decode,
    ModelRef,
    Request,
    Seconds,
    Text,
    TextOrNothing,
)
from services.api.schemas.kept import KeptBody

WithDetails = Annotated[
    bool, Field(description="Tell of each answer its tokens and their log probabilities.")
]


class Message(Request):
    """One thing said so far."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"role": "user", "content": "It does not start."}]}
    )

    role: Literal["user", "assistant"]
    content: Text


class ReplyRequest(Request):
    """Something said to a model: a text, or a talk that ends with the user."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "support-bot", "text": "How do I reset my password?"},
                {
                    "model": "support-bot",
                    "messages": [
                        {"role": "user", "content": "It does not start."},
                        {"role": "assistant", "content": "Is the red light on?"},
                        {"role": "user", "content": "Yes."},
                    ],
                    "decode": {"beam_size": 4, "n_best": 3},
                    "timeout_s": 5,
                },
            ]
        }
    )

    model: ModelRef
    text: Text | None = None
    messages: list[Message] | None = Field(default=None, min_length=1, max_length=64)
    stream: bool = Field(default=False, description="Answer with server-sent events.")
    decode: Decode = Decode()
    details: WithDetails = False
    timeout_s: Seconds | None = None

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> "ReplyRequest":
        if (self.text is None) == (self.messages is None):
            raise ValueError("give either a text or messages")
        if self.messages and self.messages[-1].role != "user":
            raise ValueError("messages must end with one of the user")
        return self

    def turns(self) -> tuple[str, ...]:
        """Return what was said, oldest first."""
        if self.text is not None:
            return (self.text,)
        return tuple(message.content for message in self.messages or ())


def _missing(value: object) -> bool:
    return value is None


class DetailsBody(Body):
    """How one answer came about, token by token."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"tokens": ["▁Yes", "."], "log_probs": [-0.2, -0.1, 0.0]}]}
    )

    tokens: list[str]
    log_probs: list[float] = Field(
        description="Of each token; then of the end, unless the answer was cut off."
    )
    source: list[str] | None = Field(
        default=None, exclude_if=_missing, description="With `alignments`, what was read."
    )
    alignment: list[list[float]] | None = Field(
        default=None,
        exclude_if=_missing,
        description="With `alignments`, for each token how much it looked at each of `source`.",
    )


class CandidateBody(Body):
    """One answer and its score: log probability by length, less what penalties take."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Yes.", "score": -0.2}]})

    text: str
    score: float
    details: DetailsBody | None = Field(default=None, exclude_if=_missing)


class Timing(Body):
    """Where the time went."""

    queue_ms: float = Field(description="From the ask to its first step.")
    model_ms: float = Field(description="From its first step to the answer.")
    total_ms: float = Field(description="All that the API waited.")
    batch: int = Field(description="How many asks shared a step with it, at most.")


_REPLY: dict[str, Any] = {
    "id": "b3b6d0b6f6a94f1b",
    "model": "support-bot",
    "checkpoint": "c1f7a8f2-3b0c-4f63-9a65-1f0c5c1d4b21",
    "text": "Use the link on the sign-in page.",
    "score": -0.31,
    "alternatives": [{"text": "Press the red button.", "score": -0.92}],
    "timing": {"queue_ms": 0.4, "model_ms": 18.2, "total_ms": 19.9, "batch": 3},
}


class ReplyBody(Body):
    """What the model said."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REPLY]})

    id: str
    model: str
    checkpoint: str | None
    text: str
    score: float
    source: KeptBody | None = Field(
        default=None, exclude_if=_missing, description="Where people kept it; no model was asked."
    )
    details: DetailsBody | None = Field(default=None, exclude_if=_missing)
    alternatives: list[CandidateBody]
    timing: Timing


class Piece(Body):
    """More text of a reply that is being written."""

    text: str


class TranslationRequest(Request):
    """Texts to be put through one model, all at once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "ko-en", "texts": ["안녕하세요", "", "고맙습니다"]}]
        }
    )

    model: ModelRef
    texts: list[TextOrNothing] = Field(min_length=1, max_length=256)
    decode: Decode = Decode()
    details: WithDetails = False
    timeout_s: Seconds | None = None


class TranslationBody(Body):
    """The translations, in the order of the texts; nothing stays nothing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "translations": [
                        {"text": "Hello.", "score": -0.2},
                        {"text": "", "score": 0.0},
                        {"text": "Thank you.", "score": -0.1},
                    ]
                }
            ]
        }
    )

    translations: list[CandidateBody]


class ConversationRequest(Request):
    """Whom to talk with."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "support-bot"}]})

    model: ModelRef


_CONVERSATION: dict[str, Any] = {
    "id": "5a3d3a0b-9d4f-4f0e-8d44-0e8a55f0a7ce",
    "model": "support-bot",
    "created_at": "2025-03-01T09:05:00Z",
}


class ConversationBody(Body):
    """A talk with one model that remembers its turns."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CONVERSATION]})

    id: UUID
    model: str
    created_at: datetime


_TURN: dict[str, Any] = {
    "position": 1,
    "role": "assistant",
    "text": "Use the link on the sign-in page.",
    "score": -0.31,
    "created_at": "2025-03-01T09:05:03Z",
}


class TurnBody(Body):
    """One thing said in a conversation."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TURN]})

    position: int
    role: Role
    text: str
    score: float | None
    created_at: datetime


class ConversationDetail(ConversationBody):
    """A conversation with all its turns, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_CONVERSATION, "turns": [_TURN]}]})

    turns: list[TurnBody]


class TurnRequest(Request):
    """The next thing the user says."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "It does not start."}]})

    text: Text
    decode: Decode = Decode()
    timeout_s: Seconds | None = None


class TurnReply(Body):
    """The turn as it was stored, and the whole reply."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"turn": _TURN, "reply": _REPLY}]})

    turn: TurnBody
    reply: ReplyBody
