"""Made-up sets: arithmetic, and what small algorithms make of their input."""

import random
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from core.data.examples import Pair
from core.data.holdout import Splits, hold_out
from core.recipes.materials import Algorithm, Material

LARGEST = 99  # of the calculator
_TRIES = 20  # for each example wanted: short inputs are soon used up
_NAMES = "abc"  # variables of programs


def calculator(material: Material) -> Splits:
    """Return every sum and difference of numbers up to 99: ``50+9`` becomes ``59``."""
    numbers = range(LARGEST + 1)
    pairs = [
        Pair(f"{a}{sign}{b}", str(a + b if sign == "+" else a - b))
        for a in numbers
        for sign in "+-"
        for b in numbers
    ]
    return hold_out(pairs, material)


def algorithms(material: Material) -> Splits:
    """Return inputs with what ``material.algorithms`` make of them: ``sort 312`` becomes ``123``.

    No input occurs twice. Train and valid have inputs of ``material.lengths`` and no others,
    test only of ``material.test_lengths``. A length counts what an algorithm works on: digits,
    or statements of a program. There are about ``material.count`` examples in train and valid,
    as many of each algorithm and length as there can be, and a tenth of that in test.
    """
    choose = random.Random(material.seed)  # noqa: S311 (repeatable on purpose)
    known = _made(material, material.lengths, material.count, choose)
    splits = hold_out(known, material)
    splits["test"] += _made(material, material.test_lengths, material.count // 10, choose)
    return splits


def input_length(source: str) -> int:
    """Return how much an algorithm works on: the digits or statements of ``source``."""
    name, _, value = source.partition(" ")
    return value.count(";") + 1 if name == "program" else len(value)


def _made(
    material: Material, lengths: tuple[int, int], count: int, choose: random.Random
) -> list[Pair]:
    shortest, longest = lengths
    kinds = [
        (name, length) for name in material.algorithms for length in range(shortest, longest + 1)
    ]
    pairs = [
        pair
        for name, length in kinds
        for pair in _some(name, length, max(count // len(kinds), 1), choose)
    ]
    choose.shuffle(pairs)
    return pairs


def _some(name: Algorithm, length: int, count: int, choose: random.Random) -> Iterator[Pair]:
    seen = set[str]()
    for _ in range(_TRIES * count):
        value, result = _ALGORITHMS[name](length, choose)
        if value not in seen:
            seen.add(value)
            yield Pair(f"{name} {value}", result)
        if len(seen) == count:
            return


def _digits(length: int, choose: random.Random, alphabet: str = "0123456789") -> str:
    return "".join(choose.choices(alphabet, k=length))


def _copy(length: int, choose: random.Random) -> tuple[str, str]:
    value = _digits(length, choose)
    return value, value


def _reverse(length: int, choose: random.Random) -> tuple[str, str]:
    value = _digits(length, choose)
    return value, value[::-1]


def _sort(length: int, choose: random.Random) -> tuple[str, str]:
    value = _digits(length, choose)
    return value, "".join(sorted(value))


def _parity(length: int, choose: random.Random) -> tuple[str, str]:
    value = _digits(length, choose, "01")
    return value, "odd" if value.count("1") % 2 else "even"


def _program(length: int, choose: random.Random) -> tuple[str, str]:
    """Make a straight-line program of ``length`` statements, the last of which is printed.

    Source: after Zaremba and Sutskever 2014, "Learning to Execute".
    """
    values: dict[str, int] = {}
    statements = list[str]()
    for _ in range(length):
        left, number = _operand(values, choose)
        sign, (right, other) = choose.choice("+-"), _operand(values, choose)
        name = choose.choice(_NAMES)
        statements.append(f"{name}={left}{sign}{right}")
        values[name] = number + other if sign == "+" else number - other
    name = statements[-1][0]
    return ";".join(statements), str(values[name])


def _operand(values: Mapping[str, int], choose: random.Random) -> tuple[str, int]:
    if values and choose.random() < 0.5:
        return choose.choice(sorted(values.items()))
    digit = choose.randrange(10)
    return str(digit), digit


_ALGORITHMS: Mapping[Algorithm, Callable[[int, random.Random], tuple[str, str]]] = MappingProxyType(
    {"copy": _copy, "reverse": _reverse, "sort": _sort, "parity": _parity, "program": _program}
)
