"""Where documents come from; who reviewed pairs, and what they made of them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

UNIQUE = "uq_generated_pairs_job_id_document_id_answer_start_answer_end"
PLACE = "uq_generated_pairs_place"
ORDER = "ix_generated_pairs_document_id_answer_start_id"


def upgrade() -> None:
    with op.batch_alter_table("documents") as documents:
        documents.add_column(sa.Column("name", sa.Text(), nullable=True))
        documents.add_column(
            sa.Column("format", sa.String(16), server_default="text", nullable=False)
        )
        documents.add_column(
            sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False)
        )
        documents.add_column(sa.Column("length", sa.Integer(), server_default="0", nullable=False))
    op.execute("UPDATE documents SET length = length(text)")
    with op.batch_alter_table("generated_pairs") as pairs:
        pairs.alter_column("job_id", existing_type=sa.Uuid(), nullable=True)
        pairs.add_column(sa.Column("rank", sa.Integer(), server_default="0", nullable=False))
        pairs.add_column(sa.Column("edited_question", sa.Text(), nullable=True))
        pairs.add_column(sa.Column("edited_answer", sa.Text(), nullable=True))
        pairs.add_column(sa.Column("edited_start", sa.Integer(), nullable=True))
        pairs.add_column(sa.Column("edited_end", sa.Integer(), nullable=True))
        pairs.add_column(sa.Column("reviewed_by", sa.String(128), nullable=True))
        pairs.drop_constraint(UNIQUE, type_="unique")
        pairs.create_unique_constraint(
            PLACE, ["job_id", "document_id", "answer_start", "answer_end", "rank"]
        )
        pairs.drop_index("ix_generated_pairs_document_id")
        pairs.create_index(ORDER, ["document_id", "answer_start", "id"])


def downgrade() -> None:
    op.execute("DELETE FROM generated_pairs WHERE job_id IS NULL OR rank > 0")
    with op.batch_alter_table("generated_pairs") as pairs:
        pairs.drop_index(ORDER)
        pairs.create_index("ix_generated_pairs_document_id", ["document_id"])
        pairs.drop_constraint(PLACE, type_="unique")
        pairs.create_unique_constraint(
            UNIQUE, ["job_id", "document_id", "answer_start", "answer_end"]
        )
        for name in ("rank", "edited_question", "edited_answer", "edited_start", "edited_end"):
            pairs.drop_column(name)
        pairs.drop_column("reviewed_by")
        pairs.alter_column("job_id", existing_type=sa.Uuid(), nullable=False)
    with op.batch_alter_table("documents") as documents:
        for name in ("name", "format", "bytes", "length"):
            documents.drop_column(name)
