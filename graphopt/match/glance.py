"""Whether a pattern may match at a node, told at a glance: what decides whether its matcher is worth writing and compiling."""

from __future__ import annotations

from typing import Any, final

from graphopt.ir.graph import Node, Value
from graphopt.match.compiler import Attempt, Matcher, T, compile_rule
from graphopt.match.conditions import is_near_attribute, is_number
from graphopt.match.language import AnyOf, AttributePattern, Call, Chain, Each, Leaf, Optional, Pattern, Rest
from graphopt.match.rule import Rule
from graphopt.match.structure import Root, commutes, made_by
from graphopt.schema.spelling import has_neutral_form, may_lack_neutral_form, neutral_attribute, respells_inputs
from graphopt.schema.traits import COMMUTATIVE

PATIENCE = 100  # glances that cost about as much as one compilation


@final
class GlancingMatcher:
    """A rule's matcher for one opening, which is compiled when a node may match, or when as much was spent on finding that none does."""

    __slots__ = ("_glances", "_matcher", "_opening", "_root", "_rule")

    def __init__(self, rule: Rule, opening: int, root: Root) -> None:
        self._rule, self._opening, self._root = rule, opening, root
        self._matcher: Matcher[Any] | None = None
        self._glances = 0

    def __call__(self, node: Node, attempt: Attempt[T]) -> T | None:
        """What the compiled matcher says; nothing where a glance tells that it would find no match."""
        if self._matcher is None:
            self._matcher = self._rule.compiled.get(self._opening)
            if self._matcher is None:
                self._glances += 1
                if self._glances <= PATIENCE and not may_match(self._root, node):
                    return None
                self._matcher = compile_rule(self._rule, opening=self._opening)
        found: T | None = self._matcher(node, attempt)
        return found


def may_match(root: Root, node: Node) -> bool:
    """False only where nothing matches: an operator, a constant or an element type is not what the pattern wants."""
    if node.op != root.op:
        return False
    return isinstance(root, Chain) or _may_be(root, node)


def _may_be(call: Call, node: Node) -> bool:
    """Whether a node of the right operator may match a call."""
    inputs, parts = node.inputs, call.inputs
    if may_lack_neutral_form(call.op) and not has_neutral_form(node):
        return False
    if any(_is_plain(wanted) and not is_near_attribute(neutral_attribute(node, name), wanted) for name, wanted in call.attributes):
        return False
    if respells_inputs(call.op):  # some inputs of the pattern may be attributes of the node
        return all(any(_may_make(part, value) for value in inputs) for part in parts if made_by(part) is not None)
    if len(inputs) > len(parts) and not (parts and isinstance(parts[-1], (Rest, Each))) and any(inputs[len(parts) :]):
        return False
    if commutes(call, COMMUTATIVE):
        return all(any(_may_make(part, value) for value in inputs) for part in parts)
    for index, part in enumerate(parts):
        if not isinstance(part, (Optional, Rest, Each)) and not (index < len(inputs) and _may_make(part, inputs[index])):
            return False
    return True


def _is_plain(wanted: object) -> bool:
    return not isinstance(wanted, AttributePattern) and not callable(wanted)


def _may_make(pattern: Pattern, value: Value | None) -> bool:
    """Whether a value that is there may match."""
    if value is None:
        return False
    match pattern:
        case Leaf(dtype=dtype, constant=constant, equals=literal):
            if (constant and value.const is None) or (dtype is not None and value.dtype not in dtype):
                return False
            return literal is None or is_number(value, literal)
        case Call():
            node = value.producer
            return node is not None and node.op == pattern.op and value.index == pattern.output and _may_be(pattern, node)
        case Chain(op=op):
            return value.producer is not None and value.producer.op == op
        case AnyOf(alternatives=alternatives):
            return any(_may_make(one, value) for one in alternatives)
    return True
