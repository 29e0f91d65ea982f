"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.Uuid()
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORD = sa.String(16)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_corpora()
    create_jobs()
    create_models()
    create_conversations()
    create_pairs()


def downgrade() -> None:
    for table in (
        "generated_pairs",
        "documents",
        "turns",
        "conversations",
        "alias_changes",
        "aliases",
        "checkpoints",
        "snapshots",
        "job_events",
        "jobs",
        "examples",
        "corpora",
    ):
        op.drop_table(table)


def create_corpora() -> None:
    op.create_table(
        "corpora",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("source_language", WORD, nullable=True),
        sa.Column("target_language", WORD, nullable=True),
        sa.Column("licence", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("train_count", sa.Integer(), nullable=False),
        sa.Column("valid_count", sa.Integer(), nullable=False),
        sa.Column("test_count", sa.Integer(), nullable=False),
        sa.Column("bad_lines", sa.Integer(), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_corpora"),
        sa.UniqueConstraint("name", "version", name="uq_corpora_name_version"),
    )
    op.create_table(
        "examples",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("split", WORD, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_examples"),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.id"], name="fk_examples_corpus_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_examples_corpus_id_split_id", "examples", ["corpus_id", "split", "id"])


def create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("worker", sa.String(128), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("progress", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.id"], name="fk_jobs_corpus_id", ondelete="RESTRICT"
        ),
    )
    op.create_index("ix_jobs_status_lease_until", "jobs", ["status", "lease_until"])
    op.create_table(
        "job_events",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job_events"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_job_events_job_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_job_events_job_id_id", "job_events", ["job_id", "id"])
    op.create_table(
        "snapshots",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("blob_key", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_snapshots"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_snapshots_job_id", ondelete="CASCADE"
        ),
    )


def create_models() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=True),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("blob_key", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_checkpoints"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_checkpoints_job_id", ondelete="RESTRICT"
        ),
    )
    op.create_index("ix_checkpoints_job_id", "checkpoints", ["job_id"])
    op.create_table(
        "aliases",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("checkpoint_id", ID, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_aliases"),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"],
            ["checkpoints.id"],
            name="fk_aliases_checkpoint_id",
            ondelete="RESTRICT",
        ),
    )
    op.create_table(
        "alias_changes",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("action", WORD, nullable=False),
        sa.Column("checkpoint_id", ID, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alias_changes"),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"],
            ["checkpoints.id"],
            name="fk_alias_changes_checkpoint_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["name"], ["aliases.name"], name="fk_alias_changes_name", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_alias_changes_name_id", "alias_changes", ["name", "id"])


def create_conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", ID, nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
    )
    op.create_table(
        "turns",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("conversation_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("role", WORD, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_turns"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_turns_conversation_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "conversation_id", "position", name="uq_turns_conversation_id_position"
        ),
    )


def create_pairs() -> None:
    op.create_table(
        "documents",
        sa.Column("id", ID, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("language", WORD, nullable=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
        sa.UniqueConstraint("sha256", name="uq_documents_sha256"),
    )
    op.create_table(
        "generated_pairs",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("answer_start", sa.Integer(), nullable=False),
        sa.Column("answer_end", sa.Integer(), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("review", WORD, nullable=False),
        sa.Column("reviewed_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_generated_pairs"),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["documents.id"],
            name="fk_generated_pairs_document_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_generated_pairs_job_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint(
            "job_id",
            "document_id",
            "answer_start",
            "answer_end",
            name="uq_generated_pairs_job_id_document_id_answer_start_answer_end",
        ),
    )
    op.create_index("ix_generated_pairs_document_id", "generated_pairs", ["document_id"])
    op.create_index("ix_generated_pairs_review", "generated_pairs", ["review"])
