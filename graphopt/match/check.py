"""What can be wrong with a rule before any graph is seen: told where the rule is defined, as a TypeError that names it and the cause."""

from __future__ import annotations

import keyword
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from graphopt.errors import nearest
from graphopt.match.language import AnyOf, AttributePattern, Call, Chain, Each, Leaf, Optional, Pattern, Rest
from graphopt.match.structure import calls, parts, variants

if TYPE_CHECKING:
    from graphopt.match.rule import Rule

MOST_OPERANDS = 6  # of a chain: six have 42 groupings of 720 orders each
Placed: TypeAlias = "tuple[Pattern, Each | None]"  # a part of a pattern, and the each(...) that it stands in
ATTRIBUTES = (bool, int, float, str, bytes, type(None))


def check_patterns(name: str, patterns: Sequence[Pattern]) -> None:
    """Whether the patterns of a rule make sense by themselves. Raises TypeError naming the rule and the cause."""

    def wrong(what: str) -> TypeError:
        return TypeError(f"the rule {name}: {what}")

    placed = [found for pattern in patterns for found in _placed(pattern)]
    for part, _ in placed:
        _check_part(part, wrong)
    _check_names(placed, wrong)
    _check_dims([part for part, _ in placed if isinstance(part, Leaf)], wrong)
    _check_keys(placed, wrong)
    for roots in variants(patterns):
        for i, root in enumerate(roots):
            if i and not _always_bound(root) & {found for other in roots[:i] for found in _always_bound(other)}:
                raise wrong(f"its root {root} shares no named value with the roots before it, so that it could only be found by a scan")
        keys = [root.key for root in roots if isinstance(root, Call)]
        if len(set(keys)) < len(keys):
            raise wrong("two of its roots are the same call: give one of them, and return a tuple with a value for each output")


def _check_part(part: Pattern, wrong: Callable[[str], TypeError]) -> None:
    inside = parts(part)
    match part:
        case Leaf():
            _check_leaf(part, wrong)
        case Chain(op=op):
            if not 2 <= len(inside) <= MOST_OPERANDS:
                raise wrong(f"a chain of {op} has 2 to {MOST_OPERANDS} operands, not {len(inside)}")
        case AnyOf():
            if len(inside) < 2:
                raise wrong(f"{part} has one alternative only")
        case Call():
            if part.output < 0:
                raise wrong(f"output {part.output} of {part} is no output")
            if any(isinstance(operand, (Rest, Each)) for operand in inside[:-1]):
                raise wrong(f"rest(...) and each(...) take all further inputs, so that nothing may follow them in {part}")
            for key, value in part.attributes:
                _check_attribute(part, key, value, wrong)
    if not isinstance(part, Call) and any(isinstance(operand, (Optional, Rest, Each)) for operand in inside):
        raise wrong(f"opt(...), rest(...) and each(...) are inputs of a call; they cannot stand in {part}")


def _check_leaf(leaf: Leaf, wrong: Callable[[str], TypeError]) -> None:
    if isinstance(leaf.equals, float) and math.isnan(leaf.equals):
        raise wrong("nothing equals a NaN; use const(where=...)")
    shape: tuple[object, ...] = leaf.shape or ()
    if shape.count(...) > 1:
        raise wrong(f"the shape of {leaf} has more than one ...")
    if leaf.shape is not None and leaf.rank is not None:
        fixed = len(shape) - shape.count(...)
        if leaf.rank < fixed or (leaf.rank > fixed and ... not in shape):
            raise wrong(f"{leaf} cannot have both rank {leaf.rank} and the shape {shape}")
    into: tuple[object, ...] = leaf.into or ()
    for dim in (*(dim for dim in shape if dim is not None and dim is not ...), *into):
        is_name = isinstance(dim, str) and dim.isidentifier()
        is_size = isinstance(dim, int) and not isinstance(dim, bool) and dim >= 0
        if not is_name and not is_size:
            also = "" if dim in into else ", None or ..."
            raise wrong(f"{dim!r} in the shape of {leaf} is no dimension: give a name, a number{also}")


def _check_attribute(call: Call, key: str, value: Any, wrong: Callable[[str], TypeError]) -> None:  # Any: an attribute may hold any kind
    if isinstance(value, AttributePattern) or callable(value):
        return
    items = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(item, ATTRIBUTES) for item in items):
        what = "give a number, a str, a list of them, attr(...) or a predicate"
        raise wrong(f"{key}={value!r} of {call.op} is no attribute to compare with: {what}")
    if any(isinstance(item, float) and math.isnan(item) for item in items):
        raise wrong(f"{key} of {call.op}: nothing equals a NaN; use a predicate")


