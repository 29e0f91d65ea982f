"""Jobs that are worked on in pieces, and that learn from no corpus."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.alter_column("corpus_id", existing_type=sa.Uuid(), nullable=True)
    op.create_table(
        "pieces",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("documents", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.String(128), nullable=True),
        sa.Column("counts", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_pieces_job_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_pieces"),
    )
    op.create_index("ix_pieces_job_id_status", "pieces", ["job_id", "status"])


def downgrade() -> None:
    op.drop_table("pieces")
    op.execute("DELETE FROM jobs WHERE corpus_id IS NULL")
    with op.batch_alter_table("jobs") as jobs:
        jobs.alter_column("corpus_id", existing_type=sa.Uuid(), nullable=False)
