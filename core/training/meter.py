"""How long a training has run, how fast it is, and when to say so."""

from collections.abc import Callable

_TELL_EVERY_S = 0.02  # quicker updates are not told one by one: telling costs its listeners more


class Meter:
    """Counts the seconds and tokens of an attempt, after those of the attempts before it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._before = 0.0
        self._spent = 0.0
        self._tokens = 0
        self._told_at: float | None = None

    def resume(self, elapsed_s: float) -> None:
        """Begin after ``elapsed_s`` seconds of earlier attempts."""
        self._before = elapsed_s

    def count(self, tokens: int = 0) -> float:
        """Look at the clock, after ``tokens`` more; return the seconds of all attempts."""
        self._tokens += tokens
        self._spent = self._clock() - self._began
        return self.elapsed_s

    @property
    def elapsed_s(self) -> float:
        """The seconds of all attempts, when the clock was last looked at."""
        return self._before + self._spent

    @property
    def tokens_per_s(self) -> float:
        """Target tokens a second, of this attempt; what validations take counts too."""
        return self._tokens / max(self._spent, 1e-9)

    def is_due(self) -> bool:
        """Return whether something was told too long ago; if so, it is about to be."""
        due = self._told_at is None or self._spent - self._told_at >= _TELL_EVERY_S
        if due:
            self._told_at = self._spent
        return due
