"""What operators that move elements ask of their operands and attributes: axes, shapes, indices, paddings in range."""

from __future__ import annotations

import numpy as np

from graphopt.ir.dtype import DType
from graphopt.verify.selfcheck.drawing import ABSENT, Draw, Misfit
from graphopt.verify.selfcheck.proposals import axis, elementwise, proposes, some_axes
from graphopt.verify.selfcheck.values import ANY, Kind


def first(draw: Draw, *ranks: int) -> tuple[int, ...]:
    """The data operand, of any of these ranks."""
    return draw.give(0, (None,) * draw.rank(0, *ranks))


@proposes("Transpose")
def transpose(draw: Draw) -> None:
    """x and a permutation; often of the last two axes, the identity, or none."""
    shape = first(draw, 3, 2, 4, 1)
    order = list(range(len(shape)))
    draw.chance.shuffle(order)
    last_two = (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2) if len(shape) > 1 else tuple(order)
    draw.attribute("perm", tuple(order), tuple(order), last_two, tuple(range(len(shape))), ABSENT)


@proposes("Reshape")
def reshape(draw: Draw) -> None:
    """A target of as many elements, sometimes with 0 (keep) and -1 (the rest)."""
    shape, chance = first(draw, 2, 3, 4, 1), draw.chance
    target = list(_factors(draw, int(np.prod(shape, dtype=np.int64))))
    drawn = chance.random()
    if drawn < 0.25:
        target = list(shape)
    elif drawn < 0.6:  # the first dimensions stay, so that 0 may stand for them
        kept = chance.randint(0, len(shape))
        target = [*shape[:kept], *_factors(draw, int(np.prod(shape[kept:], dtype=np.int64)))]
    allow_zero = draw.attribute("allowzero", ABSENT, ABSENT, 0)
    if target and not allow_zero:
        for i in range(min(len(target), len(shape))):
            if target[i] == shape[i] and chance.random() < 0.5:
                target[i] = 0
        if chance.random() < 0.4 and 0 not in shape:
            target[chance.randrange(len(target))] = -1
    draw.give(1, data=target)


def _factors(draw: Draw, count: int) -> tuple[int, ...]:
    """Sizes whose product is `count`."""
    sizes = []
    for prime in (2, 3, 5, 7):
        while count and count % prime == 0:
            sizes.append(prime)
            count //= prime
    sizes += [count] if count != 1 else []
    draw.chance.shuffle(sizes)
    while len(sizes) > draw.chance.choice((1, 2, 3, 3)):
        i = draw.chance.randrange(len(sizes) - 1)
        sizes[i : i + 2] = [sizes[i] * sizes[i + 1]]
    return tuple(sizes) or (1,)


@proposes("Flatten")
def flatten(draw: Draw) -> None:
    """x and an axis, which may be its rank."""
    shape = first(draw, 3, 2, 4, 1)
    axis(draw, "axis", len(shape), beyond=1 if draw.chance.random() < 0.3 else 0)


@proposes("Squeeze")
def squeeze(draw: Draw) -> None:
    """The operand needs dimensions of size 1 where the axes are."""
    known = draw.shape(0)
    rank = len(known) if known is not None else draw.rank(0, 3, 2, 4, 1)
    ones = [i for i, size in enumerate(known) if size == 1] if known is not None else sorted(draw.chance.sample(range(rank), min(rank, 2)))
    axes = draw.array(1)
    if axes is not None:
        ones = [int(i) % rank for i in axes]
    if known is None:
        draw.give(0, tuple(1 if i in ones else None for i in range(rank)))
    if draw.is_open(1):
        if not ones:
            raise Misfit("Squeeze needs a dimension of size 1")
        picked = ones if draw.chance.random() < 0.5 else [draw.chance.choice(ones)]
        draw.give(1, data=[i - rank if draw.chance.random() < 0.3 else i for i in picked])


@proposes("Unsqueeze")
def unsqueeze(draw: Draw) -> None:
    """x and new axes within the result."""
    shape = first(draw, 2, 1, 3, 0)
    count = draw.chance.choice((1, 1, 2))
    rank = len(shape) + count
    picked = draw.chance.sample(range(rank), count)
    draw.give(1, data=[i - rank if draw.chance.random() < 0.3 else i for i in picked])


