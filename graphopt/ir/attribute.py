"""Attributes of nodes: a kind, a value in plain Python, or a reference to an attribute of the enclosing function."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, TypeAlias, cast, final

from graphopt.ir.tensor import Tensor
from graphopt.ir.types import Type

if TYPE_CHECKING:
    from graphopt.ir.graph import Graph


class AttributeKind(IntEnum):
    """What an attribute holds, numbered as ONNX's AttributeProto.AttributeType."""

    undefined = 0
    float = 1
    int = 2
    string = 3
    tensor = 4
    graph = 5
    floats = 6
    ints = 7
    strings = 8
    tensors = 9
    graphs = 10
    sparse_tensor = 11
    sparse_tensors = 12
    type = 13
    types = 14


@final
class Opaque:
    """A value that is carried and never looked into (sparse tensors, kinds newer than graphopt); `origin` is its message."""

    __slots__ = ("origin",)

    def __init__(self, origin: object) -> None:
        self.origin = origin


Scalar: TypeAlias = "float | int | str | bytes"
Element: TypeAlias = "Scalar | Tensor | Graph | Type | Opaque"
AttributeValue: TypeAlias = "Element | tuple[Scalar, ...] | tuple[Tensor, ...] | tuple[Graph, ...] | tuple[Type, ...]"


@final
class Attribute:
    """One attribute of one node. Immutable, but for the graphs it may hold.

    `value` is None exactly when `reference` names an attribute of the enclosing function: then nothing is known of it.
    Strings are str where they are UTF-8, bytes otherwise; lists are tuples. `origin` is the message it was read from, for io/ alone.
    """

    __slots__ = ("kind", "origin", "reference", "value")

    def __init__(self, kind: AttributeKind, value: AttributeValue | None, *, reference: str = "", origin: object = None) -> None:
        self.kind: Final = kind
        self.value: Final = value
        self.reference: Final = reference
        self.origin: Final = origin

    @classmethod
    def of(cls, value: object) -> Attribute:
        """The attribute for a plain Python value. Raises TypeError for what ONNX cannot hold or an empty list, whose kind is unclear.

        >>> Attribute.of([0, 1]).kind.name, Attribute.of(0.5).kind.name, Attribute.of("linear").kind.name
        ('ints', 'float', 'string')
        """
        from graphopt.ir.graph import Graph

        if isinstance(value, Attribute):
            return value
        if isinstance(value, bool) or hasattr(value, "__index__"):
            return cls(AttributeKind.int, int(value))
        if isinstance(value, (list, tuple)) and value:
            items = tuple(cls.of(item) for item in value)
            kinds = {item.kind for item in items}
            if kinds == {AttributeKind.int, AttributeKind.float}:
                return cls(AttributeKind.floats, tuple(float(item.value) for item in items if isinstance(item.value, (int, float))))
            if len(kinds) == 1 and (kind := _PLURAL.get(next(iter(kinds)))) is not None:
                return cls(kind, cast("AttributeValue", tuple(item.value for item in items)))
        if isinstance(value, float):
            return cls(AttributeKind.float, value)
        if isinstance(value, (str, bytes)):
            return cls(AttributeKind.string, value)
        if isinstance(value, Tensor):
            return cls(AttributeKind.tensor, value)
        if isinstance(value, Graph):
            return cls(AttributeKind.graph, value)
        raise TypeError(f"no ONNX attribute can be made of {value!r}: give an Attribute with its kind")

    def graphs(self) -> tuple[Graph, ...]:
        """The subgraphs that this attribute holds: none, one or several."""
        if self.kind is AttributeKind.graph:
            return (cast("Graph", self.value),)
        return cast("tuple[Graph, ...]", self.value) if self.kind is AttributeKind.graphs else ()

    def __repr__(self) -> str:
        return f"@{self.reference}" if self.reference else repr(self.value)


_PLURAL = {
    AttributeKind.int: AttributeKind.ints,
    AttributeKind.float: AttributeKind.floats,
    AttributeKind.string: AttributeKind.strings,
    AttributeKind.tensor: AttributeKind.tensors,
    AttributeKind.graph: AttributeKind.graphs,
}
