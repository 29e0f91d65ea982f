"""Pieces of text, as they stand in a page, to lines and paragraphs."""


class Layout:
    """Collects text; blanks at the start of a line are dropped."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._fresh = True  # nothing stands on the present line

    def write(self, text: str) -> None:
        """Add text to the present line."""
        if self._fresh:
            text = text.lstrip(" ")
        if text:
            self._parts.append(text)
            self._fresh = text.endswith("\n")

    def write_as_is(self, text: str) -> None:
        """Add text whose blanks and line ends mean something."""
        if text:
            self._parts.append(text)
            self._fresh = text.endswith("\n")

    def end_line(self) -> None:
        """Begin a new line, unless one has just begun."""
        if not self._fresh:
            self._parts.append("\n")
            self._fresh = True

    def end_paragraph(self) -> None:
        """Leave an empty line; several of them become one when the text is cleaned."""
        self._parts.append("\n\n")
        self._fresh = True

    def text(self) -> str:
        """Return all that was written."""
        return "".join(self._parts)
