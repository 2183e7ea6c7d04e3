"""Python's garbage collector, which is of no use while a graph is built or worked on."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MANY: Final = 20_000  # objects that take longer to look through than the rest of what it takes to be called
ENOUGH: Final = 500_000  # objects that may wait to be looked through


@contextmanager
def collector_resting() -> Iterator[None]:
    """Keep the garbage collector out: a graph is one cycle of many objects, all alive, that it would look through again and again.

    Measured: 50,000 nodes take 5.2 to 6.0 times as long to optimize as 10,000 with it, 3.6 times without. Nor does it look through
    them all at once at the end, which took a tenth of the time, when the graph is still alive: they count as old objects then.
    """
    was_on = gc.isenabled()
    if was_on:
        _waiting.collect_when_enough()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            _waiting.add(gc.get_count()[0])
            gc.enable()


class _Waiting:
    """How many objects became old without being looked at: Python does not count them, and would let them wait for long."""

    def __init__(self) -> None:
        self.objects = 0
        self.collections = 0  # of all objects, until the last of them came

    def add(self, objects: int) -> None:
        """Make all objects old, if they are many, and nobody froze others, which could not be told from them."""
        if objects < MANY or gc.get_freeze_count():
            return
        gc.freeze()
        gc.unfreeze()
        self._forget_collected()
        self.objects += objects

    def collect_when_enough(self) -> None:
        """Look through everything, when graphs that nobody holds any more may be a good part of it."""
        self._forget_collected()
        if self.objects >= ENOUGH:
            gc.collect()

    def _forget_collected(self) -> None:
        collections = gc.get_stats()[-1]["collections"]
        if collections != self.collections:
            self.objects, self.collections = 0, collections


_waiting = _Waiting()
