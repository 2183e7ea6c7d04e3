"""Whose fault it is when a pass breaks: graphopt's own, or a stranger's, who is to be told instead."""

from __future__ import annotations

import traceback
from typing import Final, final

from graphopt.ir.graph import Graph
from graphopt.observe.observer import Observer
from graphopt.pipeline.registry import OURS, Registry

_PACKAGE: Final = __name__.partition(".")[0]
_OURS: Final = (f"{_PACKAGE}.passes", f"{_PACKAGE}.patterns")


@final
class Running(Observer):
    """Knows which pass runs: `name`, without its options; empty between passes. To be told last, so that it knows when others break."""

    def __init__(self) -> None:
        self.name = ""

    def pass_began(self, name: str, graph: Graph) -> None:
        self.name = name.partition("{")[0]

    def pass_ended(self, name: str, graph: Graph, changes: int, seconds: float) -> None:
        self.name = ""


def line_in(owner: type, error: BaseException) -> str:
    """FILE:LINE, where an error left the package of a class; where it was raised, when it never was there.

    Of graphopt that is what passes and patterns say, not the engine that they call.
    """
    package = owner.__module__.partition(".")[0]
    homes = _OURS if package == _PACKAGE else (package,)
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [at for at in frames if f"{at[0].f_globals.get('__name__')}.".startswith(tuple(f"{home}." for home in homes))]
    frame, line = (own or frames)[-1]
    return f"{frame.f_code.co_filename}:{line}"


def advice(step: str, registry: Registry) -> str:
    """What to do about a pass that broke, and whom to tell; the sentence goes on with what to send."""
    entry = registry.entry_of(step)
    if entry is None or entry.owner == OURS:
        return "This is a bug. Please report it"
    package = entry.target.partition(":")[0].partition(".")[0]
    return f"{step} comes from the plug-in {entry.owner!r} (package {package}), not from graphopt. Please report it to its authors"
