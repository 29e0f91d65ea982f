"""What recipes learn from, by the reader that their material names."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType

from core.data import asked, paired, running
from core.data.examples import Example, Split
from core.data.holdout import hold_out
from core.data.korean.reading import asked_by_rule
from core.data.made_names import names
from core.data.made_up import algorithms, calculator
from core.errors import InputError
from core.recipes.materials import Material, Reader

_ALL = 1000  # files at once: more than any material has

Maker = Callable[[Material], Mapping[Split, Sequence[Example]]]


def read(material: Material, root: Path) -> dict[Split, list[Example]]:
    """Return the examples of ``material`` by split: train, valid and test; some may be empty.

    ``root`` is the folder that the paths of ``material`` start from. The same files give the
    same splits on every machine. Raises DataError naming file and line where one cannot be
    read, and InputError saying what to set where one is missing.
    """
    if make := _MAKERS.get(material.reader):
        return {split: list(examples) for split, examples in make(material).items()}
    if not material.files:
        raise InputError(
            "This comes with no data: name your own with --corpus FILE.", field="corpus"
        )
    for name in material.files + material.valid_files + material.test_files:
        if not (root / name).is_file():
            raise _missing(name, root)
    found = islice(_examples(material, material.files, root), material.limit)
    splits = hold_out(_some(found, material.files), material)
    for held_out, files in (
        (splits["valid"], material.valid_files),
        (splits["test"], material.test_files),
    ):
        held_out.extend(_some(_examples(material, files, root), files))
    return splits


def _examples(material: Material, files: Sequence[str], root: Path) -> Iterable[Example]:
    reader, at_once = _READERS[material.reader]
    return chain.from_iterable(
        reader(files[start : start + at_once], root, material)
        for start in range(0, len(files), at_once)
    )


def _some(examples: Iterable[Example], files: Sequence[str]) -> list[Example]:
    found = list(examples)
    if files and not found:
        raise InputError(f"{', '.join(files)}: there are no examples.", field="corpus")
    return found


def _missing(name: str, root: Path) -> InputError:
    found = f"{root} has no {name}" if root.is_dir() else f"There is no folder {root}"
    return InputError(
        f"{found}. Set MALGIL_DATA to the folder that holds {name}, "
        "or name data of your own with --corpus FILE.",
        field="corpus",
    )


_READERS: Mapping[Reader, tuple[paired.Reader, int]] = MappingProxyType(
    {  # with how many files one goes at once
        "toy": (paired.toy, 1),
        "lines": (paired.parallel_lines, 2),
        "table": (paired.table, 1),
        "dialogues": (paired.dialogues, 1),
        "abstracts": (paired.abstracts, 1),
        "text": (running.paragraphs, 1),
        "penn": (running.penn, 1),
        "fables": (running.fables, 1),
        "passages": (asked.passages, _ALL),
        "korean": (asked_by_rule, _ALL),
    }
)
_MAKERS: Mapping[Reader, Maker] = MappingProxyType(
    {
        "calculator": calculator,
        "algorithms": algorithms,
        "names": names,
    }
)
