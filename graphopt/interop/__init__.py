"""Graphs of other libraries, in and out. Each library is imported when a graph of its kind is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphopt.interop.graphsurgeon import from_graphsurgeon as from_graphsurgeon
    from graphopt.interop.graphsurgeon import to_graphsurgeon as to_graphsurgeon
    from graphopt.interop.networkx import to_networkx as to_networkx

_HOMES = {"from_graphsurgeon": "graphsurgeon", "to_graphsurgeon": "graphsurgeon", "to_networkx": "networkx"}

__all__ = list(_HOMES)


if not TYPE_CHECKING:  # a type checker that sees it believes that every name is there

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module 'graphopt.interop' has no attribute {name!r}")
        return getattr(import_module(f"graphopt.interop.{_HOMES[name]}"), name)
