"""What is kept. The rows are the truth; queue messages are only doorbells."""

from core.storage.tables.base import NAMING, Base, UtcDateTime
from core.storage.tables.conversations import Conversation, Role, Turn
from core.storage.tables.corpora import Corpus, CorpusKind, Example, Split
from core.storage.tables.documents import Document, GeneratedPair, ReviewState
from core.storage.tables.idempotency import IdempotencyKey
from core.storage.tables.jobs import (
    ENDED,
    EventKind,
    Job,
    JobEvent,
    JobKind,
    JobStatus,
    Snapshot,
)
from core.storage.tables.models import Alias, AliasAction, AliasChange, Checkpoint
from core.storage.tables.pieces import Piece, PieceStatus

__all__ = [
    "ENDED",
    "NAMING",
    "Alias",
    "AliasAction",
    "AliasChange",
    "Base",
    "Checkpoint",
    "Conversation",
    "Corpus",
    "CorpusKind",
    "Document",
    "EventKind",
    "Example",
    "GeneratedPair",
    "IdempotencyKey",
    "Job",
    "JobEvent",
    "JobKind",
    "JobStatus",
    "Piece",
    "PieceStatus",
    "ReviewState",
    "Role",
    "Snapshot",
    "Split",
    "Turn",
    "UtcDateTime",
]
