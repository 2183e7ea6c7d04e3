"""The events of a run: what passes, drivers and the runner tell, and who listens."""

from __future__ import annotations

from collections.abc import Callable

from graphopt.ir.graph import Graph, Node


class Observer:
    """Override what you care about; every hook does nothing by default and costs nothing then.

    `source` is the name of the rule (or of a whole-graph pass) that acts; `node` the root of the match, still in its graph in
    `may_apply`, possibly erased in `applied`.
    """

    def phase_began(self, phase: str) -> None:
        """The run of a whole job gets to "load", "optimize", "verify" or "save"."""

    def may_run(self, name: str, graph: Graph) -> bool:
        """Whether a pass may run on a graph; False leaves it out this time. All observers must agree."""
        return True

    def pass_began(self, name: str, graph: Graph) -> None:
        """A pass (printed as a pipeline spells it) starts on a graph."""

    def may_apply(self, source: str, node: Node) -> bool:
        """Whether a rewrite that is ready may be made; False leaves the graph as it is. All observers must agree."""
        return True

    def declined(self, source: str, node: Node, why: Callable[[], str]) -> None:
        """A pattern matched but its rule or a guard said no; `why()` is the reason, made only when asked for."""

    def applied(self, source: str, node: Node, replacement: tuple[Node, ...]) -> None:
        """A rewrite was made: `replacement` are the nodes that it put in, none when it only removed."""

    def pass_ended(self, name: str, graph: Graph, changes: int, seconds: float) -> None:
        """A pass is through with a graph."""

    def warned(self, source: str, message: str) -> None:
        """Something a user should know, that stops nothing."""


class Observers(Observer):
    """Several observers as one, told in their order. `Observers.of` is cheaper where there may be none or one."""

    def __init__(self, *observers: Observer) -> None:
        self.observers = observers

    @staticmethod
    def of(*observers: Observer | None) -> Observer:
        """The observers that are there, as one."""
        present = [observer for observer in observers if observer is not None]
        return present[0] if len(present) == 1 else Observers(*present) if present else Observer()

    def phase_began(self, phase: str) -> None:
        for observer in self.observers:
            observer.phase_began(phase)

    def may_run(self, name: str, graph: Graph) -> bool:
        answers = [observer.may_run(name, graph) for observer in self.observers]  # each one counts, so each is asked
        return all(answers)

    def pass_began(self, name: str, graph: Graph) -> None:
        for observer in self.observers:
            observer.pass_began(name, graph)

    def may_apply(self, source: str, node: Node) -> bool:
        answers = [observer.may_apply(source, node) for observer in self.observers]
        return all(answers)

    def declined(self, source: str, node: Node, why: Callable[[], str]) -> None:
        for observer in self.observers:
            observer.declined(source, node, why)

    def applied(self, source: str, node: Node, replacement: tuple[Node, ...]) -> None:
        for observer in self.observers:
            observer.applied(source, node, replacement)

    def pass_ended(self, name: str, graph: Graph, changes: int, seconds: float) -> None:
        for observer in self.observers:
            observer.pass_ended(name, graph, changes, seconds)

    def warned(self, source: str, message: str) -> None:
        for observer in self.observers:
            observer.warned(source, message)
