"""How many threads torch uses in this process; torch itself is loaded only when that is said."""

import os


def use_threads(count: int) -> None:
    """Let torch use ``count`` threads (0: one for each core), and let idle ones sleep soon.

    Spinning threads fall to a tenth of their speed when another process wants a core; threads
    that sleep at once lose a fifth on a quiet machine, where the next piece of work is there
    before they are awake. So they spin for some microseconds, and then sleep. Call it before
    torch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # goes first, where the library is GNU's
    import torch

    torch.set_num_threads(count or os.cpu_count() or 1)
