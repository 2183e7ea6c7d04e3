"""Questions about the shape of patterns, which the checks, the compiler and the index ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import product as every_choice
from typing import TypeAlias, TypeVar

from graphopt.match.language import AnyOf, Call, Chain, Each, Leaf, Optional, Pattern, Rest

Root: TypeAlias = "Call | Chain"
T = TypeVar("T")


def parts(pattern: Pattern) -> tuple[Pattern, ...]:
    """The patterns directly inside a pattern; nested alternatives and nested chains of one operator count as one."""
    match pattern:
        case Call(inputs=inside):
            return inside
        case AnyOf(alternatives=inside):
            return tuple(one for part in inside for one in (parts(part) if isinstance(part, AnyOf) else (part,)))
        case Chain(op=op, operands=inside):
            return tuple(one for part in inside for one in (parts(part) if isinstance(part, Chain) and part.op == op else (part,)))
        case Optional(of=inner) | Each(of=inner):
            return (inner,)
    return ()


def walk(pattern: Pattern) -> Iterator[Pattern]:
    """A pattern and all patterns inside it, outer before inner, each once however often it stands there."""
    seen = set[int]()
    waiting = [pattern]
    while waiting:
        part = waiting.pop()
        if id(part) not in seen:
            seen.add(id(part))
            yield part
            waiting += reversed(parts(part))


def fold(pattern: Pattern, combine: Callable[[Pattern, list[T]], T]) -> T:
    """What `combine` makes of a pattern and of what it made of its parts; a part that stands there often is looked at once."""
    known: dict[int, T] = {}

    def of(part: Pattern) -> T:
        if id(part) not in known:
            known[id(part)] = combine(part, [of(inner) for inner in parts(part)])
        return known[id(part)]

    return of(pattern)


def calls(pattern: Pattern) -> Iterator[Call]:
    """Every call in a pattern."""
    return (part for part in walk(pattern) if isinstance(part, Call))


def size(pattern: Pattern) -> int:
    """How many nodes a pattern covers, one that is read twice counted twice; of alternatives the largest counts."""

    def combine(part: Pattern, inside: list[int]) -> int:
        own = 1 if isinstance(part, Call) else len(inside) - 1 if isinstance(part, Chain) else 0
        return max(inside) if isinstance(part, AnyOf) else own + sum(inside)

    return fold(pattern, combine)


def depth(pattern: Pattern) -> int:
    """How many nodes lie on the longest path through a pattern."""

    def combine(part: Pattern, inside: list[int]) -> int:
        own = 1 if isinstance(part, Call) else len(inside) - 1 if isinstance(part, Chain) else 0
        return own + max(inside, default=0)

    return fold(pattern, combine)


def operators(pattern: Pattern) -> dict[str, None]:
    """All operators that a pattern speaks of, in the order in which they stand."""
    return {part.op: None for part in walk(pattern) if isinstance(part, (Call, Chain))}


def needs(pattern: Pattern) -> frozenset[str]:
    """The operators without any of which nothing matches, whatever alternative is taken."""

    def combine(part: Pattern, inside: list[frozenset[str]]) -> frozenset[str]:
        if isinstance(part, AnyOf):
            return frozenset.intersection(*inside)
        return frozenset({part.op} if isinstance(part, (Call, Chain)) else ()).union(*inside)

    return fold(pattern, combine)


def variants(patterns: Sequence[Pattern]) -> list[tuple[Root, ...]]:
    """The roots with alternatives among them resolved, in the order in which they are tried."""
    choices = [parts(pattern) if isinstance(pattern, AnyOf) else (pattern,) for pattern in patterns]
    return [tuple(root for root in choice if isinstance(root, (Call, Chain))) for choice in every_choice(*choices)]


def openings(patterns: Sequence[Pattern]) -> list[list[tuple[Root, ...]]]:
    """The variants, those with the same first root together."""
    found: dict[int, list[tuple[Root, ...]]] = {}
    for roots in variants(patterns):
        found.setdefault(id(roots[0]), []).append(roots)
    return [*found.values()]


def feeders(root: Root) -> frozenset[str] | None:
    """Operators one of which must make some input of the root; None when any may. The narrowest such set is taken."""
    if isinstance(root, Chain) and len(parts(root)) > 2:
        return frozenset({root.op})
    wanted = [made_by(part) for part in parts(root)]
    return min((ops for ops in wanted if ops is not None), key=len, default=None)


def made_by(pattern: Pattern) -> frozenset[str] | None:
    """The operators that may make a value which matches; None when it may be anything, or absent."""
    match pattern:
        case Call(op=op) | Chain(op=op):
            return frozenset({op})
        case Each(of=inner):
            return made_by(inner)
        case AnyOf():
            wanted = [made_by(part) for part in parts(pattern)]
            return frozenset(op for ops in wanted if ops is not None for op in ops) if None not in wanted else None
    return None


def occurrences(roots: Sequence[Root]) -> Counter[object]:
    """How often each call (by its key) is read in these patterns: what feeds a call that stands twice is read once.

    Roots are not read by being roots.
    """
    counted: Counter[object] = Counter()

    def visit(pattern: Pattern) -> None:
        if isinstance(pattern, Call):
            counted[pattern.key] += 1
            if counted[pattern.key] > 1:
                return
        for part in parts(pattern):
            visit(part)

    for root in roots:
        visit(root)
    counted.subtract(root.key for root in roots if isinstance(root, Call))
    return counted


def staying(roots: Sequence[Root]) -> set[object]:
    """The keys of the calls that stay in the graph: `.kept()` ones, and what feeds them."""
    kept = {call.key for root in roots for call in calls(root) if call.is_kept}
    if not kept:
        return kept
    return {inner.key for root in roots for call in calls(root) if call.key in kept for inner in calls(call)}


def has_choice(pattern: Pattern, commutative: frozenset[str]) -> bool:
    """Whether there is more than one way in which a pattern could match at one place."""
    return any(
        isinstance(part, (AnyOf, Chain)) or (isinstance(part, Call) and commutes(part, commutative)) for part in walk(pattern)
    )


def commutes(call: Call, commutative: frozenset[str]) -> bool:
    """Whether the inputs of a call are tried in every order: all are listed, each is there, and the operator does not mind."""
    if call.op not in commutative or call.is_ordered or len(call.inputs) < 2:
        return False
    if any(isinstance(part, (Optional, Rest, Each)) for part in call.inputs):
        return False
    return any(part != call.inputs[0] or (isinstance(part, Leaf) and part.name is None) for part in call.inputs[1:])


def dims_of(pattern: Pattern) -> dict[str, None]:
    """The dimension names that `shape=` binds in a pattern, in the order in which they stand."""
    leaves = [part for part in walk(pattern) if isinstance(part, Leaf)]
    return {name: None for leaf in leaves for name in leaf.shape or () if isinstance(name, str)}
