"""A part of a text, by its characters."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Characters ``start`` to ``end`` of a text, the end left out."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """Return the slice of ``text``."""
        return text[self.start : self.end]
