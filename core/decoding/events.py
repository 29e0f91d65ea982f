"""What an engine tells of the requests that it was given."""

from dataclasses import dataclass

from core.decoding.step import Hypothesis


@dataclass(frozen=True, slots=True)
class Told:
    """Tokens of the best hypothesis of a request have become certain."""

    key: int
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """A request has its answer; all of the best hypothesis has been told before."""

    key: int
    hypotheses: list[Hypothesis]  # best first
    began: float  # when its source was about to be read, in seconds of the clock
    company: int  # how many requests shared a step with it at most, itself included


@dataclass(frozen=True, slots=True)
class Failed:
    """A request has no answer."""

    key: int
    error: Exception


Event = Told | Ended | Failed
