"""Transposes through the operators between them, so that they meet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple, TypeAlias, final

from graphopt.ir import Graph, Node, Value
from graphopt.ir.graph import EXIT
from graphopt.match.rule import Exactness
from graphopt.passes.axis_order import Perm, in_turn, inverse, is_in_order, stored, type_of
from graphopt.passes.transpose_regions import Region, perm_of
from graphopt.pipeline.base import Context, Pass
from graphopt.schema import facts
from graphopt.schema.older import CannotSpell, constant
from graphopt.schema.spelling import neutral_attributes, neutral_inputs, spell

Place: TypeAlias = tuple[Graph, Value, Perm]


class Idle(NamedTuple):
    """A region in which nothing paid: the nodes that this depends on, and the places from which the same region grows."""

    watched: frozenset[Node]
    places: list[Place]


@dataclass(frozen=True)
class PushTransposes(Pass):
    """Let the operators between Transposes run on permuted tensors, where that leaves fewer Transposes or less for them to move.

    Before:  t = Transpose<perm = [0, 2, 3, 1]>(x); u = Add(Relu(t), b); y = Transpose<perm = [0, 3, 1, 2]>(u)      x: (N, C, H, W)
    After:   y = Add(Relu(x), b')                                       b: (C,), constant  b': (C, 1, 1)
    Keeps:   Transposes between operators of which none can run otherwise (Conv, LSTM, Reshape that mixes the axes), or where others
             would be needed instead; one that swaps the last two axes for MatMul alone, which runtimes have the product do; the last
             axis of Softmax and of a mean that normalizes. Rounding: where a sum over several axes is added up in another order;
             otherwise exact.
    """

    name: ClassVar[str] = "push-transposes"
    exactness: ClassVar[Exactness] = "rounding"

    def run(self, graph: Graph, context: Context) -> int:
        """Push in this graph and the graphs inside it until nothing is gained; linear in the nodes each time."""
        index, key, changes = context.editor.index, (self, graph), 0
        idle: dict[Place, Idle] = context.notes.setdefault(key, {})
        while True:
            if key not in context.finished:
                idle.clear()
            touched = set(index.touched(since=context.finished.get(key, 0)))
            context.finished[key] = index.now
            made = self.push(graph, context, idle, touched)
            if not made:
                return changes
            changes += made

    def push(self, graph: Graph, context: Context, idle: dict[Place, Idle], touched: set[Node]) -> int:
        """Propose a region at either side of each Transpose, and move what pays.

        `idle` are the regions in which nothing paid; they are weighed again when a node that they look at is `touched`.
        """
        seen: set[Place] = set()
        changes = 0
        for node in list(context.editor.calls(graph, ("Transpose",))):
            perm, inner = perm_of(node), node.graph
            if perm is None or inner is None or is_in_order(perm):
                continue
            for value, order in ((node.output, inverse(perm)), (node.inputs[0], perm)):
                if value is None or node.graph is None or (place := (inner, value, order)) in seen:
                    continue
                known = idle.get(place)
                if known is not None and known.watched.isdisjoint(touched):
                    seen.update(known.places)
                    continue
                region = Region(inner, value, order)
                looked = Idle(region.watched, [(inner, *entry) for entry in region.perms.items()])
                seen.update(looked.places)
                made = tried = 0
                if region.may_pay():
                    region.pare()
                    for part in region.parts():
                        if region.gains(part):
                            tried += 1
                            made += self.move(region, part, context)
                if made:
                    idle.pop(place, None)
                else:
                    idle[place] = looked
                changes += made
                if not tried:
                    self.tell(node, value, region, context)
        return changes

    def tell(self, node: Node, value: Value, region: Region, context: Context) -> None:
        """Say why nothing is moved to this side of a Transpose, where something stands that could have been."""
        if region.nodes:
            stays = "with {} on permuted tensors as many Transposes would be needed, or they would move as much"
            context.observer.declined(self.name, node, partial(_named, stays, region.nodes))
            return
        makers = () if value.producer is None else (value.producer,)
        beside = [other for other in (*makers, *value.users) if other.op not in ("Transpose", EXIT)]
        if beside:
            context.observer.declined(self.name, node, partial(_named, "{} cannot run with the axes permuted like this", beside))

    def move(self, region: Region, part: Sequence[Node], context: Context) -> bool:
        """Put a part of a region in its permuted form, if every operator can be written so and nobody objects."""
        moving = _Moving(region, part)
        try:
            moving.build()
        except CannotSpell as reason:
            context.observer.declined(self.name, part[0], reason.__str__)
            return False
        if not context.observer.may_apply(self.name, part[0]):
            return False
        moving.commit(context, self.name)
        return True


@final
class _Moving:
    """The permuted form of a part of a region: built in no graph, then put in its place."""

    def __init__(self, region: Region, part: Sequence[Node]) -> None:
        self.region, self.part, self.graph = region, part, region.graph
        self.made: list[tuple[Node, Node]] = []  # a new node, and the one before which it goes
        self.permuted: dict[Value, Value] = {}  # what holds a value in the order of the region
        self.replaced: dict[Value, Value] = {}  # what its other readers read instead
        self.last: dict[Node, None] = dict.fromkeys(part)  # what nobody reads then, perhaps

    # ---- building

    def build(self) -> None:
        """Make every node. Raises CannotSpell."""
        for node in self.part:
            self.flip(node)
        for value in dict.fromkeys(value for node in self.part for value in self.region.around(node)):
            if value.producer is not None:
                self.serve(value, value.producer)

    def serve(self, value: Value, maker: Node) -> None:
        """What readers get that want a value of the region as it is."""
        region, operand = self.region, maker.inputs[0]
        if maker not in region.transposes:
            if region.is_made_permuted(value) and region.plain_uses(value) > 0:
                self.replaced[value] = self.transposed(self.permuted[value], inverse(region.perms[value]), value, maker)
            return
        self.last[maker] = None
        if operand is not None and region.is_made_permuted(operand) and region.plain_uses(value) > 0:
            self.replaced[value] = self.transposed(self.permuted[operand], region.from_there(maker), value, maker)

    def flip(self, node: Node) -> None:
        """The permuted form of one node, which reads what its operands are stored as."""
        passed = self.region.nodes[node]
        inputs = list(neutral_inputs(node))
        inputs += [None] * (max(passed.constants, default=-1) + 1 - len(inputs))
        for slot, (value, order) in enumerate(zip(list(inputs), passed.inputs, strict=False)):
            if value is not None and order is not None:
                inputs[slot] = self.operand(value, order, node)
        for slot, tensor in passed.constants.items():
            inputs[slot] = constant(tensor)
        new = spell(node.op_type, inputs, {**neutral_attributes(node), **passed.attributes}, self.graph, outputs=len(node.outputs))
        for value, made, order in zip(node.outputs, new.outputs, passed.outputs, strict=True):
            made.type = type_of(value, order)
            (self.replaced if order is None else self.permuted)[value] = made
        new.name, new.doc, new.metadata, new.replaces = node.name, node.doc, dict(node.metadata), node.stands_for
        self.place(new, node)

    def operand(self, value: Value, order: Perm, reader: Node) -> Value:
        """What holds an operand in an order."""
        if value.const is not None:
            return constant(stored(value.const, order))
        if value not in self.permuted:
            maker = value.producer
            source: Value | None = value
            held = order
            if maker is not None and maker in self.region.transposes:
                source, held = maker.inputs[0], in_turn(self.region.from_there(maker), order)
                source = self.permuted.get(source) if source is not None and self.region.is_made_permuted(source) else source
            assert source is not None  # a Transpose has an operand, and what is flipped comes first
            self.permuted[value] = self.transposed(source, held, value, reader, order)
        return self.permuted[value]

    def transposed(self, source: Value, perm: Perm, like: Value, before: Node, order: Perm | None = None) -> Value:
        """A value in another order: itself where that is its own. `order`: that of the result, seen from `like`."""
        if is_in_order(perm):
            return source
        new = spell("Transpose", (source,), {"perm": perm}, self.graph)
        new.output.type = type_of(like, order)
        maker = like.producer
        if maker is not None and maker.op == "Transpose":
            new.metadata, new.replaces = dict(maker.metadata), maker.stands_for
        self.place(new, before)
        return new.output

    def place(self, new: Node, before: Node) -> None:
        """Note where a node goes. Raises CannotSpell where it may not stand."""
        for value in new.inputs:
            if value is not None and value.is_detached and (why := facts.refuses_constant(self.graph, value.type)) is not None:
                raise CannotSpell(why)
        if (why := facts.accepts(new, self.graph)) is not None:
            raise CannotSpell(why)
        self.made.append((new, before))

    # ---- changing the graph

    def commit(self, context: Context, name: str) -> None:
        """Insert what was built, let everybody read it, and take out what nobody reads any more."""
        editor, root = context.editor, self.part[0]
        for new, before in self.made:
            new.rule = name
            editor.insert(new, self.graph, before)
        for old, value in self.replaced.items():
            is_renamed = not old.is_output and not value.is_output and value.producer is not None and value.producer.rule == name
            editor.replace(old, value)
            if is_renamed:
                editor.exchange_names(old, value)
        editor.erase_unread(self.last)
        context.observer.applied(name, root, tuple(new for new, _ in self.made))


def _named(text: str, nodes: Iterable[Node]) -> str:
    """A reason with the operators that it is about."""
    return text.format(" or ".join(dict.fromkeys(node.op_type for node in nodes)))
