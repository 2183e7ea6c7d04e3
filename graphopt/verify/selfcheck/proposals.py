"""What operators ask of their operands and attributes: elementwise operators, products, reductions, and any that nobody described.

A proposal settles the attributes and gives every open operand a shape that goes with the known ones. It need not succeed:
what does not fit is drawn again, and the finished model is checked and run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from graphopt.ir.dtype import DType
from graphopt.match.language import FLOATING
from graphopt.verify.selfcheck.drawing import ABSENT, COMMON, Draw, Misfit
from graphopt.verify.selfcheck.structure import Symbol
from graphopt.verify.selfcheck.values import ANY, Kind

Proposal: TypeAlias = Callable[[Draw], None]
PROPOSALS: dict[str, Proposal] = {}
POSITIVE, UNIT, NONZERO, SCALE = Kind("positive"), Kind("unit"), Kind("nonzero"), Kind("scale")
# Operands outside these make nothing but NaN (or, for integers, an error).
DOMAINS: dict[tuple[str, int], Kind] = {
    ("Acos", 0): UNIT, ("Asin", 0): UNIT, ("Atanh", 0): UNIT, ("Acosh", 0): POSITIVE, ("Log", 0): POSITIVE, ("Sqrt", 0): POSITIVE,
    ("Div", 1): NONZERO, ("Mod", 1): NONZERO, ("Reciprocal", 0): NONZERO, ("Pow", 0): POSITIVE, ("BitShift", 1): POSITIVE,
}  # fmt: skip


def proposes(*op_types: str) -> Callable[[Proposal], Proposal]:
    """Register a proposal for operators, named with their domain as `Node.op` names them."""

    def register(proposal: Proposal) -> Proposal:
        PROPOSALS.update(dict.fromkeys(op_types, proposal))
        return proposal

    return register


def propose(draw: Draw) -> None:
    """Settle a whole site."""
    PROPOSALS.get(draw.site.call.op, elementwise)(draw)
    for slot in range(draw.count):
        if draw.is_open(slot):
            draw.give(slot)
    for name, _ in draw.site.call.attributes:
        draw.attribute(name)


def axis(draw: Draw, name: str, rank: int, *, beyond: int = 0, optional: bool = True) -> int:
    """An axis attribute, from either end; `beyond` allows that many past the last."""
    top = rank + beyond
    absent = [ABSENT] if optional and draw.default(name) is not None else []
    default = draw.default(name)
    if default is not None and not -top <= int(default) < max(top, 1):
        absent = []
    last = (-1, -1) if top else ()  # the axis that most models mean
    picked = draw.attribute(name, *range(top), *range(-top, 0), *last, *absent) if top else draw.attribute(name, 0, *absent)
    return int(picked) % max(top, 1)


def elementwise(draw: Draw) -> None:
    """Operands that broadcast against each other; also the guess for operators that nobody described."""
    shapes = [shape for slot in range(draw.count) if (shape := draw.shape(slot)) is not None]
    target = _together(*shapes) if shapes else None
    for slot in range(draw.count):
        if not draw.is_open(slot):
            continue
        kind = DOMAINS.get((draw.op_type, slot), ANY)
        wanted = None if target is None or _is_shaped(draw, slot) else _smaller(draw, slot, target)
        shape = draw.give(slot, wanted, kind=kind)
        target = shape if target is None else _together(target, shape)


def _together(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise Misfit(str(error)) from error


def _is_shaped(draw: Draw, slot: int) -> bool:
    """Whether the pattern itself says what shape an operand has."""
    symbol = draw.site.operands[slot]
    return isinstance(symbol, Symbol) and any(
        leaf.shape is not None or leaf.into is not None or leaf.equals is not None for leaf in symbol.conditions
    )


def _smaller(draw: Draw, slot: int, target: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts with the target: usually into it, sometimes widening it."""
    symbol = draw.site.operands[slot]
    demanded = draw.leaves.demanded_rank(symbol) if isinstance(symbol, Symbol) else None
    drawn = draw.chance.random()
    if isinstance(symbol, Symbol) and symbol.is_constant and demanded is None and draw.chance.random() < 0.4:
        return ()  # most constants of real models are scalars
    if drawn < 0.4:
        shape = target
    elif drawn < 0.6:
        shape = target[draw.chance.randint(0, len(target)) :]
    elif drawn < 0.85:
        shape = tuple(size if draw.chance.random() < 0.5 else 1 for size in target)
    elif drawn < 0.93:
        shape = (draw.size(), *target)
    else:
        shape = tuple(draw.size() if size == 1 else size for size in target)
    if demanded is not None and demanded != len(shape):
        shape = (1,) * (demanded - len(target)) + target[max(0, len(target) - demanded) :]
    return shape


