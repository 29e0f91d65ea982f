"""Starting the processes of a team on this host, or joining one that somebody else started."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

from torch._C._distributed_c10d import Store, TCPStore  # torch.distributed has no types for them

from core.errors import UnavailableError
from core.training.team import ALONE, GATHERING_S, SILENCE_S, Group, Team, gathered, join

_LOOPBACK = "127.0.0.1"
_INTERFACE = "lo0" if sys.platform == "darwin" else "lo"
_TOLD = {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}  # by torchrun, or by us
_PARENT = "MALGIL_TEAM_PARENT"  # the process that started this one, by us alone
_LEAVING_S = 10.0  # how long the others may take to end after the last reduction
_GRACE_S = 3.0  # and when told to; a reduction that was broken off can hang them
_LOOK_S = 0.05

Child = subprocess.Popen[bytes]


@contextmanager
def team_of(
    processes: int,
    command: Sequence[str],
    *,
    environment: Mapping[str, str] = os.environ,
    device: str = "cpu",
    gathering_s: float = GATHERING_S,
    silence_s: float = SILENCE_S,
) -> Iterator[Team]:
    """Train in a team of ``processes`` on this host; the others run ``command``.

    This process has rank 0, and ``command`` is to come by here too: it is started with the
    variables that torchrun sets, and a process that finds them joins that team instead, on
    whatever host. Teams that are started here talk over loopback only. The others end with the
    team, whatever happens to this process.

    Raises UnavailableError where one of them ends before all have met, and later from the team.
    """
    times = {"gathering_s": gathering_s, "silence_s": silence_s}
    if environment.keys() >= _TOLD:
        with _no_longer_than(environment.get(_PARENT)):
            group = join(environment, device=device, **times)
        try:
            yield group
        finally:
            group.close()
    elif processes == 1:
        yield ALONE
    else:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", _INTERFACE)  # gloo is told in no other way
        store, port = _meeting_place(gathering_s)
        with _children(processes, command, environment, port) as children:
            _wait(store, children, gathering_s)
            group = Group(store, rank=0, size=processes, device=device, **times)
            try:
                yield group
            finally:
                group.close()


def _meeting_place(gathering_s: float) -> tuple[Store, int]:
    listening = socket.create_server((_LOOPBACK, 0))
    port = listening.getsockname()[1]
    store = TCPStore(
        _LOOPBACK,
        port,
        is_master=True,
        wait_for_workers=False,
        timeout=timedelta(seconds=gathering_s),
        master_listen_fd=listening.detach(),
    )
    return store, port


@contextmanager
def _children(
    processes: int, command: Sequence[str], environment: Mapping[str, str], port: int
) -> Iterator[list[Child]]:
    """Start all but rank 0, and see to it that none is left, nor anything of theirs.

    What they write for themselves is in a folder that is not theirs to remove: one that cannot
    end in time is killed, and has no chance to.
    """
    meeting = {
        "WORLD_SIZE": str(processes),
        "MASTER_ADDR": _LOOPBACK,
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": _INTERFACE,
        _PARENT: str(os.getpid()),
    }
    with tempfile.TemporaryDirectory(prefix="malgil-team-") as folder:
        yield from _started(processes, command, {**environment, **meeting, "TMPDIR": folder})


def _started(
    processes: int, command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[list[Child]]:
    """Start them, hand them out, and end them."""
    children: list[Child] = []
    try:
        for rank in range(1, processes):
            own = {**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            children.append(subprocess.Popen(command, env=own))  # noqa: S603 (our own command)
        yield children
        _let_end(children, _LEAVING_S)
    finally:
        for child in children:
            child.terminate()  # so that they leave nothing behind
        _let_end(children, _GRACE_S)
        for child in children:
            child.kill()
            child.wait()


@contextmanager
def _no_longer_than(parent: str | None) -> Iterator[None]:
    """End this process if ``parent`` ends meanwhile: nobody else can wake who waits for a team.

    Once all have met, it is the team that notices.
    """
    met = threading.Event()

    def watch() -> None:
        while not met.wait(_LOOK_S):
            if str(os.getppid()) != parent:
                os._exit(1)

    if parent is not None:
        threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        met.set()


def _wait(store: Store, children: Sequence[Child], gathering_s: float) -> None:
    """Wait until all have come; give up as soon as one has ended instead."""
    late = time.monotonic() + gathering_s
    while not gathered(store, len(children) + 1) and time.monotonic() < late:
        for rank, child in enumerate(children, 1):
            if child.poll() is not None:
                raise UnavailableError(
                    f"Process {rank + 1} of {len(children) + 1} that were to train together ended "
                    f"with status {child.returncode} before it began."
                )
        time.sleep(_LOOK_S)


def _let_end(children: Sequence[Child], grace_s: float) -> None:
    late = time.monotonic() + grace_s
    while any(child.poll() is None for child in children) and time.monotonic() < late:
        time.sleep(_LOOK_S)
