"""Lines of a file through a model, in this process: in their order, and so that one can go on."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from core.data.lines import RawLine, lines
from core.errors import DataError, InputError
from core.pipelines.threads import use_threads
from core.specs.asking import lay_over
from services.cli.client import settings
from services.cli.failures import refused
from services.cli.opening import open_model
from services.cli.pace import Pace
from services.cli.screen import Screen
from services.cli.up import interrupted_by_signals

if TYPE_CHECKING:
    from core.pipelines.offline import Asked
    from core.queue.messages import Candidate
    from core.specs import DecodeSpec

TEXT_LIMIT = 10_000  # characters of a line, as in a request
SHOWN = 10  # wrong lines that are named
_ONE_LINE = str.maketrans("\r\n", "  ")


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done with each line."""

    model: str
    decode: dict[str, Any]
    details: bool
    as_json: bool

    def told(self, number: int, candidates: "Sequence[Candidate]") -> str:
        """Return the line that says ``candidates``."""
        best = candidates[0].text if candidates else ""
        if not self.as_json:
            return best.translate(_ONE_LINE)
        first, *others = map(_fields, candidates) if candidates else [{"text": "", "score": 0.0}]
        more = {"alternatives": others} if others else {}
        return json.dumps({"line": number, **first, **more}, ensure_ascii=False)

    def says_the_same(self, line: str, other: str) -> bool:
        """Whether two lines that were told have the same text; scores may differ by rounding."""
        if not self.as_json:
            return line == other
        try:
            return bool(json.loads(line)["text"] == json.loads(other)["text"])
        except (ValueError, TypeError, KeyError):
            return False


class OfTexts:
    """Texts as they were given."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._data = "".join(text.translate(_ONE_LINE) + "\n" for text in texts).encode()

    def check(self) -> int | None:
        """Return how many lines there are, if that can be known; raises DataError for bad ones."""
        return self._data.count(b"\n")

    def read(self) -> Iterator[RawLine]:
        """Yield the lines."""
        return lines(BytesIO(self._data))


class OfFile:
    """The lines of a file; or those of standard input, where there is none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def check(self) -> int | None:
        """Return how many lines there are, if that can be known; raises DataError for bad ones."""
        if self._path is None or not self._path.is_file():
            return None
        total, wrong = 0, list[tuple[int, str]]()
        for total, line in enumerate(self.read(), start=1):  # noqa: B007 (the last one counts)
            if problem := problem_of(line):
                wrong.append((line.number, problem))
        if wrong:
            more = f", and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
            raise DataError(f"{self._path} has lines that are no text{more}.", lines=wrong[:SHOWN])
        return total

    def read(self) -> Iterator[RawLine]:
        """Yield the lines."""
        if self._path is None:
            yield from lines(sys.stdin.buffer)
            return
        with self._path.open("rb") as file:
            yield from lines(file)


class Output:
    """Where lines go: whole ones only, each at once. Closes its file on the way out."""

    def __init__(self, path: Path | None, *, resume: bool) -> None:
        """Write to ``path``, or to standard output; a file with lines is only gone on with."""
        self.path = path
        self.done = 0  # lines that were there
        self.last = ""  # of them
        self._file: BinaryIO = sys.stdout.buffer
        if path is None:
            return
        if path.exists() and path.stat().st_size and not resume:
            raise refused("--out", f"{path} is there already; --resume goes on with it")
        self._file = path.open("ab", buffering=0)
        self._file.truncate(self._look(path))

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, *_: object) -> None:
        if self.path is not None:
            self._file.close()

    def write(self, line: str) -> None:
        """Write one line."""
        self._file.write(line.encode() + b"\n")
        self._file.flush()

    def _look(self, path: Path) -> int:
        """Count the lines of ``path``; return where the last whole one ends."""
        end = 0
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    end, self.done = end + len(line), self.done + 1
                    self.last = line[:-1].decode(errors="replace")
        return end


def translate_lines(work: Work, source: OfTexts | OfFile, output: Output, screen: Screen) -> None:
    """Put the lines of ``source`` through a model, to ``output``, and tell how far it is."""
    total = source.check()
    use_threads(settings().threads)
    from core.pipelines.offline import decode_each

    bundle = open_model(work.model)
    spec = lay_over(bundle.plan.decode, work.decode)
    if spec.n_best > 1 and work.decode.get("n_best", 1) > 1 and not work.as_json:
        raise refused("--decode", "n_best: only --json has room for several answers to a line")
    first = max(output.done, 1)  # the last line that is there is compared with what comes now
    asked = _asked(islice(source.read(), first - 1, None), spec)
    pace = Pace(total, output.done, screen)
    with interrupted_by_signals(), pace.shown():
        answers = decode_each(bundle, asked, details=work.details, first=first)
        for number, candidates in enumerate(answers, start=first):
            line = work.told(number, candidates)
            if number > output.done:
                output.write(line)
                pace.step()
            elif not work.says_the_same(line, output.last):
                detail = f"line {number} of {output.path} is not what comes of these options now"
                raise refused("--resume", detail)
    pace.tell_the_end(output.path)


def problem_of(line: RawLine) -> str | None:
    """Return what is wrong with ``line``, if anything is."""
    if line.problem or len(line.text) <= TEXT_LIMIT:
        return line.problem
    return f"longer than {TEXT_LIMIT} characters"


def _asked(read: Iterable[RawLine], spec: "DecodeSpec") -> "Iterator[Asked]":
    """Yield what each line asks for; where words are drawn, each line has a seed of its own."""
    for line in read:
        if problem := problem_of(line):
            yield InputError(problem)
        elif not line.text.strip():
            yield None
        elif spec.temperature is None:
            yield (line.text,), spec
        else:
            seed = (spec.seed + line.number) % 2**31
            yield (line.text,), spec.model_copy(update={"seed": seed})


def _fields(candidate: "Candidate") -> dict[str, Any]:
    told: dict[str, Any] = {"text": candidate.text, "score": candidate.score}
    if candidate.details is not None:
        details = asdict(candidate.details)
        told["details"] = {key: value for key, value in details.items() if value is not None}
    return told
