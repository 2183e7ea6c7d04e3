"""Types of what control flow and calls of local functions give, from the types inside their bodies."""

from __future__ import annotations

from graphopt.infer.call import InferenceRule, NotKnown, Types
from graphopt.infer.elements import elements
from graphopt.infer.positive import is_positive
from graphopt.infer.shapes import is_size, join, maximum
from graphopt.ir.dim import Size
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.model import Function
from graphopt.ir.types import SequenceType, TensorType, Type


def called(function: Function) -> Types:
    """What a call of a local function gives: what its body says, which `infer_model` made true for every caller."""
    return tuple(value.type for value in function.graph.outputs)


def body(node: Node, name: str) -> Graph:
    """The graph in an attribute."""
    held = node.attributes.get(name)
    if held is None or not isinstance(held.value, Graph):
        raise NotKnown
    return held.value


def if_(node: Node) -> Types:
    """If: what the branch gives that is taken, or what both agree on."""
    one, other = body(node, "then_branch").outputs, body(node, "else_branch").outputs
    if len(one) != len(other):
        raise NotKnown
    taken = elements(node.input(0))
    if taken in ((0,), (1,)):
        return tuple(value.type for value in (one if taken == (1,) else other))
    return tuple(join(a.type, b.type) for a, b in zip(one, other, strict=True))


def loop(node: Node) -> Types:
    """Loop: carried values have the type that they start and go on with; scan outputs get one axis, as long as the loop runs."""
    inside = body(node, "body")
    carried = len(node.inputs) - 2
    types: list[Type | None] = []
    for index, value in enumerate(inside.outputs[1:]):
        if index < carried:
            start = node.inputs[index + 2]
            types.append(join(None if start is None else start.type, value.type))
        else:
            types.append(_collected(node, index, value.type, rounds(node, inside)))
    return tuple(types)


def _collected(node: Node, index: int, type: Type | None, count: Size) -> Type | None:
    """What a Loop collects of its rounds: where none may run, only what the body declares is known of the sizes.

    ONNX says nothing of them then. onnxruntime takes 0 for each that it does not know, and one axis where it does not know the rank.
    """
    if not isinstance(type, TensorType) or _runs(node):
        return _stacked(type, 0, count)
    declared = None if node.graph is None else node.graph.model.declared.get(node.outputs[index])
    if declared is None or declared.shape is None or type.shape is None or len(declared.shape) != len(type.shape):
        return TensorType(type.dtype)
    sizes = tuple(size if size == said else None for size, said in zip(type.shape, declared.shape, strict=True))
    return _stacked(TensorType(type.dtype, sizes), 0, count)


def _runs(node: Node) -> bool:
    """Whether a Loop runs at least once."""
    count, goes_on = node.input(0), node.input(1)
    told = elements(count)
    return (goes_on is None or elements(goes_on) == (1,)) and (
        count is None or (told is not None and len(told) == 1 and is_positive(told[0], node))
    )


def rounds(node: Node, inside: Graph) -> Size:
    """How often a Loop runs: as often as it is told, when nothing ends it early; None when that is not known."""
    count, goes_on = node.input(0), node.input(1)
    begins = (1,) if goes_on is None else elements(goes_on)
    if begins == (0,):
        return 0
    told = elements(count)
    if begins != (1,) or told is None or len(told) != 1 or not _never_stops(inside):
        return None
    wanted = told[0]
    return wanted if is_size(wanted) else maximum(wanted, 0)


def _never_stops(inside: Graph) -> bool:
    """Whether a loop's body always asks for another round: with a constant, or by what it was asked with itself."""
    value: Value | None = inside.outputs[0]
    while value is not None and value.producer is not None and value.producer.op == "Identity":
        value = value.producer.input(0)
    return value is inside.inputs[1] or elements(value) == (1,)


