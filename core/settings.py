"""The environment, read once by each process entry: ``MALGIL_*``."""

import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.specs.serving import ServingPrecision

SOCKET_PATH_LIMIT = 100  # bytes; the kernel allows 104 (macOS) to 108 (Linux)


class Settings(BaseSettings):
    """Where things are and how much is allowed; the defaults make an embedded installation."""

    model_config = SettingsConfigDict(env_prefix="MALGIL_", frozen=True)

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("malgil")))
    data: Path = Path(__file__).parents[2] / "shared" / "data"  # what the recipes learn from
    database_url: str = ""
    redis_url: str = ""
    blobs_url: str = ""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    api_url: str = ""  # where the command line finds the API
    upload_limit_mb: int = Field(default=512, ge=1)
    inbox_limit: int = Field(default=1024, ge=1)  # asks waiting before new ones get 429
    batch_limit: int = Field(default=64, ge=1, le=1024)  # asks decoded together
    reply_timeout_s: float = Field(default=30.0, gt=0)  # unless the request says otherwise
    lease_s: float = Field(default=6.0, gt=0)  # a silent worker loses its job after this
    sweep_s: float = Field(default=2.0, gt=0)  # how often beat looks for what was left lying
    max_deaths: int = Field(default=3, ge=1)  # of a job's workers, with no progress in between
    log_level: Literal["debug", "info", "warning", "error"] = "info"  # debug: each reply, too
    threads: int = Field(default=0, ge=0)  # of torch while training; 0: as many as cores
    # Of torch while replying, and while asking about documents: small batches lose by more
    inference_threads: int = Field(default=1, ge=0)
    precision: ServingPrecision | None = None  # of models that answer; none: as their plans say
    models_in_memory: int = Field(default=4, ge=1)
    models_mb: int = Field(default=2048, ge=1)  # what these take together, but for the newest
    models_idle_s: float = Field(default=3600.0, gt=0)  # one not asked for so long is let go

    @model_validator(mode="before")
    @classmethod
    def _embedded_defaults(cls, values: dict[str, object]) -> dict[str, object]:
        home = Path(str(values.get("home") or platformdirs.user_data_dir("malgil")))
        home = home.expanduser().absolute()
        defaults = {
            "database_url": f"sqlite:///{home / 'malgil.db'}",
            "redis_url": f"unix://{socket_path(home)}",
            "blobs_url": f"file://{home / 'blobs'}",
            "api_url": f"http://{values.get('host', '127.0.0.1')}:{values.get('port', 8000)}",
        }
        chosen = {key: value for key, value in values.items() if value != ""}
        return {**defaults, **chosen, "home": home}


def socket_path(home: Path) -> Path:
    """Where the embedded Valkey of ``home`` listens: in it, unless the path is too long for one."""
    inside = home / "valkey.sock"
    if len(str(inside).encode()) <= SOCKET_PATH_LIMIT:
        return inside
    return (
        Path(tempfile.gettempdir()) / f"malgil-{sha256(str(home).encode()).hexdigest()[:16]}.sock"
    )
