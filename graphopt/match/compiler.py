"""Makes a rule run: its patterns become one readable Python function.

A test is `continue`, a choice is a `for`, success is `return`: falling off a loop is running out of alternatives, so that
backtracking needs no stack, no copies and no undo. What Python cannot nest (alternatives that bind different names) becomes a
generator of its own. `source_of` shows the text.

>>> print(source_of(matmul_add_to_gemm))               # doctest: +SKIP
def match_matmul_add_to_gemm(node, attempt):
    # Add(MatMul(x, w), c)
    for _ in ONCE:
        if node.op != 'Add': continue
        ...
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar, final

from graphopt.ir.graph import Node
from graphopt.match import conditions, reasons
from graphopt.match.calls import CallWriter
from graphopt.match.check import check_operators
from graphopt.match.language import AnyOf, Call, Chain, Leaf, Pattern
from graphopt.match.rule import Rule, bound_names
from graphopt.match.structure import Root, dims_of, openings, parts, variants
from graphopt.match.writer import Note, Writer, row
from graphopt.schema.spelling import UNKNOWN, has_neutral_form, neutral_attribute, neutral_inputs

T = TypeVar("T")
Attempt: TypeAlias = "Callable[[tuple[Node, ...], tuple[Node, ...], dict[str, Any]], T | None]"  # Any: what a pattern binds
Matcher: TypeAlias = "Callable[[Node, Attempt[T]], T | None]"

_HELPERS: dict[str, Any] = {
    **{
        name: getattr(conditions, name)
        for name in (
            "ONCE", "UNBOUND", "broadcasts_into", "every", "groupings", "has_count", "is_closed", "is_near_attribute", "is_number",
            "is_private", "is_same", "is_same_attribute", "picks", "readers",
        )
    },
    "UNKNOWN": UNKNOWN,
    "has_neutral_form": has_neutral_form,
    "neutral_attribute": neutral_attribute,
    "neutral_inputs": neutral_inputs,
}  # fmt: skip
_RESERVED = ("node", "attempt", "graph", "result", "note", "element", *_HELPERS)


def compile_rule(rule: Rule, note: Note | None = None, opening: int | None = None) -> Matcher[Any]:
    """The rule's matcher: `matcher(node, attempt)`, for a node that may be the first root.

    It calls `attempt(roots, nodes, bindings)` for each complete match: one node for each pattern, all matched nodes, and what the names
    are bound to (values, nodes, attributes, tuples of them, None). What that returns ends the search unless it is None. With `note`
    each failing test is told: `note(step, reason, *what it looked at)`; without, the function is made once and kept. `opening` asks
    for one alternative of the first root only, by its place among them.
    """
    known: Matcher[Any] | None = rule.compiled.get(opening)
    if note is None and known is not None:
        return known
    if not rule.compiled:
        check_operators(rule)
    writer = _RuleWriter(rule, note is not None)
    source = writer.rule(opening)
    name = _function_name(rule)
    namespace = {**_HELPERS, **writer.writer.namespace, "note": note}
    try:
        exec(compile(source, f"<rule {rule.name}>", "exec"), namespace)
    except SyntaxError as error:
        raise TypeError(f"the rule {rule.name}: its pattern has too many choices to compile ({error.msg}); split the rule") from error
    matcher: Matcher[Any] = namespace[name]
    if note is None:
        rule.compiled[opening] = matcher
    return matcher


def source_of(rule: Rule) -> str:
    """The source of the rule's matcher, to read."""
    check_operators(rule)
    return _RuleWriter(rule, explains=False).rule(None)


def _function_name(rule: Rule) -> str:
    return "match_" + re.sub(r"\W", "_", rule.name)


