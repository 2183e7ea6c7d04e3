"""Where the elements of a result come from: operators that only move elements, taken apart axis by axis.

What an operator does along one axis is mostly independent of all others. So its movement is a product of `Part`s, each with a small table
that says, for each place along some axes of the result, which place along some axes of the operand its element is taken from. Tables are
made when they are asked for, by the operator's own numpy semantics, and only those that matter: where parameters are constant along all
axes of a part, one place stands for all of them, whatever the sizes are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final, TypeAlias, final

import numpy as np

from graphopt.ir import Node, Size, Value
from graphopt.ir.tensor import Array

MISSING: Final = -1  # in a table: this element comes from elsewhere
FILLED: Final = -2  # it is the constant that the operator fills with
MOST_TAGS: Final = 1_000_000

Table: TypeAlias = "tuple[tuple[int, ...], Array]"  # the sizes of the operand's axes, and (ways, *sizes of the result's axes)


class Unclear(Exception):
    """Quantization does not pass an operator, or it cannot be proved; the message says why."""


@final
class Shapes:
    """The shapes around a node, with sizes that are known because parameters have as many entries."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._known: dict[tuple[bool, int, int], int] = {}

    def learn(self, index: int, axis: int, size: int, *, result: bool) -> None:
        """An axis of an input (or of a result) has this size. Raises Unclear when it is known to have another."""
        value = self.node.outputs[index] if result else self.node.inputs[index]
        found = None if value is None or value.shape is None else value.shape[axis]
        if isinstance(found, int) and found != size:
            raise Unclear(f"{size} entries do not fit axis {axis} of {value!r}")
        self._known[result, index, axis] = size

    def input(self, slot: int) -> tuple[Size, ...]:
        """The sizes of an input. Raises Unclear when not even the rank is known."""
        return self._of(self.node.inputs[slot], False, slot)

    def output(self, index: int) -> tuple[Size, ...]:
        """The sizes of a result. Raises Unclear when not even the rank is known."""
        return self._of(self.node.outputs[index], True, index)

    def _of(self, value: Value | None, result: bool, index: int) -> tuple[Size, ...]:
        if value is None or value.shape is None:
            raise Unclear(f"the rank of {value!r} is not known")
        return tuple(self._known.get((result, index, axis), size) for axis, size in enumerate(value.shape))


@final
@dataclass(frozen=True, slots=True)
class Part:
    """What happens along some axes: `takes` of the operand, `gives` of the result, ascending.

    `fills`: elements of the result may be a constant. `is_partial`: not every place takes part, so that other operands or results may have
    other parameters. `relabels`: the axis is the same one, or of extent 1 and new or gone.
    """

    takes: tuple[int, ...]
    gives: tuple[int, ...]
    table: Callable[[], Table]
    fills: bool = False
    is_partial: bool = False
    relabels: bool = False

    def ends(self, at_operand: bool) -> tuple[int, ...]:
        """The axes at one end."""
        return self.takes if at_operand else self.gives


@final
@dataclass(frozen=True, slots=True)
class Flow:
    """How the elements of one input become elements of one result: parts that together have each axis of both once."""

    slot: int
    output: int
    parts: tuple[Part, ...]

    def relevant(self, takes: Sequence[int] = (), gives: Sequence[int] = ()) -> set[int]:
        """The parts that have one of these axes."""
        return {index for index, part in enumerate(self.parts) if {*part.takes} & {*takes} or {*part.gives} & {*gives}}

    @property
    def only_relabels(self) -> bool:
        """Whether all axes are the same ones, in another order perhaps."""
        return all(part.relabels for part in self.parts)


@final
class TracedFlow:
    """A flow with numbers: for each element of the result, which elements of the operand it may be.

    `places` has shape (ways, *shape of the result): places in the operand, after `flat`. Irrelevant parts are one place wide, two where a
    constant may fill.
    """

    def __init__(self, flow: Flow, relevant: set[int]) -> None:
        tables = [part.table() if index in relevant else _any_size(part) for index, part in enumerate(flow.parts)]
        if prod(table.size for _, table in tables) > MOST_TAGS:
            raise Unclear(f"there are more than {MOST_TAGS} elements to follow")
        self.order = [axis for part in flow.parts for axis in part.takes]
        self.held = tuple(size for sizes, _ in tables for size in sizes)  # in that order
        rank = sum(len(part.gives) for part in flow.parts)
        self.is_real = [False] * rank
        places, missing, filled = (np.zeros((1,) * (len(tables) + rank), kind) for kind in (np.int64, bool, bool))
        for index, (part, (sizes, table)) in enumerate(zip(flow.parts, tables, strict=True)):
            shape = [1] * (len(tables) + rank)
            shape[index] = table.shape[0]
            for axis, size in zip(part.gives, table.shape[1:], strict=True):
                shape[len(tables) + axis] = size
                self.is_real[axis] = index in relevant
            wide = table.reshape(shape)
            places = places * prod(sizes) + np.maximum(wide, 0)
            missing, filled = missing | (wide == MISSING), filled | (wide == FILLED)
        found = np.where(missing, MISSING, np.where(filled, FILLED, places))
        self.places = found.reshape(-1, *found.shape[len(tables) :])

    @property
    def operand_shape(self) -> tuple[int, ...]:
        """The sizes of the operand's axes, as far as they matter."""
        return tuple(self.held[self.order.index(axis)] for axis in range(len(self.order)))

    def flat(self, operand: Array) -> Array:
        """The elements of an operand, in the order that `places` counts in."""
        flat: Array = operand.transpose(self.order).reshape(-1)
        return flat

    def unflat(self, elements: Array) -> Array:
        """The inverse of `flat`."""
        return elements.reshape(self.held).transpose(np.argsort(self.order)) if self.order else elements.reshape(())


