"""Every error the house raises on purpose.

MalgilError
├── InputError                the caller's data or request is wrong; a retry cannot help
│   ├── SpecError             a spec is inconsistent or names something unknown
│   ├── DataError             a file has lines that cannot be read
│   └── BundleError           a checkpoint file is damaged or of an unknown format
├── NotFoundError             no corpus, job, checkpoint or alias of that name
├── ConflictError             it exists already, or is in use, or is in the wrong state
│   └── InProgressError       the same request is being worked on; ask again for its answer
├── LeaseLostError            another worker has the job now; stop writing
└── UnavailableError          something is full, silent or down; a retry can help
    ├── InboxFullError        too many asks are waiting
    ├── NoWorkerError         no inference worker is alive
    └── ReplyTimeoutError     no answer before the deadline
"""

from collections.abc import Sequence


class MalgilError(Exception):
    """Something the house refuses or could not do; ``str(error)`` is fit to show to a user."""


class InputError(MalgilError):
    """The caller's data or request is wrong; ``field`` names the part at fault, if one is."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class SpecError(InputError):
    """A spec is inconsistent, or names something that does not exist."""


class DataError(InputError):
    """A file has lines that cannot be read; ``lines`` are (line number, reason) pairs."""

    def __init__(
        self, message: str, *, lines: Sequence[tuple[int, str]] = (), field: str | None = None
    ) -> None:
        super().__init__(message, field=field)
        self.lines = tuple(lines)


class BundleError(InputError):
    """A checkpoint file is damaged, or of a format this version does not know."""


class NotFoundError(MalgilError):
    """Nothing of that name; ``what`` is the kind of thing, ``name`` what was asked for."""

    def __init__(self, what: str, name: object) -> None:
        super().__init__(f"There is no {what} {str(name)!r}.")
        self.what = what
        self.name = str(name)


class ConflictError(MalgilError):
    """The thing exists already, is in use, or is in a state that does not allow this."""


class InProgressError(ConflictError):
    """The same request is still being worked on; sent again later it brings the answer."""


class LeaseLostError(MalgilError):
    """Another worker holds this job now; whoever catches this stops without writing."""


class UnavailableError(MalgilError):
    """Something is full, silent or down; trying again after ``retry_after_s`` seconds can help."""

    retry_after_s = 1.0


class InboxFullError(UnavailableError):
    """Too many asks are waiting already."""


class NoWorkerError(UnavailableError):
    """No inference worker is alive."""

    retry_after_s = 5.0


class ReplyTimeoutError(UnavailableError):
    """No answer came before the deadline."""
