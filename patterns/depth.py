"""Blocks of pixels put into channels and back. Elements only move, so whatever the element type, it is exact."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import DType, Size, Value
from graphopt.ir.dim import Dim
from graphopt.match import Declined, Match, attr, op, rest, rule, tensor
from graphopt.patterns.noop import dimension
from graphopt.patterns.slice import END, Cut, cuts_of_node

KERNELS: Final = (DType.float32, DType.float64)  # what every runtime moves as it is

# How the axes of a tensor of blocks are ordered: the mode of DepthToSpace (of SpaceToDepth none), and where the rows and columns of a
# block, the channels, the height and the width stood before.
SHUFFLES: Final = {
    (0, 1, 4, 2, 5, 3): ("CRD", 2, 3, 1, 4, 5),
    (0, 3, 4, 1, 5, 2): ("DCR", 1, 2, 3, 4, 5),
    (0, 3, 5, 1, 2, 4): ("", 3, 5, 1, 2, 4),
}

x = tensor("x")


@rule(op.DepthToSpace(op.SpaceToDepth(x, blocksize=attr("b")).kept(), blocksize=attr("c"), mode="DCR"), keeps_type=True)
def space_to_depth_to_space(m: Match, x: Value, b: int, c: int) -> Value | Declined:
    """DepthToSpace<b, mode = DCR>(SpaceToDepth<b>(x))  ->  x           CRD orders the channels otherwise

    H and W are multiples of b: of an empty x that says nothing, and they would come out smaller.
    """
    if b != c or b < 1:
        return m.no("blocks of {} and of {}", b, c)
    fits = is_multiple(dimension(x.shape, 2), b) and is_multiple(dimension(x.shape, 3), b)
    return x if fits else m.no("{} is {}: its height and width are not provably multiples of {}", x, x.type, b)


@rule(op.SpaceToDepth(op.DepthToSpace(x, blocksize=attr("b"), mode="DCR").kept(), blocksize=attr("c")), keeps_type=True)
def depth_to_space_to_depth(m: Match, x: Value, b: int, c: int) -> Value | Declined:
    """SpaceToDepth<b>(DepthToSpace<b, mode = DCR>(x))  ->  x           CRD orders the channels otherwise; C is a multiple of b b"""
    if b != c or b < 1:
        return m.no("blocks of {} and of {}", b, c)
    fits = is_multiple(dimension(x.shape, 1), b * b)
    return x if fits else m.no("{} is {}: its channels are not provably a multiple of {}", x, x.type, b * b)


def shuffle_examples() -> list[str]:
    """Models that shuffle pixels by hand."""
    head = '<ir_version: 10, opset_import: ["" : 20]>'
    return [
        f"""{head} crd (float[N,12,2,3] x) => (float[N,3,4,6] y) <int64[6] s = {{-1, 3, 2, 2, 2, 3}}, int64[4] r = {{-1, 3, 4, 6}}> {{
            t = Reshape(x, s) u = Transpose<perm = [0, 1, 4, 2, 5, 3]>(t) y = Reshape(u, r) }}""",
        f"""{head} dcr (float[N,12,2,3] x) => (float[N,3,4,6] y) <int64[6] s = {{-1, 2, 2, 3, 2, 3}}, int64[4] r = {{0, 3, 4, 6}}> {{
            t = Reshape(x, s) u = Transpose<perm = [0, 3, 4, 1, 5, 2]>(t) y = Reshape(u, r) }}""",
        f"""{head} back (double[2,3,4,6] x) => (double[2,12,2,3] y) <int64[6] s = {{2, 3, 2, 2, 3, 2}}, int64[4] r = {{2, 12, 2, 3}}> {{
            t = Reshape(x, s) u = Transpose<perm = [0, 3, 5, 1, 2, 4]>(t) y = Reshape(u, r) }}""",
    ]  # fmt: skip


@rule(
    op.Reshape(op.Transpose(op.Reshape(x, tensor("s")), perm=attr("perm")), tensor("r")), dtype=KERNELS, examples=shuffle_examples
)
def pixels_to_depth_space(m: Match, x: Value, perm: tuple[int, ...] | None) -> Value | Declined:
    """Reshape(Transpose(Reshape(x, s), perm), r)  ->  DepthToSpace(x), or SpaceToDepth(x)

    DepthToSpace<mode = CRD>    s: (N, C, b, b, H, W)   perm: (0, 1, 4, 2, 5, 3)   r: (N, C, H b, W b)
    DepthToSpace<mode = DCR>    s: (N, b, b, C, H, W)   perm: (0, 3, 4, 1, 5, 2)   r: (N, C, H b, W b)
    SpaceToDepth                s: (N, C, H, b, W, b)   perm: (0, 3, 5, 1, 2, 4)   r: (N, C b b, H, W)
    """
    turned = m.root.inputs[0]
    middle = turned.producer.inputs[0] if turned is not None and turned.producer is not None else None
    given, six, made = x.shape, None if middle is None else middle.shape, m.root.output.shape
    if given is None or six is None or made is None or len(given) != 4 or len(six) != 6 or None in six:
        return m.no("the shapes are not known, or not of 4, 6 and 4 dimensions")
    if perm not in SHUFFLES:
        return m.no("perm {} moves no blocks of pixels", perm or "reversed")
    mode, rows, columns, depth, height, width = SHUFFLES[perm]
    b, channels = six[rows], six[depth]
    if not isinstance(b, int) or b < 2 or b != six[columns] or not isinstance(channels, int) or channels < 1:
        return m.no("the blocks are {} by {}, the channels {}", b, six[columns], channels)
    deep = (six[0], channels * b * b, six[height], six[width])
    wide = (six[0], channels, scaled(six[height], b), scaled(six[width], b))
    if (given, made) != ((deep, wide) if mode else (wide, deep)):
        return m.no("{} comes out as {}, not blocks of {} put in or out", given, made, b)
    return m.op.DepthToSpace(x, blocksize=b, mode=mode) if mode else m.op.SpaceToDepth(x, blocksize=b)


def scaled(size: Size, factor: int) -> Size:
    """So many times a size."""
    return None if size is None else size * factor


def phase_examples() -> list[str]:
    """Models that begin with every second pixel of every second row."""
    head = '<ir_version: 10, opset_import: ["" : 20]>'
    cuts = " ".join(
        f"s{r}{c} = Constant<value_ints = [{r}, {c}]>() p{r}{c} = Slice(x, s{r}{c}, e, a, b)" for r in (0, 1) for c in (0, 1)
    )
    names = "int64[2] a = {2, 3}, int64[2] b = {2, 2}, int64[2] e = {9223372036854775807, 2147483647}"
    return [
        f"{head} focus (float[N,3,4,6] x) => (float[N,12,2,3] y) <{names}> {{ {cuts} y = Concat<axis = 1>(p00, p10, p01, p11) }}",
        f"{head} rows (float[N,3,4,2] x) => (float[N,12,2,1] y) <{names}> {{ {cuts} y = Concat<axis = -3>(p00, p01, p10, p11) }}",
        f"{head} odd (float[N,3,5,6] x) => (float[N,M,A,B] y) <{names}> {{ {cuts} y = Concat<axis = 1>(p00, p01, p00, p01) }}",
    ]


@rule(op.Concat(rest("xs"), axis=attr("axis")), dtype=KERNELS, examples=phase_examples)
def slices_to_space_to_depth(m: Match, xs: tuple[Value, ...], axis: int) -> Value | Declined:
    """Concat<axis = 1>(x[:, :, r::b, c::b] for each r and c below b)  ->  Gather(SpaceToDepth<b>(x), i)

    i: the channels in the order of the Concat; no Gather where they are in order. H and W are multiples of b.
    """
    b = int(len(xs) ** 0.5)
    found = phase(xs[0])
    if b < 2 or b * b != len(xs) or found is None or axis not in (1, -3):
        return m.no("{} operands along axis {}: not every so manieth pixel", len(xs), axis)
    x = found[0]
    phases = [phase(value) for value in xs]
    blocks = [place[1] * b + place[2] for place in phases if place is not None and place[0] is x and place[3] == b]
    channels = dimension(x.shape, 1)
    if sorted(blocks) != list(range(b * b)) or x.rank != 4 or not isinstance(channels, int) or channels < 1:
        return m.no("the operands are not each phase of one tensor once")
    if not (is_multiple(dimension(x.shape, 2), b) and is_multiple(dimension(x.shape, 3), b)):
        return m.no("{} is {}: its height and width are not provably multiples of {}", x, x.type, b)
    deep = m.op.SpaceToDepth(x, blocksize=b)
    if blocks == list(range(b * b)):
        return deep
    order = np.concatenate([np.arange(block * channels, (block + 1) * channels) for block in blocks])
    return m.op.Gather(deep, m.constant(order.astype(np.int64), name="channels"), axis=1)


def phase(value: Value) -> tuple[Value, int, int, int] | None:
    """Of which tensor a value is every b-th pixel, from which row and column on, and b; None when it is nothing like that."""
    cuts: dict[int, Cut] = {}
    found: Value = value
    while found.producer is not None and len(cuts) < 2 and (part := cuts_of_node(found.producer)) is not None:
        found, more = part
        if more.keys() & cuts.keys():
            return None
        cuts |= more
    if cuts.keys() != {2, 3} or found.shape is None:
        return None
    for axis, (start, end, step) in cuts.items():
        extent = dimension(found.shape, axis)
        if step != cuts[2].step or not 0 <= start < step or not (end == END or (isinstance(extent, int) and end >= extent)):
            return None
    return found, cuts[2].start, cuts[3].start, cuts[2].step


def is_multiple(size: Size, factor: int) -> bool:
    """Whether a size is provably a multiple of a number, whatever its symbols stand for."""
    if isinstance(size, Dim):
        return size.constant % factor == 0 and all(coefficient % factor == 0 for _, coefficient in size.terms)
    return size is not None and size % factor == 0

