"""A model up to its names and the order of its nodes, so that two ways to one result can be compared."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper


@dataclass(frozen=True, slots=True)
class Canonical:
    """What is left of a model without names: what each output is computed from, and how often each node and each constant is there."""

    outputs: tuple[str, ...]
    parts: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        """The operators, with their numbers."""
        counted: Counter[str] = Counter()
        for part, count in self.parts:
            counted[part.partition(" ")[0]] += count
        return ", ".join(f"{count} {name}" for name, count in sorted(counted.items()))


def canonical(model: ModelProto) -> Canonical:
    """Two models have equal ones if they compute the same in the same way, whatever things are called and in which order they stand.

    A constant is one whether it is an initializer or a node.
    """
    parts: Counter[str] = Counter()
    outputs = _graph(model.graph, {}, parts)
    for function in sorted(model.functions, key=lambda one: (one.domain, one.name)):
        outputs += _function(function, parts)
    return Canonical(outputs, tuple(sorted(parts.items())))


def _graph(graph: GraphProto, outside: Mapping[str, str], parts: Counter[str], depth: int = 0) -> tuple[str, ...]:
    known = dict(outside)
    inputs = {port.name for port in graph.input}
    known |= {port.name: f"input {position} at depth {depth}" for position, port in enumerate(graph.input)}
    for stored in graph.initializer:
        held = _tensor(stored)
        if stored.name not in inputs:
            known[stored.name] = held
        parts[held] += 1
    for sparse in graph.sparse_initializer:
        known[sparse.values.name] = _digest(sparse.SerializeToString(deterministic=True))
    _nodes(graph.node, known, parts, depth)
    return tuple(known[port.name] for port in graph.output)


def _function(function: FunctionProto, parts: Counter[str]) -> tuple[str, ...]:
    known = {name: f"input {position}" for position, name in enumerate(function.input)}
    _nodes(function.node, known, parts, 0)
    return (f"{function.domain}.{function.name}", *(known[name] for name in function.output))


def _nodes(nodes: Iterable[NodeProto], known: dict[str, str], parts: Counter[str], depth: int) -> None:
    for node in nodes:
        made = _node(node, known, parts, depth)
        parts[made] += 1
        for position, name in enumerate(node.output):
            if name:
                known[name] = made if made.startswith("constant ") else _digest(made, str(position))


def _node(node: NodeProto, known: dict[str, str], parts: Counter[str], depth: int) -> str:
    if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value" and not node.attribute[0].ref_attr_name:
        return _tensor(node.attribute[0].t)
    operands = [known[name] if name else "" for name in node.input]
    while operands and not operands[-1]:
        operands.pop()
    attributes = sorted(_attribute(attribute, known, parts, depth) for attribute in node.attribute)
    return f"{node.op_type} {_digest(node.domain, *operands, '|', *attributes)}"


def _attribute(attribute: AttributeProto, known: dict[str, str], parts: Counter[str], depth: int) -> str:
    if attribute.type == AttributeProto.GRAPH:
        return f"{attribute.name} {_digest(*_graph(attribute.g, known, parts, depth + 1))}"
    if attribute.type == AttributeProto.TENSOR and not attribute.ref_attr_name:
        return f"{attribute.name} {_tensor(attribute.t)}"
    bare = AttributeProto()
    bare.CopyFrom(attribute)
    bare.doc_string = ""
    return _digest(bare.SerializeToString(deterministic=True))


def _tensor(tensor: TensorProto) -> str:
    held = numpy_helper.to_array(tensor)
    elements = held.tobytes() if held.dtype != object else repr(held.tolist()).encode()
    return f"constant {_digest(str(tensor.data_type), str(held.shape), elements)}"


def _digest(*words: str | bytes) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for word in words:
        held = word if isinstance(word, bytes) else word.encode()
        digest.update(len(held).to_bytes(8, "little") + held)
    return digest.hexdigest()
