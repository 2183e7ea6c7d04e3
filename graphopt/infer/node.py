"""The types of one node's outputs from the types (and small contents) of its inputs."""

from __future__ import annotations

from typing import Any

from graphopt.infer import control, cutting, elementwise, making, matrices, movement, reshaping, resizing, windows
from graphopt.infer.call import InferenceRule, NotKnown, TooHard, Types
from graphopt.infer.shape_functions import function_for
from graphopt.infer.standing import standing_in
from graphopt.ir.attribute import Attribute, AttributeKind
from graphopt.ir.graph import DEFAULT_DOMAINS, Graph, Node, Value
from graphopt.ir.tensor import Tensor
from graphopt.schema import facts
from graphopt.schema.facts import OperatorFacts
from graphopt.schema.versions import OLDEST

_RULES: dict[str, InferenceRule] = {
    **elementwise.RULES,
    **matrices.RULES,
    **movement.RULES,
    **cutting.RULES,
    **reshaping.RULES,
    **making.RULES,
    **resizing.RULES,
    **windows.RULES,
    **control.RULES,
}

# The last six: what a rule runs into on inputs or attributes that its operator does not allow; others may complain about such a node.
_NOTHING_KNOWN = (NotKnown, IndexError, KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError)


def infer_node(node: Node, graph: Graph | None = None) -> Types:
    """The types of a node's outputs, one for each; None where nothing can be proved. Never raises.

    Uses what is known of the inputs now: their types, and the contents of small constants and of computed shapes. For operators with
    subgraphs it uses the types inside them, for calls of local functions those of the function's outputs. `graph` says where a node that
    is in no graph yet shall stand; without, nothing is known of such a node.
    """
    if node.graph is None and graph is not None:
        with standing_in(node, graph):
            return infer_node(node)
    graph = node.graph
    if graph is None:
        return (None,) * len(node.outputs)
    if graph.model.functions and (function := facts.function_of(node)) is not None:
        return fitting(control.called(function), len(node.outputs))
    return inference_of(node, graph.opsets.get(node.domain))(node)


def typed(node: Node, graph: Graph) -> Node:
    """A node that shall stand in a graph, after its outputs were given the types that it makes there."""
    for value, type in zip(node.outputs, infer_node(node, graph), strict=True):
        value.type = type
    return node


def inference_of(node: Node, opset: int | None) -> InferenceRule:
    """What infers the nodes of this operator at this opset of its domain; never raises. Not for calls of local functions."""
    key = (node.op, opset)
    found = _INFERENCES.get(key)
    if found is None:
        found = _INFERENCES[key] = _make(node, opset)
    return found


_INFERENCES: dict[tuple[str, int | None], InferenceRule] = {}


def _make(node: Node, opset: int | None) -> InferenceRule:
    known = None if opset is None else facts.of(node.domain, node.op_type, opset)
    if opset is not None and node.domain not in DEFAULT_DOMAINS and not _is_onnx(node):
        return _by_plugin
    if known is None or opset is None:
        return lambda node: (None,) * len(node.outputs)
    rule = _RULES.get(node.op) if opset >= OLDEST else None
    if rule is None:
        return lambda node: _by_onnx(node, known, opset)

    def infer(node: Node) -> Types:
        count = len(node.outputs)
        try:
            types = rule(node)
        except TooHard:
            return _by_onnx(node, known, opset)
        except _NOTHING_KNOWN:
            return (None,) * count
        return types if len(types) == count else fitting(types, count)

    return infer


def _is_onnx(node: Node) -> bool:
    from onnx import defs

    return bool(defs.has(node.op_type, domain=node.domain))


def _by_plugin(node: Node) -> Types:
    function = function_for(node)
    return (None,) * len(node.outputs) if function is None else function(node)


def fitting(types: Types, count: int) -> Types:
    """Exactly `count` types: further ones are outputs that the node does not have, missing ones are unknown."""
    return (*types[:count], *(None,) * (count - len(types)))