@proposes("Cast")
def cast(draw: Draw) -> None:
    """Cast: any element type to any other."""
    draw.give(0)
    value = draw.value(0)
    targets = [dtype for dtype in COMMON if dtype not in (DType.string, DType.bfloat16)]
    here = [] if value is None or value.dtype is None else [int(value.dtype)]
    draw.attribute("to", *here, *map(int, targets), int(draw.leaves.setting.dtype))


@proposes("Elu", "LeakyRelu", "Celu", "ThresholdedRelu", "HardSigmoid", "Selu", "Shrink")
def activation(draw: Draw) -> None:
    """One operand and a few numbers."""
    draw.give(0)
    for name in draw.facts.attributes if draw.facts is not None else ():
        draw.attribute(name, ABSENT, 0.1, 0.5, 1.0, 1.5)


@proposes("Gelu")
def gelu(draw: Draw) -> None:
    """x; the approximation by name."""
    draw.give(0)
    draw.attribute("approximate", ABSENT, "none", "tanh")


@proposes("Mod")
def modulo(draw: Draw) -> None:
    """a, b with b nowhere 0; floats need fmod."""
    elementwise(draw)
    value = draw.value(0)
    is_float = value is not None and value.dtype in FLOATING
    draw.attribute("fmod", *([1] if is_float else [ABSENT, 0, 1]))


@proposes("BitShift")
def bit_shift(draw: Draw) -> None:
    """x and how far; a direction."""
    elementwise(draw)
    draw.attribute("direction", "LEFT", "RIGHT")


@proposes("Clip")
def clip(draw: Draw) -> None:
    """x and two scalars."""
    draw.give(0)
    draw.give(1, ())
    draw.give(2, ())


@proposes("Dropout")
def dropout(draw: Draw) -> None:
    """x, a ratio, and training_mode that is off."""
    draw.give(0)
    draw.give(1, (), kind=SCALE)
    draw.give(2, dtype=DType.bool, data=np.array(False))
    draw.attribute("seed", ABSENT, ABSENT, 1)


@proposes("Where")
def where(draw: Draw) -> None:
    """A condition and two operands, all broadcasting."""
    elementwise(draw)


@proposes("MatMul", "MatMulInteger", "com.microsoft.FusedMatMul")
def matmul(draw: Draw) -> None:
    """The last two dimensions multiply, those before them broadcast."""
    a, b = draw.shape(0), draw.shape(1)
    rank = draw.leaves.setting.rank
    if a is None and b is None:
        symbol = draw.site.operands[0]
        demanded = draw.leaves.demanded_rank(symbol) if isinstance(symbol, Symbol) else None
        a = draw.give(0, None if demanded is not None or rank is None or rank < 1 else (None,) * rank)
    if a is not None:
        if not a:
            raise Misfit("MatMul takes no scalar")
        ranks = [2, 2, len(a)] if len(a) > 1 else [2, 1]
        wanted = draw.rank(1, *range(1, 6)) if draw.is_open(1) and _demanded(draw, 1) else draw.chance.choice(ranks)
        draw.give(1, (a[-1],) if wanted < 2 else (*_batch(draw, a[:-2], wanted - 2), a[-1], None))
    elif b is not None:
        if not b:
            raise Misfit("MatMul takes no scalar")
        inner = b[-2] if len(b) > 1 else b[0]
        wanted = draw.rank(0, *range(1, 6)) if _demanded(draw, 0) else max(2, len(b))
        draw.give(0, (inner,) if wanted < 2 else (*_batch(draw, b[:-2], wanted - 2), None, inner))


def _demanded(draw: Draw, slot: int) -> bool:
    symbol = draw.site.operands[slot]
    return isinstance(symbol, Symbol) and draw.leaves.demanded_rank(symbol) is not None


def _batch(draw: Draw, other: tuple[int, ...], count: int) -> tuple[int | None, ...]:
    padded = (None,) * max(0, count - len(other)) + other[max(0, len(other) - count) :]
    return padded if draw.chance.random() < 0.8 else tuple(1 for _ in padded)


