"""Faults planted among real passes, in a plug-in that is not installed, and models of many nodes on which they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from graphopt.ir import Value
from graphopt.match import Match, op, rule, tensor
from graphopt.pipeline.base import RulePass
from graphopt.pipeline.plugin import Plugin

BLOCKS = 125
WIDTH = 16
ROWS = 3


@rule(op.Sub(tensor("x"), tensor("y")))
def sub_to_add(m: Match, x: Value, y: Value) -> Value | None:
    """Sub(x, y)  ->  Add(x, y)      wrong, and only where y broadcasts"""
    return m.op.Add(x, y) if y.rank == 1 and x.rank == 2 else None


@rule(op.Sub(tensor("x"), tensor("y")))
def crash(m: Match, x: Value, y: Value) -> Value | None:
    """Sub(x, y)  ->  an exception, where y broadcasts"""
    if y.rank == 1:
        raise LookupError("no such thing")
    return None


@rule(op.Sub(tensor("x"), tensor("y", rank=1)))
def sub_to_nonsense(m: Match, x: Value, y: Value) -> Value | None:
    """Sub(x, y)  ->  Clip(x, y)      whose bound must be a scalar, which only a runtime notices"""
    return m.op.Clip(x, y)


@rule(op.Sub(tensor("x"), tensor("y", rank=1)))
def sub_to_neg_sub(m: Match, x: Value, y: Value) -> Value:
    """Sub(x, y)  ->  Neg(Sub(y, x))      right, and the pattern of the next one"""
    return m.op.Neg(m.op.Sub(y, x))


@rule(op.Neg(op.Sub(tensor("y", rank=1), tensor("x"))))
def neg_sub_to_sub(m: Match, y: Value, x: Value) -> Value:
    """Neg(Sub(y, x))  ->  Sub(y, x)      wrong, and impossible before `sub_to_neg_sub`"""
    return m.op.Sub(y, x)


@rule(op.Tanh(tensor("x")), exactness="rounding")
def tanh_to_sigmoid(m: Match, x: Value) -> Value | None:
    """Tanh(x)  ->  2 * Sigmoid(2 * x) - 1      right where x is Sub(x, y) of a vector y; wrong, with + 1, where it is Neg(...)"""
    node = x.producer
    if node is None or not (node.op == "Neg" or (node.op == "Sub" and node.inputs[1] is not None and node.inputs[1].rank == 1)):
        return None
    two, one = m.constant(2, x.dtype), m.constant(1, x.dtype)
    doubled = m.op.Mul(m.op.Sigmoid(m.op.Mul(x, two)), two)
    return m.op.Add(doubled, one) if node.op == "Neg" else m.op.Sub(doubled, one)


PLANTED = RulePass.of("planted", sub_to_add)  # wrong in one place
CRASH = RulePass.of("crash", crash)  # breaks in one place
NONSENSE = RulePass.of("nonsense", sub_to_nonsense)  # makes an invalid graph in one place
HARMLESS = RulePass.of("harmless", sub_to_neg_sub)  # right in one place
FOLLOWS = RulePass.of("follows", neg_sub_to_sub)  # wrong where `harmless` was, and nowhere else
DEPENDS = RulePass.of("depends", tanh_to_sigmoid)  # right in one place, and wrong there if `harmless` was there before

PLUGIN = Plugin(
    "planted",
    passes={each.name: f"{__name__}:{each.name.upper()}" for each in (PLANTED, CRASH, NONSENSE, HARMLESS, FOLLOWS, DEPENDS)},
    levels={},
)


def bad_node(blocks: int) -> str:
    """The node that subtracts a vector, and not a matrix, two thirds down the model."""
    return f"/blocks.{blocks * 2 // 3}/Sub"


def block(number: int, name: str, is_bad: bool, nodes: list[NodeProto], weights: list[TensorProto]) -> str:
    """Eight nodes on which real passes have something to do; returns the name of what they make."""
    random = np.random.default_rng(number)
    shapes = {"w": (WIDTH, WIDTH), "b": (WIDTH,), "k": (), "j": (), "s": (WIDTH,) if is_bad else (1, WIDTH)}
    for key, shape in shapes.items():
        scale = 1 / WIDTH if key == "w" else 1
        weights.append(numpy_helper.from_array(np.asarray(scale * random.standard_normal(shape), np.float32), f"{key}{number}"))
    made = {key: f"{key}_{number}" for key in ("product", "biased", "same", "scaled", "again", "shifted", "bent", "sum")}
    nodes += [
        helper.make_node("MatMul", [name, f"w{number}"], [made["product"]]),
        helper.make_node("Add", [made["product"], f"b{number}"], [made["biased"]]),
        helper.make_node("Identity", [made["biased"]], [made["same"]]),
        helper.make_node("Mul", [made["same"], f"k{number}"], [made["scaled"]]),
        helper.make_node("Mul", [made["scaled"], f"j{number}"], [made["again"]]),
        helper.make_node("Sub", [made["again"], f"s{number}"], [made["shifted"]], name=f"/blocks.{number}/Sub"),
        helper.make_node("Tanh", [made["shifted"]], [made["bent"]]),
        helper.make_node("Add", [name, made["bent"]], [made["sum"]]),
    ]
    return made["sum"]


def write_blocks(path: Path, blocks: int = BLOCKS) -> Path:
    """A model of 8 nodes a block, 1,000 in all unless asked otherwise."""
    nodes: list[NodeProto] = []
    weights: list[TensorProto] = []
    name = "x"
    for number in range(blocks):
        name = block(number, name, number == blocks * 2 // 3, nodes, weights)
    nodes[-1].output[0] = "y"
    ports: list[ValueInfoProto] = [helper.make_tensor_value_info(port, TensorProto.FLOAT, (ROWS, WIDTH)) for port in ("x", "y")]
    graph = helper.make_graph(nodes, "blocks", ports[:1], ports[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path