# ---- onnx's own inference of one operator

_MOST_READ = 256  # elements of a constant that onnx gets to see; whatever decides a shape is smaller
_ANSWERS: dict[object, Types] = {}
_MOST_ANSWERS = 1 << 14


def _by_onnx(node: Node, known: OperatorFacts, opset: int) -> Types:
    count = len(node.outputs)
    try:
        attributes = tuple((name, _attribute_key(node.attributes[name])) for name in sorted(node.attributes))
        key = (known, opset, count, tuple(map(_input_key, node.inputs)), attributes)
    except NotKnown:
        return (None,) * count
    found = _ANSWERS.get(key)
    if found is None:
        if len(_ANSWERS) >= _MOST_ANSWERS:
            _ANSWERS.clear()
        found = _ANSWERS[key] = _ask_onnx(node, opset)
    return found


def _input_key(value: Value | None) -> object:
    if value is None:
        return None
    tensor = _read(value)
    return value.type, None if tensor is None else tensor.digest()


def _read(value: Value) -> Tensor | None:
    tensor = value.const
    return tensor if tensor is not None and tensor.size <= _MOST_READ else None


def _attribute_key(attribute: Attribute) -> object:
    if attribute.reference or attribute.value is None:
        raise NotKnown
    held = attribute.value
    if isinstance(held, Tensor):
        return attribute.kind, held.digest()
    if attribute.graphs() or attribute.kind is AttributeKind.tensors:
        raise NotKnown
    return attribute.kind, held


def refusal(node: Node) -> str:
    """Why onnx says that a node is wrong, in one line; nothing when it does not, or does not know its operator."""
    from onnx import checker, shape_inference

    opset = node.opset
    if opset is None or facts.of_node(node) is None or not _is_onnx(node):
        return ""
    try:
        _asked(node, opset)
    except (shape_inference.InferenceError, checker.ValidationError) as error:
        return str(error).partition("\n")[0].strip()
    except (NotKnown, *_ONNX_CANNOT):
        return ""
    return ""


_ONNX_CANNOT = (RuntimeError, ValueError, TypeError, KeyError, IndexError)


def _ask_onnx(node: Node, opset: int) -> Types:
    from onnx import checker, shape_inference

    try:
        return _asked(node, opset)
    except (NotKnown, shape_inference.InferenceError, checker.ValidationError, *_ONNX_CANNOT):
        return (None,) * len(node.outputs)  # onnx finds the node wrong, or cannot say: nothing is proved


def _asked(node: Node, opset: int) -> Types:
    """What onnx's inference says. Raises NotKnown, InferenceError, and what `_ONNX_CANNOT` lists."""
    import onnx
    from onnx import defs, helper, shape_inference

    from graphopt.infer.protos import from_named_type, to_named_type, to_node_proto, to_tensor_proto

    if node.op == "STFT" and "onesided" not in node.attributes:
        raise NotKnown  # the default is 1, and onnx 1.23 infers as if it were 0: what is built upon the truth it would find invalid
    symbols: dict[str, Any] = {}
    types: dict[str, onnx.TypeProto] = {}
    held: dict[str, onnx.TensorProto] = {}
    for slot, value in enumerate(node.inputs):
        if value is None:
            continue
        types[f"i{slot}"] = onnx.TypeProto() if value.type is None else to_named_type(value.type, symbols)
        if (tensor := _read(value)) is not None:
            held[f"i{slot}"] = to_tensor_proto(tensor, f"i{slot}")
    imported = [helper.make_opsetid("" if node.domain in DEFAULT_DOMAINS else node.domain, opset)]
    message = to_node_proto(node)
    schema = defs.get_schema(node.op_type, opset, node.domain)
    answer = shape_inference.infer_node_outputs(schema, message, types, held, opset_imports=imported)
    return tuple(from_named_type(answer[name], symbols) if name in answer else None for name in message.output)
