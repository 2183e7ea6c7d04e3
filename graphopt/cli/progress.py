"""What goes on, on stderr, while it takes long and somebody watches."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, final

from graphopt.ir.graph import Graph
from graphopt.observe.observer import Observer

if TYPE_CHECKING:
    from rich.status import Status
    from typing_extensions import Self

PATIENCE = 1.0  # seconds without a word; what is done by then needs no progress
PHASES = {"load": "loading", "optimize": "optimizing", "verify": "verifying", "save": "writing"}


class StatusLine:
    """A line on the terminal that says what goes on, while the block that it is given runs.

    Silent for the first second, and always when stderr is no terminal.
    """

    def __init__(self, text: str, *, enabled: bool) -> None:
        self._text = text
        self._lock = threading.Lock()
        self._status: Status | None = None
        self._timer = threading.Timer(PATIENCE, self._show) if enabled and sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._timer = None
            if self._status is not None:
                self._status.stop()

    def tell(self, text: str) -> None:
        """Say something else."""
        self._text = text
        if self._status is not None:
            self._status.update(text)

    def _show(self) -> None:
        from rich.console import Console

        with self._lock:
            if self._timer is not None:
                self._status = Console(stderr=True).status(self._text)
                self._status.start()


@final
class Progress(StatusLine, Observer):
    """A line that says which phase of a job it is, and which pass runs."""

    def __init__(self, *, enabled: bool) -> None:
        super().__init__(PHASES["load"], enabled=enabled)

    def phase_began(self, phase: str) -> None:
        self.tell(PHASES.get(phase, phase))

    def pass_began(self, name: str, graph: Graph) -> None:
        self.tell(f"{PHASES['optimize']}: {name}, {len(graph)} nodes")

    def pass_ended(self, name: str, graph: Graph, changes: int, seconds: float) -> None:
        self.tell(PHASES["optimize"])
