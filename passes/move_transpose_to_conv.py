"""Transposes of images whose pixels are in one row: to the side where the pixels still are an image."""

from __future__ import annotations

from typing import ClassVar, Final

from graphopt.ir import Node, Value
from graphopt.match import Declined, Match, op, rule, tensor
from graphopt.match.rule import Rule
from graphopt.passes.axis_order import Perm, inverse
from graphopt.passes.permuted_reshape import reshape
from graphopt.passes.transpose_regions import perm_of
from graphopt.pipeline.base import RulePass
from graphopt.schema import facts
from graphopt.schema.traits import ELEMENTWISE_UNARY

IMAGES: Final = frozenset({"AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "InstanceNormalization", "MaxPool", "Resize"})

x = tensor("x")


def examples_before() -> list[str]:
    """Rows of pixels that become the image of a Conv."""
    head = '<ir_version: 8, opset_import: ["" : 13]>'
    return [
        f"""{head} fixed (float[N,6,2] x, float[3,2,1,1] w) => (float[N,3,2,3] y) <int64[4] s = {{0, 2, 2, 3}}> {{
            t = Transpose<perm = [0, 2, 1]>(x) r = Reshape(t, s) y = Conv(r, w) }}""",
        f"""{head} pooled (float[2,6,2] x) => (float[2,2,1,2] y) <int64[4] s = {{2, 2, 2, 3}}> {{
            t = Transpose<perm = [0, 2, 1]>(x) r = Reshape(t, s) y = AveragePool<kernel_shape = [2, 2]>(r) }}""",
    ]


def examples_after() -> list[str]:
    """Images that become rows of pixels."""
    head = '<ir_version: 8, opset_import: ["" : 13]>'
    return [
        f"""{head} fixed (float[N,2,2,3] x, float[3,2,1,1] w) => (float[N,6,3] y) <int64[3] s = {{0, 3, 6}}> {{
            c = Conv(x, w) r = Reshape(c, s) y = Transpose<perm = [0, 2, 1]>(r) }}""",
        f"""{head} any_size (float[N,2,H,W] x, float[3,2,1,1] w) => (float[N,M,3] y) <int64[3] s = {{0, 3, -1}}> {{
            c = Conv(x, w) a = Relu(c) r = Reshape(a, s) y = Transpose<perm = [0, 2, 1]>(r) }}""",
    ]


@rule(op.Transpose(op.Reshape(x, tensor("shape")).named("merged")), keeps_type=True, examples=examples_after)
def transpose_after_conv(m: Match, x: Value, merged: Node) -> Value | Declined | None:
    """Transpose<perm = (0, 2, 1)>(Reshape(x, (N, C, H * W)))  ->  Reshape(Transpose<perm = (0, 2, 3, 1)>(x), (N, H * W, C))"""
    order = perm_of(m.root)
    if order is None or not makes_image(x.producer):
        return None
    passed = reshape(merged, order, None)
    found = None if passed is None else passed.inputs[0]
    if passed is None or found is None or passed.outputs[0] != order or len(found) <= len(order):
        return m.no("the Reshape does not merge axes that stay beside each other")
    if found != channels_last(len(found)):
        return m.no("perm {} of the image does not put its channels last", found)
    if any(node.op == "MatMul" for node in m.root.output.users):
        return m.no("a MatMul reads it, which takes its operand transposed")
    return m.op.Reshape(m.op.Transpose(x, perm=found), m.constant(passed.constants[1], name="shape"))


@rule(op.Reshape(op.Transpose(x).named("moved"), tensor("shape")), keeps_type=True, examples=examples_before)
def transpose_before_conv(m: Match, x: Value, moved: Node) -> Value | Declined | None:
    """Reshape(Transpose<perm = (0, 2, 1)>(x), (N, C, H, W))  ->  Transpose<perm = (0, 3, 1, 2)>(Reshape(x, (N, H, W, C)))"""
    order = perm_of(moved)
    users = m.root.output.users
    if order is None or not any(reads_image(node, m.root.output) for node in users):
        return None
    if not all(reads_image(node, m.root.output) for node in users):
        return m.no("not every reader is an operator on images")
    passed = reshape(m.root, inverse(order), 0)
    found = None if passed is None else passed.outputs[0]
    if passed is None or found is None or passed.inputs[0] != inverse(order) or len(found) <= len(order):
        return m.no("the Reshape does not split axes that stay beside each other")
    if found != channels_last(len(found)):
        return m.no("what is split does not have its channels last: its axes are {} of the image", found)
    return m.op.Transpose(m.op.Reshape(x, m.constant(passed.constants[1], name="shape")), perm=inverse(found))


def channels_last(rank: int) -> Perm:
    """The order that puts axis 1 behind the others."""
    return (0, *range(2, rank), 1)


def makes_image(node: Node | None) -> bool:
    """Whether a node runs on images with their channels first, or is an activation of what one makes."""
    if node is not None and node.op in ELEMENTWISE_UNARY and not facts.is_function_call(node):
        value = node.input(0)
        node = None if value is None else value.producer
    return node is not None and node.op in IMAGES and not facts.is_function_call(node)


def reads_image(node: Node, value: Value) -> bool:
    """Whether a node takes a value as an image with its channels first."""
    return node.op in IMAGES and node.input(0) is value and not facts.is_function_call(node)


class MoveTransposeToConv(RulePass):
    """Let a Transpose stand beside the Conv, pooling or Resize, and the Reshape of pixels to rows on its other side.

    Before:  c = Conv(x, w); r = Reshape(c, [0, 64, -1]); y = Transpose<perm = [0, 2, 1]>(r)         c: (N, 64, H, W)
    After:   c = Conv(x, w); t = Transpose<perm = [0, 2, 3, 1]>(c); y = Reshape(t, [0, -1, 64])
    Keeps:   a Transpose that a MatMul does while it reads; orders that do not put channels last, or first again; a Reshape that others
             read or that mixes the axes. As many elements move; but runtimes have a layout of their own for images, and a Transpose at its
             border costs nothing there. Exact.
    """

    name: ClassVar[str] = "move-transpose-to-conv"
    rules: ClassVar[tuple[Rule, ...]] = (transpose_after_conv, transpose_before_conv)
