"""What travels through Redis: task names, queues, keys, and the ask and reply shapes."""

import json
from dataclasses import dataclass, field
from typing import Any

RUN_JOB = "malgil.jobs.run"  # wake up: claim whatever job is next
ANSWER_ASKS = "malgil.inference.answer"  # wake up: drain the inbox
SWEEP = "malgil.sweep"  # ring again for whatever was left lying
CANARY = "malgil.canary"  # prove that a queue is really consumed

JOBS_QUEUE = "malgil.jobs"
INFERENCE_QUEUE = "malgil.inference"
SWEEP_QUEUE = "malgil.sweep"

INBOX = "malgil:inbox"  # stream of asks
INBOX_GROUP = "inference"
BELL = "malgil:bell"  # set while a doorbell for the inbox is on its way, or somebody listens
GIVEN_UP = "malgil:given-up"  # stream of the ids of asks that nobody waits for any more
RETRIES = "malgil:retries"  # hash: how many asks were answered anew, by the reason
BELL_MS = 1000  # after this a ring counts as lost and the next ask rings again


def alive_key(queue: str) -> str:
    """Return the key that exists while some worker consumes ``queue``."""
    return f"malgil:alive:{queue}"


def heard_key(queue: str, host: str) -> str:
    """Return the key that exists while a worker of ``host`` consumes ``queue``."""
    return f"malgil:heard:{queue}:{host}"


def replies_key(mailbox: str) -> str:
    """Return the stream into which the replies for one API process go."""
    return f"malgil:replies:{mailbox}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One inference request. ``turns`` is what was said, oldest first; the last is answered."""

    id: str
    mailbox: str  # the API process that waits
    model: str  # alias or checkpoint id
    turns: tuple[str, ...]
    decode: dict[str, Any] = field(default_factory=dict)  # laid over the model's own DecodeSpec
    details: bool = False  # whether the candidates are to have theirs
    stream: bool = False
    priority: int = 0  # of asks that wait in one worker, lower ones go first
    request: str = ""  # the HTTP request that it is part of, for the logs
    trace: str = ""  # the traceparent of its span there, if spans are made
    deadline: float  # Unix seconds by the clock of the queue server

    def dump(self) -> str:
        """Write as JSON."""
        return _to_json(_told(self))

    @staticmethod
    def load(text: str | bytes) -> "Ask":
        """Read from JSON that ``dump`` wrote."""
        data = json.loads(text)
        return Ask(**{**data, "turns": tuple(data["turns"])})


@dataclass(frozen=True, slots=True)
class Details:
    """How one answer came about, token by token."""

    tokens: tuple[str, ...]  # as a person would look at them
    log_probs: tuple[float, ...]  # of each token; then of the end, unless it was cut off
    source: tuple[str, ...] | None = None  # the tokens that were read, if alignments were asked
    alignment: tuple[tuple[float, ...], ...] | None = None  # for each token, how much of each


@dataclass(frozen=True, slots=True)
class Candidate:
    """One answer and its length-normalised log probability."""

    text: str
    score: float
    details: Details | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What comes back for an ask: pieces if streamed, then either candidates or an error."""

    id: str
    piece: str | None = None  # more text; not the end
    begins: int = 0  # after how many characters of the reply the piece comes
    candidates: tuple[Candidate, ...] = ()  # best first; the end
    error: str | None = None  # an error class of core.errors; the end
    message: str | None = None
    field: str | None = None
    model_ms: float = 0.0  # from its first step to the answer
    queue_ms: float = 0.0  # from the ask to its first step
    batch: int = 0  # how many asks shared a step with it, at most
    tokens: int = 0  # of the best candidate
    checkpoint: str | None = None

    @property
    def final(self) -> bool:
        """Whether nothing more comes for this ask."""
        return self.piece is None


def dump_replies(replies: list[Reply]) -> str:
    """Write a batch of replies as JSON."""
    return _to_json(
        [
            {**_told(reply), "candidates": [_dumped(one) for one in reply.candidates]}
            for reply in replies
        ]
    )


def load_replies(text: str | bytes) -> list[Reply]:
    """Read what ``dump_replies`` wrote."""
    return [
        Reply(**{**data, "candidates": tuple(_candidate(**one) for one in data["candidates"])})
        for data in json.loads(text)
    ]


def _dumped(candidate: Candidate) -> dict[str, Any]:
    told: dict[str, Any] = {"text": candidate.text, "score": candidate.score}
    if candidate.details is not None:
        told["details"] = _fields(candidate.details)
    return told


def _candidate(text: str, score: float, details: dict[str, Any] | None = None) -> Candidate:
    return Candidate(text, score, None if details is None else _details(**details))


def _details(
    tokens: list[str],
    log_probs: list[float],
    source: list[str] | None,
    alignment: list[list[float]] | None,
) -> Details:
    return Details(
        tuple(tokens),
        tuple(log_probs),
        None if source is None else tuple(source),
        None if alignment is None else tuple(map(tuple, alignment)),
    )


def _fields(message: Ask | Reply | Details) -> dict[str, Any]:
    """Return the fields of ``message`` by name; not copied deep, as ``asdict`` would at length."""
    return {name: getattr(message, name) for name in message.__slots__}


def _told(message: Ask | Reply) -> dict[str, Any]:
    """Return the fields of ``message`` that say something: what else there is, is as usual."""
    return {
        name: value
        for name in message.__slots__
        if (value := getattr(message, name)) or isinstance(value, str)
    }


_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
