"""How many threads torch uses in this process; torch itself is loaded only when that is said."""

import os


def use_threads(count: int) -> None:
    """Let torch use ``count`` threads (0: one for each core), and let idle ones sleep.

    Spinning threads fall to a tenth of their speed when another process wants a core. Call it
    before torch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    torch.set_num_threads(count or os.cpu_count() or 1)
