"""A model in this process, without asking a server."""

from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UnavailableError
from services.cli.client import settings
from services.cli.failures import Exit, Failure, refused

if TYPE_CHECKING:
    from core.pipelines.bundle import Bundle


def names_a_file(model: str) -> bool:
    """Whether ``model`` can only be the file of one: no name or id looks like that."""
    return "/" in model or model.endswith(".safetensors")


def open_model(model: str) -> "Bundle":
    """Return the model of a file, or the one that this installation has under a name or id."""
    from core.pipelines.bundle import open_bundle, read_bundle, serving

    if names_a_file(model):
        if not Path(model).is_file():
            raise refused("MODEL", f"there is no file {model}")
        found: bytes | Path = Path(model)
    else:
        found = _stored(model)
    bundle = open_bundle(found) if isinstance(found, Path) else read_bundle(found)
    return serving(bundle, settings().precision)


def _stored(name: str) -> bytes | Path:
    """Return the checkpoint that is called ``name``, without asking a server."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from core.storage import checkpoints
    from core.storage.blobs import Blobs
    from core.storage.session import open_engine, open_sessions

    environment = settings()
    url = make_url(environment.database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        detail = f"{url.database} is not there; MALGIL_HOME says where one is"
        raise Failure(Exit.UNAVAILABLE, "There is no installation here", detail)
    engine = open_engine(environment.database_url)
    try:
        with open_sessions(engine)() as session:
            key = checkpoints.resolve(session, name).blob_key
    except SQLAlchemyError as error:
        raise UnavailableError("The database cannot be reached.") from error
    finally:
        engine.dispose()
    blobs = Blobs.open(environment.blobs_url)
    return blobs.intact_path(key) or blobs.get(key)
