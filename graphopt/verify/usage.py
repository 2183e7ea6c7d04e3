"""What a model does with each of its inputs, as far as that says which values can be fed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from graphopt.io.walking import subgraphs
from graphopt.verify.signature import Port

# (operator, input slot) -> the values that make sense there, both ends included. Source: the ONNX operator specifications.
_RANGES: Final[dict[tuple[str, int], tuple[int, int]]] = {
    ("Expand", 1): (1, 1),
    ("Tile", 1): (1, 2),
    ("ConstantOfShape", 0): (1, 3),
    ("Slice", 1): (0, 0),
    ("Slice", 2): (1, 4),
    ("Slice", 4): (1, 1),
    ("TopK", 1): (1, 1),
    ("Pad", 1): (0, 1),
    ("Resize", 3): (1, 4),
    ("Upsample", 1): (1, 2),
    ("Resize", 2): (1, 2),
    ("CumSum", 1): (0, 0),
    ("Range", 0): (0, 0),
    ("Range", 1): (1, 5),
    ("Range", 2): (1, 1),
    ("SequenceAt", 1): (0, 0),
    ("SequenceInsert", 2): (0, 0),
    ("SequenceErase", 1): (0, 0),
    ("Loop", 0): (0, 3),
    ("OneHot", 1): (3, 3),
    ("EyeLike", 0): (0, 1),
    ("Trilu", 1): (-1, 1),
}
_AXES: Final = frozenset({("Slice", 3), ("Unsqueeze", 1), ("Squeeze", 1), ("Pad", 3), ("Resize", 4)})
# slot of the indices -> slot of the data that they index
_INDEXED: Final = {(op, 1): 0 for op in ("Gather", "GatherElements", "GatherND", "Scatter", "ScatterElements", "ScatterND")}
# Values pass through these unchanged, from any input that is data.
_MOVES: Final = frozenset({
    "Cast", "CastLike", "Concat", "Dropout", "Expand", "Flatten", "Identity", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Tile",
    "Transpose", "Unsqueeze", "Where",
})  # fmt: skip
# A size or a count is read here: a wild number would ask for terabytes, or end the process.
_COUNTS: Final = frozenset({*_RANGES, *_AXES, *_INDEXED, ("Reshape", 1), ("Split", 1), ("Resize", 1)})
# Integer division ends the process at the lowest integer over -1 (SIGFPE on x86), in some releases of onnxruntime at 0 too.
_DIVISIONS: Final = frozenset({"Div", "Mod"})
_POSITIVE: Final = frozenset({("BatchNormalization", 4), ("Sqrt", 0), ("Log", 0), ("QuantizeLinear", 1), ("DequantizeLinear", 1)})
_NO_VALUES: Final = frozenset({"Shape", "Size"})  # what they give depends on no value of their input
_FLOATS: Final = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16})


Readers: TypeAlias = dict[str, list[tuple[NodeProto, int]]]
Shapes: TypeAlias = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Usage:
    """What may be fed. `low` to `high` (both included) are derived bounds of integers, None when nothing is known.

    `pattern` is "axes" (different small numbers), "reshape" (a shape that fits anything), "index" (negative ones count from the end) or "".
    `positive`: floats above 0. `words` are strings and map keys that the model knows. `tame`: no special values, because sizes, indices
    or divisors are computed from this input. `divides`: an integer division reads what comes of it, so it is never 0.
    """

    low: int | None = None
    high: int | None = None
    pattern: str = ""
    positive: bool = False
    tame: bool = False
    divides: bool = False
    words: tuple[str | int, ...] = ()


def usages(model: ModelProto, ports: tuple[Port, ...]) -> dict[str, Usage]:
    """How each input is used. Looks at nodes and shapes, never at weights; what a local function does inside is not followed."""
    readers: Readers = defaultdict(list)
    shapes: Shapes = {}
    for graph in (model.graph, *subgraphs(model.graph)):
        for node in graph.node:
            for slot, name in enumerate(node.input):
                if name:
                    readers[name].append((node, slot))
        _collect_shapes(graph, shapes)
    functions = {(function.domain, function.name) for function in model.functions}
    return {port.name: _usage(port, readers, shapes, functions) for port in ports}


def _usage(port: Port, readers: Readers, shapes: Shapes, functions: set[tuple[str, str]]) -> Usage:
    bounds: list[tuple[int, int]] = []
    pattern, positive, tame, divides = "", False, False, False
    words: dict[str | int, None] = {}
    start = (port.name, port.kind is None or not port.kind.is_float, True)
    seen, waiting = {start}, [start]
    while waiting:
        name, integer, moved = waiting.pop()  # moved: nothing but movement so far, so that the bounds of a reader are those of the input
        for node, slot in readers.get(name, ()):
            place = (node.op_type, slot)
            divides |= integer and (node.op_type in _DIVISIONS or (node.domain, node.op_type) in functions)
            tame |= divides or place in _COUNTS
            tame |= node.op_type in ("Loop", "Scan") and slot == 0
            if moved:
                words |= dict.fromkeys(_words(node))
                positive |= place in _POSITIVE
                if place in _AXES or (node.op_type.startswith("Reduce") and slot == 1):
                    pattern = "axes"
                elif place == ("Reshape", 1):
                    pattern = "reshape"
                elif (bound := _bound(node, slot, shapes)) is not None:
                    bounds.append(bound)
                    pattern = pattern or ("index" if place in _INDEXED else "")
            if node.op_type in _NO_VALUES or place in _COUNTS:
                continue
            following = _is_integer_after(node, integer)
            for output in filter(None, node.output):
                state = (output, following, moved and node.op_type in _MOVES)
                if state not in seen:
                    seen.add(state)
                    waiting.append(state)
    if not bounds and "mask" in port.name.lower():
        bounds = [(0, 1)]
    low, high = (max(low for low, _ in bounds), min(high for _, high in bounds)) if bounds else (None, None)
    return Usage(low, high, pattern, positive, tame, divides, tuple(words))


def _bound(node: NodeProto, slot: int, shapes: Shapes) -> tuple[int, int] | None:
    place = (node.op_type, slot)
    if place in _RANGES:
        return _RANGES[place]
    if node.op_type in _DIVISIONS and slot == 1:
        return 1, 9
    if place not in _INDEXED:
        return None
    shape = shapes.get(node.input[_INDEXED[place]])
    if not shape:
        return None
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    extent = min(shape) if node.op_type.endswith("ND") else shape[axis] if -len(shape) <= axis < len(shape) else 0
    return (0, extent - 1) if extent > 0 else None


def _is_integer_after(node: NodeProto, integer: bool) -> bool:
    if node.op_type in ("Cast", "CastLike"):
        return next((attribute.i not in _FLOATS for attribute in node.attribute if attribute.name == "to"), True)
    return integer


def _words(node: NodeProto) -> Iterator[str | int]:
    """Strings and keys that a reader of strings or maps compares its input with."""
    for attribute in node.attribute:
        if attribute.strings and attribute.name in _WORDS:
            yield from (word.decode(errors="replace") for word in attribute.strings[:20])
        elif attribute.ints and attribute.name in ("int64_vocabulary", "keys_int64s"):
            yield from attribute.ints[:20]


_WORDS: Final = frozenset({"string_vocabulary", "keys_strings", "cats_strings", "pool_strings", "stopwords", "classes_strings"})


def _collect_shapes(graph: GraphProto, shapes: Shapes) -> None:
    for value in (*graph.input, *graph.value_info):
        if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape"):
            shapes[value.name] = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    for tensor in graph.initializer:
        shapes[tensor.name] = tuple(tensor.dims)
    for node in graph.node:
        if node.op_type == "Constant":
            shapes.update((node.output[0], tuple(attribute.t.dims)) for attribute in node.attribute if attribute.name == "value")
