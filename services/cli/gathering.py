"""What a recipe is run on: its own material, or the files that somebody names."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from core.data.asked import asked_by_people
from core.data.examples import Example, Pair, Passage, Split, example_of
from core.data.materials import read
from core.pipelines.importing import ImportRequest, checked_rows
from core.recipes import Recipe
from services.cli.failures import refused
from services.embedded.children import SOURCES

Corpus = dict[Split, list[Example]]

QUICK_LIMITS: Mapping[Split, int] = {"train": 400, "valid": 60, "test": 20}  # examples of a trial
QUICK_LONG = 20  # talks, or pieces of running text: there is much in each


def own(recipe: Recipe, data: Path) -> Corpus:
    """Read what ``recipe`` learns from by itself, below ``data`` or in the project's examples.

    Raises InputError saying what to set where a file is missing.
    """
    material = recipe.material
    if not material.files and material.reader not in {"calculator", "algorithms", "names"}:
        raise refused("--corpus", f"{recipe.name} has no data of its own; name yours")
    return read(material, SOURCES / "examples" if material.shipped else data)


def own_vectors(recipe: Recipe, data: Path) -> Path | None:
    """Return the word vectors that ``recipe`` begins with by itself, below ``data``, if any.

    Raises Failure saying what to set where the file is missing.
    """
    if not recipe.material.vectors:
        return None
    path = data / recipe.material.vectors
    if not path.is_file():
        raise refused("--vectors", f"there is no {path}; MALGIL_DATA says where data is")
    return path


def peoples(recipe: Recipe) -> list[Passage]:
    """Return passages of the project's examples that people asked about, if ``recipe`` has any."""
    material = recipe.material
    if not material.people:
        return []
    examples = SOURCES / "examples"
    return list(asked_by_people(material.people, examples, language=material.people_language))


def given(recipe: Recipe, files: Sequence[Path], request: ImportRequest) -> Corpus:
    """Read ``files`` as an import would; raises DataError where too many lines are bad.

    Running text in the format of the Penn Treebank is what it is told to be: of three files,
    the first is learned from, the second validates, the third tests.
    """
    if recipe.material.reader == "penn":
        return _penn(recipe, files)
    corpus: Corpus = {"train": [], "valid": [], "test": []}
    with ExitStack() as stack:
        opened = [(path.name, stack.enter_context(path.open("rb"))) for path in files]
        _, rows = checked_rows(opened, request)
        for split, _, content in rows:
            corpus[split.value].append(example_of(content))
    return corpus


def cut(corpus: Corpus) -> Corpus:
    """Keep as much as a trial needs."""
    return {
        split: examples[: QUICK_LONG if _are_long(examples) else QUICK_LIMITS[split]]
        for split, examples in corpus.items()
    }


def _are_long(examples: Sequence[Example]) -> bool:
    return bool(examples) and not isinstance(examples[0], Pair)


def told(recipe: Recipe, files: Sequence[Path] | None, sizes: Mapping[str, int]) -> str:
    """Say in words what a run learned from, and how much of it there was."""
    folders = [Path(name).parent.name or "examples" for name in recipe.material.files]
    names = [path.name for path in files or ()] or list(dict.fromkeys(folders))
    counts = [
        f"{sizes[key]:,}{unit}"
        for key, unit in (("train", ""), ("train_tokens", " tokens"))
        if key in sizes
    ]
    counts += [f"{sizes[key]:,} held out" for key in ("valid", "valid_tokens") if key in sizes]
    return f"{', '.join(names) or 'made up'}: {', '.join(counts)}"


def _penn(recipe: Recipe, files: Sequence[Path]) -> Corpus:
    if len(files) > 3:
        raise refused("--corpus", f"{recipe.name} reads three files at most: train, valid, test")
    train, valid, test = (*(str(path.absolute()) for path in files), *("", "", ""))[:3]
    material = replace(
        recipe.material,
        files=(train,),
        valid_files=(valid,) if valid else (),
        test_files=(test,) if test else (),
        valid=0 if valid else recipe.material.valid,
    )
    return read(material, Path("/"))
