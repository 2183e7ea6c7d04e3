"""What a rule of inference asks of the node before it; each answer is known or raises NotKnown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from graphopt.ir.dim import Shape
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node, Value
from graphopt.ir.types import TensorType, Type
from graphopt.schema.spelling import UNKNOWN, neutral_attribute

Types: TypeAlias = "tuple[Type | None, ...]"
InferenceRule: TypeAlias = Callable[[Node], Types]


class NotKnown(Exception):
    """Nothing can be said of the node's outputs; never leaves `infer`."""


class TooHard(Exception):
    """The rule does not handle this case; onnx's own inference of the operator may."""


def tensor(value: Value | None) -> TensorType:
    """The type of an input that must be a tensor."""
    if value is not None and isinstance(value.type, TensorType) and value.type.dtype:
        return value.type
    raise NotKnown


def data(node: Node) -> TensorType:
    """The type of the first input."""
    return tensor(node.inputs[0]) if node.inputs else tensor(None)


def shape_of(value: Value | None) -> Shape | None:
    """The shape of an input, None when it is not known."""
    return None if value is None else value.shape


def integer(node: Node, name: str) -> int:
    """An integer attribute, or its default."""
    value = neutral_attribute(node, name)
    if not isinstance(value, int):
        raise NotKnown
    return value


def integers(node: Node, name: str) -> tuple[int, ...] | None:
    """An attribute of integers; None when it is absent."""
    value = neutral_attribute(node, name)
    if value is UNKNOWN or not (value is None or isinstance(value, tuple)):
        raise NotKnown
    return value


def text(node: Node, name: str) -> str:
    """A string attribute, or its default."""
    value = neutral_attribute(node, name)
    if not isinstance(value, str):
        raise NotKnown
    return value


def one(dtype: DType, shape: Shape | None) -> Types:
    """The types of a node with one output."""
    return (TensorType(dtype, shape),)


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise NotKnown
    return axis % rank
