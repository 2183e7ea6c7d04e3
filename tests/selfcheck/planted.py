"""Rules with one mistake each, and right ones beside them."""

from __future__ import annotations

import numpy as np

from graphopt.ir.graph import Node, Value
from graphopt.ir.tensor import Array
from graphopt.match.language import FLOATING, attr, const, op, opt, product, rest, sum_of, tensor
from graphopt.match.match import Match
from graphopt.match.rule import Outcome, Rule, rule

x, y = tensor("x"), tensor("y")
a, b = tensor("a"), tensor("b")

WRONG: list[Rule] = []
RIGHT: list[Rule] = []
EITHER: list[Rule] = []


def wrong(made: Rule) -> Rule:
    WRONG.append(made)
    return made


def right(made: Rule) -> Rule:
    RIGHT.append(made)
    return made


def either(made: Rule) -> Rule:
    EITHER.append(made)
    return made


# ---- a commuted Sub


@wrong
@rule(op.Add(op.Neg(b), a))
def add_neg_to_commuted_sub(m: Match, a: Value, b: Value) -> Outcome:
    return m.op.Sub(b, a)


@right
@rule(op.Add(op.Neg(b), a), dtype=FLOATING)
def add_neg_to_sub(m: Match, a: Value, b: Value) -> Outcome:
    return m.op.Sub(a, b)


# ---- a bias that widens by broadcast

w = tensor("w", shape=("K", "N"))
matrix = tensor("x", shape=("M", "K"))
GEMM = ("float16", "float32", "float64")


@wrong
@rule(op.Add(op.MatMul(matrix, w), tensor("c")), dtype=GEMM, exactness="rounding", keeps_type=True)
def matmul_add_to_gemm_any_bias(m: Match, x: Value, w: Value, c: Value) -> Outcome:
    return m.op.Gemm(x, w, c)


@right
@rule(op.Add(op.MatMul(matrix, w), tensor("c", into=("M", "N"))), dtype=GEMM, exactness="rounding")
def matmul_add_to_gemm(m: Match, x: Value, w: Value, c: Value) -> Outcome:
    return m.op.Gemm(x, w, c)


# ---- a wrong axis


@wrong
@rule(op.Concat(op.Concat(rest("xs"), axis=attr("inner")), y, axis=attr("outer")), keeps_type=True)
def concat_concat_any_axis(m: Match, xs: tuple[Value, ...], y: Value, inner: int, outer: int) -> Outcome:
    return m.op.Concat(*xs, y, axis=outer)


@right
@rule(op.Concat(op.Concat(rest("xs"), axis=attr("inner")), y, axis=attr("outer")))
def concat_concat(m: Match, xs: tuple[Value, ...], y: Value, inner: int, outer: int) -> Outcome:
    if inner != outer:
        return m.no("one axis is {}, the other {}", inner, outer)
    return m.op.Concat(*xs, y, axis=outer)


@wrong
@rule(op.Log(op.Softmax(x, axis=attr("axis"))), exactness="rounding")
def log_softmax_last_axis(m: Match, x: Value, axis: int) -> Outcome:
    return m.op.LogSoftmax(x, axis=-1)


@wrong
@rule(op.Transpose(op.Transpose(x, perm=attr("first")), perm=attr("second")), keeps_type=True)
def transposes_in_wrong_order(m: Match, x: Value, first: tuple[int, ...] | None, second: tuple[int, ...] | None) -> Outcome:
    if first is None or second is None or len(first) != len(second):
        return m.no("the permutation is not given")
    return m.op.Transpose(x, perm=[second[i] for i in first])


@right
@rule(op.Transpose(op.Transpose(x, perm=attr("first")), perm=attr("second")))
def transposes(m: Match, x: Value, first: tuple[int, ...] | None, second: tuple[int, ...] | None) -> Outcome:
    if first is None or second is None or len(first) != len(second):
        return m.no("the permutation is not given")
    return m.op.Transpose(x, perm=[first[i] for i in second])


# ---- a constant matched too loosely


def about_two(e: Array) -> bool:
    return e.size == 1 and abs(float(e.reshape(-1)[0]) - 2) < 0.01


@wrong
@rule(op.Pow(x, const("e")), dtype=FLOATING, exactness="rounding", keeps_type=True)
def pow_any_to_mul(m: Match, x: Value, e: Value) -> Outcome:
    return m.op.Mul(x, x)


