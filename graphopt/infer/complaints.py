"""Why nothing is known of what a node gives, where that is the fault of the node or of a plug-in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from graphopt.infer.node import refusal
from graphopt.infer.shape_functions import function_for
from graphopt.ir.dtype import DType
from graphopt.ir.graph import DEFAULT_DOMAINS, Node, Value
from graphopt.ir.types import TensorType

_MOST: Final = 4  # lines; who sees more sees none
_MOST_ASKED: Final = 64


def complaints(unknown: Iterable[Node]) -> list[tuple[str, str]]:
    """What a user should know of nodes whose outputs are not all known: who says it, and a sentence; a few at most.

    That is: nodes of known operators, with inputs of known types, which onnx says are wrong; and shape functions of plug-ins that failed.
    """
    found: dict[object, tuple[str, str]] = {}
    asked = 0
    for node in unknown:
        if asked == _MOST_ASKED or len(found) > _MOST:
            break
        if node.graph is None or not all(map(_is_known, node.inputs)):
            continue
        asked += 1
        function = None if node.domain in DEFAULT_DOMAINS else function_for(node)
        if function is not None and node.op not in found:
            _, wrong = function.asked(node)
            if wrong:
                why = f"the shape function that the plug-in {function.owner!r} has for {node.op} {wrong}; nothing is known of what it gives"
                found[node.op] = ("plug-ins", why)
        elif function is None and node.outputs and node.outputs[0].type is None:
            why = refusal(node)
            if why:
                found[node] = ("infer", f"{node!r}: nothing is known of what it gives: {why}")
    listed = list(found.values())
    return listed[:_MOST] + [("infer", "further nodes have types that cannot be inferred")] * (len(listed) > _MOST)


def _is_known(value: Value | None) -> bool:
    if value is None:
        return True
    return value.type is not None and not (isinstance(value.type, TensorType) and value.type.dtype is DType.undefined)
