"""What Alembic runs for every command; the connection comes from ``migrations.configure``."""

from typing import Any, Literal

from alembic import context

from core.storage.tables import Base, UtcDateTime


def render(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Write our own column type as the plain one beneath it, so that old steps never change."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes most things only by rebuilding the table
    render_item=render,
)
with context.begin_transaction():
    context.run_migrations()
