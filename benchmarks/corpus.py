"""A corpus larger than one would hold in memory: from a file to an epoch of batches.

Two processes go the whole way, one with a fifth of the pairs. Fails when at some stage the one
with all of them needs more than LIMIT_MB of memory above the other: then something grows with the
corpus. The vocabulary is left out: it takes what its sample takes. Pages of mapped files are told
apart, for the kernel takes them back whenever others want memory.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.memory import Memory
from core.data.batches import EncodedPairs
from core.data.examples import Exchange, example_of, exchanges
from core.pipelines.importing import ImportRequest, import_corpus
from core.specs import TokenizerSpec, TrainSpec
from core.storage import corpora
from core.storage.session import open_engine, open_sessions
from core.storage.tables import Base, Split
from core.text.tokenizer import Tokenizer
from core.training.lessons import PairLessons

PAIRS = 5_000_000
FIFTH = 5
LIMIT_MB = 100.0
BYTES_PER_PAIR = 600  # text, database with its index and log, and encoded
VOCABULARY_TEXTS = 200_000  # learning the vocabulary is no part of what is measured
BATCH_TOKENS = 4096
_CHUNK = 10_000
_WORDS = 5000

_SYLLABLES = tuple("가나다라마바사아자차카타파하고노도로모보소오조초")
_LETTERS = ("ba", "co", "di", "fe", "gu", "ki", "lo", "me", "nu", "pa", "ro", "si", "ta", "zo")


def main(pairs: int = PAIRS) -> bool:
    """Measure and print; returns whether memory stayed flat."""
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < 2 * pairs * BYTES_PER_PAIR:
        print(f"{free / 1e9:.0f} GB of disk are not enough for {pairs:,} pairs")
        return False
    few, many = _run(pairs // FIFTH), _run(pairs)
    growth, stage = max((most - few[stage], stage) for stage, most in many.items())
    print(
        f"{pairs:,} pairs: {max(many.values()):.0f} MB of memory at most; beside "
        f"{pairs // FIFTH:,} pairs {growth:+.0f} MB at most, {stage} "
        f"(at most {LIMIT_MB:+.0f} MB wanted)"
    )
    return growth <= LIMIT_MB


def _run(pairs: int) -> dict[str, float]:
    """Go the whole way in a process of its own; returns the most memory of each stage, in MB."""
    command = [sys.executable, "-m", "benchmarks.corpus", str(pairs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        last = ""
        for line in child.stdout or ():
            if last:
                print(last, end="", flush=True)
            last = line
    if child.returncode:
        raise RuntimeError(f"the process with {pairs:,} pairs ended with {child.returncode}")
    return dict(json.loads(last))


def _whole_way(pairs: int) -> None:
    with tempfile.TemporaryDirectory(prefix="malgil-corpus-") as folder, Memory() as memory:
        way = _Way(Path(folder), pairs, memory)
        way.write()
        way.import_()
        tokenizer = way.learn_vocabulary()
        way.batches(way.encode(tokenizer))
    print(json.dumps(way.most_mb), flush=True)


class _Way:
    """The stages, each telling how fast it was and how much memory there was."""

    def __init__(self, folder: Path, pairs: int, memory: Memory) -> None:
        self.pairs = pairs
        self.memory = memory
        self.file = folder / "pairs.tsv"
        self.arrays = folder / "train"
        engine = open_engine(f"sqlite:///{folder / 'malgil.db'}")
        Base.metadata.create_all(engine)
        self.sessions = open_sessions(engine)
        self.most_mb: dict[str, float] = {}  # by stage
        print(f"-- {pairs:,} pairs", flush=True)

    def write(self) -> None:
        """Make up the file."""
        began = time.perf_counter()
        with self.file.open("w", encoding="utf-8") as file:
            for lines in _lines(self.pairs):
                file.write(lines)
        self._tell("written", self.pairs, began)

    def import_(self) -> None:
        """Import it as an upload is: every line checked, then stored."""
        request = ImportRequest(name="pairs", kind="pairs", valid_share=0.001, test_share=0.001)
        began = time.perf_counter()
        with self.file.open("rb") as file:
            corpus = import_corpus(
                [(self.file.name, file)],
                request=request,
                sessions=self.sessions,
                now=datetime.now(UTC),
            )
        self.corpus_id = corpus.id
        stored = corpus.train_count + corpus.valid_count + corpus.test_count
        if stored != self.pairs:
            raise RuntimeError(f"{stored} pairs of {self.pairs} were stored")
        self._tell("checked and stored in SQLite", self.pairs, began)

    def learn_vocabulary(self) -> Tokenizer:
        """Learn a vocabulary from some of the texts."""
        began = time.perf_counter()
        texts = (text for one in self._exchanges() for text in (one.context[0], one.reply))
        spec = TokenizerSpec(vocabulary_size=8000)
        tokenizer = Tokenizer.train(islice(texts, VOCABULARY_TEXTS), spec)
        self._tell("in the vocabulary", min(VOCABULARY_TEXTS // 2, self.pairs), began)
        del self.most_mb["in the vocabulary"]
        return tokenizer

    def encode(self, tokenizer: Tokenizer) -> EncodedPairs:
        """Read the training split from the database and encode it into mapped arrays."""
        began = time.perf_counter()
        encoded = EncodedPairs.encode(
            self._exchanges(),
            tokenizer,
            max_source_tokens=96,
            max_target_tokens=96,
            directory=self.arrays,
        )
        self._tell("read and encoded", len(encoded), began)
        return encoded

    def batches(self, encoded: EncodedPairs) -> None:
        """Make all batches of an epoch, as training takes them."""
        began = time.perf_counter()
        lessons = PairLessons(encoded, TrainSpec(batch_tokens=BATCH_TOKENS))
        rows, real, padded = 0, 0, 0
        for batch in map(lessons.take, lessons.batches(0)):
            rows += len(batch.source)
            real += int(batch.source_mask.sum()) + int(batch.target_mask[:, 1:].sum())
            padded += batch.source.numel() + batch.target[:, 1:].numel()
        if rows != len(encoded):
            raise RuntimeError(f"{rows} rows of {len(encoded)} were in a batch")
        print(f"  {1 - real / padded:.1%} of the tokens in batches are padding")
        self._tell("in batches", rows, began)

    def _exchanges(self) -> Iterator[Exchange]:
        with self.sessions() as session:
            for content in corpora.stream(session, self.corpus_id, Split.TRAIN):
                yield from exchanges(example_of(content), context_turns=1)

    def _tell(self, stage: str, pairs: int, began: float) -> None:
        spent = time.perf_counter() - began
        own, mapped = self.memory.now()
        self.most_mb[stage] = self.memory.renew()
        print(
            f"  {stage:28} {pairs / spent:9,.0f} pairs/s {spent:6.1f} s   memory {own:4.0f} MB, "
            f"at most {self.most_mb[stage]:4.0f}; mapped files {mapped:4.0f} MB",
            flush=True,
        )


def _lines(pairs: int) -> Iterator[str]:
    """Yield lines of Korean, tab, English, many at a time; the same ones every time."""
    choose = np.random.default_rng(1)
    korean, english = _words(_SYLLABLES, choose), _words(_LETTERS, choose)
    for start in range(0, pairs, _CHUNK):
        count = min(_CHUNK, pairs - start)
        lengths = choose.integers(3, 11, size=count)
        words = (_WORDS * choose.random(int(lengths.sum())) ** 3).astype(int).tolist()
        ends = np.cumsum(lengths).tolist()
        yield "".join(
            _line((words[end - length : end]), korean, english)
            for length, end in zip(lengths.tolist(), ends, strict=True)
        )


def _line(words: list[int], korean: list[str], english: list[str]) -> str:
    source = " ".join([korean[word] for word in words])
    return source + "\t" + " ".join([english[word] for word in words]) + "\n"


def _words(parts: tuple[str, ...], choose: np.random.Generator) -> list[str]:
    """Return words of one to four parts, the short ones first, for they are the frequent ones."""
    places = choose.integers(0, len(parts), size=(20_000, 4)).tolist()
    made = {"".join(parts[one] for one in places[i][: 1 + i % 4]) for i in range(len(places))}
    return sorted(sorted(made), key=len)[:_WORDS]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("pairs", type=int)
    _whole_way(parser.parse_args().pairs)
