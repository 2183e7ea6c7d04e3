"""Sequences and optionals that are built and taken apart again. All are exact: tensors are passed on, never changed."""

from __future__ import annotations

import numpy as np

from graphopt.ir import DType, Node, SequenceType, TensorType, Value
from graphopt.match import Declined, Match, attr, const, op, opt, rest, rule, tensor
from graphopt.patterns.noop import dimension, numbers
from graphopt.patterns.sequence_examples import models

x, index, position = tensor("x"), const("index"), opt(const("position"))
construct = op.SequenceConstruct(rest("xs")).kept()

# Readers that the rules below do without a sequence.
TAKES_APART = frozenset({"ConcatFromSequence", "SequenceAt", "SequenceErase", "SequenceInsert", "SequenceLength"})
MOST_PARTS = 256


def place(position: Value | None, count: int, absent: int) -> int | None:
    """A constant position among `count`, counted from the front; None when it is unknown or out of range."""
    held = (absent,) if position is None else numbers(position)
    if held is None or len(held) != 1 or not -count <= held[0] < count:
        return None
    return held[0] % count


AT = models("float[4,2] y", *(f"s = SequenceConstruct(x, z) t = SequenceAt(s, {i}) y = Relu(t)" for i in ("zero", "one", "last")))


@rule(op.SequenceAt(construct, index), keeps_type=True, examples=AT)
def sequence_at_construct(m: Match, xs: tuple[Value, ...], index: Value) -> Value | Declined:
    """SequenceAt(SequenceConstruct(a, b, ...), i)  ->  the i-th of them       i: in range, counted from either end."""
    chosen = place(index, len(xs), 0)
    return m.no("position {} of {} tensors", numbers(index), len(xs)) if chosen is None else xs[chosen]


@rule(op.SequenceLength(construct), examples=models("int64 n", "s = SequenceConstruct(x, z) n = SequenceLength(s)"))
def sequence_length_of_construct(m: Match, xs: tuple[Value, ...]) -> Value:
    """SequenceLength(SequenceConstruct(a, b, ...))  ->  how many they are     a scalar int64."""
    return m.constant(np.int64(len(xs)), name="length")


JOINED = models("float[A,B] y", *(f"s = SequenceConstruct(x, z, x) y = ConcatFromSequence<axis = {axis}>(s)" for axis in (0, 1, -2)))


@rule(op.ConcatFromSequence(construct, axis=attr("axis"), new_axis=attr("new_axis")), keeps_type=True, examples=JOINED)
def concat_from_construct(m: Match, xs: tuple[Value, ...], axis: int, new_axis: int) -> Value | Declined:
    """ConcatFromSequence(SequenceConstruct(a, b, ...))  ->  Concat(a, b, ...)

    With new_axis each is unsqueezed before. Their ranks must be known and equal: of a sequence runtimes concatenate more than of
    tensors (they leave out empty ones of another rank).
    """
    if xs[0].rank is None or any(value.rank != xs[0].rank for value in xs):
        return m.no("the tensors are not known to have one rank")
    if new_axis not in (0, 1):
        return m.no("new_axis is {}, which means nothing", new_axis)
    if new_axis:
        axes = m.constant(np.array([axis], np.int64), name="axes")
        xs = tuple(m.op.Unsqueeze(value, axes) for value in xs)
    return m.op.Concat(*xs, axis=axis)


INSERTED = models(
    "float[A,B] y",
    *(
        f"s = SequenceConstruct(x, x) t = SequenceInsert(s, z{at}) y = ConcatFromSequence<axis = 0>(t)"
        for at in ("", ", zero", ", one", ", last")
    ),
)


FIRST = models(
    "float[A,B] y",
    *(f"s = SequenceEmpty() t = SequenceInsert(s, z{at}) y = ConcatFromSequence<axis = 0>(t)" for at in ("", ", zero")),
    """s = SequenceEmpty() t = SequenceInsert(s, z) u = SequenceInsert(t, x, zero) v = SequenceInsert(u, z)
    y = ConcatFromSequence<axis = 0>(v)""",
)


