"""What hears of edits."""

from __future__ import annotations

from graphopt.ir.graph import Node, Value


class Listener:
    """Hears every edit, after it was made. Override what you care about."""

    def inserted(self, node: Node) -> None:
        """`node` now stands in its graph."""

    def erased(self, node: Node) -> None:
        """`node` is no longer in any graph; its inputs are still listed but no longer counted."""

    def rewired(self, node: Node, slot: int, old: Value | None) -> None:
        """Input `slot` of `node` read `old` before."""

    def reattributed(self, node: Node, name: str) -> None:
        """Attribute `name` of `node` was set or removed."""

    def renamed(self, value: Value, old: str) -> None:
        """`value` was called `old` before."""

    def retyped(self, value: Value) -> None:
        """More is known of the type of `value`."""
