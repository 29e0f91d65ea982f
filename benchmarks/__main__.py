"""Run the benchmarks: all of them, or those named. Exits 1 when one misses its limit."""

import sys
from collections.abc import Callable

from benchmarks import replies

BENCHMARKS: dict[str, Callable[[], bool]] = {"replies": replies.main}


def main(names: list[str]) -> int:
    """Run what is named and return the exit status."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark called {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
        return 2
    kept = True
    for name in names or BENCHMARKS:
        print(f"== {name}")
        kept = BENCHMARKS[name]() and kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
