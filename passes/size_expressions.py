"""The fewest nodes that make a vector or a scalar of known sizes, out of what a graph has made before a place."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

import numpy as np

from graphopt.infer import infer_contents, infer_node
from graphopt.ir import DType, Editor, Node, Tensor, Value
from graphopt.ir.dim import Dim, Factor, Floor, Product, Size
from graphopt.schema.older import constant
from graphopt.schema.rare import is_rare
from graphopt.schema.spelling import CannotSpell, spell

WINDOWS: Final = 15  # the opset from which Shape takes a part of the shape
INTEGER_MINIMUM: Final = 12  # the opset from which Min takes integers
BUILT: Final = frozenset({"Add", "Concat", "Div", "Gather", "Min", "Mul", "Shape", "Slice", "Squeeze", "Sub", "Unsqueeze"})
CANDIDATES: Final = 4  # values that are asked whether a size is theirs
Contents: TypeAlias = "tuple[Size, ...]"


@final
@dataclass(frozen=True, slots=True)
class Draft:
    """A node that could be built, and how many nodes that takes with what it reads. Constants are tuples of numbers, or a number."""

    op: str
    operands: tuple[Draft | Value | tuple[int, ...] | int, ...]
    attributes: tuple[tuple[str, int], ...] = ()

    @property
    def cost(self) -> int:
        """How many new nodes it takes; what is needed in two places is made once."""
        found: set[Draft] = {self}
        edge = [self]
        while edge:
            inner = [operand for operand in edge.pop().operands if isinstance(operand, Draft) and operand not in found]
            found.update(inner)
            edge += inner
        return len(found)


Answer: TypeAlias = "Draft | Value"


def cost(answer: Answer) -> int:
    """How many new nodes an answer takes; none for a value that is there."""
    return answer.cost if isinstance(answer, Draft) else 0


@final
@dataclass
class Sizes:
    """What has been made so far that tells of sizes: go through a graph in its order, and note of each node what it makes."""

    editor: Editor
    made: dict[Hashable, Value] = field(default_factory=dict)  # (element type, shape, contents) -> the value that holds them
    shapes: dict[Value, Value] = field(default_factory=dict)  # a value -> its whole Shape
    places: dict[Dim, list[tuple[Value, int]]] = field(default_factory=dict)  # a size -> values and axes that have it

    def note(self, value: Value) -> None:
        """Remember whose dimensions a value has, unless no runtime would tell them."""
        if is_rare(value.dtype, self.editor.model.opsets.get("", 0)):
            return
        for axis, size in enumerate(value.shape or ()):
            if isinstance(size, Dim):
                held = self.places.setdefault(size, [])
                if len(held) < CANDIDATES:
                    held.append((value, axis))

    def note_contents(self, value: Value, contents: Contents) -> None:
        """Remember what a value holds."""
        key = (value.dtype, value.shape, contents)
        self.made[key] = value
        node = value.producer
        if node is not None and node.op == "Shape" and not node.attributes and node.inputs[0] is not None:
            self.shapes[node.inputs[0]] = value

    def vector(self, contents: Contents, at: Node, avoid: Collection[Node]) -> Answer | None:
        """The cheapest known way to a vector of 64 bits with these elements; nothing of what `avoid` makes is used."""
        search = _Search(self, at, avoid)
        return search.vector(contents)

    def scalar(self, size: Size, at: Node, avoid: Collection[Node]) -> Answer | None:
        """The cheapest known way to a scalar of 64 bits."""
        return _Search(self, at, avoid).scalar(size)

    def build(self, draft: Answer, before: Node, built: dict[Draft, Node]) -> Value:
        """Make the nodes of a draft, before another node, each once. Raises CannotSpell when the model's opset has no such operator."""
        if isinstance(draft, Value):
            return draft
        if draft in built:
            return built[draft].output
        graph = before.graph
        if graph is None:
            raise CannotSpell(f"{before!r} is in no graph")
        inputs: list[Value] = []
        for operand in draft.operands:
            if isinstance(operand, (Draft, Value)):
                inputs.append(self.build(operand, before, built))
            else:
                inputs.append(constant(Tensor.of(np.array(operand, np.int64)), "sizes"))
        node = spell(draft.op, inputs, dict(draft.attributes), graph)
        self.editor.insert(node, graph, before)
        self.learn(node)
        built[draft] = node
        if node.output.contents is not None and node.output.shape is not None:
            self.note_contents(node.output, node.output.contents)
        return node.output

    def learn(self, node: Node) -> None:
        """Say what a new node makes."""
        for value, type in zip(node.outputs, infer_node(node), strict=True):
            self.editor.set_type(value, type)
        for value, held in zip(node.outputs, infer_contents(node), strict=True):
            value.contents = held


