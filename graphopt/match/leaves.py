"""The part of the compiler that tests single things: leaves, optional and further inputs, dimensions, conditions, attributes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from graphopt.match import reasons
from graphopt.match.language import AttributePattern, Call, Leaf, Optional, Rest
from graphopt.match.rule import Rule, guarded
from graphopt.match.structure import walk
from graphopt.match.writer import Scope, Why, Writer, row


@final
@dataclass(frozen=True, slots=True)
class Pending:
    """A test of the variable `value` that waits until the variables `dims` are known, or until the rest of its scope has matched.

    `condition` is a format for both. The test is asked only where no variable of `guards` is None: the alternative was taken, the
    optional input is there.
    """

    condition: str
    value: str
    dims: tuple[str | int, ...] | None  # None: the test comes last, it runs the author's code
    part: object
    why: Why
    guards: tuple[str, ...]


class LeafWriter:
    """Writes the tests of leaves and attributes. `scope` says what is known at the line that is written next."""

    def __init__(self, rule: Rule, writer: Writer, value_names: dict[str, str], dim_names: dict[str, str]) -> None:
        self.of_rule, self.writer = rule, writer
        self.value_names, self.dim_names = value_names, dim_names  # a name of the pattern -> its variable
        self.scope = Scope()
        self.pending: list[Pending] = []
        optional = [part.of for pattern in rule.patterns for part in walk(pattern) if isinstance(part, Optional)]
        self.may_be_none = {value_names[leaf.name] for leaf in optional if leaf.name is not None}
        self.in_place: set[str] = set()  # variables that are set just before an optional input binds them

    def assign(self, variable: str, expression: str) -> None:
        if variable != expression:
            self.writer.put(f"{variable} = {expression}")
        if variable.isidentifier():
            self.scope.visible[variable] = None

    def know(self, variable: str) -> None:
        self.scope.perhaps.pop(variable, None)
        self.scope.known[variable] = None

    def held(self, variable: str) -> str:
        """What a variable holds here: None where nothing bound it."""
        return self.scope.at(variable) if self.scope.holds(variable) else "None"

    def unbound(self, variable: str) -> str:
        """What a variable holds that an alternative did not bind: None, unless that says that an optional input is missing."""
        return "UNBOUND" if variable in self.may_be_none else "None"

    def move(self, variable: str, expression: str) -> None:
        """Bind a variable that may be None already: in a fresh one, because the loops around come back to the old one."""
        fresh = self.writer.fresh(f"{variable}_")
        self.assign(fresh, expression)
        self.scope.moved[variable] = fresh
        self.know(variable)

    # ---- leaves

    def leaf(self, leaf: Leaf, value: str) -> None:
        """A leaf for the value in variable `value`, which is not None."""
        if leaf.name is not None:
            variable = self.value_names[leaf.name]
            if value != variable:
                self.unify(leaf, value, variable)
            value = variable
            if leaf in self.scope.tested:
                return
            self.scope.tested[leaf] = None
        self.conditions(leaf, value)
        self.ask_pending(end=False)

    def unify(self, leaf: Leaf, value: str, variable: str) -> None:
        """The first occurrence of a name binds it, each further one must be the same value."""
        if not self.scope.holds(variable):
            self.assign(variable, value)
            self.know(variable)
            return
        first, why = self.scope.at(variable), reasons.other_value(leaf.name or "")
        may_be_new = f"{first} is not {self.unbound(variable)} and " if variable in self.scope.perhaps else ""
        self.writer.fail_if(f"{may_be_new}{value} is not {first} and not is_same({value}, {first})", leaf, why, value, first)
        if may_be_new:
            self.move(variable, value)

    def optional(self, optional: Optional, inputs: str, index: int) -> None:
        leaf = optional.of
        variable = self.value_names[leaf.name or ""]
        expression = f"{inputs}[{index}] if len({inputs}) > {index} else None"
        if self.scope.holds(variable):
            value, first = self.writer.fresh("v"), self.scope.at(variable)
            self.assign(value, expression)
            may_be_new = f"{first} is not UNBOUND and " if variable in self.scope.perhaps else ""
            why = reasons.other_value(leaf.name or "")
            self.writer.fail_if(f"{may_be_new}not is_same({value}, {first})", optional, why, value, first)
            if may_be_new:
                self.move(variable, value)
        else:
            self.assign(variable, expression)
            self.know(variable)
        if leaf.has_conditions:
            self.optional_conditions(leaf, variable)

    def optional_conditions(self, leaf: Leaf, variable: str) -> None:
        """Conditions that hold of an input only where it is there; dimensions that it binds are None where it is not."""
        scope = self.scope
        dims = [self.dim_names[dim] for dim in leaf.shape or () if isinstance(dim, str) and self.dim_names[dim] not in scope.known]
        for dim in dims:  # set on both ways, so that it can be bound in place
            if scope.holds(dim):
                self.move(dim, scope.at(dim))
            else:
                self.assign(dim, "None")
            scope.known.pop(dim, None)
            scope.perhaps[dim] = None
        self.in_place = {scope.at(dim) for dim in dims}
        self.writer.put(f"if {scope.at(variable)} is not None:")
        self.writer.indent += 1
        before = len(self.writer.lines)
        self.conditions(leaf, variable, variable)
        if len(self.writer.lines) == before:
            self.writer.lines.pop()
        self.writer.indent -= 1
        self.in_place = set()
        for dim in dims:
            scope.known.pop(dim, None)
            scope.perhaps[dim] = None
        self.ask_pending(end=False)

    def rest(self, rest: Rest, inputs: str, index: int) -> None:
        variable = self.value_names[rest.name]
        held = self.scope.holds(variable)
        here = self.writer.fresh("v") if held else variable
        self.assign(here, f"{inputs}[{index}:]" if index else inputs)
        self.writer.fail_if(f"None in {here}", rest, lambda: "an input is absent")
        if held:
            first = self.scope.at(variable)
            unbound = f"{first} is not None and " if variable in self.scope.perhaps else ""
            self.writer.fail_if(f"{unbound}{here} != {first}", rest, lambda: f"the pattern has *{rest.name} twice, and they differ")
            if unbound:
                self.move(variable, here)
        self.know(variable)
        if rest.dtype is not None:
            wanted = self.writer.constant("DTYPES", rest.dtype)
            test = f"any(value.dtype not in {wanted} for value in {here})"
            first = f"next(value for value in {here} if value.dtype not in {wanted})"
            self.writer.fail_if(test, rest, reasons.other_dtype(rest, rest.dtype), first)

    # ---- conditions

    def conditions(self, leaf: Leaf, variable: str, *guards: str) -> None:
        """Cheap tests first; what runs the author's own code waits for the end, and so does what reads elements."""
        writer, value = self.writer, self.scope.at(variable)
        if leaf.equals is not None:
            writer.fail_if(f"not is_number({value}, {_literal(leaf.equals)})", leaf, reasons.other_number(leaf), value)
        elif leaf.constant:
            writer.fail_if(f"{value}.const is None", leaf, reasons.not_constant(leaf), value)
        if leaf.dtype is not None:
            wanted = writer.constant("DTYPES", leaf.dtype)
            writer.fail_if(f"{value}.dtype not in {wanted}", leaf, reasons.other_dtype(leaf, leaf.dtype), value)
        if leaf.shape is not None or leaf.rank is not None:
            self.shape(leaf, value)
        if leaf.into is not None:
            test = "not broadcasts_into({value}.shape, {target})"
            dims = tuple(self.dim_names[dim] if isinstance(dim, str) else dim for dim in leaf.into)
            self.pending.append(Pending(test, variable, dims, leaf, reasons.grows(leaf), guards))
        for where, elements in ((leaf.where, "{value}"), (leaf.where_array, "{value}.const.numpy()")):
            if where is not None:
                asked = writer.constant(f"where_{leaf.name or 'leaf'}", guarded(self.of_rule, f"the condition on {leaf}", where))
                test = f"not {asked}({elements})"
                self.pending.append(Pending(test, variable, None, leaf, reasons.condition_fails(str(leaf)), guards))

    def ask_pending(self, *, end: bool, last: bool = False) -> None:
        """Write the tests whose time has come; in the `last` place a dimension that nothing bound is None."""
        waiting: list[Pending] = []
        for test in sorted(self.pending, key=lambda test: test.dims is None) if end else self.pending:
            if not (end if test.dims is None else last or all(dim in self.scope.known for dim in test.dims if isinstance(dim, str))):
                waiting.append(test)
                continue
            value = self.scope.at(test.value)
            target = row(self.held(dim) if isinstance(dim, str) else str(dim) for dim in test.dims or ())
            condition = test.condition.format(value=value, target=target)
            guards = [f"{self.scope.at(guard)} is not None" for guard in test.guards]
            looked_at = (value,) if test.dims is None else (value, target)
            self.writer.fail_if(" and ".join([*guards, condition]), test.part, test.why, *looked_at)
        self.pending = waiting

    def shape(self, leaf: Leaf, value: str) -> None:
        writer = self.writer
        shape = writer.fresh("shape")
        self.assign(shape, f"{value}.shape")
        dims = leaf.shape if leaf.shape is not None else (None,) * (leaf.rank or 0)
        rank = len(dims) - dims.count(...)
        differs = "<" if ... in dims else "!="
        writer.fail_if(f"{shape} is None or len({shape}) {differs} {rank}", leaf, reasons.other_rank(leaf, rank, ... in dims), value)
        if ... in dims and leaf.rank is not None:
            writer.fail_if(f"len({shape}) != {leaf.rank}", leaf, reasons.other_rank(leaf, leaf.rank, False), value)
        for index, dim in enumerate(dims):
            if isinstance(dim, (str, int)):
                self.dim(leaf, value, dim, f"{shape}[{index - len(dims) if ... in dims[:index] else index}]")

    def dim(self, leaf: Leaf, value: str, dim: str | int, size: str) -> None:
        """A number must be that number; a name is bound first and unified later, and what is unknown equals nothing."""
        writer = self.writer
        why = reasons.other_dim(leaf, dim)
        if isinstance(dim, int):
            writer.fail_if(f"{size} != {dim}", leaf, why, value, size)
            return
        variable = self.dim_names[dim]
        known = self.scope.at(variable)
        if not self.scope.holds(variable):
            self.assign(variable, size)
            writer.fail_if(f"{variable} is None", leaf, why, value, size)
        elif variable in self.scope.perhaps:
            writer.fail_if(f"{size} is None or {known} is not None and {size} != {known}", leaf, why, value, size, known)
            if known in self.in_place:
                writer.put(f"{known} = {size}")
            else:
                self.move(variable, size)
        else:
            writer.fail_if(f"{size} != {known}", leaf, why, value, size, known)
        self.know(variable)

    # ---- attributes

    def attribute(self, call: Call, node: str, name: str, wanted: Any) -> None:  # Any: a literal, a pattern, a predicate
        writer = self.writer
        held = f"neutral_attribute({node}, {name!r})"
        if isinstance(wanted, AttributePattern):
            self.bind_attribute(call, node, name, held, wanted)
        elif callable(wanted):
            variable = writer.fresh("a")
            self.assign(variable, held)
            writer.fail_if(f"{variable} is UNKNOWN", call, reasons.other_attribute(call, name, "a known value"), node, variable)
            self.ask_attribute(call, node, name, variable, wanted)
        else:
            test = f"not is_near_attribute({held}, {wanted!r})" if _is_inexact(wanted) else f"{held} != {_plain(wanted)!r}"
            if wanted is None:
                test = f"{held} is not None"
            writer.fail_if(test, call, reasons.other_attribute(call, name, repr(wanted)), node, held)

    def bind_attribute(self, call: Call, node: str, name: str, held: str, wanted: AttributePattern) -> None:
        writer, variable = self.writer, self.value_names[wanted.name]
        new = not self.scope.holds(variable)
        here = variable if new else writer.fresh("a")
        self.assign(here, held)
        why = reasons.other_attribute(call, name, f"a known value for {wanted.name}")
        writer.fail_if(f"{here} is UNKNOWN", call, why, node, here)
        if new:
            self.know(variable)
        else:
            first = self.scope.at(variable)
            unbound = f"{first} is not None and " if variable in self.scope.perhaps else ""
            why = reasons.other_attribute(call, name, f"the same {wanted.name} as elsewhere in the pattern")
            writer.fail_if(f"{unbound}not is_same_attribute({here}, {first})", call, why, node, here)
            if unbound:
                self.move(variable, here)
        if wanted.where is not None:
            self.ask_attribute(call, node, name, here, wanted.where)

    def ask_attribute(self, call: Call, node: str, name: str, held: str, where: Callable[[Any], object]) -> None:
        asked = self.writer.constant(f"where_{name}", guarded(self.of_rule, f"the condition on {name} of {call.op}", where))
        why = reasons.other_attribute(call, name, "a value that meets the rule's condition")
        self.writer.fail_if(f"{held} is None or not {asked}({held})", call, why, node, held)


def _literal(number: bool | float) -> str:
    return f"float({str(number)!r})" if isinstance(number, float) and number in (float("inf"), float("-inf")) else repr(number)


def _is_inexact(wanted: Any) -> bool:  # Any: an attribute may hold any kind
    if isinstance(wanted, tuple):
        return any(map(_is_inexact, wanted))
    return isinstance(wanted, float) and not wanted.is_integer()


def _plain(wanted: Any) -> Any:  # Any: an attribute may hold any kind
    """A literal as source shows it: an IntEnum (DType) as its number."""
    if isinstance(wanted, tuple):
        return tuple(map(_plain, wanted))
    return int(wanted) if isinstance(wanted, int) else wanted
