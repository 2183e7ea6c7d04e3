"""What a model holds: nodes by operator, stored bytes, and the signature that callers rely on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import final

from graphopt.ir.attribute import AttributeKind
from graphopt.ir.graph import Graph, Value
from graphopt.ir.model import Model
from graphopt.ir.tensor import Tensor
from graphopt.ir.types import MapType, OptionalType, SequenceType, SparseTensorType, TensorType, Type


@final
@dataclass(frozen=True, slots=True)
class Inventory:
    """Counts over all graphs of a model, subgraphs and the bodies of functions among them (each body once). No weights are read."""

    operators: dict[str, int] = field(default_factory=dict)
    initializers: int = 0
    initializer_bytes: int = 0
    constant_bytes: int = 0

    @property
    def nodes(self) -> int:
        """How many nodes."""
        return sum(self.operators.values())

    @classmethod
    def of(cls, model: Model) -> Inventory:
        """Count a model."""
        operators: Counter[str] = Counter()
        initializers = initializer_bytes = constant_bytes = 0
        for graph in model.graphs():
            for node in graph:
                operators[node.op] += 1
                constant_bytes += sum(_tensor_bytes(held.value) for held in node.attributes.values() if held.kind in _TENSORS)
            for value in graph.initializers.values():
                initializers += 1
                initializer_bytes += value.tensor.nbytes if value.tensor is not None else 0
        return cls(dict(sorted(operators.items())), initializers, initializer_bytes, constant_bytes)


_TENSORS = (AttributeKind.tensor, AttributeKind.tensors)


def _tensor_bytes(value: object) -> int:
    if isinstance(value, tuple):
        return sum(map(_tensor_bytes, value))
    return value.nbytes if isinstance(value, Tensor) else 0


@final
@dataclass(frozen=True, slots=True)
class Signature:
    """What callers of a model rely on, types as text; an output's shape may become more precise."""

    inputs: dict[str, str]
    overridable: dict[str, str]
    outputs: list[tuple[str, str]]
    opsets: dict[str, int]
    functions: tuple[str, ...]

    @classmethod
    def of(cls, model: Model) -> Signature:
        """The signature of a model."""
        graph = model.graph
        return cls(
            {value.name: declared_text(value.type) for value in graph.inputs if not value.overridable},
            {value.name: declared_text(value.type) for value in graph.inputs if value.overridable},
            [(name, _element(graph, index)) for index, name in enumerate(graph.output_names)],
            {**{name: version for each in model.functions.values() for name, version in each.opsets.items()}, **model.opsets},
            tuple(".".join(filter(None, key)) for key in model.functions),
        )

    def changes(self, later: Signature) -> list[str]:
        """What differs, in words; empty when callers see no difference."""
        found = _differences("input", self.inputs, later.inputs) + _differences("overridable input", self.overridable, later.overridable)
        if list(self.inputs) != list(later.inputs) and not found:
            found.append("the inputs stand in another order")
        if not all(map(_same_output, self.outputs, later.outputs)) or len(self.outputs) != len(later.outputs):
            found.append(f"the outputs were {_listed(self.outputs)}, they are {_listed(later.outputs)}")
        kept = {domain: version for domain, version in self.opsets.items() if domain in later.opsets}  # what nobody uses may go
        return found + _differences("opset of the domain", kept, later.opsets)


def declared_text(type: Type | None) -> str:
    """A type as callers of the model know it: the symbols that inference gives to unknown sizes (`?x.0`) are none of the model's."""
    if not isinstance(type, TensorType) or type.shape is None:
        return str(type or "?")
    return str(replace(type, shape=tuple(None if str(size).startswith("?") else size for size in type.shape)))


def _element(graph: Graph, index: int) -> str:
    value: Value = graph.outputs[index]
    return "" if value.type is None else _outline(value.type)


def _outline(type: Type | None) -> str:
    """A type by its kinds and element types: the sizes in it are what inference found out, not what callers rely on."""
    if isinstance(type, (TensorType, SparseTensorType)):
        return str(replace(type, shape=None))
    if isinstance(type, (SequenceType, OptionalType)):
        return str(replace(type, element=None)).replace("?", _outline(type.element))
    if isinstance(type, MapType):
        return str(replace(type, value=None)).replace("?", _outline(type.value))
    return str(type or "?")


def _same_output(before: tuple[str, str], after: tuple[str, str]) -> bool:
    """The name is the same, and so is the element type where both are known: a model need not declare it, and may declare it wrongly."""
    return before[0] == after[0] and (before[1] == after[1] or not before[1] or not after[1])


def _differences(what: str, before: dict[str, str] | dict[str, int], after: dict[str, str] | dict[str, int]) -> list[str]:
    gone = [f"the {what} {name!r} is gone" for name in before if name not in after]
    new = [f"the {what} {name!r} is new" for name in after if name not in before]
    kept = [name for name in before if name in after and after[name] != before[name]]
    return gone + new + [f"the {what} {name!r} was {before[name]}, it is {after[name]}" for name in kept]


def _listed(outputs: list[tuple[str, str]]) -> str:
    return ", ".join(f"{name} ({kind or 'type unknown'})" for name, kind in outputs)