@final
@dataclass
class _Search:
    sizes: Sizes
    at: Node
    avoid: Collection[Node]

    @property
    def opset(self) -> int:
        """The version of the default domain at the place."""
        return 0 if self.at.graph is None else self.at.graph.opsets.get("", 0)

    def vector(self, contents: Contents) -> Answer | None:
        """A value that is there; a window of a shape; picked elements of one; or parts side by side."""
        there = self.there((len(contents),), contents)
        if there is not None:
            return there
        made = self.joined(contents) if len(contents) > 1 else self.computed(contents[0], 1)
        found = [self.window(contents), self.picked(contents), made]
        return min((answer for answer in found if answer is not None), key=cost, default=None)

    def scalar(self, size: Size) -> Answer | None:
        """A value that is there; one element of a shape; or what is computed from others."""
        there = self.there((), (size,))
        if there is not None:
            return there
        vector = self.there((1,), (size,))
        if vector is not None:
            return Draft("Squeeze", (vector, (0,)))
        found = [self.picked((size,), is_scalar=True), self.computed(size, 0)]
        return min((answer for answer in found if answer is not None), key=cost, default=None)

    def there(self, shape: tuple[int, ...], contents: Contents) -> Value | None:
        """A value that holds just this already."""
        value = self.sizes.made.get((DType.int64, shape, contents))
        return value if value is not None and self.may_use(value) else None

    def may_use(self, value: Value) -> bool:
        """Whether a value is made before the place, in its graph or one around it, and stays."""
        if value.producer is not None and (value.producer.graph is None or value.producer in self.avoid):
            return False
        scope, here = value.scope, self.at
        while here.graph is not None and here.graph is not scope:
            owner = here.graph.owner
            if owner is None:
                return False
            here = owner
        return scope is not None and (value.producer is None or scope.precedes(value.producer, here))

    def sources(self, contents: Contents) -> list[tuple[Value, int, int]]:
        """Values that have the first size of these that is no number: which place it has here, and which axis there."""
        for place, size in enumerate(contents):
            if isinstance(size, Dim):
                return [(value, place, axis) for value, axis in self.sizes.places.get(size, ()) if self.may_use(value)]
        return []

    def shape(self, value: Value) -> Answer:
        """The whole Shape of a value, made already or to be made."""
        known = self.sizes.shapes.get(value)
        return known if known is not None and self.may_use(known) else Draft("Shape", (value,))

    def window(self, contents: Contents) -> Answer | None:
        """A part of a value's shape that holds these sizes in a row."""
        best: Answer | None = None
        for value, place, axis in self.sources(contents):
            shape, start = value.shape or (), axis - place
            end = start + len(contents)
            if start < 0 or shape[start:end] != contents:
                continue
            whole = self.shape(value)
            if len(shape) == len(contents):
                answer: Answer = whole
            elif self.opset >= WINDOWS:
                bounds = (("start", start), *((("end", end),) if end < len(shape) else ()))
                answer = Draft("Shape", (value,), bounds)
            else:
                answer = Draft("Slice", (whole, (start,), (end,), (0,)))
            best = answer if best is None or cost(answer) < cost(best) else best
        return best

    def picked(self, contents: Contents, *, is_scalar: bool = False) -> Answer | None:
        """Elements of one value's shape, in whatever order."""
        best: Answer | None = None
        for value, _, _ in self.sources(contents):
            shape = value.shape or ()
            if any(size not in shape for size in contents):
                continue
            indices = tuple(shape.index(size) for size in contents)
            answer = Draft("Gather", (self.shape(value), indices[0] if is_scalar else indices), (("axis", 0),))
            best = answer if best is None or cost(answer) < cost(best) else best
        return best

    def joined(self, contents: Contents) -> Answer | None:
        """Runs of numbers are constants; of the rest, the longest parts that cost at most one node each, then single sizes."""
        parts: list[Answer | tuple[int, ...]] = []
        place = 0
        while place < len(contents):
            end = place
            while end < len(contents) and isinstance(contents[end], int):
                end += 1
            if end > place:
                parts.append(tuple(size for size in contents[place:end] if isinstance(size, int)))
                place = end
                continue
            part, place = self.longest(contents, place)
            if part is None:
                return None
            parts.append(part)
        return Draft("Concat", tuple(parts), (("axis", 0),)) if len(parts) > 1 else None

    def longest(self, contents: Contents, start: int) -> tuple[Answer | None, int]:
        """The longest part from a place on that is there or a window; a single size otherwise."""
        for end in range(len(contents) - (start == 0), start + 1, -1):
            part = self.there((end - start,), contents[start:end]) or self.window(contents[start:end])
            if part is not None and cost(part) <= 1:
                return part, end
        return self.vector(contents[start : start + 1]), start + 1

    def computed(self, size: Size, rank: int) -> Answer | None:
        """A size from others: a sum of products, each computed for itself."""
        if not isinstance(size, Dim):
            return None
        scalar = self.there((), (size,)) if rank else None
        if scalar is not None:
            return Draft("Unsqueeze", (scalar, (0,)))
        if size.name is not None:
            return None
        total: Answer | None = None
        for product, coefficient in sorted(size.terms, key=lambda term: term[1] < 0):
            answer = self.product(product, abs(coefficient) if total is not None or coefficient > 0 else coefficient, rank)
            if answer is None:
                return None
            total = answer if total is None else Draft("Add" if coefficient > 0 else "Sub", (total, answer))
        if total is None or not size.constant:
            return total
        return Draft("Add", (total, (size.constant,) if rank else size.constant))

    def product(self, product: Product, coefficient: int, rank: int) -> Answer | None:
        """A product of factors and a number."""
        total: Answer | None = None
        for factor in product:
            answer = self.factor(factor, rank)
            if answer is None:
                return None
            total = answer if total is None else Draft("Mul", (total, answer))
        if total is None or coefficient == 1:
            return total
        return Draft("Mul", (total, (coefficient,) if rank else coefficient))

    def factor(self, factor: Factor, rank: int) -> Answer | None:
        """A symbol, a quotient or a minimum."""
        if isinstance(factor, str):
            return self.vector((Dim.symbol(factor),)) if rank else self.scalar(Dim.symbol(factor))
        operands = (factor.numerator, factor.divisor) if isinstance(factor, Floor) else factor.operands
        answers = [self.operand(operand, rank) for operand in operands]
        if any(answer is None for answer in answers) or self.opset < INTEGER_MINIMUM:
            return None
        # A Floor's numerator is never below 0, so Div, which rounds towards 0, rounds down.
        return Draft("Div" if isinstance(factor, Floor) else "Min", tuple(answer for answer in answers if answer is not None))

    def operand(self, size: Size, rank: int) -> Answer | tuple[int, ...] | int | None:
        """A number, or the cheapest way to a size."""
        if isinstance(size, int):
            return (size,) if rank else size
        return self.vector((size,)) if rank else self.scalar(size)
