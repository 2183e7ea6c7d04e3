"""A model's signature: inputs and outputs, by name, order and type; and how two signatures differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from onnx import ModelProto, TypeProto

from graphopt.io.declared import with_sizes
from graphopt.ir.dtype import DType

Extent: TypeAlias = int | str | None


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output. `overridable`: an input with a stored default, which a caller may leave out."""

    name: str
    type: TypeProto
    overridable: bool = False

    @property
    def kind(self) -> DType | None:
        """The element type of a tensor; None for anything else, or when it is not declared."""
        if self.type.WhichOneof("value") != "tensor_type":
            return None
        return DType(self.type.tensor_type.elem_type) or None

    @property
    def extents(self) -> tuple[Extent, ...] | None:
        """The declared shape of a tensor: numbers, symbols, None for unknown; None when the rank is not declared."""
        return extents(self.type)

    def __str__(self) -> str:
        return f"{self.name}: {spelled(self.type)}"


@dataclass(frozen=True, slots=True)
class Signature:
    """What callers of a model rely on."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @classmethod
    def of(cls, proto: ModelProto, *, initializers_are_constants: bool = False) -> Signature:
        """Read it from a model. With `initializers_are_constants` an input that has a stored default does not count."""
        graph = proto.graph
        stored = {tensor.name for tensor in graph.initializer} | {tensor.values.name for tensor in graph.sparse_initializer}
        inputs = [Port(value.name, value.type, value.name in stored) for value in graph.input]
        if initializers_are_constants:
            inputs = [port for port in inputs if not port.overridable]
        return cls(tuple(inputs), tuple(Port(value.name, value.type) for value in graph.output))

    def with_sizes(self, names: Mapping[str, int], shapes: Mapping[str, Sequence[Extent]]) -> Signature:
        """The same with numbers for named dimensions, and with whole shapes for some inputs."""
        inputs = tuple(replace(port, type=_sized(port.type, names, shapes.get(port.name))) for port in self.inputs)
        return Signature(inputs, tuple(replace(port, type=_sized(port.type, names, None)) for port in self.outputs))


def _sized(type: TypeProto, names: Mapping[str, int], shape: Sequence[Extent] | None) -> TypeProto:
    sized = TypeProto()
    sized.CopyFrom(type)
    if shape is not None:
        tensor = sized.tensor_type if sized.HasField("tensor_type") else sized.sparse_tensor_type
        tensor.shape.SetInParent()
        del tensor.shape.dim[:]
        for extent in shape:
            dim = tensor.shape.dim.add()
            if isinstance(extent, int):
                dim.dim_value = extent
            elif extent is not None:
                dim.dim_param = extent
    with_sizes(sized, names)
    return sized


def extents(type: TypeProto) -> tuple[Extent, ...] | None:
    """The declared shape of a (sparse) tensor type; a negative number is no number (exporters write -1 for unknown)."""
    which = type.WhichOneof("value")
    if which not in ("tensor_type", "sparse_tensor_type"):
        return None
    tensor = type.tensor_type if which == "tensor_type" else type.sparse_tensor_type
    if not tensor.HasField("shape"):
        return None
    found: list[Extent] = []
    for dim in tensor.shape.dim:
        if dim.HasField("dim_value"):
            found.append(dim.dim_value if dim.dim_value >= 0 else None)
        else:
            found.append(dim.dim_param or None)
    return tuple(found)


def spelled(type: TypeProto) -> str:
    """A type as people write it: float32[N, 3], seq(int64), map(string, float32[])."""
    which = type.WhichOneof("value")
    if which in ("tensor_type", "sparse_tensor_type"):
        tensor = type.tensor_type if which == "tensor_type" else type.sparse_tensor_type
        try:
            kind = DType(tensor.elem_type).name
        except ValueError:  # newer than this release
            kind = f"type{tensor.elem_type}"
        shape = extents(type)
        inside = "..." if shape is None else ", ".join("?" if extent is None else str(extent) for extent in shape)
        return f"{'sparse ' if which == 'sparse_tensor_type' else ''}{kind}[{inside}]"
    if which == "sequence_type":
        return f"seq({spelled(type.sequence_type.elem_type)})"
    if which == "optional_type":
        return f"optional({spelled(type.optional_type.elem_type)})"
    if which == "map_type":
        return f"map({DType(type.map_type.key_type).name}, {spelled(type.map_type.value_type)})"
    return "undeclared" if which is None else which


def changes(before: Signature, after: Signature, shapes: Mapping[str, Sequence[tuple[int, ...]]]) -> tuple[list[str], list[str]]:
    """What a caller of `before` would notice of `after`: faults, and remarks that are none.

    `shapes` are the shapes that each output of `before` had when it ran: a declaration that they contradict may be corrected.
    Knowing more about an output is a remark, so is knowing less; all else that changes is a fault.
    """
    faults: list[str] = []
    remarks: list[str] = []
    for side, old, new in (("input", before.inputs, after.inputs), ("output", before.outputs, after.outputs)):
        if (fault := _names(side, [port.name for port in old], [port.name for port in new])) is not None:
            faults.append(fault)
            continue
        for one, two in zip(old, new, strict=True):
            if one.overridable != two.overridable:
                states = ("must be fed", "has a default")
                faults.append(f"input {one.name} {states[two.overridable]} now, it {states[one.overridable]} before")
            _types(side, one, two, shapes.get(one.name, ()), faults, remarks)
    return faults, remarks


def _names(side: str, old: list[str], new: list[str]) -> str | None:
    if old == new:
        return None
    lost = [name for name in old if name not in set(new)]
    extra = [name for name in new if name not in set(old)]
    parts = [f"lost {', '.join(lost[:5])}"] if lost else []
    parts += [f"new {', '.join(extra[:5])}"] if extra else []
    return f"{side}s: {'; '.join(parts)}" if parts else f"{side}s: in another order: {', '.join(new[:5])}"


def _types(side: str, old: Port, new: Port, shapes: Sequence[tuple[int, ...]], faults: list[str], remarks: list[str]) -> None:
    if _without_shape(old.type) != _without_shape(new.type):
        undeclared = old.type.WhichOneof("value") is None or (old.type.HasField("tensor_type") and not old.type.tensor_type.elem_type)
        into = remarks if side == "output" and undeclared else faults
        into.append(f"{side} {old.name} is {spelled(new.type)}, was {spelled(old.type)}")
        return
    one, two = old.extents, new.extents
    if one == two:
        return
    said = f"{side} {old.name} is declared {spelled(new.type)}, was {spelled(old.type)}"
    if shapes and not all(_fits(shape, one) for shape in shapes) and all(_fits(shape, two) for shape in shapes):
        remarks.append(f"{said}, which was false")
    else:
        narrower = side == "input" and not _looser(one, two)
        contradicts = one is not None and two is not None and (len(one) != len(two) or any(map(_contradicts, one, two)))
        (faults if narrower or contradicts else remarks).append(said)


def _looser(old: tuple[Extent, ...] | None, new: tuple[Extent, ...] | None) -> bool:
    """Whether a declaration only lost information: whatever was accepted is accepted still."""
    if old is None or new is None:
        return new is None
    return len(old) == len(new) and all(a == b or (a is not None and not isinstance(b, int)) for a, b in zip(old, new, strict=True))


def _contradicts(old: Extent, new: Extent) -> bool:
    return isinstance(old, int) and isinstance(new, int) and old != new


def _fits(shape: tuple[int, ...], declared: tuple[Extent, ...] | None) -> bool:
    if declared is None:
        return True
    return len(shape) == len(declared) and all(not isinstance(b, int) or a == b for a, b in zip(shape, declared, strict=True))


def _without_shape(type: TypeProto) -> bytes:
    bare = TypeProto()
    bare.CopyFrom(type)
    _strip(bare)
    return bytes(bare.SerializeToString(deterministic=True))


def _strip(type: TypeProto) -> None:
    which = type.WhichOneof("value")
    type.denotation = ""
    if which == "tensor_type":
        type.tensor_type.ClearField("shape")
    elif which == "sparse_tensor_type":
        type.sparse_tensor_type.ClearField("shape")
    elif which == "sequence_type":
        _strip(type.sequence_type.elem_type)
    elif which == "optional_type":
        _strip(type.optional_type.elem_type)
    elif which == "map_type":
        _strip(type.map_type.value_type)
