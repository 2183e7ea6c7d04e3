"""What a model stores: how many elements of which type, and where their bytes lie. No weight is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from graphopt.io.about import about
from graphopt.ir.attribute import AttributeKind
from graphopt.ir.graph import Node
from graphopt.ir.model import Model
from graphopt.ir.tensor import FileSlice, Tensor

_TENSORS = (AttributeKind.tensor, AttributeKind.tensors)


@final
@dataclass(frozen=True, slots=True)
class Weights:
    """Elements by type, and bytes: `inside` the model file (or memory) and `beside` it by file; what is stored once counts once.

    Those of initializers, and of tensors in attributes of nodes. `sparse`: how many initializers are sparse, whose elements do not count.
    """

    elements: dict[str, int] = field(default_factory=dict)
    inside: int = 0
    beside: dict[Path, int] = field(default_factory=dict)
    sparse: int = 0

    @property
    def count(self) -> int:
        """How many elements of any type."""
        return sum(self.elements.values())

    @property
    def bytes(self) -> int:
        """How many bytes, wherever they lie."""
        return self.inside + sum(self.beside.values())

    @classmethod
    def of(cls, model: Model) -> Weights:
        """Count a model's."""
        elements: Counter[str] = Counter()
        beside: Counter[Path] = Counter()
        data_files, inside, seen = about(model).data_files, 0, set[object]()
        for tensor in stored(model):
            place = place_of(tensor)
            if place in seen:
                continue
            seen.add(place)
            elements[tensor.dtype.name] += tensor.size
            if isinstance(tensor.storage, FileSlice) and tensor.storage.file.path in data_files:
                beside[tensor.storage.file.path] += tensor.nbytes
            else:
                inside += tensor.nbytes
        sparse = sum(value.tensor is None for graph in model.graphs() for value in graph.initializers.values())
        return cls(dict(sorted(elements.items(), key=lambda item: -item[1])), inside, dict(sorted(beside.items())), sparse)


def stored(model: Model) -> Iterator[Tensor]:
    """Every tensor that a model holds, those in attributes of nodes too, in the order of the file."""
    for graph in model.graphs():
        yield from (value.tensor for value in graph.initializers.values() if value.tensor is not None)
        for node in graph:
            yield from held_by(node)


def held_by(node: Node) -> Iterator[Tensor]:
    """The tensors in the attributes of a node."""
    for attribute in node.attributes.values():
        if attribute.kind in _TENSORS:
            held = attribute.value
            yield from (each for each in (held if isinstance(held, tuple) else (held,)) if isinstance(each, Tensor))


def place_of(tensor: Tensor) -> object:
    """What identifies the bytes of a tensor: two that lie in the same place of a file are one."""
    storage = tensor.storage
    return (storage.file.path, storage.offset, storage.nbytes) if isinstance(storage, FileSlice) else id(tensor)


def parameters_of(node: Node) -> int:
    """How many stored elements a node reads, each slot once, and holds; a Constant's count where they are read."""
    read = {place_of(value.tensor): value.tensor.size for value in node.inputs if value is not None and value.tensor is not None}
    return sum(read.values()) + (0 if node.op == "Constant" else sum(tensor.size for tensor in held_by(node)))
