"""How often the lease of a job ran out; more than one snapshot of a job."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("expiries", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    _key("job_id", "step")


def downgrade() -> None:
    newest = "SELECT max(step) FROM snapshots AS one WHERE one.job_id = snapshots.job_id"
    op.execute(f"DELETE FROM snapshots WHERE step < ({newest})")  # noqa: S608 (our own words)
    _key("job_id")
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("expiries")


def _key(*columns: str) -> None:
    with op.batch_alter_table("snapshots") as snapshots:
        snapshots.drop_constraint("pk_snapshots", type_="primary")
        snapshots.create_primary_key("pk_snapshots", list(columns))
