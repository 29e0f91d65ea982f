"""Whether the house is well."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class HealthBody(BaseModel):
    """This process answers."""

    status: Literal["ok"] = "ok"


class Check(BaseModel):
    """One part that is needed, and how it is."""

    ok: bool
    detail: str


class ReadyBody(BaseModel):
    """Whether every part that is needed is there."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "ready",
                    "checks": {
                        "database": {"ok": True, "detail": "answers"},
                        "broker": {"ok": True, "detail": "answers"},
                        "inference worker": {"ok": True, "detail": "listens"},
                        "job worker": {"ok": True, "detail": "listens"},
                    },
                }
            ]
        }
    )

    status: Literal["ready", "not ready"]
    checks: dict[str, Check]
