"""Running text as its makers wrote it, cut into pieces that follow each other."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.data.examples import Example, Text
from core.data.paired import good_lines
from core.errors import DataError
from core.recipes.materials import Material
from core.text.clean import normalise

SENTENCE_END = "<eos>"
STORY_MARK = "| " * 20  # as many words as a window has, so that a story starts from nothing

_FIRST_STORY = "THE FOX AND THE GRAPES\n\n\n"  # after the table of contents, which has it too
_AFTER_STORIES = "ILLUSTRATIONS\n\n\n["
_PUNCTUATION = re.compile(r"([!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~])")


def paragraphs(files: Sequence[str], root: Path, material: Material) -> Iterator[Example]:
    """Yield each line that is not empty."""
    del material
    for line in good_lines(files[0], root):
        if text := normalise(line.text).strip():
            yield Text(text)


def penn(files: Sequence[str], root: Path, material: Material) -> Iterator[Example]:
    """Yield each line of a file in the format of the Penn Treebank sets, ended by ``<eos>``.

    Source: Mikolov et al. 2010; rare words are ``<unk>`` there, and numbers ``N``.
    """
    for piece in paragraphs(files, root, material):
        yield Text(f"{piece.texts[0]} {SENTENCE_END}")


def fables(files: Sequence[str], root: Path, material: Material) -> Iterator[Example]:
    """Yield the fables of Gutenberg's book 11339, each led in by the story mark.

    Joined by spaces they are the text of the notes: 50,436 words, 4,168 of them different.
    """
    del material
    name = files[0]
    text = "\n".join(line.text for line in good_lines(name, root))
    start, end = text.find(_FIRST_STORY), text.find(_AFTER_STORIES)
    if not 0 <= start < end:
        raise DataError(f"{name}: the first fable or the end of the last is not where it was")
    mark, *stories = clean_fables(text[start:end]).split(STORY_MARK)
    *told, last = [story.strip() for story in stories]
    pieces = [f"{STORY_MARK}{story}" for story in told]
    if last or mark.strip():
        raise DataError(f"{name}: text stands outside the story marks")
    pieces[-1] = f"{pieces[-1]} {STORY_MARK}"  # the mark after the last story belongs to the text
    yield from (Text(piece.strip()) for piece in pieces)


def clean_fables(text: str) -> str:
    """Return ``text`` in lower case, stories marked, punctuation as words of its own.

    Source: the notebook of Foster 2019, chapter 6, as the notes retell it.
    """
    text = STORY_MARK + text.lower()
    text = text.replace("\n\n\n\n\n", STORY_MARK).replace("\n", " ")
    text = re.sub("  +", ". ", text).strip().replace("..", ".")
    return re.sub(r"\s{2,}", " ", _PUNCTUATION.sub(r" \1 ", text))
