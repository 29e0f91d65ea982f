"""Run the benchmarks: all of them, or those named. Exits 1 when one misses its limit."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    arrivals,
    asking,
    asking_recipes,
    corpus,
    decoding,
    epochs,
    filtering,
    neighbour,
    opening,
    parallel,
    recipes,
    replies,
    shortlist,
    training,
)


def main(arguments: list[str]) -> int:
    """Run what is named and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all of them if none is named")
    parser.add_argument("--pairs", type=int, default=corpus.PAIRS, help="corpus: how many")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[1], help="recipes: which (the first)"
    )
    parser.add_argument("--at-once", type=int, default=1, help="recipes: so many side by side")
    parser.add_argument(
        "--bundle", type=Path, help="a translator; its recipe is run once, if there is none"
    )
    parser.add_argument("--asker", type=Path, help="a model that asks, likewise")
    parser.add_argument("--figures", type=Path, help="filtering: the folder to draw into")
    parser.add_argument("--results", type=Path, help="asking-recipes: runs that are there already")
    parser.add_argument(
        "--variants",
        nargs="*",
        default=[],
        choices=asking_recipes.VARIANTS,
        help="asking-recipes: what is trained besides",
    )
    options = parser.parse_args(arguments)
    benchmarks: dict[str, Callable[[], bool]] = {
        "replies": lambda: replies.main(options.bundle),
        "decoding": lambda: decoding.main(options.bundle),
        "arrivals": lambda: arrivals.main(options.bundle),
        "shortlist": shortlist.main,
        "asking": lambda: asking.main(options.asker),
        "filtering": lambda: filtering.main(options.asker, options.figures),
        "asking-recipes": lambda: asking_recipes.main(
            options.results, options.seeds[0], options.variants
        ),
        "neighbour": neighbour.main,
        "corpus": lambda: corpus.main(options.pairs),
        "parallel": parallel.main,
        "opening": opening.main,
        "training": training.main,
        "epochs": epochs.main,
        "adding-fast": recipes.adding_fast,
        **{name: _family(name, options) for name in recipes.FAMILIES},
    }
    if unknown := [name for name in options.names if name not in benchmarks]:
        print(f"no benchmark called {', '.join(unknown)}; there are: {', '.join(benchmarks)}")
        return 2
    kept = True
    for name in options.names or benchmarks:
        print(f"== {name}", flush=True)
        kept = benchmarks[name]() and kept
    return 0 if kept else 1


def _family(name: str, options: argparse.Namespace) -> Callable[[], bool]:
    return lambda: recipes.FAMILIES[name](options.seeds, options.at_once)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