@proposes("Concat")
def concat(draw: Draw) -> None:
    """All operands alike but along the axis."""
    known = [shape for slot in range(draw.count) if (shape := draw.shape(slot)) is not None]
    base = known[0] if known else first(draw, 2, 3, 1)
    if not base:
        raise Misfit("Concat takes no scalars")
    along = axis(draw, "axis", len(base), optional=False)
    for slot in range(draw.count):
        draw.give(slot, tuple((draw.size() if draw.chance.random() < 0.9 else 0) if i == along else size for i, size in enumerate(base)))


@proposes("Split")
def split(draw: Draw) -> None:
    """x whose extent along the axis is what the parts add up to."""
    rank = draw.rank(0, 2, 3, 1)
    outputs = draw.site.outputs
    along = axis(draw, "axis", rank)
    sizes = [draw.size() for _ in range(outputs)] if draw.has(1) else [draw.size()] * outputs
    x = draw.give(0, tuple(sum(sizes) if i == along else None for i in range(rank)))
    if sum(sizes) != x[along]:
        sizes = [x[along] // outputs] * outputs
        sizes[-1] += x[along] - sum(sizes)
    draw.give(1, data=sizes)
    if not draw.has(1):
        draw.attribute("num_outputs", outputs)


@proposes("Slice")
def slice_(draw: Draw) -> None:
    """Starts, ends, axes and steps; one time in three everything is kept."""
    shape, chance = first(draw, 2, 3, 1), draw.chance
    axes = sorted({i % len(shape) for i in some_axes(draw, len(shape))}) if draw.has(3) else list(range(len(shape)))
    axes = axes if draw.chance.random() < 0.6 or len(shape) == 1 else axes[::-1]
    everything = chance.random() < 0.3
    steps = [chance.choice((1, 1, 2, -1)) if draw.has(4) and not everything else 1 for _ in axes]
    starts, ends = [], []
    for step in steps:
        whole = everything or chance.random() < 0.3
        starts.append((0 if whole else chance.choice((0, 1, -1))) if step > 0 else chance.choice((-1, 2**31 - 1)))
        ends.append((2**63 - 1 if whole else chance.choice((2, 3, -1, 2**31 - 1))) if step > 0 else chance.choice((0, -(2**31))))
    draw.give(1, data=starts)
    draw.give(2, data=ends)
    draw.give(3, data=[i - len(shape) if chance.random() < 0.3 else i for i in axes])
    draw.give(4, data=steps)


@proposes("Gather")
def gather(draw: Draw) -> None:
    """Data, an axis, and indices in range."""
    shape = first(draw, 2, 3, 1)
    if not shape:
        raise Misfit("Gather takes no scalar")
    along = axis(draw, "axis", len(shape))
    draw.give(1, draw.chance.choice([(), (1,), (2,), (2, 2)]), dtype=DType.int64, kind=Kind("index", shape[along]))


@proposes("GatherElements")
def gather_elements(draw: Draw) -> None:
    """Data and indices of its shape."""
    shape = first(draw, 2, 3, 1)
    along = axis(draw, "axis", len(shape))
    draw.give(1, shape, dtype=DType.int64, kind=Kind("index", shape[along]))


@proposes("GatherND")
def gather_nd(draw: Draw) -> None:
    """Data and pairs of indices into its first dimension."""
    shape = first(draw, 2, 3)
    draw.give(1, (2, 1), dtype=DType.int64, kind=Kind("index", shape[0]))
    draw.attribute("batch_dims", ABSENT, 0)


@proposes("Expand")
def expand(draw: Draw) -> None:
    """x and a target that it broadcasts with, often its own shape."""
    shape, chance = draw.give(0), draw.chance
    target = [chance.choice((size, 1)) if size != 1 else draw.size() for size in shape]
    if chance.random() < 0.4:
        target = list(shape)
    draw.give(1, data=[draw.size(), *target] if chance.random() < 0.3 else target)


@proposes("Tile")
def tile(draw: Draw) -> None:
    """x and a repeat for each axis, mostly 1."""
    shape = first(draw, 2, 3, 1)
    repeats = [draw.chance.choice((1, 1, 2)) for _ in shape]
    draw.give(1, data=repeats)


@proposes("Pad")
def pad(draw: Draw) -> None:
    """x and paddings of both sides, in the modes that allow them."""
    shape, chance = first(draw, 3, 2, 4), draw.chance
    mode = draw.attribute("mode", ABSENT, "constant", "reflect", "edge")
    axes = sorted({i % len(shape) for i in some_axes(draw, len(shape))}) if draw.has(3) else list(range(len(shape)))
    choices = (0, 0, 1) if mode != "constant" else (0, 0, 1, 2, -1)
    draw.give(1, data=[0 if chance.random() < 0.3 else chance.choice(choices) for _ in range(2 * len(axes))])
    draw.give(2, (), kind=ANY)
    draw.give(3, data=axes)


@proposes("Shape")
def shape_of(draw: Draw) -> None:
    """x, and sometimes only a part of its shape."""
    shape = draw.give(0)
    draw.attribute("start", ABSENT, ABSENT, 0, 1, -1)
    draw.attribute("end", ABSENT, ABSENT, 1, -1, len(shape))


@proposes("ConstantOfShape")
def constant_of_shape(draw: Draw) -> None:
    """A short shape."""
    draw.give(0, data=[draw.size() for _ in range(draw.chance.choice((1, 2)))])


@proposes("Range")
def range_(draw: Draw) -> None:
    """Three scalars that count up."""
    for slot, number in enumerate((draw.chance.choice((0, 1)), draw.chance.choice((3, 5)), draw.chance.choice((1, 2)))):
        dtype = draw.leaves.setting.dtype if draw.leaves.setting.dtype in draw.possible(slot) else DType.int64
        draw.give(slot, dtype=dtype, data=np.array(number))


@proposes("TopK")
def top_k(draw: Draw) -> None:
    """x and a k that its axis holds."""
    shape = first(draw, 2, 1, 3)
    along = axis(draw, "axis", len(shape))
    draw.give(1, data=[draw.chance.randint(1, shape[along])])
    draw.attribute("largest", ABSENT, 0, 1)


@proposes("Trilu")
def triangle(draw: Draw) -> None:
    """Matrices and a diagonal."""
    first(draw, 2, 3)
    draw.give(1, data=np.array(draw.chance.choice((0, 1, -1))))
    draw.attribute("upper", ABSENT, 0, 1)


@proposes("OneHot")
def one_hot(draw: Draw) -> None:
    """Indices, a depth, two values."""
    draw.give(1, data=np.array(3))
    draw.give(0, dtype=DType.int64, kind=Kind("index", 3))
    draw.give(2, (2,))
    draw.attribute("axis", ABSENT, -1, 0)


@proposes("ScatterND")
def scatter_nd(draw: Draw) -> None:
    """Data, one index, one update."""
    shape = first(draw, 2, 3)
    draw.give(1, data=np.array([[draw.chance.randrange(max(shape[0], 1))]]))
    draw.give(2, (1, *shape[1:]))


@proposes("ScatterElements")
def scatter_elements(draw: Draw) -> None:
    """Data, indices of one slice, its updates."""
    shape = first(draw, 2, 1)
    along = axis(draw, "axis", len(shape))
    one = tuple(1 if i == along else size for i, size in enumerate(shape))
    draw.give(1, one, dtype=DType.int64, kind=Kind("index", shape[along]))
    draw.give(2, one)


@proposes("CastLike")
def cast_like(draw: Draw) -> None:
    """x and a value of the wanted type."""
    draw.give(0)
    draw.give(1)


@proposes("Compress")
def compress(draw: Draw) -> None:
    """Data, and a condition along the axis."""
    shape = first(draw, 1, 2)
    along = axis(draw, "axis", len(shape), optional=False)
    draw.give(1, dtype=DType.bool, data=np.array([i % 2 == 0 for i in range(shape[along])]))


@proposes("Max", "Min", "Sum", "Mean")
def variadic(draw: Draw) -> None:
    """Operands that broadcast."""
    elementwise(draw)
