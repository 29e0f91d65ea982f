"""Markdown to plain text."""

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from core.data.documents.layout import Layout
from core.data.documents.markup import Page
from core.errors import InputError

MAX_DEPTH = 60  # quotes and lists within each other
_FRONT = re.compile(r"---[ \t]*\n(.{0,10000}?\n)---[ \t]*(?:\n|$)", re.DOTALL)
_TITLE = re.compile(r"^title:[ \t]*(.+)$", re.MULTILINE)


class Marked:
    """The text of a Markdown file, and what its title is: told, or its first heading."""

    def __init__(self, markdown: str, *, name: str) -> None:
        """Raise InputError where quotes and lists are nested deeper than MAX_DEPTH."""
        self.title = ""
        self._layout = Layout()
        self._name = name
        self._numbers: list[int | None] = []
        self._marker = ""
        self._cells = 0
        front = _FRONT.match(markdown)
        if front:
            markdown = markdown[front.end() :]
            told = _TITLE.search(front.group(1))
            self.title = told.group(1).strip().strip("\"'") if told else ""
        parser = MarkdownIt("commonmark", {"maxNesting": MAX_DEPTH + 1}).enable("table")
        self._read(parser.parse(markdown))

    @property
    def text(self) -> str:
        """The text, not yet cleaned."""
        return self._layout.text()

    def _read(self, tokens: Sequence[Token]) -> None:
        for place, token in enumerate(tokens):
            if token.level >= MAX_DEPTH:
                line = token.map[0] + 1 if token.map else 1
                raise InputError(
                    f"{self._name}: line {line} is nested deeper than {MAX_DEPTH} levels.",
                    field="file",
                )
            if token.type == "inline":
                said = _said(token.children or ())
                if not self.title and place and tokens[place - 1].type == "heading_open":
                    self.title = said
                self._layout.write(self._marker + said)
                self._marker = ""
            elif token.type in ("fence", "code_block"):
                self._layout.end_paragraph()
                self._layout.write_as_is(self._marker + token.content)
                self._marker = ""
                self._layout.end_paragraph()
            elif token.type == "html_block":
                self._layout.end_paragraph()
                self._layout.write_as_is(Page(token.content).text)
                self._layout.end_paragraph()
            else:
                self._structure(token)

    def _structure(self, token: Token) -> None:
        match token.type:
            case "ordered_list_open":
                self._numbers.append(int(token.attrs.get("start", 1)) - 1)
            case "bullet_list_open":
                self._numbers.append(None)
            case "ordered_list_close" | "bullet_list_close":
                self._numbers.pop()
                self._layout.end_paragraph()
            case "list_item_open":
                self._layout.end_line()
                self._marker += self._next_marker()
            case "td_open" | "th_open":
                self._layout.write_as_is(" | " if self._cells else "")
                self._cells += 1
            case "tr_close":
                self._cells = 0
                self._layout.end_line()
            case "paragraph_close" if token.hidden:  # in a list without empty lines
                self._layout.end_line()
            case "paragraph_close" | "heading_close" | "table_close" | "hr" | "blockquote_close":
                self._layout.end_paragraph()

    def _next_marker(self) -> str:
        number = self._numbers[-1]
        if number is None:
            return "- "
        self._numbers[-1] = number + 1
        return f"{number + 1}. "


def _said(tokens: Sequence[Token]) -> str:
    """Return the words of a line or paragraph without what marks them up."""
    said: list[str] = []
    for token in tokens:
        if token.type in ("text", "code_inline"):
            said.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            said.append("\n")
        elif token.type == "image":
            said.append(_said(token.children or ()))
    return "".join(said)
