"""One concrete reading of a rule's patterns: which alternatives, orders, groupings and optional inputs; leaves are still symbols."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from graphopt.ir.dtype import DType
from graphopt.match.language import AnyOf, Call, Chain, Each, Leaf, Optional, Pattern, Rest
from graphopt.match.rule import Rule
from graphopt.schema.traits import COMMUTATIVE

ORDERS = 6  # operand orders and groupings of one chain that are tried, beyond which more of the same proves little


@dataclass(eq=False, slots=True)
class Symbol:
    """A leaf: one value of the model to build. `conditions` are all leaves that stand for it."""

    name: str
    conditions: list[Leaf] = field(default_factory=list)
    dtypes: frozenset[DType] | None = None  # of rest(...), which is no Leaf

    @property
    def is_constant(self) -> bool:
        """Whether any of the leaves asks for a constant."""
        return any(leaf.constant for leaf in self.conditions)


@dataclass(eq=False, slots=True)
class Site:
    """A call: one node of the model to build. An operand is None where an optional input is left out."""

    call: Call
    operands: tuple[Operand, ...]
    outputs: int = 1


@dataclass(frozen=True, eq=False, slots=True)
class Output:
    """What flows from a site to another."""

    site: Site
    index: int


Operand: TypeAlias = "Symbol | Output | None"


@dataclass(frozen=True, slots=True)
class Structure:
    """A reading of all patterns of a rule; `choices` says what was chosen where, in words, without what is first choice."""

    roots: tuple[Output, ...]
    sites: tuple[Site, ...]  # in an order that can be built
    choices: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self.choices) or "as written"


@dataclass(slots=True)
class _Choice:
    label: str
    options: tuple[str, ...]
    picked: int


class _Reader:
    """Reads the patterns once, taking option `forced.get(label, 0)` at every choice, and notes which choices there were."""

    def __init__(self, forced: dict[str, int]) -> None:
        self.forced = forced
        self.choices: list[_Choice] = []
        self.symbols: dict[str, Symbol] = {}
        self.sites: dict[tuple[object, str], Site] = {}
        self.order: list[Site] = []

    def choose(self, label: str, options: tuple[str, ...]) -> int:
        if len(options) < 2:
            return 0
        picked = self.forced.get(label, 0)
        self.choices.append(_Choice(label, options, picked))
        return picked

    def symbol(self, leaf: Leaf, path: str, repeated: str) -> Symbol:
        name = (leaf.name or f"_{path}") + repeated
        found = self.symbols.setdefault(name, Symbol(name))
        if leaf not in found.conditions:
            found.conditions.append(leaf)
        return found

    def operands(self, pattern: Pattern, path: str, repeated: str) -> list[Operand]:
        """What a pattern puts into the input list of its call: usually one operand, of rest and each several or none."""
        match pattern:
            case Leaf():
                return [self.symbol(pattern, path, repeated)]
            case Optional(of=leaf):
                present = self.choose(path, (f"{leaf.name} given", f"{leaf.name} left out")) == 0
                return [self.symbol(leaf, path, repeated) if present else None]
            case Rest(name=name, dtype=dtypes):
                counts = (2, 1, 3, 0)
                count = counts[self.choose(path, tuple(f"{n} in {name}" for n in counts))]
                made = [self.symbols.setdefault(f"{name}.{i}", Symbol(f"{name}.{i}")) for i in range(count)]
                for symbol in made:
                    symbol.dtypes = dtypes
                return list(made)
            case Each(of=inner):
                many = (2, 1, 3)
                count = many[self.choose(path, tuple(f"{n} times {inner}" for n in many))]
                return [operand for i in range(count) for operand in self.operands(inner, path, f"{repeated}.{i}")]
            case AnyOf(alternatives=alternatives):
                picked = self.choose(path, tuple(str(p) for p in alternatives))
                return self.operands(alternatives[picked], f"{path}|{picked}", repeated)
            case Chain():
                return [self.chain(pattern, path, repeated)]
            case Call():
                return [self.call(pattern, path, repeated)]
        raise TypeError(f"no model can be built of {pattern!r}")

    def call(self, call: Call, path: str, repeated: str) -> Output:
        known = self.sites.get((call.key, repeated))
        if known is not None:
            known.outputs = max(known.outputs, call.output + 1)
            return Output(known, call.output)
        inputs = call.inputs
        if len(inputs) > 1 and not call.is_ordered and call.op in COMMUTATIVE:
            orders = list(itertools.islice(itertools.permutations(range(len(inputs))), ORDERS))
            names = tuple(f"{call.op_type} of operands {', '.join(map(str, order))}" for order in orders)
            order = orders[self.choose(f"{path}~", names)]
        else:
            order = tuple(range(len(inputs)))
        read = {i: self.operands(inputs[i], f"{path}.{i}", repeated) for i in range(len(inputs))}
        site = Site(call, tuple(operand for i in order for operand in read[i]), call.output + 1)
        self.sites[call.key, repeated] = site
        self.order.append(site)
        return Output(site, call.output)

    def chain(self, chain: Chain, path: str, repeated: str) -> Output:
        parts = [operand for i, p in enumerate(chain.operands) for operand in self.operands(p, f"{path}.{i}", repeated)]
        groupings = list(_groupings(len(parts)))
        if len(groupings) > 4 * ORDERS:
            groupings = groupings[:1] + random.Random(len(parts)).sample(groupings[1:], 4 * ORDERS - 1)
        grouping = groupings[self.choose(f"{path}*", tuple(f"{chain.op} grouped {_written(g)}" for g in groupings))]

        def join(tree: Grouping) -> Operand:
            if isinstance(tree, int):
                return parts[tree]
            site = Site(Call(chain.op, ()), (join(tree[0]), join(tree[1])))
            self.order.append(site)
            return Output(site, 0)

        joined = join(grouping)
        if not isinstance(joined, Output):
            raise TypeError(f"the chain {chain} has fewer than two operands")
        return joined


Grouping: TypeAlias = "int | tuple[Grouping, Grouping]"


def _groupings(count: int) -> Iterator[Grouping]:
    """Ways to join `count` operands two at a time: left, right, balanced, each in several orders."""
    for order in itertools.permutations(range(count)):
        left: Grouping = order[0]
        for i in order[1:]:
            left = (left, i)
        yield left
        if count > 2:
            right: Grouping = order[-1]
            for i in reversed(order[:-1]):
                right = (i, right)
            yield right
        if count > 3:
            yield ((order[0], order[1]), _left(order[2:]))


def _left(order: tuple[int, ...]) -> Grouping:
    tree: Grouping = order[0]
    for i in order[1:]:
        tree = (tree, i)
    return tree


def _written(tree: Grouping) -> str:
    return str(tree) if isinstance(tree, int) else f"({_written(tree[0])} {_written(tree[1])})"


def _read(rule: Rule, forced: dict[str, int]) -> tuple[Structure, list[_Choice]]:
    reader = _Reader(forced)
    roots = []
    for i, pattern in enumerate(rule.patterns):
        for operand in reader.operands(pattern, f"{i}", ""):
            if not isinstance(operand, Output):
                raise TypeError(f"{pattern} is no operator call, so it cannot be a root")
            roots.append(operand)
    words = tuple(choice.options[choice.picked] for choice in reader.choices if choice.picked)
    return Structure(tuple(roots), tuple(reader.order), words), reader.choices


def structures(rule: Rule, limit: int, chance: random.Random) -> list[Structure]:
    """Readings of a rule: all of them up to `limit`; beyond that each option of each choice at least once, then mixtures by chance."""
    every = list(itertools.islice(_all(rule), limit + 1))
    if len(every) <= limit:
        return every
    base, choices = _read(rule, {})
    found: dict[tuple[str, ...], Structure] = {base.choices: base}
    pending: list[tuple[dict[str, int], list[_Choice]]] = [({}, choices)]
    seen: set[tuple[str, int]] = set()
    while pending:
        forced, choices = pending.pop(0)
        for choice in choices:
            for option in range(1, len(choice.options)):
                if (choice.label, option) in seen:
                    continue
                seen.add((choice.label, option))
                now = {**forced, choice.label: option}
                structure, inner = _read(rule, now)
                found[structure.choices] = structure
                pending.append((now, inner))
    for _ in range(limit):
        structure = _read_at_random(rule, chance)
        found.setdefault(structure.choices, structure)
    return list(found.values())[: max(limit, len(seen) + 1)]


def _read_at_random(rule: Rule, chance: random.Random) -> Structure:
    forced: dict[str, int] = {}
    while True:
        structure, choices = _read(rule, forced)
        open_ = [choice for choice in choices if choice.label not in forced]
        if not open_:
            return structure
        forced[open_[0].label] = chance.randrange(len(open_[0].options))


def _all(rule: Rule) -> Iterator[Structure]:
    """Every reading, depth first over the choices in the order in which they come up."""

    def below(forced: dict[str, int]) -> Iterator[Structure]:
        structure, choices = _read(rule, forced)
        open_ = next((choice for choice in choices if choice.label not in forced), None)
        if open_ is None:
            yield structure
            return
        for option in range(len(open_.options)):
            yield from below({**forced, open_.label: option})

    return below({})
