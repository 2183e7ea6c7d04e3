"""Products of stacked vectors with one matrix: how they are spelled decides what has to be reshaped, or stored twice."""

from __future__ import annotations

from math import prod
from typing import Final

import numpy as np

from graphopt.ir import Node, Shape, Value
from graphopt.match import FLOATING, NUMERIC, Declined, Match, any_of, attr, op, opt, rule, tensor
from graphopt.patterns.reshape import at_least
from graphopt.patterns.shape_arguments import is_positive

SLICING: Final = 15  # from this opset on a Shape may leave dimensions out, and before the one before it no Reshape takes 0 for 0
ZEROS: Final = 14
# An Add goes over the whole result once more. Beside products at least as deep as this that does not matter; of shallower ones two
# Reshapes are the cheaper choice.
DEEP: Final = 512

x, w, s = tensor("x"), tensor("w", rank=2), tensor("s")
rows = any_of(op.Reshape(x, tensor("r")).kept(), op.Flatten(x).kept())


def gemm_examples() -> list[str]:
    """Rows of a stack, multiplied and put back."""
    head = '<ir_version: 10, opset_import: ["" : 20]>'
    return [
        f"""{head}
        stack (float[2,S,512] x, float[512,2] w, float[2] c) => (float[2,S,2] y) <int64[2] r = {{-1, 512}}, int64[3] s = {{2, -1, 2}}> {{
            t = Reshape(x, r) u = Gemm(t, w, c) y = Reshape(u, s) }}""",
        f"""{head} turned (float[2,S,3] x) => (float[2,S,4] y)
        <int64[2] r = {{-1, 3}}, int64[3] s = {{2, -1, 4}}, float[4,3] w = {{1,2,3,4,5,6,7,8,9,10,11,12}}> {{
            t = Reshape(x, r) u = Gemm<transB = 1>(t, w) y = Reshape(u, s) }}""",
    ]  # fmt: skip


@rule(
    op.Reshape(
        op.Gemm(rows, w, opt(tensor("c")), alpha=1.0, beta=attr("beta"), transA=0, transB=attr("turned")).named("gemm"),
        s,
        allowzero=attr("allowzero"),
    ),
    dtype=FLOATING,
    exactness="rounding",
    examples=gemm_examples,
)
def rows_gemm_to_matmul_add(
    m: Match, gemm: Node, x: Value, w: Value, c: Value | None, s: Value, beta: float, turned: int, allowzero: int
) -> Value | Declined:
    """Reshape(Gemm(Reshape(x, r), w, c), s)  ->  Add(MatMul(x, w), c)          rounding; without c the MatMul alone

    x: (..., K)  r: into (rows, K)  w: (K, M)  s: into (..., M)  c: broadcasts into (1, M), and then K is at least 512: an Add after a
    shallower product costs more than two Reshapes. w may be given as (M, K) if it is a constant that nothing else reads: then it is
    stored the other way round.
    """
    if why := unlike_rows(m, gemm, x):
        return m.no(why, x, gemm, m.root)
    y = m.root.output
    if c is not None and (beta != 1 or y.rank != x.rank):
        return m.no("beta is {}, and the result has {} axes, where {} has {}", beta, y.rank, x, x.rank)
    if c is not None and (c.shape is None or (len(c.shape) > 1 and any(size != 1 for size in c.shape[:-1]))):
        return m.no("{} is {}, which may differ from row to row", c, c.type)
    if c is not None and not at_least(x.shape[-1] if x.shape else None, DEEP):
        return m.no("with {} columns {} costs less as a term of the Gemm than as an Add", x.shape[-1] if x.shape else "?", c)
    if turned and (w.const is None or w.uses > 1):
        return m.no("{} is transposed, and no constant that nothing else reads", w)
    product = m.op.MatMul(x, m.op.Transpose(w, perm=(1, 0)) if turned else w)
    if c is not None:
        return m.op.Add(product, c)
    return product if y.rank == x.rank else m.op.Reshape(product, s, allowzero=allowzero or None)


def matmul_examples() -> list[str]:
    """Rows of a stack, multiplied and put back."""
    return [
        """<ir_version: 10, opset_import: ["" : 20]>
        stack (float[2,S,3] x, float[3,4] w) => (float[2,S,4] y) <int64[2] r = {-1, 3}, int64[3] s = {2, -1, 4}> {
            t = Reshape(x, r) u = MatMul(t, w) y = Reshape(u, s) }"""
    ]


@rule(
    op.Reshape(op.MatMul(rows, w).named("matmul"), s, allowzero=attr("allowzero")),
    dtype=NUMERIC,
    exactness="rounding",
    examples=matmul_examples,
)
def rows_matmul_to_matmul(m: Match, matmul: Node, x: Value, w: Value, s: Value, allowzero: int) -> Value | Declined:
    """Reshape(MatMul(Reshape(x, r), w), s)  ->  MatMul(x, w)                   rounding; or Reshape(MatMul(x, w), s)

    x: (..., K)  r: into (rows, K)  w: (K, M)  s: into (..., M), or into (..., M / L, L).
    """
    if why := unlike_rows(m, matmul, x):
        return m.no(why, x, matmul, m.root)
    product = m.op.MatMul(x, w)
    return product if m.root.output.rank == x.rank else m.op.Reshape(product, s, allowzero=allowzero or None)