def _check_names(placed: Iterable[Placed], wrong: Callable[[str], TypeError]) -> None:
    """A name must be able to be a parameter, and name one kind of thing."""
    kinds: dict[str, str] = {}
    for part, each in placed:
        for name, kind in _named(part, "" if each is None else f" inside {each}"):
            if not name.isidentifier() or keyword.iskeyword(name):
                raise wrong(f"{name!r} cannot be the name of a parameter")
            if kinds.setdefault(name, kind) != kind:
                raise wrong(f"{name!r} names both {kinds[name]} and {kind}")


def _named(part: Pattern, around: str) -> Iterator[tuple[str, str]]:
    if isinstance(part, Leaf) and part.name is not None:
        yield part.name, f"a value{around}"
    elif isinstance(part, Rest):
        yield part.name, "further inputs"
    elif isinstance(part, Call):
        if part.name is not None:
            yield part.name, f"a node{around}"
        for _, value in part.attributes:
            if isinstance(value, AttributePattern):
                yield value.name, f"an attribute{around}"


def _placed(pattern: Pattern) -> Iterator[Placed]:
    """Every part of a pattern, once for each `each(...)` that it stands in, the innermost one; None outside of any."""
    seen = set[tuple[int, int]]()
    waiting: list[Placed] = [(pattern, None)]
    while waiting:
        part, each = waiting.pop()
        if (place := (id(part), id(each))) not in seen:
            seen.add(place)
            yield part, each
            inside = part if isinstance(part, Each) else each
            waiting += ((inner, inside) for inner in reversed(parts(part)))


def _check_dims(leaves: Sequence[Leaf], wrong: Callable[[str], TypeError]) -> None:
    bound = {name for leaf in leaves for name in leaf.shape or () if isinstance(name, str)}
    for leaf in leaves:
        for dim in leaf.into or ():
            if isinstance(dim, str) and dim not in bound:
                raise wrong(f"into= of {leaf} names the dimension {dim!r}, which no shape= in the rule binds")


def _check_keys(placed: Iterable[Placed], wrong: Callable[[str], TypeError]) -> None:
    """A call inside each(...) stands for many nodes, so that it cannot be the one node that stands elsewhere."""
    where: dict[object, Each | None] = {}
    for part, each in placed:
        if isinstance(part, Call) and where.setdefault(part.key, each) is not each:
            raise wrong(f"{part} stands inside each(...) and outside of it")


def _always_bound(pattern: Pattern) -> set[object]:
    """The names of values and the keys of calls that every match of a pattern binds."""
    found: set[object] = set()
    match pattern:
        case Leaf(name=str(name)):
            found.add(name)
        case AnyOf() | Optional() | Each():
            return found
        case Call():
            found.add(pattern.key)
    for part in parts(pattern):
        found |= _always_bound(part)
    return found


def check_operators(rule: Rule) -> None:
    """Whether operators, inputs, outputs and attributes are such as onnx knows, where it knows the operator. Raises TypeError.

    Asked when a rule is first used: it loads onnx.
    """
    from graphopt.schema import facts

    for call in [call for pattern in rule.patterns for call in calls(pattern)]:
        known = facts.newest(call.domain, call.op_type)
        if known is None:
            if not call.domain:
                raise TypeError(f"the rule {rule.name}: onnx has no operator {call.op_type}")
            continue
        listed = [part for part in call.inputs if not isinstance(part, (Rest, Each))]
        if len(listed) > known.max_inputs:
            raise TypeError(f"the rule {rule.name}: {call} lists {len(listed)} inputs, {call.op} has at most {known.max_inputs}")
        if call.output >= known.max_outputs:
            raise TypeError(f"the rule {rule.name}: {call} is output {call.output}, {call.op} has {known.max_outputs}")
        for key, _ in call.attributes:
            if key not in known.attributes:
                where = "" if key not in known.input_names else f"; the newest opset has {key!r} as input {known.input_names.index(key)}"
                raise TypeError(f"the rule {rule.name}: {call.op} has no attribute {key!r}{where or nearest(key, known.attributes)}")
