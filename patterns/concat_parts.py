"""Parts of a Concat, and Concats of the parts of a tensor. Elements only move, so whatever the element type, it is exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from graphopt.ir import Size, Value
from graphopt.match import Declined, Match, attr, const, op, opt, rest, rule, tensor
from graphopt.match.conditions import is_private
from graphopt.patterns.noop import dimension
from graphopt.patterns.slice import END, Cut, cut, cuts_of, cuts_of_node
from graphopt.schema.spelling import neutral_attribute

joined = op.Concat(rest("xs"), axis=attr("along"))


@dataclass(frozen=True, slots=True)
class Borders:
    """Where the operands of a Concat meet, counted from the front and (at most 0) from the end, as far as extents are known.

    Operand i lies between border i and border i + 1.
    """

    front: tuple[int | None, ...]
    back: tuple[int | None, ...]

    @staticmethod
    def of(xs: Sequence[Value], axis: int) -> Borders:
        """The borders of these operands along an axis."""
        extents = [dimension(value.shape, axis) for value in xs]
        front, back = sums(extents), sums(reversed(extents))
        return Borders(front, tuple(None if place is None else -place for place in reversed(back)))

    def at(self, bound: int, *, is_end: bool) -> set[int]:
        """The borders that a bound of a Slice names."""
        if is_end and bound == END:
            return {len(self.front) - 1}
        known = self.front if bound >= 0 else self.back
        return {border for border, place in enumerate(known) if place == bound}

    def inside(self, start: int, end: int) -> tuple[int, int, int] | None:
        """The one operand that a Slice from `start` to `end` takes from, and the bounds within it; None when it may be several."""
        for operand in range(len(self.front) - 1):
            first, stop = self._start(operand, start), self._end(operand, end)
            if first is not None and stop is not None:
                return operand, first, stop
        return None

    def _start(self, operand: int, start: int) -> int | None:
        before, after = self.front[operand], self.back[operand + 1]
        if start >= 0:
            return start - before if before is not None and start >= before else None
        return start - after if after is not None and start < after and self._reaches(operand, start) else None

    def _end(self, operand: int, end: int) -> int | None:
        before, after, border = self.front[operand], self.back[operand + 1], self.front[operand + 1]
        is_last = operand == len(self.front) - 2
        if end == END:
            return END if is_last else None
        if end >= 0:
            is_inside = is_last or (border is not None and end <= border)
            return end - before if before is not None and before <= end and is_inside else None
        return (end - after or END) if after is not None and end <= after and self._reaches(operand, end) else None

    def _reaches(self, operand: int, bound: int) -> bool:
        """Whether a bound that counts from the end does not lie before an operand; nothing does before the first."""
        low = self.back[operand]
        return operand == 0 or (low is not None and bound >= low)


def sums(extents: Iterable[Size]) -> tuple[int | None, ...]:
    """0 and the sums of the first, the first two, ... extents; None from the first on that is no number."""
    total: int | None = 0
    found = [total]
    for extent in extents:
        total = total + extent if total is not None and isinstance(extent, int) else None
        found.append(total)
    return tuple(found)


starts, ends, axes, steps = const("starts"), const("ends"), opt(const("axes")), opt(const("steps"))


@rule(op.Slice(joined.kept(), starts, ends, axes, steps), keeps_type=True)
def slice_of_concat(
    m: Match, xs: tuple[Value, ...], along: int, starts: Value, ends: Value, axes: Value | None, steps: Value | None
) -> Value | Declined:
    """Slice(Concat(x, y, z), of y alone)  ->  y, or Slice(y, within y)          or Concat(x, y), when nothing else reads the Concat"""
    whole = m.root.inputs[0]
    rank = m.root.output.rank
    cuts = cuts_of(starts, ends, axes, steps, rank)
    if whole is None or cuts is None or rank is None or along % rank not in cuts:
        return m.no("the bounds are not constant, or not along axis {}", along)
    axis = along % rank
    start, end, step = cuts[axis]
    borders = Borders.of(xs, axis)
    if borders.front[-1] is not None and end >= borders.front[-1]:
        end = END
    runs = [(i, j) for i in borders.at(start, is_end=False) for j in borders.at(end, is_end=True) if i < j] if step == 1 else []
    if runs:
        i, j = max(runs)
        rest = {other: taken for other, taken in cuts.items() if other != axis}
        if j - i > 1 and not is_private(whole, m.graph):
            return m.no("it takes {} operands of a Concat that others read", j - i)
        part = xs[i] if j - i == 1 else m.op.Concat(*xs[i:j], axis=axis)
        return cut(m, part, rest) if rest else part
    found = borders.inside(start, end)
    if found is None:
        return m.no("from {} to {} along axis {} is not provably from one operand, or exactly some", start, end, axis)
    operand, first, stop = found
    return cut(m, xs[operand], {**cuts, axis: Cut(first, stop, step)})


@rule(op.Gather(joined.kept(), const("i"), axis=attr("axis")), keeps_type=True)
def gather_of_concat(m: Match, xs: tuple[Value, ...], along: int, i: Value, axis: int) -> Value | Declined:
    """Gather(Concat(x, y), i)  ->  Gather(y, i')          the indices i are all of y, i' are these within y"""
    rank = xs[0].rank
    if i.const is None or rank is None or not -rank <= axis < rank or (axis - along) % rank or i.const.size == 0:
        return m.no("along axis {} of what is joined along axis {}", axis, along)
    indices = i.const.numpy()
    low, high = int(indices.min()), int(indices.max())
    borders = Borders.of(xs, along)
    if (low < 0) != (high < 0) or (found := borders.inside(low, high + 1 or END)) is None:
        return m.no("the indices {} to {} are not provably all of one operand", low, high)
    operand, first, _ = found
    within = m.constant((indices + (first - low)).astype(indices.dtype), i.const.dtype, name=i.name)
    return m.op.Gather(xs[operand], within, axis=axis)


@rule(op.Split(joined.kept(), opt(tensor("split")), axis=attr("axis")), keeps_type=True)
def split_of_concat(m: Match, xs: tuple[Value, ...], along: int, axis: int) -> tuple[Value, ...] | Declined:
    """Split(Concat(x, y, z), where these meet)  ->  x, Concat(y, z)          at most one new Concat, none while others read the old one"""
    parts, whole = m.root.outputs, m.root.inputs[0]
    rank = xs[0].rank
    if whole is None or rank is None or not -rank <= axis < rank or (axis - along) % rank:
        return m.no("along axis {} of what is joined along axis {}", axis, along)
    borders = Borders.of(xs, along).front
    cuts = sums(dimension(part.shape, along) for part in parts)
    if None in borders or None in cuts or cuts[-1] != borders[-1] or len(set(borders)) < len(borders):
        return m.no("the extents along axis {} are not known, or one is 0", axis)
    if not set(cuts) <= set(borders):
        return m.no("the parts {} are not cut where the operands {} meet", cuts, borders)
    places = [borders.index(place) for place in cuts]
    several = sum(after - before > 1 for before, after in pairwise(places))
    if len(set(cuts)) < len(cuts) or several > (1 if is_private(whole, m.graph) else 0):
        return m.no("{} parts are of more than one operand", several)
    runs = [xs[before:after] for before, after in pairwise(places)]
    return tuple(run[0] if len(run) == 1 else m.op.Concat(*run, axis=along) for run in runs)


def split_examples() -> list[str]:
    """Models that join what they part."""
    head = '<ir_version: 10, opset_import: ["" : 20]>'
    return [
        f"""{head} whole (float[N,M] x) => (float[N,M] y) {{ a, b = Split<axis = 1, num_outputs = 2>(x) y = Concat<axis = -1>(a, b) }}""",
        f"""{head} beside (float[4,N] x) => (float[M,N] y, float[1,N] b) <int64[2] s = {{1, 3}}> {{
            a, b = Split<axis = 0>(x, s) y = Concat<axis = 0>(b, a, b, x) }}""",
        f"""{head} order (float[4,N] x) => (float[M,N] y) {{ a, b = Split<axis = 0, num_outputs = 2>(x) y = Concat<axis = 0>(b, a) }}""",
    ]  # fmt: skip


@rule(op.Concat(rest("xs"), axis=attr("axis")), keeps_type=True, examples=split_examples)
def concat_of_split(m: Match, xs: tuple[Value, ...], axis: int) -> Value | Declined:
    """Concat(a, *Split(x), b)  ->  Concat(a, x, b)          all parts, in their order, along the same axis"""
    rank = m.root.output.rank
    kept: list[Value] = []
    place = 0
    while place < len(xs):
        node = xs[place].producer
        parts = node.outputs if node is not None and node.op == "Split" else ()
        x = node.input(0) if node is not None else None
        if len(parts) > 1 and x is not None and node is not None and xs[place : place + len(parts)] == parts:
            along = neutral_attribute(node, "axis")
            if along == axis or (rank and isinstance(along, int) and (along - axis) % rank == 0):
                kept.append(x)
                place += len(parts)
                continue
        kept.append(xs[place])
        place += 1
    if len(kept) == len(xs):
        return m.no("no operands are all parts of a Split along axis {} in their order", axis)
    return kept[0] if len(kept) == 1 else m.op.Concat(*kept, axis=axis)


def slices_examples() -> list[str]:
    """Models that join parts which follow each other."""
    head = '<ir_version: 10, opset_import: ["" : 20]>'
    names = "int64[1] zero = {0}, int64[1] two = {2}, int64[1] five = {5}, int64[1] end = {9223372036854775807}, int64[1] back = {-2}"
    return [
        f"""{head} part (float[N,M] x) => (float[K,M] y) <{names}> {{
            a = Slice(x, zero, two, zero) b = Slice(x, two, five, zero) y = Concat<axis = 0>(a, b) }}""",
        f"""{head} whole (float[N,M] x) => (float[N,M] y) <{names}> {{
            a = Slice(x, zero, back, zero) b = Slice(x, back, end, zero) y = Concat<axis = 0>(a, b) }}""",
        f"""{head} known (float[4,M] x) => (float[K,M] y) <{names}> {{
            a = Slice(x, zero, back, zero) b = Slice(x, two, five, zero) y = Concat<axis = 0>(x, a, b) }}""",
        f"""{head} overlap (float[N,M] x) => (float[K,M] y) <{names}> {{
            a = Slice(x, zero, five, zero) b = Slice(x, two, end, zero) y = Concat<axis = 0>(a, b) }}""",
    ]  # fmt: skip


@rule(op.Concat(rest("xs"), axis=attr("axis")), keeps_type=True, examples=slices_examples)
def concat_of_slices(m: Match, xs: tuple[Value, ...], axis: int) -> Value | Declined:
    """Concat(Slice(x, i to j), Slice(x, j to k))  ->  Slice(x, i to k)          along the axis, and in others alike; or x, when that is all

    Nothing else reads these Slices. j: not below i, nor k below j, all counted from the front; or i is 0, and j counts from the end.
    """
    rank = m.root.output.rank
    if rank is None:
        return m.no("the rank is unknown")
    made: list[Value] = []
    part: tuple[Value, dict[int, Cut]] | None = None  # what the last of `made` takes
    for value in xs:
        before, part = part, taken(value, m)
        both = None
        if before is not None and part is not None and before[0] is part[0]:
            both = adjacent(before[1], part[1], axis % rank, dimension(part[0].shape, axis))
        if both is None or part is None:
            made.append(value)
        else:
            part = (part[0], both)
            made[-1] = part_of(m, part[0], both, axis % rank)
    if len(made) == len(xs):
        return m.no("no two operands are parts of one tensor that follow each other along axis {}", axis)
    return made[0] if len(made) == 1 else m.op.Concat(*made, axis=axis)


def taken(value: Value, m: Match) -> tuple[Value, dict[int, Cut]] | None:
    """Of which tensor a value that nothing else reads is what part; None when it is none."""
    node = value.producer
    return cuts_of_node(node) if node is not None and node.op == "Slice" and is_private(value, m.graph) else None


def adjacent(one: Mapping[int, Cut], other: Mapping[int, Cut], axis: int, extent: Size) -> dict[int, Cut] | None:
    """Two cuts as one, when one ends where the other begins and they differ in nothing else."""
    if axis not in one or one.keys() != other.keys() or any(other[place] != taken for place, taken in one.items() if place != axis):
        return None
    first, second = (counted_from_front(cuts[axis], extent) for cuts in (one, other))
    if first.step != 1 or second.step != 1 or first.end != second.start:
        return None
    if first.end >= 0:
        follows = 0 <= first.start <= first.end <= second.end
    else:
        follows = first.start == 0 and (second.end == END or first.end <= second.end < 0)
    return {**one, axis: Cut(first.start, second.end, 1)} if follows else None


def counted_from_front(taken: Cut, extent: Size) -> Cut:
    """The same cut with bounds between 0 and the extent, where that is known."""
    return Cut(*slice(taken.start, taken.end).indices(extent)[:2], taken.step) if isinstance(extent, int) else taken


def part_of(m: Match, x: Value, cuts: Mapping[int, Cut], axis: int) -> Value:
    """x, cut; along the axis only where that takes something away."""
    start, end, _ = cuts[axis]
    extent = dimension(x.shape, axis)
    is_all = start == 0 and (end == END or (isinstance(extent, int) and end >= extent))
    left = {place: taken for place, taken in cuts.items() if place != axis or not is_all}
    return cut(m, x, left) if left else x
