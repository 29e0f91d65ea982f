"""What a recipe learns from: which files, read how, and what of them is held out."""

from dataclasses import dataclass
from typing import Literal

Reader = Literal[
    "toy",  # a question, "_" and its answer, both filled up with spaces
    "lines",  # two files whose lines belong together: source, then target
    "table",  # csv, tsv or jsonl with a source and a target in each row
    "dialogues",  # jsonl with the turns of a talk in each line
    "abstracts",  # jsonl: sentences of an abstract, and summaries of it
    "text",  # running text, one paragraph a line
    "penn",  # running text, one tokenised sentence a line, each ended by "<eos>"
    "passages",  # SQuAD documents; stories, and then the questions about them
    "korean",  # the targets of tables: Korean text, and questions about it that a rule makes
    "fables",  # Gutenberg's Aesop, cleaned as the notes on language models do
    "calculator",  # made up: all sums and differences of numbers up to 99
    "algorithms",  # made up: what a small algorithm makes of its input
    "names",  # made up: sentences with names that no vocabulary has
]
Algorithm = Literal["copy", "reverse", "sort", "parity", "program"]
Share = float | int  # a share of all sources, or how many examples; 0 is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Where examples come from; the fields from ``columns`` on belong to single readers.

    Paths are relative to the data folder, or to ``examples/`` of the project where ``shipped``.
    What is held out of ``files`` comes beside what its makers held out (``valid_files``,
    ``test_files``). Examples with one source are never parted; running text is cut near its end.
    """

    reader: Reader
    files: tuple[str, ...] = ()
    valid_files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    vectors: str = ""  # word vectors to begin with, in the data folder
    shipped: bool = False
    people: str = ""  # passages in ``examples/``: people's questions, examined on beside ``test``
    people_language: str = ""  # of these passages, only those in it
    limit: int | None = None  # the first so many examples of ``files``, in their order
    valid: Share = 0.05
    test: Share = 0
    split_by: Literal["source", "target"] = "source"  # whose equals are kept together

    columns: tuple[int, int] | None = None  # table: source and target, from 1; else by their names
    scattered: tuple[str, ...] = ()  # korean: of ``files``, those in no running order
    algorithms: tuple[Algorithm, ...] = ("copy", "reverse", "sort", "parity", "program")
    lengths: tuple[int, int] = (1, 8)  # algorithms: shortest and longest of training
    test_lengths: tuple[int, int] = (9, 12)  # algorithms: what no training example has
    count: int = 20_000  # algorithms, names: examples to make up, about
    seed: int = 1