def unlike_rows(m: Match, product: Node, x: Value) -> str:
    """Why a product is not that of the last axis of x, with the other axes put back after it; empty when it is."""
    between = product.inputs[0]
    taken, given, result = None if between is None else between.shape, x.shape, m.root.output.shape
    if taken is None or given is None or result is None or None in given:
        return "the shape of {}, or of what {} reads, or of what {} makes, is unknown"
    if len(given) < 3 or len(taken) != 2 or taken[1] != given[-1]:
        return "what is multiplied are not the rows of {}"
    if given[:-1] != result[: len(given) - 1]:
        return "the axes of {} are not provably put back after {}"
    return ""


def tied_examples() -> list[str]:
    """A table that is read by rows, and as a matrix."""
    head, table = '<ir_version: 10, opset_import: ["" : 20]>', "float[4,3] w = {1,2,3,4,5,6,7,8,9,10,11,12}"
    return [
        f"""{head} one (float[1,S,3] x, int64[S] i) => (float[1,S,4] y, float[S,3] z) <{table}> {{
            z = Gather(w, i) t = Transpose(w) y = MatMul(x, t) }}""",
        f"""{head} two (float[N,S,3] x, int64[S] i) => (float[N,S,4] y, float[S,3] z) <{table}> {{
            z = Gather(w, i) t = Transpose<perm = [1, 0]>(w) y = MatMul(x, t) }}""",
        f"""{head} rows (float[N,3] x, int64[S] i) => (float[N,4] y, float[S,3] z) <{table}> {{
            z = Gather(w, i) t = Transpose<perm = [1, 0]>(w) y = MatMul(x, t) }}""",
    ]  # fmt: skip


@rule(
    op.MatMul(x, op.Transpose(tensor("w", rank=2), perm=attr("perm")).kept()),
    dtype=FLOATING,
    exactness="rounding",
    examples=tied_examples,
)
def matmul_tied_to_gemm(m: Match, x: Value, w: Value, perm: tuple[int, ...] | None) -> Value | Declined:
    """MatMul(x, Transpose(w))  ->  Reshape(Gemm<transB = 1>(Reshape(x, [-1, K]), w), s)             rounding

    x: (..., K)  w: (M, K), a constant that others read too, so that it cannot be stored transposed  s: (..., M), a constant where one
    size at most is not a number.
    """
    if w.const is None or all(reader.op == "Transpose" for reader in w.users):
        return m.no("{} is no constant that others read too", w)
    columns, depth = w.const.shape
    shape = x.shape
    if perm not in (None, (1, 0)) or shape is None or len(shape) < 2 or None in shape or not columns or not depth:
        return m.no("{} by {} in the order {}: no product of rows", x.type, w.type, perm)
    if len(shape) == 2:
        return m.op.Gemm(x, w, transB=1)
    rest = restored(m, x, shape[:-1], columns)
    if isinstance(rest, Declined):
        return rest
    product = m.op.Gemm(m.op.Reshape(x, m.constant(np.array([-1, depth], np.int64), name="rows")), w, transB=1)
    return m.op.Reshape(product, rest[0], allowzero=rest[1] or None)


def restored(m: Match, x: Value, leading: Shape, columns: int) -> tuple[Value, int] | Declined:
    """The shape of x with another last size, and the allowzero that it needs as a shape for rows of that size."""
    left = [axis for axis, size in enumerate(leading) if not isinstance(size, int)]
    others = prod(size for size in leading if isinstance(size, int))
    if len(left) <= 1 and others:
        entries = [size if isinstance(size, int) else -1 for size in leading]
        return m.constant(np.array([*entries, columns], np.int64), name="shape"), 0
    # 0 copies what stands there, of the rows: their number, which is 0 as well, and then what is none of the sizes.
    allowzero = int(not all(is_positive(size, m.graph.model.positive) for size in leading[1:]))
    opset = m.opset() or 0
    if allowzero and opset < ZEROS:
        return m.no("a size of {} may be 0, which in a Reshape of opset {} stands for another; optimize with --opset {}", x, opset, ZEROS)
    if opset >= SLICING:
        sizes = m.op.Shape(x, end=-1)
    else:
        ends = (m.constant(np.array([end], np.int64), name=name) for end, name in ((0, "starts"), (len(leading), "ends")))
        sizes = m.op.Slice(m.op.Shape(x), *ends)
    return m.op.Concat(sizes, m.constant(np.array([columns], np.int64), name="columns"), axis=0), allowzero
