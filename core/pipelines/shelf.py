"""The models in memory: how they come there, and who leaves first."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.pipelines.bundle import Bundle, open_bundle, read_bundle, serving
from core.specs import ServingPrecision


@dataclass(slots=True)
class _Held:
    """A model in memory."""

    bundle: Bundle
    size: int  # bytes of its file, which is about what it takes
    used: float  # when it was asked for last, by the clock


class Models:
    """The bundles in memory, ready to answer, by checkpoint id; any thread may ask.

    The one not asked for longest leaves first.
    """

    def __init__(
        self,
        fetch: Callable[[str], bytes | Path],
        *,
        limit: int,
        limit_bytes: int | None = None,
        precision: ServingPrecision | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``fetch`` gives the content of a checkpoint, or a file that has it and will not change.

        At most ``limit`` stay, of no more than ``limit_bytes`` together, but the newest always.
        ``precision`` is that of every model, whatever their plans say. ``clock`` is in seconds.
        """
        self._fetch = fetch
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._precision = precision
        self._clock = clock
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, checkpoint: str) -> Bundle | None:
        """Return the bundle of ``checkpoint``, if it is here."""
        with self._lock:
            held = self._held.get(checkpoint)
            if held is None:
                return None
            held.used = self._clock()
            self._held.move_to_end(checkpoint)
            return held.bundle

    def get(self, checkpoint: str) -> Bundle:
        """Return the bundle of ``checkpoint``, reading it first if need be."""
        known = self.known(checkpoint)
        if known is not None:
            return known
        found = self._fetch(checkpoint)  # without the lock: the others are asked for meanwhile
        if isinstance(found, Path):
            read, size = open_bundle(found), found.stat().st_size
        else:
            read, size = read_bundle(found), len(found)
        bundle = serving(read, self._precision)
        with self._lock:
            self._held[checkpoint] = _Held(bundle, size, self._clock())
            self._held.move_to_end(checkpoint)
            while len(self._held) > 1 and self._is_too_much():
                self._held.popitem(last=False)
        return bundle

    def forget_idle(self, idle_s: float) -> list[str]:
        """Drop those that nobody has asked for so long; returns their checkpoints."""
        since = self._clock() - idle_s
        with self._lock:
            idle = [name for name, held in self._held.items() if held.used < since]
            for name in idle:
                del self._held[name]
        return idle

    def _is_too_much(self) -> bool:
        size = sum(held.size for held in self._held.values())
        return len(self._held) > self._limit or (
            self._limit_bytes is not None and size > self._limit_bytes
        )
