"""HTML to plain text, read as a stream: no tree, so that depth costs nothing."""

import codecs
import re
from html.parser import HTMLParser

from core.data.documents.layout import Layout

_BLOCKS = frozenset(
    """
    address article aside blockquote body caption center dd details dialog div dl dt fieldset
    figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend main nav ol p
    pre section summary table tbody tfoot thead ul
    """.split()  # noqa: SIM905 (a list of so many is harder to read)
)
_LINES = frozenset({"br", "tr", "li"})
_UNREAD = frozenset(
    {"script", "style", "template", "noscript", "svg", "math", "iframe", "object", "nav", "select"}
)
_BLANKS = re.compile(r"[ \t\r\n\f\xa0]+")
_DECLARED = re.compile(rb"""<meta[^<>]{0,200}?charset\s{0,5}=\s{0,5}["']?([\w:.-]{1,40})""", re.I)
_AS_BROWSERS_DO = {"iso8859-1": "cp1252", "ascii": "cp1252", "euc_kr": "cp949"}


def declared_encoding(data: bytes) -> str | None:
    """Return what the head of an HTML file says about its encoding, as browsers take it."""
    found = _DECLARED.search(data[:2048])
    if found is None:
        return None
    told = found.group(1).decode("ascii", "replace").lower()
    told = {"ks_c_5601-1987": "cp949", "x-windows-949": "cp949"}.get(told, told)
    try:
        name = codecs.lookup(told).name
    except LookupError:
        return told
    return _AS_BROWSERS_DO.get(name, name)


class Page(HTMLParser):
    """The text of a page, what its title is, and its language.

    Scripts, styles, menus and the like are left out, unless they are never closed.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.language: str | None = None
        self._layout = Layout()
        self._titles: list[str] | None = None
        self._preformatted = 0
        self._unread: list[str] = []  # the element that is left out, once for each level
        self._aside: list[str] = []  # what is in it
        self._numbers: list[int | None] = []  # of the lists around: the last item, None: bullets
        self._in_row = False
        self.feed(html)
        self.close()
        if self._unread and self._unread[0] not in ("script", "style"):
            self._layout.end_paragraph()
            self._layout.write_as_is("".join(self._aside))

    @property
    def text(self) -> str:
        """The text, not yet cleaned."""
        return self._layout.text()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        if self._unread:
            if tag == self._unread[0]:
                self._unread.append(tag)
            return
        if tag in _UNREAD:
            self._unread, self._aside = [tag], []
        elif tag == "title":
            self._titles = []
        elif tag == "html":
            self.language = self.language or dict(attrs).get("lang")
        self._begin(tag)

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        if self._unread:
            if tag == self._unread[0]:
                self._unread.pop()
            return
        if tag == "title" and self._titles is not None:
            self.title = self.title or "".join(self._titles)
            self._titles = None
        elif tag in _BLOCKS:
            self._layout.end_paragraph()
        if tag == "pre":
            self._preformatted = max(self._preformatted - 1, 0)
        elif tag in ("ol", "ul") and self._numbers:
            self._numbers.pop()

    def handle_data(self, data: str) -> None:
        """Take in text."""
        if self._unread:
            self._aside.append(data)
        elif self._titles is not None:
            self._titles.append(data)
        elif self._preformatted:
            self._layout.write_as_is(data)
        else:
            self._layout.write(_BLANKS.sub(" ", data))

    def _begin(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._layout.end_paragraph()
        elif tag in _LINES:
            self._layout.end_line()
            self._in_row = False
        elif tag in ("td", "th"):
            if self._in_row:
                self._layout.write_as_is(" | ")
            self._in_row = True
        if tag == "pre":
            self._preformatted += 1
        elif tag in ("ol", "ul"):
            self._numbers.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._layout.write_as_is(self._marker())

    def _marker(self) -> str:
        if not self._numbers or self._numbers[-1] is None:
            return "- "
        self._numbers[-1] += 1
        return f"{self._numbers[-1]}. "
