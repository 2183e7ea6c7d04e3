"""Python's garbage collector, which is of no use while a graph is built or worked on."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_resting() -> Iterator[None]:
    """Keep the garbage collector out: a graph is one cycle of many objects, all alive, that it would look through again and again.

    Measured: 50,000 nodes take 5.2 to 6.0 times as long to optimize as 10,000 with it, 3.6 times without.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
