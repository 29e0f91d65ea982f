"""Logs: each line a JSON object, whoever wrote it, with what ties it to its request or job."""

import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import Processor

_SAID: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]
_WRITTEN = structlog.processors.JSONRenderer(ensure_ascii=False)


class _Stderr:
    """Takes what it can: a disk that is full of logs must not stop what they tell of."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def log_as_json(level: str) -> None:
    """Write to stderr from ``level`` on: debug, info, warning or error.

    Libraries are heard from warning on, unless ``level`` is higher.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*_SAID, _WRITTEN],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    named: list[Processor] = [structlog.stdlib.add_logger_name, *_SAID]
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[remove, _WRITTEN], foreign_pre_chain=named)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    logging.captureWarnings(capture=True)
    root.setLevel(max(number, logging.WARNING))