@rule(op.SequenceInsert(tensor("sequence"), x, position), keeps_type=True, examples=lambda: (*INSERTED(), *FIRST()))
def insert_into_construct(m: Match) -> Value | Declined:
    """SequenceInsert(SequenceConstruct(a, b), x, i)  ->  SequenceConstruct(a, x, b)       without i: at the end.

    A chain of them at once, down to a SequenceConstruct or a SequenceEmpty: one after the other would build long ones again and again.
    """
    readers = list(m.root.output.users)
    if len(readers) == 1 and readers[0].op == "SequenceInsert" and readers[0].graph is m.graph and readers[0].inputs[0] is m.root.output:
        return m.no("the SequenceInsert that reads it takes it in")
    steps: list[Node] = []
    node: Node | None = m.root
    while node is not None and node.op == "SequenceInsert" and node.graph is m.graph:
        steps.append(node)
        node = node.inputs[0].producer if node.inputs[0] is not None else None
    if node is None or node.graph is not m.graph or node.op not in ("SequenceConstruct", "SequenceEmpty"):
        return m.no("what {} starts with is not known", m.root)
    held = list(node.inputs)
    for step in reversed(steps):
        given = step.input(2)
        at = (len(held),) if given is None else numbers(given)
        if at is None or len(at) != 1 or not -len(held) <= at[0] <= len(held):
            return m.no("position {} of {} tensors", at, len(held))
        held.insert(at[0] if at[0] >= 0 else at[0] + len(held), step.inputs[1])
    return m.op.SequenceConstruct(*held)


ERASED = models(
    "float[A,B] y",
    *(
        f"s = SequenceConstruct(x, z, x) t = SequenceErase(s{at}) y = ConcatFromSequence<axis = 0>(t)"
        for at in ("", ", zero", ", one", ", last")
    ),
)


@rule(op.SequenceErase(construct, position), keeps_type=True, examples=ERASED)
def erase_from_construct(m: Match, xs: tuple[Value, ...], position: Value | None) -> Value | Declined:
    """SequenceErase(SequenceConstruct(a, b, c), i)  ->  SequenceConstruct(a, c)           without i: the last."""
    chosen = place(position, len(xs), -1)
    if chosen is None or len(xs) == 1:
        return m.no("position {} of {} tensors", position and numbers(position), len(xs))
    return m.op.SequenceConstruct(*xs[:chosen], *xs[chosen + 1 :])


@rule(op.SequenceLength(op.SequenceEmpty().kept()), examples=models("int64 n", "s = SequenceEmpty() n = SequenceLength(s)"))
def sequence_length_of_empty(m: Match) -> Value:
    """SequenceLength(SequenceEmpty())  ->  0"""
    return m.constant(np.int64(0), name="length")


SPLIT = models(
    "float[A,B] y",
    *(
        f"s = SplitToSequence{split} t = SequenceAt(s, zero) u = SequenceAt(s, last) y = Concat<axis = 0>(t, u)"
        for split in ("<axis = 0>(x, sizes)", "<axis = -1>(x, one)", "<axis = 0>(x)", "<axis = 1>(x)")
    ),
)


