"""What stands before and after a Gemm that it can do itself."""

from __future__ import annotations

from typing import Final, TypeAlias

from graphopt.ir import Node, Value
from graphopt.match import FLOATING, Call, Declined, Match, Operand, any_of, attr, const, op, opt, rule, tensor
from graphopt.patterns.convolution import scaled, shifted
from graphopt.patterns.normalization import normalized, weights_and_bias

Perm: TypeAlias = "tuple[int, ...] | None"
TURNED: Final = (None, (1, 0))

x, a, b, c = tensor("x"), tensor("a"), tensor("b"), opt(tensor("c"))
weights, bias, k = const("w", dtype=FLOATING, rank=2), opt(const("bias", shape=("N",))), const("k")
weighted = op.Gemm(x, weights, bias, beta=attr("beta"), transB=attr("turned")).named("gemm")


def transposed(value: Operand) -> Call:
    """The pattern of a Transpose."""
    return op.Transpose(value, perm=attr("perm"))


@rule(op.Gemm(transposed(a), b, c, transA=attr("turned")).named("gemm"), dtype=FLOATING, exactness="rounding")
def gemm_of_transposed_a(m: Match, gemm: Node, a: Value, b: Value, c: Value | None, perm: Perm, turned: int) -> Value | Declined:
    """Gemm(Transpose(a), b, c)  ->  Gemm<transA = 1>(a, b, c)                  rounding; and back, where transA is 1 already"""
    if perm not in TURNED:
        return m.no("perm {} moves nothing", perm)
    return m.op.Gemm(a, b, c, **{**gemm.attributes, "transA": int(not turned)})


@rule(op.Gemm(a, transposed(b), c, transB=attr("turned")).named("gemm"), dtype=FLOATING, exactness="rounding")
def gemm_of_transposed_b(m: Match, gemm: Node, a: Value, b: Value, c: Value | None, perm: Perm, turned: int) -> Value | Declined:
    """Gemm(a, Transpose(b), c)  ->  Gemm<transB = 1>(a, b, c)                  rounding; and back, where transB is 1 already"""
    if perm not in TURNED:
        return m.no("perm {} moves nothing", perm)
    return m.op.Gemm(a, b, c, **{**gemm.attributes, "transB": int(not turned)})


@rule(op.MatMul(transposed(tensor("a", rank=2)), tensor("b", rank=2)), dtype=FLOATING, exactness="rounding")
def matmul_of_transposed_a(m: Match, a: Value, b: Value, perm: Perm) -> Value | Declined:
    """MatMul(Transpose(a), b)  ->  Gemm<transA = 1>(a, b)                      rounding;  a: (K, M)  b: (K, N)"""
    return m.op.Gemm(a, b, transA=1) if perm in TURNED else m.no("perm {} moves nothing", perm)


@rule(op.MatMul(tensor("a", rank=2), transposed(tensor("b", rank=2))), dtype=FLOATING, exactness="rounding")
def matmul_of_transposed_b(m: Match, a: Value, b: Value, perm: Perm) -> Value | Declined:
    """MatMul(a, Transpose(b))  ->  Gemm<transB = 1>(a, b)                      rounding;  a: (M, K)  b: (N, K)"""
    return m.op.Gemm(a, b, transB=1) if perm in TURNED else m.no("perm {} moves nothing", perm)


@rule(transposed(op.Gemm(a, b, transA=attr("first"), transB=attr("second")).named("gemm")), dtype=FLOATING, exactness="rounding")
def transpose_of_gemm(m: Match, gemm: Node, a: Value, b: Value, perm: Perm, first: int, second: int) -> Value | Declined:
    """Transpose(Gemm(a, b))  ->  Gemm<transA = 1, transB = 1>(b, a)            rounding; 0 where the other of them was 1"""
    if perm not in TURNED:
        return m.no("perm {} moves nothing", perm)
    return m.op.Gemm(b, a, **{**gemm.attributes, "transA": int(not second), "transB": int(not first)})


product = op.Gemm(tensor("a"), tensor("b"), alpha=attr("alpha")).named("gemm")
term = tensor("c", shape=(...,))


@rule(any_of(op.Add(product, term), op.Sum(product, term), op.Sum(term, product)), dtype=FLOATING, exactness="rounding")
def gemm_add_to_gemm(m: Match, gemm: Node, a: Value, b: Value, c: Value) -> Value | Declined:
    """Add(Gemm(a, b), c)  ->  Gemm(a, b, c)                                    rounding;  c: broadcasts into (M, N). Sum likewise"""
    if c.rank is None or c.rank > 2:
        return m.no("{} is {}, no matrix", c, c.type)
    return m.op.Gemm(a, b, c, **{**gemm.attributes, "beta": 1.0})


@rule(op.Add(weighted, k), exactness="rounding", keeps_type=True)
def gemm_add_constant(m: Match, gemm: Node, x: Value, w: Value, bias: Value | None, k: Value, beta: float, turned: int) -> Value | Declined:
    """Add(Gemm(x, w, b), k)  ->  Gemm(x, w, b + k)                             rounding;  k: one element, or one per column"""
    if bias is not None and beta != 1:
        return m.no("beta is {}", beta)
    found = shifted(m, w, bias, k, None if turned else 1)
    return found if isinstance(found, Declined) else m.op.Gemm(x, w, found, **{**gemm.attributes, "beta": 1.0})


@rule(op.Mul(weighted, k), exactness="rounding", keeps_type=True)
def gemm_mul_to_gemm(m: Match, gemm: Node, x: Value, w: Value, bias: Value | None, k: Value, turned: int) -> Value | Declined:
    """Mul(Gemm(x, w, b), k)  ->  Gemm(x, w * k, b * k)                         rounding;  k: one element, or one per column"""
    found = scaled(m, w, bias, k, None if turned else 1)
    return found if isinstance(found, Declined) else m.op.Gemm(x, *found, **gemm.attributes)


shifting = op.Gemm(x, weights, opt(const("b", shape=("C",))), beta=attr("beta"), transB=attr("turned")).named("gemm")


@rule(normalized(shifting), exactness="rounding", keeps_type=True)
def gemm_bn_to_gemm(m: Match, gemm: Node, bn: Node, x: Value, w: Value, b: Value | None, beta: float, turned: int) -> Value | Declined:
    """BatchNormalization(Gemm(x, w, b), scale, shift, mean, var)  ->  Gemm(x, w * k, b')                rounding

    k  = scale / sqrt(var + epsilon)     (C,)           one factor per column
    b' = (b - mean) * k + shift          (C,)           b is 0 when absent
    """
    if b is not None and beta != 1:
        return m.no("beta is {}", beta)
    found = weights_and_bias(m, bn, w, b, None if turned else 1)
    return found if isinstance(found, Declined) else m.op.Gemm(x, *found, **{**gemm.attributes, "beta": 1.0})


@rule(normalized(op.MatMul(tensor("x", rank=2), weights)), exactness="rounding", keeps_type=True)
def matmul_bn_to_gemm(m: Match, bn: Node, x: Value, w: Value) -> Value | Declined:
    """BatchNormalization(MatMul(x, w), scale, shift, mean, var)  ->  Gemm(x, w * k, shift - mean * k)   rounding

    x: (M, K), so that the columns of the product are the channels.  k = scale / sqrt(var + epsilon)
    """
    found = weights_and_bias(m, bn, w, None, 1)
    return found if isinstance(found, Declined) else m.op.Gemm(x, *found)
