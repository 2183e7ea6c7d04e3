"""What nodes make of a model: unknown operators, randomness, training, fake quantization."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from graphopt.errors import nearest
from graphopt.infer.shape_functions import function_for
from graphopt.ir.graph import DEFAULT_DOMAINS, Node, Value
from graphopt.ir.model import Model
from graphopt.observe.check.finding import Finding, counted
from graphopt.observe.trace import label
from graphopt.quantization import is_dequantize, is_quantize
from graphopt.schema import facts
from graphopt.schema.history import operator_names, versions
from graphopt.schema.traits import CONTROL_FLOW, RANDOM

TARGETED: Final = "--target NAME; `graphopt targets` lists them"


def of_nodes(model: Model) -> Iterator[Finding]:
    """Each kind of trouble once, with all nodes that make it."""
    nodes = list(model.nodes())
    yield from _unknown(nodes)
    yield from _training(nodes)
    yield from _random(nodes)
    yield from _quantized(nodes)
    yield from _same_names(nodes)


def _unknown(nodes: list[Node]) -> Iterator[Finding]:
    """Operators of which nothing is known, in the order in which they come."""
    by_operator: dict[str, list[Node]] = {}
    for node in nodes:
        if facts.of_node(node) is None and facts.function_of(node) is None and node.op not in CONTROL_FLOW:
            by_operator.setdefault(node.op, []).append(node)
    for operator, ones in by_operator.items():
        node = ones[0]
        if node.opset is None:
            continue  # no opset import, which the checker says
        where = tuple(map(label, ones))
        said = f"{operator} ({counted(len(ones), 'node')})"
        if node.domain in DEFAULT_DOMAINS:
            if node.opset > facts.newest_opset():
                continue
            yield Finding("error", "unknown-operator", f"{said}: {_no_such(node)}", where)
        elif function_for(node) is not None:
            text = f"{said}: of this operator graphopt knows what types it gives, and nothing else; it stays as it is"
            yield Finding("hint", "foreign-operator", text, where)
        else:
            text = f"{said}: nothing is known of this operator; it stays as it is, and behind it types are what the model declares"
            yield Finding("warning", "foreign-operator", text, where, "--plugin, with a shape function for it")


def _no_such(node: Node) -> str:
    """Why onnx does not know an operator of its own domain."""
    known = facts.newest("", node.op_type)
    if known is None:
        return f"onnx has no such operator{_near(node.op_type)}"
    first = min(versions("", node.op_type), default=known.since_version)
    if node.opset is not None and first > node.opset:
        return f"the operator came with opset {first}, and the model imports {node.opset}"
    return f"opset {node.opset} has no such operator any more"


def _near(op_type: str) -> str:
    return nearest(op_type, operator_names()) if op_type else ""


def _training(nodes: list[Node]) -> Iterator[Finding]:
    ones = [node for node in nodes if node.op in ("BatchNormalization", "Dropout") and not facts.is_deterministic(node)]
    known = [node for node in ones if facts.of_node(node) is not None]
    if known:
        text = f"{_operators(known)} in training mode: the batch's own statistics, or drops at random, and nothing is fused there"
        yield Finding("warning", "training-mode", f"{text}; export the model in evaluation mode", tuple(map(label, known)))


def _random(nodes: list[Node]) -> Iterator[Finding]:
    ones = [node for node in nodes if node.op in RANDOM and facts.function_of(node) is None]
    if ones:
        text = f"{_operators(ones)} give other numbers in each run: --verify cannot compare what depends on them"
        yield Finding("warning", "random", text, tuple(map(label, ones)))


def _quantized(nodes: list[Node]) -> Iterator[Finding]:
    quantizers, others = [node for node in nodes if is_quantize(node)], [node for node in nodes if is_dequantize(node)]
    if not quantizers and not others:
        return
    text = f"the model holds {_operators(quantizers + others)}: where they should stand depends on the runtime, level 1 leaves them there"
    yield Finding("hint", "quantized", text, tuple(map(label, quantizers + others)), TARGETED)
    floats = [node for node in quantizers if _is_weight(node.input(0))]
    if floats:
        text = f"{counted(len(floats), 'weight is', 'weights are')} quantized anew in every run (fake quantization), and could be stored so"
        yield Finding("hint", "fake-quantization", text, tuple(map(label, floats)), TARGETED)


def _is_weight(value: Value | None) -> bool:
    while value is not None and value.producer is not None and value.producer.op == "Identity":
        value = value.producer.input(0)
    return value is not None and value.const is not None


def _same_names(nodes: list[Node]) -> Iterator[Finding]:
    """Names that several nodes share."""
    seen: dict[str, int] = {}
    for node in nodes:
        if node.name:
            seen[node.name] = seen.get(node.name, 0) + 1
    shared = [name for name, count in seen.items() if count > 1]
    if shared:
        text = f"{counted(len(shared), 'name is', 'names are')} in use for more than one node: tools that go by names mix them up"
        yield Finding("hint", "duplicate-names", text, tuple(shared))


def _operators(nodes: list[Node]) -> str:
    counts: dict[str, int] = {}
    for node in nodes:
        counts[node.op] = counts.get(node.op, 0) + 1
    return ", ".join(f"{name} ({count})" for name, count in counts.items())