@wrong
@rule(op.Pow(x, const("e", where=about_two)), dtype=("float32", "float64"), exactness="rounding")
def pow_about_two_to_mul(m: Match, x: Value, e: Value) -> Outcome:
    return m.op.Mul(x, x)


@right
@rule(op.Pow(x, 2.0), dtype=("float32", "float64"), exactness="rounding")
def pow_two_to_mul(m: Match, x: Value) -> Outcome:
    return m.op.Mul(x, x)


# ---- a wrong opset


@either  # wrong below opset 14, where there is no HardSwish: the engine refuses, or the check shows it
@rule(op.Mul(x, op.HardSigmoid(x, alpha=1 / 6, beta=0.5)), dtype=("float32",), exactness="rounding", keeps_type=True)
def hard_swish_as_raw_node(m: Match, x: Value) -> Outcome:
    node = Node("HardSwish", (x,), 1)
    m.made.append(node)
    return node.output


@either  # likewise below opset 18
@rule(op.Identity(op.ReduceMax(x, const("axes"), keepdims=1)), keeps_type=True)
def reduce_max_with_axes_as_input(m: Match, x: Value, axes: Value) -> Outcome:
    node = Node("ReduceMax", (x, axes), 1)  # axes is an input only from opset 18
    m.made.append(node)
    return node.output


@wrong
@rule(op.Identity(op.Softmax(x, axis=attr("axis"))), keeps_type=True, exactness="rounding")
def softmax_default_axis(m: Match, x: Value, axis: int) -> Outcome:
    if axis != -1:
        return m.no("another axis")
    node = Node("Softmax", (x,), 1)  # axis = -1 is the default only from opset 13
    m.made.append(node)
    return node.output


# ---- numbers that are not reals


@wrong
@rule(op.Sub(x, x), dtype=FLOATING)
def sub_self_to_zero(m: Match, x: Value) -> Outcome:
    if x.shape is None or not all(isinstance(size, int) for size in x.shape) or x.dtype is None:
        return m.no("no static shape")
    return m.constant(np.zeros([int(size) for size in x.shape if isinstance(size, int)], x.dtype.numpy))


@wrong
@rule(op.Mul(x, const("zero", equals=0.0)), dtype=FLOATING)
def mul_zero_to_zero(m: Match, x: Value, zero: Value) -> Outcome:
    if x.shape is None or not all(isinstance(size, int) for size in x.shape) or x.dtype is None:
        return m.no("no static shape")
    return m.constant(np.zeros([int(size) for size in x.shape if isinstance(size, int)], x.dtype.numpy))


@wrong
@rule(op.Div(x, x), dtype=FLOATING)
def div_self_to_one(m: Match, x: Value) -> Outcome:
    if x.shape is None or not all(isinstance(size, int) for size in x.shape) or x.dtype is None:
        return m.no("no static shape")
    return m.constant(np.ones([int(size) for size in x.shape if isinstance(size, int)], x.dtype.numpy))


@wrong
@rule(op.Add(x, const("zero", equals=0.0)), dtype=FLOATING, keeps_type=True)
def add_zero_to_nothing(m: Match, x: Value, zero: Value) -> Outcome:
    return x if x.shape is not None and zero.rank == 0 else m.no("it may widen")


@wrong
@rule(op.Mul(op.Div(a, b), b), dtype=("int32", "int64"), keeps_type=True)
def div_mul_to_nothing(m: Match, a: Value, b: Value) -> Outcome:
    return a if a.shape is not None and a.shape == b.shape else m.no("shapes")


@wrong
@rule(product(x, const("p"), const("q")), dtype=("float32",), exactness="exact")
def regrouped_product_called_exact(m: Match, x: Value, p: Value, q: Value) -> Outcome:
    if p.const is None or q.const is None or p.rank != 0 or q.rank != 0:
        return m.no("no scalars")
    return m.op.Mul(x, m.constant(np.multiply(p.const.numpy(), q.const.numpy())))


@right
@rule(product(x, const("p"), const("q")), dtype=("float32",), exactness="rounding")
def regrouped_product(m: Match, x: Value, p: Value, q: Value) -> Outcome:
    if p.const is None or q.const is None or p.rank != 0 or q.rank != 0:
        return m.no("no scalars")
    return m.op.Mul(x, m.constant(np.multiply(p.const.numpy(), q.const.numpy())))


# ---- further mistakes of published optimizers


@wrong
@rule(op.Reshape(op.Reshape(x, const("first")), const("second")), keeps_type=True)
def reshapes_with_zero(m: Match, x: Value, first: Value, second: Value) -> Outcome:
    return m.op.Reshape(x, second)


