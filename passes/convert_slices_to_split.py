"""Slices and Gathers that cut a tensor into parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from graphopt.infer import typed
from graphopt.ir import DType, Graph, Node, Shape, Tensor, Value
from graphopt.patterns.noop import numbers
from graphopt.pipeline.base import Context, Pass
from graphopt.schema import facts
from graphopt.schema.older import CannotSpell, constant
from graphopt.schema.spelling import has_neutral_form, neutral_attribute, neutral_inputs, spell

MOST_GATHERED: Final = 1 << 12  # indices; more are looked up in a table, not cut off a tensor

Part: TypeAlias = "tuple[int, int]"  # from, up to


@dataclass(frozen=True)
class ConvertSlicesToSplit(Pass):
    """Make one Split of the Slices, and Gathers of some in a row, that cut a tensor into parts.

    Before:  a = Slice(x, [0], [32], [3]); b = Slice(x, [32], [64], [3])               x: (N, 8, S, 64)
    After:   a, b = Split<axis = 3>(x, [32, 32])
    Keeps:   Gathers of a scalar, which drop the axis; Slices with a step, along several axes, with bounds that are not constant, along
             an axis of unknown extent; parts that overlap, or do not cover the axis; parts of shapes (integer vectors). Exact.
    """

    name: ClassVar[str] = "convert-slices-to-split"

    def run(self, graph: Graph, context: Context) -> int:
        """Convert in this graph and the graphs inside it; linear in the Slices and Gathers."""
        groups: dict[tuple[Value, int, Graph | None], dict[Node, Part]] = {}
        left: list[tuple[Node, Value, str]] = []
        beside: Counter[tuple[Value, Graph | None]] = Counter()
        for node in context.editor.calls(graph, ("Slice", "Gather")):
            value, found = part_of(node)
            if value is None or found is None:
                continue
            beside[value, node.graph] += 1
            if isinstance(found, str):
                left.append((node, value, found))
            else:
                axis, part = found
                groups.setdefault((value, axis, node.graph), {})[node] = part
        for node, value, why in left:
            if beside[value, node.graph] > 1:  # one alone cuts nothing into parts
                context.observer.declined(self.name, node, why.__str__)
        return sum(len(parts) > 1 and self.convert(value, axis, parts, context) for (value, axis, _), parts in groups.items())

    def convert(self, value: Value, axis: int, parts: dict[Node, Part], context: Context) -> bool:
        """Put a Split in the place of these Slices, if all agree."""
        first = next(iter(parts))
        cuts = sorted(set(parts.values()))
        made = tiles(cuts, value, axis) or split_of(value, axis, cuts, first)
        if isinstance(made, str):
            context.observer.declined(self.name, first, made.__str__)
            return False
        if not context.observer.may_apply(self.name, first):
            return False
        editor, graph = context.editor, first.graph
        assert graph is not None  # it was found in one
        made.rule, made.metadata = self.name, dict(first.metadata)
        made.replaces = tuple(dict.fromkeys(name for node in parts for name in node.stands_for))
        editor.insert(made, graph, first)
        for output, part in zip(made.outputs, cuts, strict=True):
            self.replace([node for node in parts if parts[node] == part], output, context)
        context.observer.applied(self.name, first, (made,))
        return True

    @staticmethod
    def replace(slices: Sequence[Node], output: Value, context: Context) -> None:
        for node in slices:
            old = node.output
            is_renamed = not old.is_output and node is slices[0]
            context.editor.replace(old, output)
            if is_renamed:
                context.editor.exchange_names(old, output)
            context.editor.erase(node)


def part_of(node: Node) -> tuple[Value | None, tuple[int, Part] | str | None]:
    """What a node takes: of which value, along which axis and from where up to where; why that is no part; None when nothing is cut off."""
    if facts.is_function_call(node) or not has_neutral_form(node):
        return None, None
    value, *bounds = neutral_inputs(node)
    shape = None if value is None else value.shape
    if value is None or shape is None:
        return value, None
    found = gathered(node, shape) if node.op == "Gather" else sliced(bounds, shape)
    if found is not None and len(shape) == 1 and value.dtype in (DType.int64, DType.int32):
        return value, "integer vectors are shapes, and arithmetic on sizes is simplified by its elements"
    return value, found


def sliced(bounds: Sequence[Value | None], shape: Shape) -> tuple[int, Part] | str | None:
    """What a Slice takes."""
    if len(bounds) < 2:
        return None
    given = [None if bound is None else numbers(bound) for bound in bounds]
    starts, ends, axes, steps = (*given, None, None)[:4]
    axes = axes if len(bounds) > 2 and bounds[2] is not None else (0,)
    steps = steps if len(bounds) > 3 and bounds[3] is not None else (1,)
    if starts is None or ends is None or axes is None or steps is None:
        return "its bounds are not constant"
    if not len(starts) == len(ends) == len(axes) == len(steps) == 1:
        return "it takes something along several axes"
    if steps != (1,):
        return "its step is not 1"
    if not -len(shape) <= axes[0] < len(shape):
        return None
    if not isinstance(extent := shape[axes[0]], int):
        return "the extent of its axis is not known"
    # ONNX Slice-13: bounds below 0 count from the end, then both are clamped
    start, end = (min(max(bound + extent if bound < 0 else bound, 0), extent) for bound in (starts[0], ends[0]))
    return (axes[0] % len(shape), (start, end)) if start < end else "it takes nothing"


def gathered(node: Node, shape: Shape) -> tuple[int, Part] | str | None:
    """What a Gather takes, when its indices are a vector of places in a row; with other indices than constants it looks up."""
    i, axis = node.inputs[1], neutral_attribute(node, "axis")
    if i is None or i.const is None or not 0 < i.const.size <= MOST_GATHERED:
        return None
    if not isinstance(axis, int) or not -len(shape) <= axis < len(shape):
        return None
    if not i.const.shape:
        return "it takes one element and drops the axis"
    if len(i.const.shape) > 1:
        return "its indices are no vector"
    if not isinstance(extent := shape[axis], int):
        return "the extent of its axis is not known"
    indices = [index + extent if index < 0 else index for index in numbers(i) or ()]
    start, end = indices[0], indices[0] + len(indices)
    if start < 0 or end > extent or indices != list(range(start, end)):
        return "its indices do not lie in a row"
    return axis % len(shape), (start, end)


def tiles(cuts: Sequence[Part], value: Value, axis: int) -> str:
    """Why parts, in their order, are not all of a value; empty when they are."""
    extent = None if value.shape is None else value.shape[axis]
    ends = [0, *(end for _, end in cuts)]
    if ends[-1] != extent or any(start != end for (start, _), end in zip(cuts, ends, strict=False)):
        return f"the parts {', '.join(f'{start}:{end}' for start, end in cuts)} along axis {axis} of {value!r} are not all of it, each once"
    return "" if len(cuts) > 1 else "there is one part"


def split_of(value: Value, axis: int, cuts: Sequence[Part], first: Node) -> Node | str:
    """The Split that makes these parts, in no graph yet; or why there can be none."""
    graph = first.graph
    if graph is None or facts.function_of(Node("Split", (value,))) is not None:
        return "the model defines its own Split"
    sizes = Tensor.of([end - start for start, end in cuts], DType.int64)
    held = constant(sizes, "split")
    try:
        made = typed(spell("Split", (value, held), {"axis": axis}, graph, outputs=len(cuts)), graph)
    except CannotSpell as reason:
        return str(reason)
    return made if (why := facts.accepts(made, graph) or facts.refuses_constant(graph, held.type)) is None else why
