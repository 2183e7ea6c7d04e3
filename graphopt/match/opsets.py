"""At which opsets a rule can apply: what its author says, and what its operators allow."""

from __future__ import annotations

from graphopt.match.language import AnyOf, Call, Chain, Pattern
from graphopt.match.rule import Rule
from graphopt.match.structure import parts
from graphopt.schema import facts
from graphopt.schema.history import last_opset, versions
from graphopt.schema.versions import OLDEST


def opsets_of(rule: Rule) -> tuple[int, int | None]:
    """The first and the last opset of the default domain, both included; None for the last where it is the newest there is."""
    first = max([OLDEST, rule.since, *map(_first, rule.patterns)])
    last = min([facts.newest_opset(), *([rule.until] if rule.until is not None else []), *map(_last, rule.patterns)])
    return first, None if last == facts.newest_opset() else last


def _first(pattern: Pattern) -> int:
    """The oldest opset that has the operators of a pattern; of alternatives one must be there."""
    inside = [_first(part) for part in parts(pattern)]
    if isinstance(pattern, AnyOf):
        return min(inside)
    return max([OLDEST, *inside, *(min(versions(*known), default=OLDEST) for known in _operators(pattern))])


def _last(pattern: Pattern) -> int:
    inside = [_last(part) for part in parts(pattern)]
    if isinstance(pattern, AnyOf):
        return max(inside)
    return min([facts.newest_opset(), *inside, *(last_opset(*known) for known in _operators(pattern))])


def _operators(pattern: Pattern) -> list[tuple[str, str]]:
    if isinstance(pattern, Call):
        return [(pattern.domain, pattern.op_type)]
    return [("", pattern.op)] if isinstance(pattern, Chain) else []