@proposes("Gemm")
def gemm(draw: Draw) -> None:
    """alpha * A' B' + beta * C, C broadcasting into the product."""
    trans_a, trans_b = (bool(draw.attribute(name, ABSENT, 0, 1)) for name in ("transA", "transB"))
    for name in ("alpha", "beta"):
        draw.attribute(name, ABSENT, 1.0, 0.5, 2.0)
    b = draw.shape(1)
    inner = None if b is None or len(b) != 2 else b[1 if trans_b else 0]
    a = draw.give(0, (inner, None) if trans_a else (None, inner))
    if len(a) != 2:
        raise Misfit("Gemm takes matrices")
    rows, inner = (a[1], a[0]) if trans_a else (a[0], a[1])
    b = draw.give(1, (None, inner) if trans_b else (inner, None))
    if len(b) != 2:
        raise Misfit("Gemm takes matrices")
    columns = b[0] if trans_b else b[1]
    if draw.is_open(2):
        draw.give(2, None if _is_shaped(draw, 2) else draw.chance.choice(
            [(rows, columns), (columns,), (1, columns), (rows, 1), (), (1,), (1, 1)]
        ))  # fmt: skip


@proposes("Einsum")
def einsum(draw: Draw) -> None:
    """Operands as the equation names their dimensions."""
    binary, unary = ["ij,jk->ik", "bij,bjk->bik", "ij,kj->ik", "i,j->ij"], ["ij->ji", "ii->i"]
    equation = draw.attribute("equation", *(binary if draw.count == 2 else unary))
    sizes: dict[str, int] = {}
    for slot, term in enumerate(str(equation).replace(" ", "").split("->")[0].split(",")):
        shape = draw.give(slot, tuple(sizes.get(letter) for letter in term))
        sizes.update(zip(term, shape, strict=False))


@proposes("Softmax", "LogSoftmax", "Hardmax")
def softmax(draw: Draw) -> None:
    """x and an axis."""
    rank = draw.rank(0, 2, 3, 1, 4)
    draw.give(0, (None,) * rank)
    axis(draw, "axis", rank)


@proposes(*(f"Reduce{kind}" for kind in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")))
def reduce(draw: Draw) -> None:
    """Axes as an input, absent for all of them."""
    rank = draw.rank(0, 3, 2, 1, 4)
    draw.give(0, (None,) * rank, kind=POSITIVE if "Log" in draw.op_type else ANY)
    draw.attribute("keepdims", ABSENT, 0, 1)
    if draw.is_open(1):
        draw.give(1, data=some_axes(draw, rank))
        draw.attribute("noop_with_empty_axes", ABSENT, 0, 1)
    else:
        draw.attribute("noop_with_empty_axes", ABSENT, ABSENT, ABSENT, 1)


def some_axes(draw: Draw, rank: int) -> list[int]:
    """One axis or several, counted from either end."""
    if not rank:
        return []
    picked = sorted(draw.chance.sample(range(rank), draw.chance.randint(1, min(rank, 2))))
    if draw.chance.random() < 0.2:
        picked.reverse()
    return [i - rank if draw.chance.random() < 0.3 else i for i in picked]


@proposes("ArgMax", "ArgMin")
def arg(draw: Draw) -> None:
    """x and an axis, with and without keepdims."""
    rank = draw.rank(0, 3, 2, 1)
    draw.give(0, (None,) * rank)
    axis(draw, "axis", rank)
    draw.attribute("keepdims", ABSENT, 0, 1)
    draw.attribute("select_last_index", ABSENT, 0, 1)


@proposes("CumSum")
def cumulative_sum(draw: Draw) -> None:
    """x and a scalar axis."""
    rank = draw.rank(0, 2, 3, 1)
    draw.give(0, (None,) * rank)
    draw.give(1, data=np.array(draw.chance.randrange(rank)) if rank else np.array(0))
    draw.attribute("exclusive", ABSENT, 0, 1)
    draw.attribute("reverse", ABSENT, 0, 1)


@proposes("PRelu")
def prelu(draw: Draw) -> None:
    """x and a slope that broadcasts into it."""
    x = draw.give(0)
    if draw.is_open(1):
        draw.give(1, None if _is_shaped(draw, 1) else draw.chance.choice([x, (1,), x[-1:], (*x[1:2], *(1,) * (len(x) - 2))]))
