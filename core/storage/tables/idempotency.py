"""Requests that may be sent again."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import Base


class IdempotencyKey(Base):
    """A request that a client may send again, and what it was answered once that is certain."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at"),)

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))  # sha256 of what was asked
    holder: Mapped[UUID]  # which of those that sent it is worked on
    held_until: Mapped[datetime]  # a request whose process died is free again after this
    status: Mapped[int | None]  # none while it is worked on
    location: Mapped[str | None]
    body: Mapped[str | None]
    created_at: Mapped[datetime]
