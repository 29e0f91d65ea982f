"""Jobs and what they tell while they run."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from core import recipes
from core.specs import GenerateSpec, Name, Plan, TrainJob
from core.storage.tables import EventKind, JobKind, JobStatus
from services.api.schemas.fields import Body, CorpusRef, NewName, Request

Priority = Annotated[
    int,
    Field(
        ge=-1000,
        le=1000,
        description="Higher goes first; one step outweighs ten minutes of waiting.",
    ),
]


class TrainRequest(Request):
    """A training to be queued: a corpus, and either a recipe or a whole plan."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "train",
                    "corpus": "helpdesk",
                    "recipe": "chat",
                    "overrides": {"train": {"seed": 2, "max_epochs": 10}},
                    "promote_to": "support-bot",
                }
            ]
        }
    )

    kind: Literal["train"] = "train"
    corpus: CorpusRef
    recipe: Name | None = None
    plan: Plan | None = Field(default=None, description="Every spec, in place of a recipe.")
    overrides: dict[str, Any] | None = Field(
        default=None, description="Laid over the recipe's plan, or over the plan."
    )
    promote_to: NewName | None = Field(
        default=None, description="The alias that the checkpoint gets when the job succeeds."
    )
    priority: Priority = 0

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> "TrainRequest":
        if (self.recipe is None) == (self.plan is None):
            raise ValueError("give either a recipe or a plan")
        return self


class GenerateRequest(Request):
    """Questions to be asked about documents."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "generate",
                    "model": "questions",
                    "documents": ["2d0f2c53-8a4e-4a7c-b0a3-57cf9b6d2c10"],
                    "options": {"answers": 8, "round_trip": 0.6},
                }
            ]
        }
    )

    kind: Literal["generate"]
    model: str = Field(min_length=1, max_length=64, description="An alias or a checkpoint.")
    documents: list[UUID] | None = Field(
        default=None, min_length=1, max_length=100_000, description="All there are, if left out."
    )
    options: GenerateSpec = GenerateSpec()
    priority: Priority = 0


WRONG_KIND = "wrong_kind"  # the type of that error


def _kind(body: Any) -> str:
    """Return which request it is: a training, if it does not say."""
    return str(
        body.get("kind", "train") if isinstance(body, dict) else getattr(body, "kind", "train")
    )


JobRequest = Annotated[
    Annotated[TrainRequest, Tag("train")] | Annotated[GenerateRequest, Tag("generate")],
    Discriminator(
        _kind, custom_error_type=WRONG_KIND, custom_error_message="It is train or generate"
    ),
]

_SPEC = TrainJob(recipe="chat", plan=recipes.find("chat").plan, promote_to="support-bot")
_JOB: dict[str, Any] = {
    "id": "6d0f2c53-8a4e-4a7c-b0a3-57cf9b6d2c10",
    "kind": "train",
    "corpus_id": "0b6f3f0e-6a3c-4a0e-9a39-4f5f1d0c7a11",
    "spec": _SPEC.model_dump(mode="json"),
    "status": "running",
    "priority": 0,
    "attempt": 1,
    "deaths": 0,
    "worker": "host-23303",
    "cancel_requested": False,
    "pause_requested": False,
    "progress": {
        "stage": "train",
        "step": 120,
        "total_steps": 900,
        "epoch": 4,
        "loss": 2.31,
        "learning_rate": 0.0015,
        "tokens_per_s": 4120.5,
        "elapsed_s": 21.4,
        "held_s": 24.0,
    },
    "error": None,
    "created_at": "2025-03-01T09:00:00Z",
    "started_at": "2025-03-01T09:00:01Z",
    "ended_at": None,
    "expected_start_at": None,
    "expected_end_at": "2025-03-01T09:02:44Z",
}


class JobBody(Body):
    """One piece of queued work."""

    model_config = ConfigDict(json_schema_extra={"examples": [_JOB]})

    id: UUID
    kind: JobKind
    corpus_id: UUID | None = Field(description="What a training learns from.")
    spec: dict[str, Any]
    status: JobStatus
    priority: int
    attempt: int = Field(description="The how-manieth try this is.")
    deaths: int = Field(description="Tries whose worker died, since the job last advanced.")
    worker: str | None
    cancel_requested: bool
    pause_requested: bool
    progress: dict[str, Any] | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expected_start_at: datetime | None = Field(
        default=None, description="An estimate for a job that waits; null when nothing is known."
    )
    expected_end_at: datetime | None = Field(
        default=None, description="An estimate, if nothing ends it early; null: nothing is known."
    )


class JobDetail(JobBody):
    """One job, where it stands in the queue, and what it left."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_JOB, "position": None, "checkpoint_id": None}]}
    )

    position: int | None = Field(
        default=None, description="0 is next to start; null when not queued."
    )
    checkpoint_id: UUID | None = Field(default=None, description="What the job left when done.")


_METRICS: dict[str, Any] = {
    "id": 42,
    "attempt": 1,
    "kind": "metrics",
    "step": 120,
    "created_at": "2025-03-01T09:00:25Z",
}
_LEARNED: dict[str, Any] = {"epoch": 4, "loss": 2.31, "learning_rate": 0.0015}
_VALIDATED: dict[str, Any] = {
    "epoch": 4,
    "valid_loss": 2.5,
    "valid_perplexity": 12.18,
    "scores": {},
    "best": True,
}


class EventBody(Body):
    """Something that happened in a job: a change of state, a word, or figures at a step."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {**_METRICS, "data": _LEARNED},
                {**_METRICS, "data": _VALIDATED},
            ]
        }
    )

    id: int
    attempt: int
    kind: EventKind
    step: int | None
    data: dict[str, Any]
    created_at: datetime


class EventPage(Body):
    """Events in the order they happened; ``next`` goes into ``after`` and never goes back."""

    data: list[EventBody]
    next: int
