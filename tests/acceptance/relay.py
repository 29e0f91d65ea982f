"""A way to a server that can be cut and mended, while the server itself goes on."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.acceptance.processes import free_port

PIECE = 1 << 16
LOOK_S = 0.2


class Relay:
    """Listens on a port of loopback and hands everything on to another port, or to a socket."""

    def __init__(self, target: int | Path) -> None:
        self.port = free_port()
        self._target = target
        self._listener: socket.socket | None = None
        self._ways: set[socket.socket] = set()
        self._lock = threading.Lock()

    def mend(self) -> None:
        """Let everybody through."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listener.settimeout(LOOK_S)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Break all connections and refuse new ones."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        with self._lock:
            ways, self._ways = self._ways, set()
        for way in ways:
            with suppress(OSError):
                way.shutdown(socket.SHUT_RDWR)
            way.close()

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is listener:
            try:
                here, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:  # it was cut
                return
            try:
                there = self._reach()
            except OSError:
                here.close()
                continue
            with self._lock:
                self._ways |= {here, there}
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _reach(self) -> socket.socket:
        if isinstance(self._target, int):
            return socket.create_connection(("127.0.0.1", self._target))
        there = socket.socket(socket.AF_UNIX)
        there.connect(str(self._target))
        return there

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while piece := one.recv(PIECE):
                other.sendall(piece)
        for way in (one, other):
            with suppress(OSError):
                way.shutdown(socket.SHUT_RDWR)
            way.close()
        with self._lock:
            self._ways -= {one, other}


@contextmanager
def relayed(target: int | Path) -> Iterator[Relay]:
    """Open a way to a port of loopback or to a socket, until the block is left."""
    relay = Relay(target)
    relay.mend()
    try:
        yield relay
    finally:
        relay.cut()
