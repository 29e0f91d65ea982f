"""A process that learns along: what it does is named on its command line, its result is JSON."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from core.errors import UnavailableError
from core.pipelines.parallel import team_of
from core.training.team import Team

ROWS = 7


def gradients(team: Team) -> list[list[float] | None]:
    """Sum the gradients of a loss over ROWS rows, of which each member sees its share."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    unused = nn.Parameter(torch.zeros(2))
    data = torch.randn(ROWS, 3)
    rows = team.share(torch.arange(ROWS).numpy())
    if len(rows):
        torch.autograd.backward(model(data[rows]).pow(2).sum())
    parameters = [*model.parameters(), unused]
    team.sum_gradients(parameters)
    return [None if one.grad is None else one.grad.flatten().tolist() for one in parameters]


def few_rows(team: Team) -> list[list[float] | None]:
    """Do the same for a batch of one row: all but one member have none."""
    weight = nn.Parameter(torch.ones(2, 2))
    frozen = nn.Parameter(torch.ones(1), requires_grad=False)
    for _ in team.share(torch.arange(1).numpy()):
        torch.autograd.backward((3 * weight).sum())
    team.sum_gradients([weight, frozen])
    return [None if one.grad is None else one.grad.flatten().tolist() for one in (weight, frozen)]


def sums(team: Team) -> list[object]:
    """Add up numbers of several kinds and shapes, and gather some."""
    loss = torch.tensor(0.5 + team.rank)
    tokens = torch.tensor([[team.rank, 2**40 + 1]])
    team.add(loss, tokens)
    gathered = team.gather(torch.tensor([team.rank, 8], dtype=torch.uint8))
    return [loss.item(), tokens.tolist(), [one.tolist() for one in gathered]]


def vanish(team: Team) -> None:
    """Let one member end without a word."""
    team.add(torch.ones(1))
    if team.rank:
        sys.exit(7)
    team.add(torch.ones(1))


def hang(team: Team) -> None:
    """Let one member fall silent."""
    team.add(torch.ones(1))
    if team.rank:
        time.sleep(60)
    team.add(torch.ones(1))


def fall(team: Team) -> None:
    """Let the member that started the others be killed."""
    team.add(torch.ones(1))
    if not team.rank:
        os.kill(os.getpid(), signal.SIGKILL)
    team.add(torch.ones(1))


WORK: dict[str, Callable[[Team], object]] = {
    one.__name__: one for one in (gradients, few_rows, sums, vanish, hang, fall)
}


def main(names: str, processes: int, silence_s: float, folder: Path) -> None:
    """Do the works ``names`` in a team, and leave what came of them, or the error, as JSON."""
    torch.set_num_threads(1)
    command = [sys.executable, "-m", "tests.core.training.member", *sys.argv[1:]]
    found: object
    try:
        with team_of(processes, command, silence_s=silence_s) as team:
            found = {name: WORK[name](team) for name in names.split(",")}
    except UnavailableError as error:
        found = str(error)
    rank = os.environ.get("RANK", "0")
    (folder / f"{rank}.part").write_text(json.dumps(found))
    (folder / f"{rank}.part").rename(folder / f"{rank}.json")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
