"""How an ask ends, and what logs and traces are told of that."""

import traceback

import structlog

from core.errors import InputError, MalgilError, NotFoundError
from core.queue.messages import Ask, Reply
from core.tracing import tracing

log = structlog.get_logger()


def answered(ask: Ask, reply: Reply, *, began: float) -> tuple[Ask, Reply]:
    """Tell of ``ask``, whose first step ``began`` at that Unix time, and what sends ``reply``."""
    log.debug(
        "answered",
        **_named(ask),
        queue_ms=round(reply.queue_ms, 3),
        model_ms=round(reply.model_ms, 3),
        batch=reply.batch,
        tokens=reply.tokens,
    )
    tracing.record(
        "answer",
        parent=ask.trace,
        began=began - reply.queue_ms / 1e3,
        ended=began + reply.model_ms / 1e3,
        attributes={
            "malgil.model": ask.model,
            "malgil.checkpoint": reply.checkpoint or "",
            "malgil.queue_ms": reply.queue_ms,
            "malgil.batch": reply.batch,
            "malgil.tokens": reply.tokens,
        },
    )
    return ask, reply


def failed(ask: Ask, error: Exception) -> tuple[Ask, Reply]:
    """Tell of ``ask``, and what raises ``error`` again where it is waited for."""
    if not isinstance(error, MalgilError):
        trace = "".join(traceback.format_exception(error))  # not what the variables held
        log.error("an ask failed", **_named(ask), trace=trace)
        message = "the model failed on this input"
        return ask, Reply(id=ask.id, error=MalgilError.__name__, message=message)
    log.info("an ask was refused", **_named(ask), reason=str(error))
    return ask, Reply(
        id=ask.id,
        error=type(error).__name__,
        message=error.name if isinstance(error, NotFoundError) else str(error),
        field=error.field if isinstance(error, InputError) else None,
    )


def _named(ask: Ask) -> dict[str, str]:
    """Return what a line of the log calls ``ask`` by."""
    return {"ask": ask.id, "request_id": ask.request, "model": ask.model}
