"""The ways in which a random graph of shape arithmetic grows, one for each family of operators."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from graphopt.ir import Attribute, AttributeKind, Dim, DType, Graph, Node, Tensor
from graphopt.schema.spelling import spell
from tests.infer.shape_draft import INTS, MOST, Draft, Impossible, Piece


def shape_of_data(g: Draft) -> None:
    data = g.data()
    rank = len(data.shape)
    if g.opset >= 15 and g.random.random() < 0.4:
        start, end = g.random.randint(-rank - 1, rank), g.random.choice([None, g.random.randint(-rank - 1, rank + 1)])
        count = len(range(rank)[slice(start, end)])
        g.add(g.node("Shape", data.value, start=start, end=end)[0], DType.int64, (count,))
    else:
        g.add(g.node("Shape", data.value)[0], DType.int64, (rank,))


def _size(g: Draft) -> None:
    g.add(g.node("Size", g.data().value)[0], DType.int64, ())


def _gather(g: Draft) -> None:
    x = g.pick(dtypes=(*INTS, DType.bool), where=lambda piece: len(piece.shape) > 0)
    axis = g.random.randrange(len(x.shape))
    extent = x.shape[axis]
    if not extent:
        raise Impossible
    shape = g.random.choice([(), (), (1,), (2,), (3,), (2, 2)])
    low = -extent if g.opset >= 11 else 0
    indices = g.held(np.array([g.random.randint(low, extent - 1) for _ in range(prod(shape))]).reshape(shape))
    if g.random.random() < 0.15 and extent > 1:
        chosen = g.pick(dtypes=(DType.bool,))
        indices, shape = g.node("Cast", chosen.value, to=7)[0], chosen.shape
    result = x.shape[:axis] + shape + x.shape[axis + 1 :]
    if prod(result) > MOST:
        raise Impossible
    g.add(g.node("Gather", x.value, indices, axis=axis)[0], x.dtype, result)


def _gather_elements(g: Draft) -> None:
    x = g.pick(where=lambda piece: len(piece.shape) > 0 and 0 not in piece.shape)
    axis = g.random.randrange(len(x.shape))
    shape = tuple(g.random.randint(1, 3) if place == axis else extent for place, extent in enumerate(x.shape))
    indices = [g.random.randint(-x.shape[axis], x.shape[axis] - 1) for _ in range(prod(shape))]
    g.add(g.node("GatherElements", x.value, g.held(np.array(indices).reshape(shape)), axis=axis)[0], x.dtype, shape)


def _gather_nd(g: Draft) -> None:
    x = g.pick(where=lambda piece: len(piece.shape) > 0 and 0 not in piece.shape)
    count = g.random.randint(1, len(x.shape))
    rows = [[g.random.randint(-x.shape[place], x.shape[place] - 1) for place in range(count)] for _ in range(g.random.randint(1, 2))]
    g.add(g.node("GatherND", x.value, g.held(rows))[0], x.dtype, (len(rows), *x.shape[count:]))


def _slice(g: Draft) -> None:
    x = g.pick(where=lambda piece: len(piece.shape) > 0)
    axes = sorted(g.random.sample(range(len(x.shape)), g.random.randint(1, len(x.shape))))
    numbers = [-(2**63), -5, -3, -2, -1, 0, 0, 1, 2, 3, 5, 2**31 - 1, 2**63 - 1]
    starts, ends = ([g.random.choice(numbers[low:]) for _ in axes] for low in (1, 0))
    steps = [g.random.choice([1, 1, 1, 2, -1, -2]) for _ in axes] if g.opset >= 10 else [1] * len(axes)
    shape = list(x.shape)
    cut = [slice(None)] * len(shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step < 0 and start < -shape[axis]:
            start = -1
            starts[axes.index(axis)] = -1
        cut[axis] = slice(start, end, step)
    shape = list(np.zeros(shape)[tuple(cut)].shape)
    inputs = [g.held(starts), g.held(ends), g.held(axes), g.held(steps) if steps != [1] * len(axes) else None]
    g.add(g.node("Slice", x.value, *inputs)[0], x.dtype, tuple(shape))


def _concat(g: Draft) -> None:
    first = g.pick(where=lambda piece: len(piece.shape) > 0)
    axis = g.random.randrange(len(first.shape))
    rest = first.shape[:axis] + first.shape[axis + 1 :]
    parts = [first]
    for _ in range(g.random.randint(0, 2)):
        if g.random.random() < 0.4:
            shape = (*first.shape[:axis], g.random.randint(0, 2), *first.shape[axis + 1 :])
            parts.append(g.constant(shape, first.dtype))
        else:
            parts.append(
                g.pick(
                    dtypes=(first.dtype,),
                    rank=len(first.shape),
                    where=lambda piece: piece.shape[:axis] + piece.shape[axis + 1 :] == rest,
                )
            )
    total = sum(piece.shape[axis] for piece in parts)
    shape = (*first.shape[:axis], total, *first.shape[axis + 1 :])
    if prod(shape) > MOST:
        raise Impossible
    g.add(g.node("Concat", *(piece.value for piece in parts), axis=axis)[0], first.dtype, shape)


def _split(g: Draft) -> None:
    x = g.pick(where=lambda piece: len(piece.shape) > 0 and piece.shape[0] > 1)
    extent = x.shape[0]
    if g.random.random() < 0.5:
        cut = g.random.randint(1, extent - 1)
        parts = [cut, extent - cut]
        values = g.node("Split", x.value, g.held(parts), outputs=2, axis=0)
    else:
        uneven = g.opset >= 18
        counts = [n for n in range(1, extent + 1) if extent % n == 0 or (uneven and (n - 1) * -(-extent // n) < extent)]
        count = g.random.choice(counts)
        whole = -(-extent // count)
        parts = [whole] * (count - 1) + [extent - whole * (count - 1)]
        values = g.node("Split", x.value, outputs=count, axis=0, num_outputs=count if g.opset >= 18 else None)
    for value, part in zip(values, parts, strict=True):
        g.add(value, x.dtype, (part, *x.shape[1:]))


def _reshaped(g: Draft) -> None:
    x = g.pick(dtypes=(*INTS, DType.bool))
    way = g.random.choice(["Unsqueeze", "Squeeze", "Reshape", "Flatten", "Transpose", "Identity"])
    if way == "Unsqueeze" and len(x.shape) < 3:
        axis = g.random.randint(0, len(x.shape))
        g.add(g.node(way, x.value, g.held([axis]))[0], x.dtype, (*x.shape[:axis], 1, *x.shape[axis:]))
    elif way == "Squeeze" and 1 in x.shape:
        axis = x.shape.index(1)
        g.add(g.node(way, x.value, g.held([axis]))[0], x.dtype, x.shape[:axis] + x.shape[axis + 1 :])
    elif way == "Reshape" and 0 not in x.shape:
        count = prod(x.shape)
        first = g.random.choice([extent for extent in range(1, count + 1) if count % extent == 0])
        shapes: list[tuple[int, ...]] = [(count,), (first, count // first), *([()] if count == 1 else [])]
        shape = g.random.choice(shapes)
        written = list(shape)
        if shape and g.random.random() < 0.4:
            written[g.random.randrange(len(shape))] = -1
        g.add(g.node(way, x.value, g.held(np.array(written, np.int64)))[0], x.dtype, shape)
    elif way == "Flatten":
        axis = g.random.randint(0, len(x.shape))
        g.add(g.node(way, x.value, axis=axis)[0], x.dtype, (prod(x.shape[:axis]), prod(x.shape[axis:])))
    elif way == "Transpose" and len(x.shape) > 1:
        perm = g.random.sample(range(len(x.shape)), len(x.shape))
        g.add(g.node(way, x.value, perm=perm)[0], x.dtype, tuple(x.shape[axis] for axis in perm))
    elif way == "Identity":
        g.add(g.node(way, x.value)[0], x.dtype, x.shape)
    else:
        raise Impossible


def _cast(g: Draft) -> None:
    x = g.pick(dtypes=(*INTS, DType.bool))
    to = g.random.choice((*INTS, DType.int64, DType.bool))
    if g.opset >= 15 and g.random.random() < 0.3:
        like = g.pick(dtypes=(*INTS, DType.bool))
        g.add(g.node("CastLike", x.value, like.value)[0], like.dtype, x.shape)
    else:
        g.add(g.node("Cast", x.value, to=int(to))[0], to, x.shape)


def _arithmetic(g: Draft) -> None:
    x = g.pick()
    op = g.random.choice(["Add", "Add", "Sub", "Mul", "Mul", "Min", "Max", "Neg", "Abs", "Sign"])
    if op in ("Neg", "Abs", "Sign"):
        g.add(g.node(op, x.value)[0], x.dtype, x.shape)
        return
    others = [g.partner(x)]
    if op in ("Min", "Max") and g.random.random() < 0.3:
        others.append(g.partner(x))
    operands = [x, *others]
    g.random.shuffle(operands)
    shape = np.broadcast_shapes(*(piece.shape for piece in operands))
    if prod(shape) > MOST:
        raise Impossible
    g.add(g.node(op, *(piece.value for piece in operands))[0], x.dtype, shape)


def _division(g: Draft) -> None:
    """Never by 0, nor by -1: that ends the process on some machines."""
    x = g.pick()
    way = g.random.random()
    if way < 0.6:
        shape = g.random.choice([(), (1,), x.shape])
        numbers = [g.random.choice([1, 2, 2, 3, 4, 5, 8, -2, -3]) for _ in range(prod(shape))]
        divisor = Piece(g.held(np.array(numbers).reshape(shape), x.dtype), x.dtype, shape)
    elif way < 0.8:
        other = g.partner(x)
        divisor = Piece(g.node("Max", other.value, g.held(np.ones(other.shape), x.dtype))[0], x.dtype, other.shape)
    else:
        data = g.random.choice(g.graph.inputs)
        shape_held = g.declared[data.name]
        axis = g.random.randrange(len(shape_held))
        if not isinstance(shape_held[axis], Dim) or x.dtype is DType.int32:
            raise Impossible
        g.divides = True
        divisor = Piece(g.node("Gather", g.node("Shape", data)[0], g.held(axis))[0], DType.int64, ())
    shape = np.broadcast_shapes(x.shape, divisor.shape)
    if prod(shape) > MOST:
        raise Impossible
    if g.random.random() < 0.5:
        g.add(g.node("Div", x.value, divisor.value)[0], x.dtype, shape)
    else:
        g.add(g.node("Mod", x.value, divisor.value, fmod=g.random.randint(0, 1))[0], x.dtype, shape)


def _clip(g: Draft) -> None:
    x = g.pick()
    low, high = g.random.choice([(0, 5), (1, 4), (0, 512), (-2, 3)])
    value = g.node("Min", g.node("Max", x.value, g.held(np.full(x.shape, low), x.dtype))[0], g.held(np.full(x.shape, high), x.dtype))[0]
    g.add(value, x.dtype, x.shape, is_small=low >= 0 and high <= 5)


def _comparison(g: Draft) -> None:
    x = g.pick()
    other = g.partner(x)
    op = g.random.choice(["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"])
    if g.opset < 9 and op != "Equal":
        raise Impossible  # floats only
    shape = np.broadcast_shapes(x.shape, other.shape)
    g.add(g.node(op, x.value, other.value)[0], DType.bool, shape)


def _logic(g: Draft) -> None:
    x = g.pick(dtypes=(DType.bool,))
    op = g.random.choice(["Not", "And", "Or", "Xor"])
    if op == "Not":
        g.add(g.node(op, x.value)[0], DType.bool, x.shape)
        return
    other = g.partner(x)
    g.add(g.node(op, x.value, other.value)[0], DType.bool, np.broadcast_shapes(x.shape, other.shape))


def _where(g: Draft) -> None:
    x = g.pick()
    other = g.partner(x)
    shape = np.broadcast_shapes(x.shape, other.shape)
    condition = g.partner(Piece(x.value, DType.bool, shape))
    shape = np.broadcast_shapes(shape, condition.shape)
    if prod(shape) > MOST:
        raise Impossible
    g.add(g.node("Where", condition.value, x.value, other.value)[0], x.dtype, shape)


def _reduction(g: Draft) -> None:
    x = g.pick(where=lambda piece: 0 not in piece.shape)
    op = g.random.choice(["ReduceProd", "ReduceSum", "ReduceMin", "ReduceMax"])
    keep = g.random.randint(0, 1)
    axes = sorted(g.random.sample(range(len(x.shape)), g.random.randint(0, len(x.shape))))
    gone = axes or list(range(len(x.shape)))
    shape = tuple(1 if axis in gone else extent for axis, extent in enumerate(x.shape) if keep or axis not in gone)
    written = [axis - len(x.shape) if g.opset >= 13 and g.random.random() < 0.3 else axis for axis in axes]
    g.add(g.node(op, x.value, g.held(written) if axes else None, keepdims=keep)[0], x.dtype, shape)


def _running_sum(g: Draft) -> None:
    x = g.pick(where=lambda piece: len(piece.shape) > 0)
    axis = g.random.randrange(len(x.shape))
    flags = {"exclusive": g.random.randint(0, 1), "reverse": g.random.randint(0, 1)}
    g.add(g.node("CumSum", x.value, g.held(axis), **flags)[0], x.dtype, x.shape)


def _made(g: Draft) -> None:
    """ConstantOfShape, Range and Pad of numbers; Expand and Tile of known things by numbers."""
    way = g.random.choice(["ConstantOfShape", "Range", "Expand", "Tile", "Pad", "symbolic Range"])
    if way == "ConstantOfShape":
        shape = tuple(g.random.randint(0, 3) for _ in range(g.random.randint(0, 2)))
        value = Tensor.of(np.array([g.random.randint(-2, 3)], np.int64))
        g.add(g.node(way, g.held(np.array(shape, np.int64)), value=value)[0], DType.int64, shape)
    elif way == "Range":
        bounds = g.random.randint(-3, 4), g.random.randint(-3, 8), g.random.choice([1, 2, -1, 3])
        g.add(g.node(way, *map(g.held, bounds))[0], DType.int64, (len(range(*bounds)),))
    elif way == "symbolic Range":
        start = g.pick(dtypes=(DType.int64,), rank=0)
        count = g.random.randint(0, 4)
        limit = g.node("Add", start.value, g.held(count))[0]
        g.add(g.node("Range", start.value, limit, g.held(1))[0], DType.int64, (count,))
    else:
        x = g.pick()
        if way == "Expand":
            shape = g.random.choice([(2, *x.shape), x.shape, (3,)])
            try:
                result = np.broadcast_shapes(x.shape, shape)
            except ValueError:
                raise Impossible from None
            made = g.node(way, x.value, g.held(np.array(shape, np.int64)))[0]
        elif way == "Tile" and x.shape:
            repeats = [g.random.randint(0, 3) for _ in x.shape]
            result = tuple(extent * times for extent, times in zip(x.shape, repeats, strict=True))
            made = g.node(way, x.value, g.held(repeats))[0]
        elif way == "Pad" and len(x.shape) == 1 and g.opset >= 13:
            before, after = g.random.randint(-1, 2), g.random.randint(-1, 2)
            if x.shape[0] < 2:
                raise Impossible
            result = (x.shape[0] + before + after,)
            made = g.node(way, x.value, g.held([before, after]), g.held(g.random.randint(-1, 2), x.dtype), mode="constant")[0]
        else:
            raise Impossible
        if prod(result) > MOST:
            raise Impossible
        g.add(made, x.dtype, result)


def _non_zero(g: Draft) -> None:
    x = g.pick(where=lambda piece: len(piece.shape) == 1)
    found = g.node("NonZero", x.value)[0]
    g.add(g.node("Shape", found)[0], DType.int64, (2,))
    g.add(found, DType.int64, (-1, -1), is_data=True)


def _if(g: Draft) -> None:
    condition = g.pick(dtypes=(DType.bool,), where=lambda piece: prod(piece.shape) == 1)
    x = g.pick(dtypes=(DType.int64,))
    other = g.pick(dtypes=(DType.int64,), where=lambda piece: piece.shape == x.shape)
    branches = {}
    for name, piece in (("then_branch", x), ("else_branch", other)):
        body = Graph(name, g.model)
        added = g.random.choice([0, 0, 1])
        constant = g.editor.add_constant(g.graph, Tensor.of(np.array(added, np.int64)), "c")
        inner = g.editor.insert(spell("Add", (piece.value, constant), {}, g.graph), body)
        g.editor.set_outputs(body, [inner.output])
        branches[name] = Attribute(AttributeKind.graph, body)
    node = Node("If", (condition.value,), 1, branches)
    for attribute in branches.values():
        for body in attribute.graphs():
            body.owner = node
    g.editor.insert(node, g.graph)
    g.add(node.output, DType.int64, x.shape)


def _small(g: Draft, rank: int = 1) -> Piece:
    return g.pick(dtypes=(DType.int64,), rank=rank, where=lambda piece: piece.is_small and (not rank or 0 < piece.shape[0] <= 4))


def _consumer(g: Draft) -> None:
    """What reads contents to make a shape: the types say whether they were read right. Some of these fail when they run."""
    way = g.random.choice(["ConstantOfShape", "Expand", "Reshape", "Reshape", "Slice", "Tile", "Range"])
    x = g.data()
    rank = len(x.shape)
    if way == "ConstantOfShape":
        sizes = _small(g)
        g.add(g.node(way, sizes.value)[0], DType.float32, (-1,) * sizes.shape[0], is_data=True)
    elif way == "Expand":
        sizes = _small(g)
        one = g.held(np.ones(g.random.choice([(), (1,), (1, 1)])), DType.float32)
        g.add(g.node(way, one, sizes.value)[0], DType.float32, (-1,) * max(sizes.shape[0], len(one.shape or ())), is_data=True)
    elif way == "Reshape":
        shape = g.node("Shape", x.value)[0]
        kept = g.random.randrange(rank)
        picked = g.node("Gather", shape, g.held(g.random.sample(range(rank), kept)), axis=0)[0]
        target = g.node("Concat", picked, g.held([-1]), axis=0)[0] if kept else g.held([-1])
        g.add(g.node(way, x.value, target)[0], x.dtype, (-1,) * (kept + 1), is_data=True)
    elif way == "Slice":
        ends = g.pick(dtypes=(DType.int64,), where=lambda piece: piece.shape == (1,))
        starts = g.random.choice([g.held([0]), g.held([g.random.randint(-3, 3)]), ends.value])
        made = g.node(way, x.value, starts, ends.value, g.held([g.random.randrange(rank)]))[0]
        g.add(made, x.dtype, (-1,) * rank, is_data=True)
    elif way == "Tile":
        repeats = g.pick(dtypes=(DType.int64,), where=lambda piece: piece.is_small and piece.shape == (rank,))
        g.add(g.node(way, x.value, repeats.value)[0], x.dtype, (-1,) * rank, is_data=True)
    else:
        limit = g.pick(dtypes=(DType.int64,), rank=0)
        g.add(g.node(way, g.held(g.random.randint(0, 2)), limit.value, g.held(1))[0], DType.int64, (-1,), is_data=True)


def _joined(g: Draft) -> None:
    """Data operators whose results have sizes that depend on two: Concat, and Add, which broadcasts."""
    x = g.data()
    same = [piece for piece in g.pieces if piece.is_data and piece.dtype is x.dtype and len(piece.shape) == len(x.shape)]
    other = g.random.choice(same)
    if g.random.random() < 0.5 and len(x.shape) == 1:
        g.add(g.node("Concat", x.value, other.value, axis=0)[0], x.dtype, x.shape, is_data=True)
    elif other.value is x.value or (x.value.producer is None and other.value.producer is None):
        g.add(g.node("Add", x.value, other.value)[0], x.dtype, x.shape, is_data=True)


MAKERS: tuple[Callable[[Draft], None], ...] = (
    shape_of_data, _size, _gather, _gather_elements, _gather_nd, _slice, _concat, _split, _reshaped, _cast, _arithmetic, _division, _clip,
    _comparison, _logic, _where, _reduction, _running_sum, _made, _non_zero, _if, _consumer, _joined,
)  # fmt: skip
WEIGHTS = (4, 1, 6, 1, 1, 4, 5, 2, 5, 3, 9, 5, 4, 4, 2, 3, 3, 1, 3, 1, 2, 3, 1)
