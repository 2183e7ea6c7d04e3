"""What a pattern matches, computed in the simplest possible way: try everything, keep what holds. The oracle for the compiler.

It knows nothing of each(...), which takes the first way only, of conditions in Python, and of several roots.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations, product
from typing import Any, TypeAlias

from graphopt.ir import Graph, Node, Value
from graphopt.match import AnyOf, Call, Chain, Leaf, Optional, Pattern, Rest

COMMUTATIVE = {"Add", "Mul", "Sum", "Max"}
Found: TypeAlias = "frozenset[tuple[str, object]]"


@dataclass(frozen=True)
class State:
    """What is assumed so far. `inner` has (node, how often the pattern reads it) for what must not be read elsewhere."""

    bound: tuple[tuple[str, Any], ...] = ()
    dims: tuple[tuple[str, Any], ...] = ()
    keys: tuple[tuple[Any, Node], ...] = ()
    reads: tuple[Node, ...] = ()
    nodes: tuple[Node, ...] = ()
    kept: tuple[Node, ...] = ()
    later: tuple[tuple[Leaf, Value], ...] = ()
    staying: frozenset[Any] = frozenset()


def solutions(pattern: Call | Chain | AnyOf, graph: Graph) -> set[tuple[frozenset[Node], Found]]:
    """All complete matches in a graph: the nodes, and what the names are bound to."""
    found = set()
    roots = pattern.alternatives if isinstance(pattern, AnyOf) else (pattern,)
    for root, node in product(roots, graph):
        for state in alternatives(root, node.output, State(staying=staying(root, False)), graph, True):
            if lawful(state, node, graph) and all(fits(leaf, value, dict(state.dims)) for leaf, value in state.later):
                found.add((frozenset(state.nodes), content(dict(state.bound))))
    return found


def content(bindings: dict[str, Any]) -> Found:
    """What the names are bound to; constants with equal bytes are the same, and a name without a value is none."""
    return frozenset((name, canonical(held)) for name, held in bindings.items() if held is not None)


def canonical(held: object) -> object:
    """A constant by its bytes, everything else as it is."""
    if isinstance(held, tuple):
        return tuple(map(canonical, held))
    return held.const.digest() if isinstance(held, Value) and held.const is not None else held


def staying(pattern: Pattern, below: bool) -> frozenset[Any]:
    """The keys of kept calls, and of what feeds them."""
    match pattern:
        case Call():
            below = below or pattern.is_kept
            inside: tuple[Pattern, ...] = pattern.inputs
        case AnyOf(alternatives=inside) | Chain(operands=inside):
            pass
        case _:
            inside = ()
    found = frozenset(key for part in inside for key in staying(part, below))
    return found | {pattern.key} if isinstance(pattern, Call) and below else found


def lawful(state: State, root: Node, graph: Graph) -> bool:
    """The single-reader law: as many slots read a node as the pattern has reads of it. Two calls are two nodes."""
    inner = list(state.nodes)
    for node in [root, *(node for node in state.kept if node is not root)]:
        inner.remove(node)
    for node in inner:
        if state.nodes.count(node) > 1:
            return False
        if node.graph is not graph or sum(count for value in node.outputs for count in value.users.values()) != state.reads.count(node):
            return False
        if any(reader not in state.nodes for value in node.outputs for reader in value.users):
            return False
    return True


def alternatives(
    pattern: Pattern, value: Value | None, state: State, graph: Graph, is_root: bool = False, kept: bool = False
) -> Iterator[State]:
    """Every way in which a pattern matches a value."""
    if isinstance(pattern, Optional):
        if value is None:
            yield from bind(state, pattern.of.name, None)
        else:
            yield from alternatives(pattern.of, value, state, graph)
    elif value is None:
        return
    elif isinstance(pattern, AnyOf):
        for one in pattern.alternatives:
            yield from alternatives(one, value, state, graph, is_root, kept)
    elif isinstance(pattern, Leaf):
        yield from leaf(pattern, value, state)
    elif isinstance(pattern, Chain):
        yield from chain(pattern.op, flat(pattern), value, state, graph, is_root, kept)
    elif isinstance(pattern, Call):
        node = value.producer
        if node is None or node.op != pattern.op or value.index != pattern.output:
            return
        state = replace(state, reads=(*state.reads, node))
        if pattern.key in dict(state.keys):
            if dict(state.keys)[pattern.key] is node:
                yield state
            return
        kept = kept or pattern.key in state.staying
        state = replace(state, keys=(*state.keys, (pattern.key, node)), nodes=(*state.nodes, node))
        state = replace(state, kept=(*state.kept, node)) if kept else state
        yield from inputs(pattern, node, state, graph, kept)


def inputs(call: Call, node: Node, state: State, graph: Graph, kept: bool) -> Iterator[State]:
    """Every way in which the inputs of a node match."""
    slots: list[Value | None] = list(node.inputs)
    wanted = list(call.inputs)
    rest = wanted[-1] if wanted else None
    if isinstance(rest, Rest):
        wanted.pop()
        tail, slots = tuple(slots[len(wanted) :]), slots[: len(wanted)]
        if None in tail:
            return
        for after in bind(state, rest.name, tail):
            yield from in_order(wanted, slots, after, graph, kept)
        return
    slots += [None] * (len(wanted) - len(slots))
    if any(slot is not None for slot in slots[len(wanted) :]):
        return
    fixed = call.op not in COMMUTATIVE or call.is_ordered or any(isinstance(part, Optional) for part in wanted)
    for order in [tuple(wanted)] if fixed else permutations(wanted):
        yield from in_order(list(order), slots, state, graph, kept)


def in_order(wanted: list[Pattern], slots: list[Value | None], state: State, graph: Graph, kept: bool) -> Iterator[State]:
    """The patterns one by one, each in the world that the ones before it left."""
    if not wanted:
        yield state
        return
    if len(slots) < len(wanted):
        return
    for after in alternatives(wanted[0], slots[0], state, graph, kept=kept):
        yield from in_order(wanted[1:], slots[1:], after, graph, kept)


def flat(pattern: Chain) -> tuple[Pattern, ...]:
    """The operands of a chain, and those of chains of the same operator among them."""
    nested = [flat(part) if isinstance(part, Chain) and part.op == pattern.op else (part,) for part in pattern.operands]
    return tuple(part for parts in nested for part in parts)


def chain(op: str, operands: tuple[Pattern, ...], value: Value, state: State, graph: Graph, is_root: bool, kept: bool) -> Iterator[State]:
    """Some operands come in by the left input, the others by the right one."""
    if len(operands) == 1:
        yield from alternatives(operands[0], value, state, graph, kept=kept)
        return
    node = value.producer
    if node is None or node.op != op or len(node.inputs) != 2:
        return
    state = replace(state, reads=(*state.reads, node), nodes=(*state.nodes, node), kept=(*state.kept, *([node] if kept else [])))
    left, right = node.inputs
    if left is None or right is None:
        return
    for chosen in range(1, 2 ** len(operands) - 1):
        mine = tuple(part for i, part in enumerate(operands) if chosen >> i & 1)
        others = tuple(part for i, part in enumerate(operands) if not chosen >> i & 1)
        for after in chain(op, mine, left, state, graph, False, kept):
            yield from chain(op, others, right, after, graph, False, kept)


def leaf(pattern: Leaf, value: Value, state: State) -> Iterator[State]:
    """A leaf: its conditions, its dimensions, its name. What needs all dimensions is asked at the end."""
    if pattern.constant and value.const is None:
        return
    if pattern.equals is not None and (value.const is None or value.const.size != 1 or value.const.item() != pattern.equals):
        return
    dims = dict(state.dims)
    if pattern.shape is not None:
        shape = value.shape
        if shape is None or len(shape) != len(pattern.shape):
            return
        for name, size in zip(pattern.shape, shape, strict=True):
            if isinstance(name, str) and (size is None or dims.setdefault(name, size) != size):
                return
    state = replace(state, dims=tuple(dims.items()), later=(*state.later, (pattern, value)))
    yield from bind(state, pattern.name, value)


def fits(pattern: Leaf, value: Value, dims: dict[str, Any]) -> bool:
    """Whether a value broadcasts into what `into` names."""
    if pattern.into is None:
        return True
    shape, target = value.shape, [dims.get(dim) if isinstance(dim, str) else dim for dim in pattern.into]
    if shape is None or len(shape) > len(target):
        return False
    return all(size == 1 or (size is not None and size == wanted) for size, wanted in zip(shape[::-1], target[::-1], strict=False))


def bind(state: State, name: str | None, held: object) -> Iterator[State]:
    """A name means one thing; two small constants with equal bytes are one thing too."""
    if name is None:
        yield state
        return
    bound = dict(state.bound)
    if name not in bound:
        yield replace(state, bound=(*state.bound, (name, held)))
        return
    first = bound[name]
    if canonical(first) == canonical(held):
        yield state
