"""Looking at pairs one by one, and saying what to think of them."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from core.data.passages import around, passages
from core.specs import PassageSpec
from core.text.clean import normalise
from services.cli.client import Client
from services.cli.failures import Exit, Failure, sentences
from services.cli.keys import Keys
from services.cli.screen import Screen

KEYS = "a accept, r reject, e edit, n next, b back, q quit"
VERDICTS = {"a": "accepted", "r": "rejected"}


class Reviewing:
    """One person before a list of pairs; every verdict is kept at once."""

    def __init__(
        self,
        client: Client,
        screen: Screen,
        pairs: Iterator[dict[str, Any]],
        *,
        reviewer: str | None,
        keys: Keys,
    ) -> None:
        self._client = client
        self._screen = screen
        self._rest = pairs
        self._seen: list[dict[str, Any]] = []
        self._place = 0
        self._reviewer = reviewer
        self._verdicts: dict[str, str] = {}  # by the id of the pair: the last one counts
        self._document: dict[str, Any] = {}
        self._keys = keys

    def run(self) -> None:
        """Show pairs and take keys until there is nothing left of either."""
        while (pair := self._present()) is not None:
            self._show(pair)
            while (key := self._key()) in ("?", ""):
                self._screen.say(KEYS, style="dim")
            if key in (None, "q"):
                break
            self._take(key, pair)
        else:
            self._screen.say("There are no more pairs.", style="dim")
        self._sum_up()

    def _present(self) -> dict[str, Any] | None:
        while self._place >= len(self._seen):
            following = next(self._rest, None)
            if following is None:
                return None
            self._seen.append(following)
        return self._seen[self._place]

    def _key(self) -> str | None:
        key = self._keys.key()
        if key is None:
            return None
        return key if key in ("a", "r", "e", "n", "b", "q") else "?"

    def _take(self, key: str | None, pair: dict[str, Any]) -> None:
        """Do what a key says, and go on unless the server refuses it."""
        if key == "b":
            self._place = max(self._place - 1, 0)
            return
        try:
            if key == "e":
                self._edit(pair)
            elif key in VERDICTS:
                self._send(pair, {"review": VERDICTS[key]})
        except Failure as failure:
            if failure.code != Exit.REFUSED:
                raise
            for sentence in sentences(failure.problem):
                self._screen.say(f"Refused: {sentence}", style="red")
            return
        self._place += 1

    def _edit(self, pair: dict[str, Any]) -> None:
        said = _said(pair)
        question = normalise(self._keys.line("Question", said["question"])).strip()
        answer = normalise(self._keys.line("Answer", said["answer"])).strip()
        body: dict[str, Any] = {"question": question or said["question"]}
        if answer and answer != said["answer"]:
            start = _nearest(self._text_of(pair), answer, said["answer_start"])
            if start is None:
                raise Failure(Exit.REFUSED, "No such answer", f"{answer!r} is not in the document")
            body |= {"answer_start": start, "answer_end": start + len(answer)}
        self._send(pair, body)

    def _send(self, pair: dict[str, Any], body: dict[str, Any]) -> None:
        told = {**body, "reviewer": self._reviewer}
        reviewed = self._client.ask("PATCH", f"/v1/pairs/{pair['id']}", body=told)
        self._seen[self._place] = reviewed
        self._verdicts[pair["id"]] = reviewed["review"]

    def _text_of(self, pair: dict[str, Any]) -> str:
        if self._document.get("id") != pair["document_id"]:
            self._document = self._client.ask("GET", f"/v1/documents/{pair['document_id']}")
            self._document["passages"] = list(passages(self._document["text"], PassageSpec()))
        text: str = self._document["text"]
        return text

    def _show(self, pair: dict[str, Any]) -> None:
        text, said = self._text_of(pair), _said(pair)
        start, end = said["answer_start"], said["answer_end"]
        context = around(self._document["passages"], start, end)
        if self._screen.as_json:
            told = {"start": context.start, "end": context.end, "text": context.of(text)}
            self._screen.line({"pair": pair, "passage": told})
            return
        marks = ("", "") if self._screen.is_live else ("[[", "]]")
        passage = Text.assemble(
            text[context.start : start],
            (f"{marks[0]}{text[start:end]}{marks[1]}", "bold reverse"),
            text[end : context.end],
        )
        scores = ", ".join(f"{name} {score:.3g}" for name, score in pair["scores"].items())
        head = f"{self._place + 1}. {self._document['title']} ({pair['review']})"
        self._screen.show(
            Text(f"\n{head}", style="dim"),
            passage,
            Text.assemble(("Q: ", "dim"), (said["question"], "bold cyan")),
            Text.assemble(("A: ", "dim"), said["answer"]),
            *([Text(scores, style="dim")] if scores else []),
        )

    def _sum_up(self) -> None:
        counted = Counter(self._verdicts.values())
        told = {word: counted[word] for word in ("accepted", "rejected", "edited")}
        words = ", ".join(f"{count} {word}" for word, count in told.items())
        summary = {"reviewed": len(self._verdicts), **told}
        self._screen.result(summary, f"Reviewed {len(self._verdicts)}: {words}.")


def _said(pair: dict[str, Any]) -> dict[str, Any]:
    """Return what a pair says now: as it was edited, or as it was made."""
    said: dict[str, Any] = pair["edited"] or pair
    return said


def _nearest(text: str, answer: str, start: int) -> int | None:
    """Return where ``answer`` stands in ``text``, nearest to ``start``."""
    before = text.rfind(answer, 0, start + len(answer))
    after = text.find(answer, start)
    found = [place for place in (before, after) if place >= 0]
    return min(found, key=lambda place: abs(place - start)) if found else None
