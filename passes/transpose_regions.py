"""Regions of a graph that may run on permuted tensors, and what Transposes that saves: found, pared down and priced.

A region starts at one side of a Transpose and grows over every operator that lets the order pass, in all directions. Then each node
that does not pay for itself goes back to how it was, the ones at the rim first as they can only then; what is left is weighed as a whole.
Linear: every node enters a region of one order of a value once and leaves it once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, final

from graphopt.infer.shapes import add, bounds, multiply, product, subtract
from graphopt.ir import Graph, Node, Shape, Size, Value
from graphopt.passes.axis_order import Passage, Perm, in_turn, inverse, is_in_order, moves_units_only, permuted
from graphopt.passes.permutable_operators import passage
from graphopt.schema import facts

CALL: Final = 4096  # elements that could be moved in the time that one more node takes
TYPICAL: Final = 32  # a size that is not known
SMALL: Final = 4096  # elements of a constant that may be stored twice


class Move(NamedTuple):
    """A Transpose that there is or has to be, because of this value."""

    value: Value
    perm: Perm
    shape: Shape | None  # of what it reads


@final
class Region:
    """Nodes that may run on permuted operands, together; `flipped` are those that shall."""

    __slots__ = ("_around", "_price", "_reads", "flipped", "graph", "needed", "nodes", "perms", "transposes", "uses")

    def __init__(self, graph: Graph, value: Value, perm: Perm) -> None:
        self.graph = graph
        self.perms: dict[Value, Perm] = {value: perm}  # how each value would be stored
        self.nodes: dict[Node, Passage] = {}
        self.flipped: dict[Node, None] = {}
        self.transposes: dict[Node, Perm] = {}  # those that make or read a value of the region
        self.uses: dict[Value, int] = {}  # by readers other than these Transposes
        self.needed: dict[Value, int] = {}  # of which so many by flipped nodes, permuted
        self._price: dict[Value, int] = {}
        self._reads: dict[Node, tuple[Value, ...]] = {}  # what a node would read permuted, once for each slot
        self._around: dict[Node, tuple[Value, ...]] = {}
        self._grow(value)

    # ---- growing

    def _grow(self, start: Value) -> None:
        queue = deque([start])
        while queue:
            value = queue.popleft()
            perm, maker = self.perms[value], value.producer
            if maker is not None and maker.graph is self.graph and not self._border(maker):
                self._adopt(maker, perm, None, value, queue)
            for node in value.users:
                if node.graph is self.graph and node is not self.graph.exit and not self._border(node):
                    self._adopt(node, perm, node.inputs.index(value), value, queue)
        self.flipped = dict.fromkeys(self.nodes)
        for node in self.nodes:
            for value in self._reads[node]:
                self.needed[value] = self.needed.get(value, 0) + 1

    def _border(self, node: Node) -> bool:
        """Whether this is a Transpose; then it is part of the border."""
        if node.op != "Transpose":
            return False
        if node not in self.transposes and (perm := perm_of(node)) is not None and not is_in_order(perm):
            self.transposes[node] = perm
        return True

    def _adopt(self, node: Node, perm: Perm, slot: int | None, value: Value, queue: deque[Value]) -> None:
        if node in self.nodes or (found := passage(node, perm, slot)) is None:
            return
        wanted: dict[Value, Perm] = {}
        for held, order in zip((*node.inputs, *node.outputs), (*found.inputs[: len(node.inputs)], *found.outputs), strict=True):
            if held is None:
                continue
            if order is None:
                if held in self.perms and held.producer is node:
                    return
            elif held.const is not None and held.producer is not node:
                if held.const.size > SMALL and len(held.users) > 1:
                    return
            elif held.rank != len(order) or wanted.setdefault(held, order) != order or self.perms.get(held, order) != order:
                return
        if wanted.get(value) != perm:
            return
        self.nodes[node] = found
        self._reads[node] = tuple(held for held, order in zip(node.inputs, found.inputs, strict=False) if order and held in wanted)
        for held, order in wanted.items():
            if held not in self.perms:
                self.perms[held] = order
                queue.append(held)

    @property
    def watched(self) -> frozenset[Node]:
        """The nodes on which the shape of the region and its price depend."""
        around = {node for value in self.perms for node in (value.producer, *value.users) if node is not None}
        return frozenset(around.union(self.nodes, self.transposes))

    # ---- what it takes

    def moves(self, value: Value) -> list[Move]:
        """The Transposes that a value of the region needs, or the Transpose that makes it."""
        maker, shape = value.producer, value.shape
        perm, needed = self.perms.get(value), self.needed.get(value, 0)
        if maker in self.transposes:
            plain = self.plain_uses(value) > 0
            held = self.from_there(maker)
            wanted = [held] if plain else []
            wanted += [in_turn(held, perm)] if needed and perm is not None else []
            source = None if shape is None else permuted(shape, inverse(held))
            return [Move(value, order, source) for order in wanted if not is_in_order(order)]
        if perm is None:
            return []
        if self.is_made_permuted(value):
            return [Move(value, inverse(perm), None if shape is None else permuted(shape, perm))] if self.plain_uses(value) > 0 else []
        return [Move(value, perm, shape)] if needed else []

    def from_there(self, transpose: Node) -> Perm:
        """The order of what a Transpose makes, from its operand as it is stored."""
        operand, perm = transpose.inputs[0], self.transposes[transpose]
        assert operand is not None  # perm_of looked
        return in_turn(inverse(self.perms[operand]), perm) if self.is_made_permuted(operand) else perm

    def is_made_permuted(self, value: Value) -> bool:
        """Whether a flipped node makes a value in its order; some end an order and make it as it is."""
        maker = value.producer
        return maker in self.flipped and self.nodes[maker].outputs[value.index] is not None

    def plain_uses(self, value: Value) -> int:
        """How many readers want the value as it is."""
        if value not in self.uses:
            made_here = value.producer in self.transposes
            self.uses[value] = sum(
                count for node, count in value.users.items() if made_here or node not in self.transposes or node.graph is not self.graph
            )
        return self.uses[value] - self.needed.get(value, 0)

    def price(self, moves: Iterable[Move]) -> int:
        """What Transposes cost, in elements moved."""
        total = 0
        for move in moves:
            if not self.is_free(move):
                total += CALL if is_reshape(move) else CALL + self._elements(move.value)
        return total

    def is_free(self, move: Move) -> bool:
        """Whether runtimes have it done by the matrix product that reads it."""
        value, perm, _ = move
        return (
            len(perm) > 1
            and perm == (*range(len(perm) - 2), len(perm) - 1, len(perm) - 2)
            and not self.needed.get(value)
            and all(node.op == "MatMul" for node in value.users)
        )

    def _elements(self, value: Value) -> int:
        if value not in self._price:
            elements = 1
            for size in value.shape or ():
                elements *= size if isinstance(size, int) else TYPICAL
            self._price[value] = elements
        return self._price[value]

    # ---- paring down

    def may_pay(self) -> bool:
        """Whether something could be gained: other Transposes, a node or constants where the order ends, or less to move elsewhere."""
        if len(self.transposes) > 1 or not self.nodes:
            return bool(self.nodes)
        if any(not self._reads[node] or not any(passed.outputs) for node, passed in self.nodes.items()):
            return True
        least = min(map(self._elements, self.perms))
        return any(least < self._elements(transpose.output) for transpose in self.transposes)

    def pare(self) -> None:
        """Take out each node without which the rest is no dearer, until none is left of which that is true."""
        queue = deque(sorted(self.nodes, key=_position))
        waiting = set(queue)
        while queue:
            node = queue.popleft()
            waiting.discard(node)
            around = self.around(node)
            before = self._cost(around)
            self._take_out(node)
            if self._cost(around) > before:
                self._put_back(node)
                continue
            for value in around:
                if self._turned(value, node):
                    for other in (value.producer, *value.users):
                        if other in self.flipped and other not in waiting:
                            waiting.add(other)
                            queue.append(other)

    def _turned(self, value: Value, node: Node) -> bool:
        """Whether it matters to others around a value that a node was taken out."""
        own = value.producer is node or value.producer in self.transposes
        return own or self.needed.get(value, 0) == 0 or self.plain_uses(value) == 1

    def around(self, node: Node) -> tuple[Value, ...]:
        """The values whose Transposes depend on whether a node is flipped."""
        known = self._around.get(node)
        if known is not None:
            return known
        found: dict[Value, None] = dict.fromkeys(self._reads[node])
        for value in node.outputs:
            if value in self.perms:
                found[value] = None
                found.update((reader.output, None) for reader in value.users if reader in self.transposes)
        self._around[node] = tuple(found)
        return self._around[node]

    def _cost(self, values: Iterable[Value]) -> int:
        return sum(self.price(self.moves(value)) for value in values)

    def _take_out(self, node: Node) -> None:
        del self.flipped[node]
        for value in self._reads[node]:
            self.needed[value] -= 1

    def _put_back(self, node: Node) -> None:
        self.flipped[node] = None
        for value in self._reads[node]:
            self.needed[value] += 1

    # ---- weighing

    def parts(self) -> list[list[Node]]:
        """What is left, in pieces that share no value and no Transpose; each in the order of the graph."""
        left, found, seen = dict.fromkeys(sorted(self.flipped, key=_position)), [], set[Value]()
        while left:
            piece = [left.popitem()[0]]
            for node in piece:  # which grows
                for value in self.around(node):
                    if value in seen:
                        continue
                    seen.add(value)
                    for other in self._beside(value):
                        if other in left:
                            del left[other]
                            piece.append(other)
            found.append(sorted(piece, key=_position))
        return found[::-1]

    def _beside(self, value: Value) -> Iterator[Node]:
        maker = value.producer
        if maker is not None:
            yield maker
            if maker in self.transposes and (operand := maker.inputs[0]) is not None and operand.producer is not None:
                yield operand.producer
        yield from value.users

    def gains(self, part: Sequence[Node]) -> bool:
        """Whether it takes fewer Transposes, or as many that move fewer elements, and provably none of both grows."""
        values = dict.fromkeys(value for node in part for value in self.around(node))
        after = [move for value in values for move in self.moves(value)]
        flipped, needed, self.flipped, self.needed = self.flipped, self.needed, {}, {}
        before = [move for value in values for move in self.moves(value)]
        costs = self.price(before)
        self.flipped, self.needed = flipped, needed
        if len(after) > len(before) or self.price(after) >= costs:
            return False
        old, new = Counter(map(_volume, before)), Counter(map(_volume, after))
        less = subtract(_total(old - new), _total(new - old))
        least, _ = bounds(less)
        return least is not None and least >= 0 and (less != 0 or len(after) < len(before))


def _volume(move: Move) -> Size | Value:
    """How many elements a Transpose moves; the value itself where that is not known."""
    elements = 0 if is_reshape(move) else None if move.shape is None else product(move.shape)
    return move.value if elements is None else elements


def _total(volumes: Counter[Size | Value]) -> Size:
    total: Size = 0
    for volume, count in volumes.items():
        total = add(total, None if isinstance(volume, Value) else multiply(volume, count))
    return total


def is_reshape(move: Move) -> bool:
    """Whether a Transpose only moves axes of extent 1: then it moves no element."""
    return moves_units_only(move.perm, move.shape)


def perm_of(node: Node) -> Perm | None:
    """The order that a Transpose makes; None when it is none, or not known."""
    value = node.input(0)
    if value is None or value.rank is None or facts.is_function_call(node):
        return None
    found = node.attributes.get("perm")
    if found is None:
        return tuple(reversed(range(value.rank)))
    held = found.value
    perm = tuple(axis for axis in held if isinstance(axis, int)) if isinstance(held, tuple) else None
    return perm if perm is not None and sorted(perm) == list(range(value.rank)) else None


def _position(node: Node) -> int:
    return node.position
