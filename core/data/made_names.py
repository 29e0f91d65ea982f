"""Made-up sentences around made-up names: what only a model that copies can answer."""

import random
from collections.abc import Sequence

from core.data.examples import Pair
from core.data.holdout import Splits
from core.errors import InputError
from core.recipes.materials import Material, Share

# What is said, and what is answered; words are separated by spaces, signs too.
_TEMPLATES = (
    ("my name is {a} of {b} .", "welcome , {a} of {b} !"),
    ("i am {a} and this is {b} .", "hello {a} , hello {b} !"),
    ("{a} gave the book to {b} .", "{b} has the book of {a} now ."),
    ("please tell {a} that {b} is here .", "{a} , {b} is here for you ."),
    ("who is taller , {a} or {b} ?", "i do not know {a} and {b} ."),
    ("{a} lives in {b} .", "then {b} is the home of {a} ."),
    ("is {a} your friend ?", "yes , {a} is my friend ."),
    ("we are going to {a} .", "how far is {a} ?"),
    ("send a letter to {a} in {b} .", "the letter goes to {b} , for {a} ."),
    ("{a} asked where {b} was .", "where was {b} ? asked {a} ."),
)
_HEADS = ("Z", "K", "V", "Th", "Br", "M", "Dr", "L", "S", "Qu", "F", "Gr", "T", "N", "H", "P")
_VOWELS = ("a", "e", "i", "o", "u", "ei", "oa", "y")
_TAILS = ("r", "lm", "th", "n", "k", "ss", "rn", "x", "d", "v", "sk", "l")


def names(material: Material) -> Splits:
    """Return about ``material.count`` pairs of sentences that share their names.

    Each name is in one pair only, so none of valid and test was ever seen in training, and a
    word vocabulary that is no larger than the templates need has none at all.
    """
    choose = random.Random(material.seed)  # noqa: S311 (repeatable on purpose)
    fresh = iter(_names(2 * material.count, choose))
    pairs = list[Pair]()
    for _ in range(material.count):
        said, answered = choose.choice(_TEMPLATES)
        a, b = next(fresh), next(fresh)
        pairs.append(Pair(said.format(a=a, b=b), answered.format(a=a, b=b)))
    valid, test = (_number(share, material.count) for share in (material.valid, material.test))
    if valid + test >= len(pairs):
        raise InputError(f"{len(pairs)} example(s) leave none to train on.")
    return {
        "valid": [*pairs[:valid]],
        "test": [*pairs[valid : valid + test]],
        "train": [*pairs[valid + test :]],
    }


def template_words() -> int:
    """Return how many different words the sentences have besides their names."""
    said = " ".join(part for template in _TEMPLATES for part in template)
    return len({word for word in said.split() if not word.startswith("{")})


def _names(count: int, choose: random.Random) -> Sequence[str]:
    """Return ``count`` different names, such as Zorvath."""
    found = dict[str, None]()  # a set would forget the order
    while len(found) < count:
        parts = [
            choose.choice(_HEADS) + choose.choice(_VOWELS) + choose.choice(_TAILS)
            for _ in range(choose.choice((1, 2, 2, 3)))
        ]
        found["".join(parts).capitalize()] = None
    return list(found)


def _number(share: Share, count: int) -> int:
    return share if isinstance(share, int) else round(share * count)