@rule(op.SplitToSequence(x, opt(tensor("split")), axis=attr("axis"), keepdims=attr("keepdims")), keeps_type=True, examples=SPLIT)
def split_to_construct(m: Match, x: Value, split: Value | None, axis: int, keepdims: int) -> Value | Declined:
    """SplitToSequence(x, split)  ->  SequenceConstruct(Split(x, sizes))       where every reader takes the sequence apart again

    split: a vector of sizes; or one size, and the last part is what is left; or absent, and each part is one slice, squeezed without
    keepdims. But for a vector the extent of x along the axis must be known.
    """
    if split is not None and not keepdims:  # ONNX SplitToSequence: keepdims is ignored then; onnxruntime squeezes
        return m.no("the sizes are given and keepdims is 0: runtimes disagree on whether that squeezes")
    stays = next((reader for reader in m.root.output.users if not takes_apart(reader)), None)
    if stays is not None:
        return m.no("the sequence is read by {}, which does not take it apart at constant positions", stays.op)
    sizes = part_sizes(x, split, axis)
    if sizes is None:
        return m.no("into how many parts {} is split is not known", x.type or x)
    if not 0 < len(sizes) <= MOST_PARTS:
        return m.no("{} parts", len(sizes))
    if split is not None and split.dtype is DType.int64 and split.rank == 1:
        wanted = split
    else:
        wanted = m.constant(np.array(sizes, np.int64), name="split")
    parts = m.call("Split", (x, wanted), {"axis": axis}, outputs=len(sizes))
    if not keepdims:
        axes = m.constant(np.array([axis], np.int64), name="axes")
        parts = tuple(m.op.Squeeze(part, axes) for part in parts)
    return m.op.SequenceConstruct(*parts)


def takes_apart(reader: Node) -> bool:
    """Whether a reader of a sequence asks for nothing but what the rules here can do without one."""
    if reader.op not in TAKES_APART:
        return False
    slot = {"SequenceAt": 1, "SequenceErase": 1, "SequenceInsert": 2}.get(reader.op)
    position = None if slot is None else reader.input(slot)
    return position is None or position.const is not None


def part_sizes(x: Value, split: Value | None, axis: int) -> tuple[int, ...] | None:
    """How long each part is along the axis, when that is known."""
    held = None if split is None else numbers(split)
    if split is not None and (held is None or split.rank is None):
        return None
    if split is not None and split.rank == 1:
        return held
    extent = dimension(x.shape, axis)
    step = 1 if held is None else held[0]
    if not isinstance(extent, int) or step <= 0 or extent > MOST_PARTS * step:
        return None
    return tuple(min(step, extent - start) for start in range(0, extent, step))


HAS = models("bool b", "o = Optional(x) b = OptionalHasElement(o)", opsets=(15, 18))


@rule(op.OptionalHasElement(op.Optional(x).kept()), examples=HAS)
def has_element_of_optional(m: Match, x: Value) -> Value | Declined:
    """OptionalHasElement(Optional(x))  ->  true"""
    return m.constant(np.True_, name="has_element")


NOTHING = models("bool b", "o = Optional<type = float[4,2]>() b = OptionalHasElement(o)", opsets=(15, 18))


@rule(op.OptionalHasElement(op.Optional().kept()), examples=NOTHING)
def has_element_of_nothing(m: Match) -> Value:
    """OptionalHasElement(Optional())  ->  false"""
    return m.constant(np.False_, name="has_element")


@rule(op.OptionalHasElement(opt(x)), examples=models("bool b", "b = OptionalHasElement(x)", "b = OptionalHasElement()", opsets=(18,)))
def has_element_of_tensor(m: Match, x: Value | None) -> Value | Declined:
    """OptionalHasElement(x)  ->  true       x: a tensor or a sequence; false without x."""
    if x is not None and not isinstance(x.type, TensorType | SequenceType):
        return m.no("{} is {}", x, x.type or "of unknown type")
    return m.constant(np.bool_(x is not None), name="has_element")


GOT = models("float[4,2] y", "o = Optional(x) t = OptionalGetElement(o) y = Relu(t)", opsets=(15, 18))


@rule(op.OptionalGetElement(op.Optional(x).kept()), keeps_type=True, examples=GOT)
def element_of_optional(m: Match, x: Value) -> Value:
    """OptionalGetElement(Optional(x))  ->  x"""
    return x


@rule(op.OptionalGetElement(x), keeps_type=True, examples=models("float[4,2] y", "t = OptionalGetElement(x) y = Relu(t)", opsets=(18,)))
def element_of_tensor(m: Match, x: Value) -> Value | Declined:
    """OptionalGetElement(x)  ->  x          x: a tensor or a sequence."""
    return x if isinstance(x.type, TensorType | SequenceType) else m.no("{} is {}", x, x.type or "of unknown type")
