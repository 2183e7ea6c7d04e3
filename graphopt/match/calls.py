"""The part of the compiler that follows the graph: calls, the orders of their inputs, chains, alternatives, many inputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import final

from graphopt.match import reasons
from graphopt.match.language import AnyOf, Call, Chain, Each, Leaf, Optional, Pattern, Rest
from graphopt.match.leaves import LeafWriter, Pending
from graphopt.match.rule import Rule, bound_names
from graphopt.match.structure import Root, commutes, dims_of, has_choice, made_by, occurrences, parts, staying
from graphopt.match.writer import Scope, Writer, row
from graphopt.schema.spelling import may_lack_neutral_form, respells_inputs
from graphopt.schema.traits import COMMUTATIVE

LOOPS = 8  # Python nests at most 20 loops; a call with choices that stands deeper than this gets a function of its own


@final
@dataclass(slots=True)
class Keys:
    """The calls of one set of roots, by their keys: how often each is read, which stay in the graph, which are roots, their nodes."""

    read: dict[object, int] = field(default_factory=dict)
    stays: set[object] = field(default_factory=set)
    roots: set[object] = field(default_factory=set)
    node: dict[object, str] = field(default_factory=dict)

    @classmethod
    def of(cls, roots: Sequence[Root]) -> Keys:
        return cls(dict(occurrences(roots)), staying(roots), {root.key for root in roots if isinstance(root, Call)})

    def is_shared(self, key: object) -> bool:
        """Whether the single-reader law of a call can only be checked when all that reads it is known."""
        return self.read.get(key, 0) > 1 and key not in self.stays and key not in self.roots


def _ease(pattern: Pattern) -> int:
    if made_by(pattern) is not None:
        return 0
    return 1 if not isinstance(pattern, Leaf) else 2 if pattern.constant else 3


@final
class CallWriter(LeafWriter):
    """Writes the tests of calls."""

    def __init__(self, rule: Rule, writer: Writer, value_names: dict[str, str], dim_names: dict[str, str]) -> None:
        super().__init__(rule, writer, value_names, dim_names)
        self.keys = Keys()

    def start(self, roots: Sequence[Root]) -> None:
        """Forget what was known: these roots are matched anew."""
        self.scope, self.pending, self.keys = Scope(), [], Keys.of(roots)

    def closed(self, shared: Iterable[object]) -> None:
        """The single-reader law for calls that the pattern reads several times: all readers are matched."""
        nodes = self.writer.fresh("nodes")
        self.assign(nodes, self.all_nodes())
        for key in shared:
            variable = self.keys.node[key]
            node, count = self.scope.at(variable), self.scope.count(variable)
            absent = f"{node} is not None and " if variable in self.scope.perhaps else ""
            test = f"{absent}not is_closed({node}, {nodes}, {count}, graph)"
            self.writer.fail_if(test, "the whole pattern", reasons.not_closed, node, "graph")

    def all_nodes(self) -> str:
        listed = self.listed(self.scope.nodes)
        return f"tuple(filter(None, {listed}))" if any(node in self.scope.perhaps for node in self.scope.nodes) else listed

    def listed(self, nodes: Iterable[str]) -> str:
        """A display of nodes; `*nodes` that an alternative may not have bound count as none."""
        scope = self.scope
        several = {node: f"*({node[1:]} or ())" for node in nodes if node[0] == "*" and node[1:] in scope.perhaps}
        return row(several.get(node, scope.at(node)) for node in nodes)

    # ---- what makes a value

    def operand(self, pattern: Pattern, value: str, stays: bool, *, apart: bool = False) -> None:
        """A pattern for the value in variable `value`, which is not None. `stays`: what reads it stays in the graph."""
        if isinstance(pattern, (Call, Chain)) and self.writer.loops >= LOOPS and not apart and has_choice(pattern, COMMUTATIVE):
            self.either((pattern,), value, stays)
            return
        match pattern:
            case Leaf():
                self.leaf(pattern, value)
            case Call():
                self.call(pattern, value, stays)
            case Chain():
                self.chain(pattern, value, stays)
            case AnyOf():
                self.either(parts(pattern), value, stays)

    def call(self, call: Call, value: str, stays: bool) -> None:
        writer, scope = self.writer, self.scope
        variable = self.keys.node.get(call.key) or writer.fresh("n")
        self.keys.node[call.key] = variable
        if self.keys.is_shared(call.key):
            scope.read(variable)
        if variable in scope.known:
            known = scope.at(variable)
            writer.fail_if(f"{value}.producer is not {known} or {value}.index != {call.output}", call, reasons.other_node, value, known)
            self.name_node(call, known)
            return
        here = writer.fresh("n") if variable in scope.perhaps else variable
        self.assign(here, f"{value}.producer")
        test = f"{here} is None or {here}.op != {call.op!r} or {value}.index != {call.output}"
        writer.fail_if(test, call, reasons.other_producer(call), value)
        if here != variable:
            known = scope.at(variable)
            writer.fail_if(f"{known} is not None and {known} is not {here}", call, reasons.other_node, value, known)
            scope.moved[variable] = here
        stays = stays or call.key in self.keys.stays
        if not stays and self.keys.read.get(call.key, 0) == 1 and call.key not in self.keys.roots:
            writer.fail_if(f"not is_private({value}, graph)", call, reasons.not_private, value, "graph")
        self.know(variable)
        scope.nodes[variable] = None
        self.call_body(call, here, stays)

    def name_node(self, call: Call, variable: str) -> None:
        name = self.value_names[call.name] if call.name is not None else None
        if name is None or name in self.scope.known:
            return
        if self.scope.holds(name):
            self.move(name, variable)
        else:
            self.assign(name, variable)
            self.know(name)

    def call_body(self, call: Call, node: str, stays: bool) -> None:
        """The attributes and inputs of a node whose operator is right."""
        writer = self.writer
        self.name_node(call, node)
        if may_lack_neutral_form(call.op):
            writer.fail_if(f"not has_neutral_form({node})", call, reasons.no_neutral_form, node)
        for name, wanted in call.attributes:
            self.attribute(call, node, name, wanted)
        inputs = writer.fresh("inputs")
        self.assign(inputs, f"neutral_inputs({node})" if respells_inputs(call.op) else f"{node}.inputs")
        self.count(call, node, inputs)
        if commutes(call, COMMUTATIVE):
            self.any_order(call.inputs, call, inputs, stays)
        else:
            self.in_order(call, node, inputs, stays)

    def count(self, call: Call, node: str, inputs: str) -> None:
        """Inputs that are listed must be there, others must not."""
        low = max((i + 1 for i, part in enumerate(call.inputs) if not isinstance(part, (Optional, Rest))), default=0)
        high = None if call.inputs and isinstance(call.inputs[-1], (Rest, Each)) else len(call.inputs)
        quick = f"len({inputs}) != {high} and " if low == high else ""
        self.writer.fail_if(f"{quick}not has_count({inputs}, {low}, {high})", call, reasons.other_inputs(low, high, call), node, inputs)

    def any_order(self, operands: Sequence[Pattern], call: Call, inputs: str, stays: bool) -> None:
        if len(operands) > 2:
            terms = self.writer.fresh("terms")
            self.assign(terms, f"{inputs}[:{len(operands)}]")
            self.pick(operands, terms, stays)
            return
        one, two = (self.slot(part) for part in operands)
        self.writer.loop(f"for {one}, {two} in (({inputs}[0], {inputs}[1]), ({inputs}[1], {inputs}[0])):")
        self.writer.fail_if(f"{one} is None or {two} is None", call, lambda: f"an input of the {call.op} is absent")
        for part, variable in self.hardest_first([*zip(operands, (one, two), strict=True)]):
            self.operand(part, variable, stays)

    def in_order(self, call: Call, node: str, inputs: str, stays: bool) -> None:
        slots: list[tuple[Pattern, str]] = []
        last: list[tuple[Pattern, int]] = []
        for index, part in enumerate(call.inputs):
            if isinstance(part, (Optional, Rest, Each)):
                last.append((part, index))
                continue
            variable = self.slot(part)
            self.assign(variable, f"{inputs}[{index}]")
            self.writer.fail_if(f"{variable} is None", call, reasons.absent(f"input {index}"), node)
            slots.append((part, variable))
        for part, variable in self.hardest_first(slots):
            self.operand(part, variable, stays)
        for part, index in last:
            match part:
                case Optional():
                    self.optional(part, inputs, index)
                case Rest():
                    self.rest(part, inputs, index)
                case Each():
                    self.each(part, node, inputs, index, stays)

    def slot(self, part: Pattern) -> str:
        """The variable that an input is about to be put in: the leaf's own where the name is not bound yet, so that the source reads
        like the pattern."""
        if isinstance(part, Leaf) and part.name is not None and not self.scope.holds(self.value_names[part.name]):
            variable = self.value_names[part.name]
            self.know(variable)
        else:
            variable = self.writer.fresh("v")
        self.scope.visible[variable] = None
        return variable

    def hardest_first(self, slots: list[tuple[Pattern, str]]) -> list[tuple[Pattern, str]]:
        """Operators before constants before anything: what fails soonest comes first, and binds dimensions for what follows."""
        return sorted(slots, key=lambda slot: _ease(slot[0]))

    # ---- chains

    def chain(self, chain: Chain, value: str, stays: bool) -> None:
        node = self.writer.fresh("n")
        self.assign(node, f"{value}.producer")
        call = Call(chain.op, chain.operands)
        self.writer.fail_if(f"{node} is None or {node}.op != {chain.op!r}", chain, reasons.other_producer(call), value)
        if not stays:
            self.writer.fail_if(f"not is_private({value}, graph)", chain, reasons.not_private, value, "graph")
        self.know(node)
        self.scope.nodes[node] = None
        self.chain_body(chain, node, stays)

    def chain_body(self, chain: Chain, node: str, stays: bool) -> None:
        operands = parts(chain)
        terms, inner = self.writer.fresh("terms"), self.writer.fresh("inner")
        self.writer.remark(chain, reasons.no_grouping(chain), node)
        self.writer.loop(f"for {terms}, {inner} in groupings({node}, {len(operands)}, {stays}):")
        self.scope.visible.update({terms: None, inner: None})
        self.know(inner)
        self.scope.nodes[f"*{inner}"] = None
        self.pick(operands, terms, stays)

    def pick(self, operands: Sequence[Pattern], terms: str, stays: bool) -> None:
        """Each operand takes one of the terms that are left, the hardest to please first."""
        listed = self.hardest_first([(part, "") for part in operands])
        for i, (part, _) in enumerate(listed):
            variable = self.slot(part)
            if i == len(listed) - 1:
                self.assign(variable, f"{terms}[0]")
            else:
                others = self.writer.fresh("terms")
                self.writer.loop(f"for {variable}, {others} in picks({terms}):")
                self.scope.visible[others] = None
                terms = others
            self.writer.fail_if(f"{variable} is None", part, lambda: "an input is absent")
            self.operand(part, variable, stays)

    # ---- functions of their own

    def either(self, alternatives: Sequence[Pattern], value: str, stays: bool) -> None:
        """Alternatives: a generator that yields what each way of matching binds."""
        writer, start, pending = self.writer, self.scope, self.pending
        name, step, deepest = writer.fresh("either"), writer.step, writer.step
        ends: list[tuple[Scope, int, int]] = []
        waiting: list[Pending] = []
        with writer.captured() as body:
            for alternative in alternatives:
                self.scope, self.pending, writer.indent, writer.step = start.copy(), [], 1, step
                writer.put(f"# {alternative}")
                writer.loop("for _ in ONCE:")
                self.operand(alternative, value, stays, apart=True)
                waiting += self.postponed()
                ends.append((self.scope, len(body), writer.indent))
                deepest = max(deepest, writer.step)
            scopes = [scope for scope, _, _ in ends]
            counts = self.differing_counts(scopes, start)
            bound = dict.fromkeys(variable for scope in scopes for variable in (*scope.known, *scope.perhaps))
            made = [variable for variable in bound if variable not in start.visible or variable in start.perhaps]
            for scope, line, indent in reversed(ends):
                held = [scope.at(variable) if scope.holds(variable) else self.unbound(variable) for variable in made]
                body.insert(line, f"{'    ' * indent}yield {row([*held, *(scope.count(node, start) for node in counts)])}")
        self.scope, self.pending, writer.step = start, [*pending, *waiting], deepest
        outer = writer.function(name, [value], start.visible, body)
        into = [writer.fresh(f"{variable}_") if start.holds(variable) else variable for variable in made]
        targets = row([*into, *counts.values()])
        writer.loop(f"for {targets if targets != '()' else '_'} in {name}({', '.join([value, *outer])}):")
        self.merge(scopes, dict(zip(made, into, strict=True)))
        for node in {node: None for scope in scopes for node in scope.reads}:
            reads = scopes[0].reads.get(node, ())
            start.reads[node] = (*start.reads.get(node, ()), counts[node]) if node in counts else reads

    def differing_counts(self, scopes: list[Scope], start: Scope) -> dict[str, str]:
        """The nodes that some alternatives read more often than others, each with a variable for how often it was."""
        nodes = {node: None for scope in scopes for node in scope.reads}
        counts = {node: self.writer.fresh("reads") for node in nodes if len({scope.count(node, start) for scope in scopes}) > 1}
        start.visible.update(dict.fromkeys(counts.values()))
        return counts

    def postponed(self) -> list[Pending]:
        """At the end of an alternative: ask what can be asked; what must wait is asked later, if this alternative was taken."""
        self.ask_pending(end=True)
        waiting = []
        for test in self.pending:
            taken = self.writer.fresh("taken")
            self.assign(taken, "True")
            for variable in (taken, test.value):
                self.know(variable)
            waiting.append(replace(test, guards=(taken, *test.guards)))
        return waiting

    def merge(self, scopes: list[Scope], made: dict[str, str]) -> None:
        """After alternatives: what all bind is known, what some bind is known perhaps. `made` says where it is now."""
        for variable, here in made.items():
            self.scope.visible[here] = None
            if here != variable:
                self.scope.moved[variable] = here
            if all(variable in scope.known for scope in scopes):
                self.know(variable)
            else:
                self.scope.perhaps[variable] = None
        for scope in scopes:
            for node in scope.nodes:
                self.scope.nodes.setdefault(node)

    def each(self, each: Each, node: str, inputs: str, index: int, stays: bool) -> None:
        """Further inputs: a function that matches one of them."""
        writer, start, pending, outside = self.writer, self.scope, self.pending, set(self.keys.node)
        name = writer.fresh("each")
        dims = [self.dim_names[dim] for dim in dims_of(each.of) if self.dim_names[dim] not in start.known]
        names = [self.value_names[bound] for bound in bound_names(each.of)]
        with writer.captured() as body:
            self.scope, self.pending = start.copy(), []
            self.element(each, dims, names, stays, outside)
        inside, self.scope, self.pending = self.scope, start, pending
        outer = writer.function(name, ["element", *dims], start.visible, body)
        found, nodes, into = writer.fresh("found"), writer.fresh("nodes"), [writer.fresh(f"{dim}_") for dim in dims]
        given = row(start.at(dim) if start.holds(dim) else "None" for dim in dims)
        self.assign(found, f"every({name}, {inputs}[{index}:], {given}, {row(outer)})")
        writer.fail_if(f"{found} is None", each, reasons.too_few(each), node)
        writer.put(f"{row(into) if dims else '_'}, {row(names) if names else '_'}, {nodes} = {found}")
        for dim, here in zip(dims, into, strict=True):
            start.moved[dim] = here
            if dim in inside.known:
                self.know(dim)
            else:
                start.perhaps[dim] = None
        for variable in (*names, nodes):
            self.know(variable)
        start.visible.update(dict.fromkeys([*into, *names, nodes]))
        start.nodes[f"*{nodes}"] = None
        for key in set(self.keys.node) - outside:
            del self.keys.node[key]

    def element(self, each: Each, dims: list[str], names: list[str], stays: bool, outside: set[object]) -> None:
        """The body of the function that matches one of further inputs. `outside` are the calls that are bound before."""
        writer, scope = self.writer, self.scope
        scope.nodes.clear()
        scope.perhaps.update(dict.fromkeys(dims))
        scope.visible.update(dict.fromkeys([*dims, "element"]))
        for dim in dims:
            scope.moved.pop(dim, None)
        writer.loop("for _ in ONCE:")
        writer.fail_if("element is None", each, lambda: "an input is absent")
        self.operand(each.of, "element", stays)
        self.ask_pending(end=True)
        if self.pending:
            raise TypeError(f"the rule {self.of_rule.name}: into= inside {each} names a dimension that only a later part binds")
        shared = [key for key in self.keys.node if key not in outside and self.keys.is_shared(key)]
        if shared:
            self.closed(shared)
        held = row(map(self.held, names))
        writer.put(f"return {row(map(scope.at, dims))}, {held}, {self.all_nodes()}")
