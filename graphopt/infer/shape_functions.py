"""Shape functions of plug-ins: what tells the types of operators that onnx does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from graphopt.infer.call import Types
from graphopt.ir.dim import Dim
from graphopt.ir.dtype import DType
from graphopt.ir.graph import DEFAULT_DOMAINS, Node
from graphopt.ir.types import MapType, OpaqueType, OptionalType, SequenceType, SparseTensorType, TensorType, Type
from graphopt.schema import facts
from graphopt.schema.type_names import type_name


@final
class ShapeFunction:
    """The function of one operator, loaded when the first such node is met. `owner` says whose it is."""

    __slots__ = ("_function", "_load", "owner")

    def __init__(self, load: Callable[[], object], owner: str) -> None:
        self._load = load
        self._function: Callable[[Node], object] | None = None
        self.owner: Final = owner

    def __call__(self, node: Node) -> Types:
        """The types of the node's outputs, as the function says; all unknown where it fails or says what cannot be. Never raises."""
        types, _ = self.asked(node)
        return types

    def asked(self, node: Node) -> tuple[Types, str]:
        """The types, and what is wrong with the function's answer, nothing when all is well. Never raises."""
        nothing: Types = (None,) * len(node.outputs)
        try:
            answer = self._loaded()(node)
        except Exception as error:  # whatever a stranger's module or function raises
            return nothing, f"failed: {type(error).__name__}: {error}"
        types = _types(node, answer)
        return (nothing, types) if isinstance(types, str) else (types, "")

    def _loaded(self) -> Callable[[Node], object]:
        if self._function is None:
            found = self._load()
            if not callable(found):
                raise TypeError(f"it is {found!r}, no function")
            self._function = found
        return self._function


_FUNCTIONS: dict[tuple[str, str], ShapeFunction] = {}


def register(domain: str, op_type: str, function: ShapeFunction) -> None:
    """Let a function tell the types of an operator. Raises ValueError for the default domain, whose operators onnx defines."""
    if domain in DEFAULT_DOMAINS:
        raise ValueError("the default domain's operators are onnx's own")
    _FUNCTIONS[domain, op_type] = function


def function_for(node: Node) -> ShapeFunction | None:
    """What tells the types of an operator that onnx does not know; None when no plug-in does."""
    return _FUNCTIONS.get((node.domain, node.op_type)) if _FUNCTIONS else None


def _types(node: Node, answer: object) -> Types | str:
    """The types of a node's outputs that an answer says; or why it cannot be that."""
    if not isinstance(answer, (tuple, list)):
        return f"answered {answer!r}, which is no tuple of types"
    if len(answer) != len(node.outputs):
        return f"answered {len(answer)} types for {len(node.outputs)} outputs"
    known = facts.of_node(node)
    found: list[Type | None] = []
    for index, type in enumerate(answer):
        if type is None:
            found.append(None)
            continue
        if not isinstance(type, Type) or not _is_whole(type):
            return f"answered {type!r}, which is no type"
        formal = None if known is None else known.output(index)
        if formal is not None and formal.types and type_name(type) not in formal.types | {""}:
            return f"answered {type} for {formal.name}, which its plug-in says is one of {', '.join(sorted(formal.types))}"
        found.append(type)
    return tuple(found)


def _is_whole(type: object) -> bool:
    """Whether what a stranger put into a type is what belongs there."""
    if isinstance(type, (TensorType, SparseTensorType)):
        dtype: object = type.dtype
        return isinstance(dtype, DType) and _is_shape(type.shape)
    if isinstance(type, (SequenceType, OptionalType)):
        return type.element is None or _is_whole(type.element)
    return isinstance(type, (MapType, OpaqueType))


def _is_shape(shape: object) -> bool:
    return shape is None or (isinstance(shape, tuple) and all(map(_is_extent, shape)))


def _is_extent(size: object) -> bool:
    return size is None or isinstance(size, Dim) or (isinstance(size, int) and not isinstance(size, bool) and size >= 0)
