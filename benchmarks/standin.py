"""An inference worker whose every model is a stand-in: one word, in as long as it is told.

Runs celery with the words that it is given, after putting the stand-in where models are opened.
The queue, the engine and everything else are the real ones.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from core.pipelines.threads import use_threads

COST = "STAND_IN_S"  # the variable that says how many seconds a step takes
WORD = 5  # the first that is no special


def main() -> None:
    """Be a worker."""
    use_threads(1)  # before anything imports torch
    _put_in(float(os.environ[COST]))
    from celery.__main__ import main as celery

    celery()


def _put_in(cost_s: float) -> None:
    """Let every bundle that is opened have a stand-in instead of its network."""
    import torch
    from torch import Tensor, nn

    from core.pipelines import shelf
    from core.pipelines.bundle import Bundle
    from core.text.tokenizer import EOS

    class StandIn(nn.Module):
        """Says the same word to everybody, and ends; ``cost_s`` passes in each step."""

        tells_attention = False

        def __init__(self, words: int) -> None:
            super().__init__()
            says = torch.zeros(2, words)  # at the first step, and later
            says[0, WORD] = says[1, EOS] = 20.0
            self.says = nn.Parameter(says, requires_grad=False)

        def start(self, source: Tensor, source_mask: Tensor) -> Tensor:
            del source_mask
            return source.new_zeros(len(source))

        def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, None, Tensor]:
            del tokens
            if cost_s:
                time.sleep(cost_s)
            return self.says[state], None, torch.ones_like(state)

        def select(self, state: Tensor, rows: Tensor) -> Tensor:
            return state[rows]

        def join(self, states: Sequence[Tensor]) -> Tensor:
            return torch.cat(list(states))

    def stand_in(real: Bundle, precision: object) -> Bundle:
        del precision
        return replace(real, model=StandIn(real.tokenizer.size))

    shelf.serving = stand_in


if __name__ == "__main__":
    sys.exit(main())