@right
@rule(op.Reshape(op.Reshape(x, const("first")), const("second", where=lambda s: bool(np.greater(s, 0).all()))))
def reshapes(m: Match, x: Value, first: Value, second: Value) -> Outcome:
    return m.op.Reshape(x, second)


@wrong
@rule(op.Clip(op.Clip(x, const("low"), const("high")), const("lower"), const("higher")), dtype=("float32",), keeps_type=True)
def clips_with_crossed_bounds(m: Match, x: Value, low: Value, high: Value, lower: Value, higher: Value) -> Outcome:
    if low.const is None or high.const is None or lower.const is None or higher.const is None:
        return m.no("bounds")
    return m.op.Clip(
        x, m.constant(np.maximum(low.const.numpy(), lower.const.numpy())), m.constant(np.minimum(high.const.numpy(), higher.const.numpy()))
    )


@wrong
@rule(op.Cast(op.Cast(x, to=attr("inner")), to=attr("outer")), keeps_type=True)
def casts_through_narrow_type(m: Match, x: Value, inner: int, outer: int) -> Outcome:
    return m.op.Cast(x, to=outer)


@wrong
@rule(op.Div(op.ReduceSum(x, const("axes")), const("n")), dtype=("float32",), exactness="rounding", keeps_type=True)
def reduce_sum_to_mean_without_keepdims(m: Match, x: Value, axes: Value, n: Value) -> Outcome:
    if x.shape is None or axes.const is None or n.const is None or n.const.size != 1:
        return m.no("unknown")
    return m.op.ReduceMean(x, axes)


@wrong
@rule(op.Dropout(x, opt(tensor("ratio")), opt(tensor("training"))), keeps_type=True)
def dropout_always_to_nothing(m: Match, x: Value, ratio: Value | None, training: Value | None) -> Outcome:
    return x


@right
@rule(op.Dropout(x, opt(tensor("ratio")), opt(const("training", where=lambda t: not t.any()))), keeps_type=True)
def dropout_to_nothing(m: Match, x: Value, ratio: Value | None, training: Value | None) -> Outcome:
    return x


@wrong
@rule(op.Relu(op.Clip(x, const("low"), const("high"))), dtype=("float32",), keeps_type=True)
def relu_clip_ignoring_low_bound(m: Match, x: Value, low: Value, high: Value) -> Outcome:
    return m.op.Clip(x, m.constant(np.float32(0)), high)


@wrong
@rule(op.Slice(op.Slice(x, const("s"), const("e"), const("axes")), const("s2"), const("e2"), const("axes2")), keeps_type=True)
def slices_forgetting_the_first(m: Match, x: Value, s: Value, e: Value, axes: Value, s2: Value, e2: Value, axes2: Value) -> Outcome:
    return m.op.Slice(x, s2, e2, axes2)


NORMALIZED = op.BatchNormalization(
    x, const("scale", shape=("C",)), const("shift"), const("mean"), const("var"), epsilon=attr("epsilon")
)


@wrong
@rule(NORMALIZED, dtype=("float32",), exactness="rounding", keeps_type=True)
def batch_normalization_without_epsilon(m: Match, x: Value, scale: Value, shift: Value, mean: Value, var: Value, epsilon: float) -> Outcome:
    tensors = [value.const for value in (scale, shift, mean, var)]
    if x.rank is None or x.rank < 2 or None in tensors:
        return m.no("rank")
    k, b, mu, v = (t.numpy().astype(np.float64) for t in tensors if t is not None)
    factor = k / np.sqrt(v + 1e-5)
    wide = (-1, *(1,) * (x.rank - 2))
    return m.op.Add(
        m.op.Mul(x, m.constant(factor.reshape(wide).astype(np.float32))), m.constant((b - mu * factor).reshape(wide).astype(np.float32))
    )


# ---- safe because the engine refuses what their authors forgot


@right
@rule(op.Relu(op.Relu(x)), keeps_type=True)
def relu_relu(m: Match, x: Value) -> Outcome:
    return m.op.Relu(x)


@right
@rule(op.Not(op.Not(x)), keeps_type=True)
def not_not(m: Match, x: Value) -> Outcome:
    return x


@right
@rule(sum_of(x, op.Neg(y), y), dtype=("int32", "int64"))
def sum_of_opposites(m: Match, x: Value, y: Value) -> Outcome:
    return x