@final
class _RuleWriter:
    """Writes the matcher of one rule."""

    def __init__(self, rule: Rule, explains: bool) -> None:
        self.of_rule = rule
        self.names = list(dict.fromkeys(name for pattern in rule.patterns for name in bound_names(pattern)))
        dims = dict.fromkeys(name for pattern in rule.patterns for name in dims_of(pattern))
        self.writer = writer = Writer(explains, (*_RESERVED, _function_name(rule)))
        values = {name: writer.variable(name) for name in self.names}
        self.calls = CallWriter(rule, writer, values, {name: writer.variable(name) for name in dims})

    def rule(self, opening: int | None) -> str:
        """The whole source: one block for each choice of root alternatives, or for those with one first root."""
        writer, name = self.writer, _function_name(self.of_rule)
        patterns = self.of_rule.patterns
        for roots in variants(patterns) if opening is None else openings(patterns)[opening]:
            writer.indent, writer.loops, writer.step = 1, 0, 0
            self.calls.start(roots)
            writer.put(f"# {'; '.join(map(str, roots))}")
            writer.loop("for _ in ONCE:")
            self.match(roots)
        writer.indent = 1
        writer.put("return None")
        return writer.source(name, "node, attempt")

    def match(self, roots: Sequence[Root]) -> None:
        """All roots, then what can only be asked at the end, then the attempt."""
        writer, calls, first, dtype = self.writer, self.calls, roots[0], self.of_rule.dtype
        calls.scope.visible["node"] = None
        writer.fail_if(f"node.op != {first.op!r}", first, reasons.other_root(first.op), "node")
        calls.assign("graph", "node.graph")
        self.root(first, "node")
        output = self.output_of(first, "node")
        if dtype is not None:
            wanted = writer.constant("DTYPES", dtype)
            writer.fail_if(f"{output}.dtype not in {wanted}", first, reasons.other_dtype("what it makes", dtype), output)
        variables = ["node"]
        for root in roots[1:]:
            variables.append(self.further_root(root, variables))
        calls.ask_pending(end=True, last=True)
        self.closed(first, variables)
        bindings = [f"{name!r}: {self.bound(name)}" for name in self.names]
        writer.put(f"result = attempt({row(variables)}, {calls.all_nodes()}, {{{', '.join(bindings)}}})")
        writer.put("if result is not None: return result")

    def bound(self, name: str) -> str:
        """What a name stands for at the end."""
        calls, variable = self.calls, self.calls.value_names[name]
        held = calls.held(variable)
        return f"None if {held} is UNBOUND else {held}" if variable in calls.may_be_none and variable in calls.scope.perhaps else held

    def root(self, root: Root, variable: str) -> None:
        """The pattern of a root, whose operator is right."""
        calls = self.calls
        calls.scope.nodes[variable] = None
        if isinstance(root, Chain):
            calls.chain_body(root, variable, stays=False)
            return
        calls.keys.node[root.key] = variable
        calls.know(variable)
        calls.call_body(root, variable, root.key in calls.keys.stays)

    def output_of(self, root: Pattern, variable: str) -> str:
        """The output that a pattern stands for, which must exist."""
        index = root.output if isinstance(root, Call) else 0
        if index:
            self.writer.fail_if(f"len({variable}.outputs) <= {index}", root, reasons.no_output(index), variable)
        return f"{variable}.outputs[{index}]"

    def further_root(self, root: Root, before: list[str]) -> str:
        """Reach the next root through the readers of a value that is bound, never by a scan."""
        writer, calls = self.writer, self.calls
        known = calls.keys.node.get(root.key) if isinstance(root, Call) else None
        if known is not None and known in calls.scope.known:
            known = calls.scope.at(known)
            writer.fail_if(f"{known}.graph is not graph", root, reasons.other_graph, known)
            self.output_of(root, known)
            return known
        distance, _, via = min(self.ways(root), key=lambda way: way[:2])
        value = self.value_of(via)
        variable = writer.fresh("n")
        writer.remark(root, reasons.no_further_root(root.op), value)
        writer.loop(f"for {variable} in {f'readers({value}, {distance}, graph)' if distance > 1 else f'{value}.users'}:")
        calls.scope.visible[variable] = None
        others = " or ".join(f"{variable} is {other}" for other in before)
        writer.put(f"if {variable}.op != {root.op!r} or {variable}.graph is not graph or {others}: continue")
        self.root(root, variable)
        self.output_of(root, variable)
        return variable

    def value_of(self, via: Leaf | Call) -> str:
        """The value of a leaf or a call that is bound."""
        calls = self.calls
        if isinstance(via, Call):
            return self.output_of(via, calls.scope.at(calls.keys.node[via.key]))
        return calls.scope.at(calls.value_names[via.name or ""])

    def ways(self, pattern: Pattern, distance: int = 0) -> list[tuple[int, int, Leaf | Call]]:
        """How a root can be reached from what is bound: over how many nodes, how many readers the value may have, what it is."""
        scope, found = self.calls.scope, list[tuple[int, int, Leaf | Call]]()
        below = distance + (1 if isinstance(pattern, Call) else len(parts(pattern)) - 1 if isinstance(pattern, Chain) else 0)
        for part in parts(pattern) if not isinstance(pattern, AnyOf) else ():
            name = self.calls.value_names[part.name] if isinstance(part, Leaf) and part.name is not None else ""
            if isinstance(part, Leaf) and name in scope.known and name not in self.calls.may_be_none:
                found.append((below, 2 if part.constant else 1, part))
            elif isinstance(part, Call) and self.calls.keys.node.get(part.key) in scope.known:
                found.append((below, 0, part))
            found += self.ways(part, below)
        return found

    def closed(self, first: Root, roots: list[str]) -> None:
        """The laws that only a whole match can break: calls that the pattern reads several times, roots inside other roots."""
        calls, scope = self.calls, self.calls.scope
        shared = [key for key, variable in calls.keys.node.items() if calls.keys.is_shared(key) and scope.holds(variable)]
        if shared:
            calls.closed(shared)
        below = calls.listed([node for node in scope.nodes if scope.at(node) not in roots])
        for root in roots if len(roots) > 1 and below != "()" else ():
            self.writer.fail_if(f"{root} in {below}", first, reasons.root_inside, root)
