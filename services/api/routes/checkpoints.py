"""What trainings leave."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Response
from fastapi.responses import FileResponse, StreamingResponse

from core.storage import checkpoints
from services.api.bundles import read_notes
from services.api.deps import NowDep, ResourcesDep
from services.api.once import FormOnceDep
from services.api.paging import cut
from services.api.schemas.fields import Before, Limit, Page
from services.api.schemas.models import CheckpointBody, CheckpointUpload
from services.api.schemas.problems import problems

router = APIRouter(prefix="/v1/checkpoints", tags=["checkpoints"])

FILE_TYPE = "application/octet-stream"


@router.get("", summary="List the checkpoints", responses=problems(404))
def list_checkpoints(
    resources: ResourcesDep, before: Before = None, limit: Limit = 50
) -> Page[CheckpointBody]:
    """Checkpoints, newest first. 404 if the one that ``before`` names is gone."""
    with resources.sessions() as session:
        found = checkpoints.page(session, before=before, limit=limit + 1)
    page, following = cut(found, limit=limit)
    data = [CheckpointBody.model_validate(one) for one in page]
    return Page[CheckpointBody](data=data, next=following)


@router.post("", status_code=201, summary="Upload a checkpoint", responses=problems(409, body=True))
def upload_checkpoint(
    form: Annotated[CheckpointUpload, Form()],
    response: Response,
    resources: ResourcesDep,
    once: FormOnceDep,
    now: NowDep,
) -> CheckpointBody:
    """Take over a checkpoint file from another house; 422 if it is damaged or unknown."""
    notes = read_notes(form.file.file)
    form.file.file.seek(0)
    with tempfile.TemporaryDirectory(prefix="malgil-") as folder:
        path = Path(folder) / "bundle"
        with path.open("wb") as copy:
            shutil.copyfileobj(form.file.file, copy)
        bytes_ = path.stat().st_size
        key = resources.blobs.put_file(path)
    with resources.sessions.begin() as session:
        checkpoint = checkpoints.add(
            session,
            job_id=None,
            step=notes.step,
            spec=notes.plan.model_dump(mode="json"),
            metrics=notes.metrics,
            report=notes.report,
            blob_key=key,
            bytes_=bytes_,
            now=now,
        )
        body = CheckpointBody.model_validate(checkpoint)
        location = f"{router.prefix}/{checkpoint.id}"
        once.keep(session, body, location=location)
    response.headers["Location"] = location
    return body


@router.get("/{checkpoint_id}", summary="Show a checkpoint", responses=problems(404))
def show_checkpoint(checkpoint_id: UUID, resources: ResourcesDep) -> CheckpointBody:
    """One checkpoint: the plan it was trained by, and how good it is."""
    with resources.sessions() as session:
        return CheckpointBody.model_validate(checkpoints.get(session, checkpoint_id))


@router.get(
    "/{checkpoint_id}/file",
    summary="Download a checkpoint",
    response_class=Response,
    responses={
        **problems(404),
        200: {"content": {FILE_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
    },
)
def download_checkpoint(checkpoint_id: UUID, resources: ResourcesDep) -> Response:
    """The whole model as one safetensors file, which another house can upload."""
    with resources.sessions() as session:
        checkpoint = checkpoints.get(session, checkpoint_id)
    name = f"malgil-{checkpoint.id}.safetensors"
    path = resources.blobs.local_path(checkpoint.blob_key)
    if path is not None and path.exists():
        return FileResponse(path, filename=name, media_type=FILE_TYPE)
    headers = {
        "Content-Length": str(resources.blobs.size(checkpoint.blob_key)),
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return StreamingResponse(
        resources.blobs.stream(checkpoint.blob_key), headers=headers, media_type=FILE_TYPE
    )
