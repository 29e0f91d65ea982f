"""What nobody will read again is thrown away, and nothing else."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from core.pipelines.tidy import forget_orphans
from core.storage import checkpoints
from core.storage.blobs import Blobs


def test_blobs_that_nothing_refers_to_are_forgotten_when_they_are_old(
    sessions: sessionmaker[Session], blobs_url: str
) -> None:
    blobs = Blobs.open(blobs_url)
    used, orphan = blobs.put(b"used"), blobs.put(b"left by who was killed")
    now = datetime.now(UTC)
    with sessions.begin() as session:
        checkpoints.add(
            session,
            job_id=None,
            step=1,
            spec={},
            metrics={},
            report={},
            blob_key=used,
            bytes_=4,
            now=now,
        )
    assert forget_orphans(sessions, blobs, before=now - timedelta(days=1)) == []
    assert blobs.exists(orphan)
    assert forget_orphans(sessions, blobs, before=now + timedelta(days=1)) == [orphan]
    assert blobs.exists(used)
    assert not blobs.exists(orphan)
