"""Recipes, checkpoints and aliases."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import UploadFile
from pydantic import ConfigDict, Field

from core.specs import KeptSpec, Plan
from core.storage.tables import AliasAction
from services.api.schemas.fields import Body, Request


class RecipeBody(Body):
    """A named plan and the kinds of corpus it reads."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "chat",
                    "title": "Chatbot: their words in, ours out",
                    "description": "An attention encoder-decoder over pairs or dialogues.",
                    "corpus_kinds": ["pairs", "dialogues"],
                    "plan": {"task": "chat", "context_turns": 3},
                }
            ]
        }
    )

    name: str
    title: str
    description: str
    corpus_kinds: list[str]
    plan: Plan


class RecipeList(Body):
    """All recipes; there is never a next page."""

    data: list[RecipeBody]
    next: None = None


class CheckpointUpload(Request):
    """A bundle, as a download gave it."""

    file: UploadFile = Field(description="A `.safetensors` file that Malgil wrote.")


class CheckpointBody(Body):
    """A finished model."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "c1f7a8f2-3b0c-4f63-9a65-1f0c5c1d4b21",
                    "job_id": "6d0f2c53-8a4e-4a7c-b0a3-57cf9b6d2c10",
                    "step": 900,
                    "spec": {"task": "chat", "context_turns": 3},
                    "metrics": {"valid_loss": 1.73},
                    "report": {"parameters": 1700000, "vocabulary_size": 3000},
                    "bytes": 6812344,
                    "created_at": "2025-03-01T09:02:00Z",
                }
            ]
        }
    )

    id: UUID
    job_id: UUID | None = Field(description="The job that left it; null if it was uploaded.")
    step: int
    spec: dict[str, Any] = Field(description="The plan it was trained by.")
    metrics: dict[str, Any]
    report: dict[str, Any]
    bytes: int
    created_at: datetime


class AliasRequest(Request):
    """Where an alias is to point."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"checkpoint": "c1f7a8f2-3b0c-4f63-9a65-1f0c5c1d4b21"}]}
    )

    checkpoint: UUID


_ALIAS: dict[str, Any] = {
    "name": "support-bot",
    "checkpoint_id": "c1f7a8f2-3b0c-4f63-9a65-1f0c5c1d4b21",
    "updated_at": "2025-03-01T09:02:01Z",
    "kept": None,
}
_CHANGE: dict[str, Any] = {
    "action": "promote",
    "checkpoint_id": _ALIAS["checkpoint_id"],
    "created_at": _ALIAS["updated_at"],
}


class AliasBody(Body):
    """A name that people call, pointing to a checkpoint."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ALIAS]})

    name: str
    checkpoint_id: UUID
    updated_at: datetime
    kept: KeptSpec | None = Field(
        description="Which answers that people kept it gives before its model is asked."
    )


class AliasList(Body):
    """All aliases; there is never a next page."""

    data: list[AliasBody]
    next: None = None


class AliasChangeBody(Body):
    """One turn in the history of an alias."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CHANGE]})

    action: AliasAction
    checkpoint_id: UUID
    created_at: datetime


class AliasDetail(AliasBody):
    """An alias and how it came to point where it points, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_ALIAS, "history": [_CHANGE]}]})

    history: list[AliasChangeBody]