def _any_size(part: Part) -> Table:
    """The table of a part along which nothing differs: one place stands for all."""
    table = np.zeros((1,) * (1 + len(part.gives)), np.int64)
    if part.fills and part.gives:
        table = np.concatenate([table, np.full_like(table, FILLED)], axis=-1)
    return (1,) * len(part.takes), table


# ---- the parts that operators are made of


def number(size: Size, what: str = "an axis") -> int:
    """A size that is a number. Raises Unclear."""
    if not isinstance(size, int):
        raise Unclear(f"the extent of {what} is not a number")
    return size


def unchanged(taken: int, given: int, sizes: Sequence[Size], results: Sequence[Size]) -> Part:
    """An axis that stays as it is."""

    def table() -> Table:
        size = sizes[taken] if isinstance(sizes[taken], int) else results[given]
        count = number(size, f"axis {taken}")
        return (count,), np.arange(count)[None]

    return Part((taken,), (given,), table, relabels=True)


def new_axis(given: int, results: Sequence[Size]) -> Part:
    """An axis that the operand has not: each element is repeated along it."""
    return Part((), (given,), lambda: ((), np.zeros((1, number(results[given], f"axis {given}")), np.int64)), relabels=results[given] == 1)


def dropped(taken: int) -> Part:
    """An axis of extent 1 that the result has not."""
    return Part((taken,), (), lambda: ((1,), np.zeros(1, np.int64)), relabels=True)


def repeated(taken: int, given: int, results: Sequence[Size]) -> Part:
    """An axis of extent 1 that gets longer."""
    return Part((taken,), (given,), lambda: ((1,), np.zeros((1, number(results[given], f"axis {given}")), np.int64)))


def chosen(
    taken: int,
    gives: Sequence[int],
    sizes: Sequence[Size],
    choose: Callable[[int], Array],
    *,
    fills: bool = False,
    is_partial: bool = False,
) -> Part:
    """Places along an axis, given its extent: an array of them, MISSING or FILLED."""

    def table() -> Table:
        count = number(sizes[taken], f"axis {taken}")
        return (count,), choose(count)[None]

    return Part((taken,), tuple(gives), table, fills=fills, is_partial=is_partial)


def mixed(takes: Sequence[int], gives: Sequence[int], sizes: Sequence[Size], results: Sequence[Size]) -> Part:
    """Axes along which any place of the operand may be found at any place of the result: windows, and what is known only when it runs."""

    def table() -> Table:
        held = tuple(number(sizes[axis], f"axis {axis}") for axis in takes)
        made = tuple(number(results[axis], f"axis {axis} of the result") for axis in gives)
        if prod(held) * prod(made) > MOST_TAGS:
            raise Unclear(f"there are more than {MOST_TAGS} elements to follow")
        return held, np.broadcast_to(np.arange(prod(held)).reshape(-1, *(1,) * len(made)), (prod(held), *made))

    return Part(tuple(takes), tuple(gives), table)


def unclear(takes: Sequence[int], gives: Sequence[int], why: str, *, fills: bool = False) -> Part:
    """Axes of which it is not known what happens along them, while nothing happens to the others."""

    def table() -> Table:
        raise Unclear(why)

    return Part(tuple(takes), tuple(gives), table, fills=fills)


def joint(takes: Sequence[int], gives: Sequence[int], sizes: Sequence[Size], move: Callable[[Array], Array]) -> Part:
    """Axes that an operator treats together: what it makes of an array of places."""

    def table() -> Table:
        held = tuple(number(sizes[axis], f"axis {axis}") for axis in takes)
        if prod(held) > MOST_TAGS:
            raise Unclear(f"there are more than {MOST_TAGS} elements to follow")
        return held, move(np.arange(prod(held)).reshape(held))[None]

    return Part(tuple(takes), tuple(gives), table)