def scan(node: Node) -> Types:
    """Scan since opset 9: states keep their type; scan outputs get one axis, as long as that of the scan inputs."""
    inside = body(node, "body")
    if (node.opset or 0) < 9:
        raise NotKnown
    count = node.attribute("num_scan_inputs")
    if not isinstance(count, int):
        raise NotKnown
    states = len(node.inputs) - count
    axes = node.attributes.get("scan_output_axes")
    types: list[Type | None] = []
    for index, value in enumerate(inside.outputs):
        if index < states:
            start = node.inputs[index]
            types.append(join(None if start is None else start.type, value.type))
        else:
            axis = 0 if axes is None else axes.value[index - states] if isinstance(axes.value, tuple) else None
            types.append(_stacked(value.type, axis if isinstance(axis, int) else None, scanned_length(node, states)))
    return tuple(types)


def scanned_length(node: Node, states: int) -> Size:
    """How often a Scan since opset 9 runs: the length of what it scans, after so many states."""
    axes = node.attributes.get("scan_input_axes")
    for index, value in enumerate(node.inputs[states:]):
        axis = 0 if axes is None else axes.value[index] if isinstance(axes.value, tuple) else None
        if value is not None and value.shape is not None and isinstance(axis, int) and value.shape[axis] is not None:
            return value.shape[axis]
    return None


def sequence_map(node: Node) -> Types:
    """SequenceMap: a sequence of what the body gives."""
    return tuple(SequenceType(value.type) for value in body(node, "body").outputs)


def body_types(node: Node, graph: Graph) -> Types:
    """What is known of a subgraph's inputs before its body has been looked at: the types that the first round gets."""
    if node.op == "Loop":
        carried = (None if value is None else value.type for value in node.inputs[2:])
        return TensorType(DType.int64, ()), TensorType(DType.bool, ()), *carried
    if node.op == "Scan" and (node.opset or 0) >= 9:
        return _scanned(node)
    if node.op == "SequenceMap":
        return tuple(_element(None if value is None else value.type) for value in node.inputs)
    return (None,) * len(graph.inputs)


def carried_types(node: Node, graph: Graph) -> Types | None:
    """The types of a loop's body outputs that become its inputs in the next round, one for each input; None when nothing goes round."""
    given = len(graph.inputs)
    if node.op == "Loop":
        return (None, *(value.type for value in graph.outputs[: given - 1]))  # the condition goes round as well
    if node.op == "Scan" and (node.opset or 0) >= 9:
        count = node.attribute("num_scan_inputs")
        states = given - count if isinstance(count, int) else 0
        return tuple(value.type for value in graph.outputs[:states])
    return None


def _stacked(type: Type | None, axis: int | None, length: Size) -> Type | None:
    if not isinstance(type, TensorType):
        return None
    if type.shape is None or axis is None:
        return TensorType(type.dtype)
    if axis < 0:
        axis += len(type.shape) + 1
    return TensorType(type.dtype, (*type.shape[:axis], length, *type.shape[axis:]))


def _scanned(node: Node) -> Types:
    count = node.attribute("num_scan_inputs")
    axes = node.attributes.get("scan_input_axes")
    if not isinstance(count, int):
        return (None,) * len(node.inputs)
    types: list[Type | None] = []
    states = len(node.inputs) - count
    for index, value in enumerate(node.inputs):
        type = None if value is None else value.type
        if index >= states and isinstance(type, TensorType):
            axis = 0 if axes is None else axes.value[index - states] if isinstance(axes.value, tuple) else None
            type = _without_axis(type, axis if isinstance(axis, int) else None)
        types.append(type)
    return tuple(types)


def _without_axis(type: TensorType, axis: int | None) -> TensorType:
    if type.shape is None or axis is None or not -len(type.shape) <= axis < len(type.shape):
        return TensorType(type.dtype)
    axis %= len(type.shape)
    return TensorType(type.dtype, (*type.shape[:axis], *type.shape[axis + 1 :]))


def _element(type: Type | None) -> Type | None:
    return type.element if isinstance(type, SequenceType) else type


RULES: dict[str, InferenceRule] = {"If": if_, "Loop": loop, "Scan": scan, "SequenceMap": sequence_map}
