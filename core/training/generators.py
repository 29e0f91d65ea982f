"""Every generator that a training draws from: seeded, saved and put back."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from core.training.team import Team

_APART = 2**32  # seeds of the plan are below 2**31: no two generators get the same


class Generators:
    """Those of this process: torch's own, for dropout, and one for scheduled sampling.

    Each process of a team draws for rows of its own, so each has generators of its own.
    """

    def __init__(self, *, seed: int, device: torch.device, team: Team) -> None:
        """Seed them, torch's own included."""
        self._device = device
        self._team = team
        torch.manual_seed(seed + _APART * 2 * team.rank)
        self.forcing = torch.Generator().manual_seed(seed + _APART * (2 * team.rank + 1))

    def dump(self) -> dict[str, Tensor]:
        """Return the bytes (R, N) of each generator in all R processes; all have to call this."""
        return {name: torch.stack(self._team.gather(own)) for name, own in self._own().items()}

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Go on from what ``dump`` returned.

        A process that had no part in it, or another device, keeps its fresh seed: such a run is
        as good as the one that was saved, though not the same.
        """
        rank = self._team.rank
        rows = {name: value[rank] for name, value in saved.items() if rank < len(value)}
        if "torch" in rows:
            torch.set_rng_state(rows["torch"].clone())
        if "forcing" in rows:
            self.forcing.set_state(rows["forcing"].clone())
        if "cuda" in rows and self._device.type == "cuda":
            torch.cuda.set_rng_state(rows["cuda"].clone(), self._device)

    def _own(self) -> dict[str, Tensor]:
        own = {"torch": torch.get_rng_state(), "forcing": self.forcing.get_state()}
        if self._device.type == "cuda":
            own["cuda"] = torch.cuda.get_rng_state(self._device)
        return own


def gathered_carry(carry: tuple[Tensor, ...], rows: int, team: Team) -> tuple[Tensor, ...]:
    """Return the carry (B, ...) of all ``rows``, of which this process holds its share."""
    mine = torch.from_numpy(team.share(np.arange(rows)))
    whole = []
    for part in carry:
        all_rows = part.new_zeros(rows, *part.shape[1:])
        all_rows[mine.to(part.device)] = part
        team.add(all_rows)
        whole.append(all_rows)
    return tuple(whole)


def own_carry(whole: tuple[Tensor, ...], team: Team, device: torch.device) -> tuple[Tensor, ...]:
    """Return this process's share of a carry (B, ...) of all rows, on ``device``."""
    if not whole:
        return ()
    mine = torch.from_numpy(team.share(np.arange(len(whole[0]))))
    return tuple(part[mine].to(device) for part in whole)
