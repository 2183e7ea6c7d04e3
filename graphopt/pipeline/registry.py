"""Which passes, rules and targets there are: what the installed plug-ins say, graphopt's own among them, loaded when named."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, reduce
from typing import TYPE_CHECKING, TypeVar, final

from graphopt.errors import SpecError, nearest
from graphopt.pipeline.base import Level, Pass, RulePass
from graphopt.pipeline.discovery import CODE, discovered, load_plugin, reason_of, timed
from graphopt.pipeline.loose import PASS_OF_RULES
from graphopt.pipeline.options import options_of
from graphopt.pipeline.order import Place, in_order
from graphopt.pipeline.other_names import OtherName, read_table
from graphopt.pipeline.plugin import Plugin

if TYPE_CHECKING:
    from graphopt.match.rule import Rule
    from graphopt.pipeline.target import Target

T = TypeVar("T")
OURS = "graphopt"  # the plug-in whose passes come first in each level
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
RESERVED = re.compile(r"fixpoint|when|level\d+")  # words of pipelines
OPERATOR = re.compile(r"\S+\.[^\s.]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """A named thing of a plug-in that nobody has loaded yet: `target` is "module:name"."""

    name: str
    target: str
    owner: str

    def load(self) -> object:
        """Import it. Raises whatever importing it raises, AttributeError when its module has no such name."""
        module, _, path = self.target.partition(":")
        found: object = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        return found

    def __str__(self) -> str:
        return f"{self.target} of the plug-in {self.owner!r}"


def _advice(what: str, entry: Entry) -> str:
    """What to do where two plug-ins have one name: names of operators are nobody's to change, the rest is their authors'."""
    if entry.target.endswith(f":{PASS_OF_RULES}"):
        return "rename the file: the pass of its rules is called as it is"
    return "uninstall one" if OPERATOR.fullmatch(entry.name) else f"uninstall one, or rename its {what}"


@dataclass(frozen=True, slots=True)
class KnownRule:
    """A rule, the plug-in that brings it, and the passes that apply it."""

    rule: Rule
    owner: str
    passes: tuple[str, ...] = ()


@final
@dataclass
class Registry:
    """The passes and rules of some plug-ins. Names must be unique; what cannot be loaded is left out, and `failures` says why.

    `named` are the plug-ins that are not installed: what --plugin was given.

    Raises SpecError when two plug-ins own one name, naming both.
    """

    plugins: tuple[Plugin, ...] = ()
    failures: list[str] = field(default_factory=list)
    named: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.plugins = tuple(sorted(self.plugins, key=lambda plugin: (plugin.name != OURS, plugin.name)))
        self.passes = self._unique("pass", lambda plugin: plugin.passes)
        self.single_rules = self._unique("rule", lambda plugin: plugin.rules)
        self.targets = self._unique("target", lambda plugin: plugin.targets)
        self._operators = [Entry(name, target, plugin.name) for plugin in self.plugins for name, target in plugin.operators.items()]
        self._shapes = self._unique("shape function of", lambda plugin: plugin.shapes, OPERATOR)
        self._classes: dict[str, type[Pass] | None] = {}
        self._targets: dict[str, Target | None] = {}
        self._levels: dict[tuple[int, str], tuple[str, ...]] = {}
        self._rules: dict[str, KnownRule] | None = None
        self._other_names: dict[str, OtherName] | None = None

    def _unique(self, what: str, of: Callable[[Plugin], dict[str, str]], form: re.Pattern[str] = NAME) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for plugin in self.plugins:
            for name, target in of(plugin).items():
                entry = Entry(name, target, plugin.name)
                if name in found:
                    raise SpecError(f"two owners of the {what} {name!r}: {found[name]} and {entry}; {_advice(what, entry)}")
                if form is NAME and RESERVED.fullmatch(name):
                    self.fail(f"the {what} {name!r} of the plug-in {plugin.name!r} is left out: {name!r} is a word of pipelines")
                elif form.fullmatch(name):
                    found[name] = entry
                else:
                    said = "words of a-z, 0-9 joined by '-'" if form is NAME else "domain.Operator"
                    self.fail(f"the {what} {name!r} of the plug-in {plugin.name!r} is left out: a name is {said}")
        return found

    def fail(self, message: str) -> None:
        """Note what is left out, or what else its user should know."""
        if message not in self.failures:
            self.failures.append(message)

    def announce_operators(self) -> None:
        """Let schema/ and infer/ know the operators that plug-ins describe, once.

        One whose facts cannot be loaded stays opaque, and `failures` says so. Shape functions are not loaded here.
        """
        from graphopt.schema.facts import OperatorFacts, register

        self._announce_shapes()
        waiting, self._operators = self._operators, []
        owners: dict[tuple[str, str, int], Entry] = {}
        for entry in waiting:
            try:
                found = entry.load()
                if not isinstance(found, OperatorFacts):
                    raise TypeError(f"it is {found!r}, no OperatorFacts")
            except CODE as error:
                self.fail(f"the operator {entry.name!r} stays opaque: {entry} cannot be loaded: {reason_of(error)}")
                continue
            first = owners.setdefault((found.domain, found.op_type, found.since_version), entry)
            if first is entry:
                register(found)
            else:
                self.fail(f"{found.domain}.{found.op_type} is described twice: {first} counts, {entry} does not")

    def _announce_shapes(self) -> None:
        from graphopt.infer.shape_functions import ShapeFunction, register

        waiting, self._shapes = self._shapes, {}
        for entry in waiting.values():
            domain, _, op_type = entry.name.rpartition(".")
            try:
                register(domain, op_type, ShapeFunction(entry.load, entry.owner))
            except ValueError as error:
                self.fail(f"the shape function of {entry.name!r} is left out: {entry}: {error}")

    # ---- passes

    def find(self, name: str) -> type[Pass] | None:
        """The class of a pass, loaded; None when there is none of this name or it cannot be loaded (then `failures` says so)."""
        if name not in self._classes:
            entry = self.passes.get(name)
            self._classes[name] = None if entry is None else self._loaded("pass", entry, _as_pass)
        return self._classes[name]

    def _loaded(self, what: str, entry: Entry, read: Callable[[object], T]) -> T | None:
        """What an entry names, as `read` takes it; None when it cannot be loaded or is something else: then `failures` says so."""
        try:
            loaded, slow = timed(entry.load)
            found = read(loaded)
            if (called := getattr(found, "name", None)) != entry.name:
                raise TypeError(f"it calls itself {called!r}")
        except CODE as error:
            self.fail(f"the {what} {entry.name!r} is left out: {entry} cannot be loaded: {reason_of(error)}")
            return None
        if slow and entry.owner != OURS:
            self.fail(f"the {what} {entry.name!r} of the plug-in {entry.owner!r} {slow}")
        return found

    def pass_named(self, name: str) -> type[Pass]:
        """The class of a pass. Raises SpecError with the near name when there is none, or with the reason why it cannot be loaded."""
        found = self.find(name)
        if found is None and name in self.passes:
            raise SpecError(next(message for message in self.failures if f"the pass {name!r}" in message))
        if found is None:
            raise SpecError(f"no pass is called {name!r}{nearest(name, {*self.passes, *self.other_names()}, 'graphopt passes')}")
        return found

    # ---- targets

    def find_target(self, name: str) -> Target | None:
        """A target, loaded; None when there is none of this name or it cannot be loaded (then `failures` says so)."""
        if name not in self._targets:
            entry = self.targets.get(name)
            self._targets[name] = None if entry is None else self._loaded("target", entry, _as_target)
        return self._targets[name]

    def target_named(self, name: str) -> Target:
        """A target. Raises SpecError with the near name when there is none, or with the reason why it cannot be loaded."""
        found = self.find_target(name)
        if found is None and name in self.targets:
            raise SpecError(next(message for message in self.failures if f"the target {name!r}" in message))
        if found is None:
            raise SpecError(f"no target is called {name!r}{nearest(name, self.targets)}")
        return found

    # ---- names of other tools

    def other_names(self) -> dict[str, OtherName]:
        """What other tools call what the plug-ins' passes do, by their name."""
        if self._other_names is None:
            self._other_names = {}
            for plugin in self.plugins:
                for name, other in self._table_of(plugin).items():
                    self._other_names.setdefault(name, other)
        return self._other_names

    def _table_of(self, plugin: Plugin) -> dict[str, OtherName]:
        if plugin.other_names is None:
            return {}
        entry = Entry("", plugin.other_names, plugin.name)
        try:
            table = entry.load()
            if not isinstance(table, Mapping):
                raise TypeError(f"it is {table!r}, no table of names")
            return read_table(table)
        except CODE as error:
            self.fail(f"the names of other tools are left out: {entry} cannot be loaded: {reason_of(error)}")
            return {}

    def other_name(self, name: str) -> OtherName | None:
        """A name of another tool; None when it is none, or the name of a pass or rule of ours."""
        return None if name in self.passes or name in self.single_rules else self.other_names().get(name)

    def in_our_words(self, names: Iterable[str]) -> tuple[str, ...]:
        """Names with each that is another tool's replaced by our passes: none where nothing here does that."""
        found: dict[str, None] = {}
        for name in names:
            other = self.other_name(name)
            found |= dict.fromkeys((name,) if other is None else other.passes)
        return tuple(found)

    # ---- the levels

    def level(self, number: int, target: str = "") -> tuple[str, ...]:
        """The names of the passes of a level, in the order in which they run; one that runs several times stands several times.

        Above level 1 a target lists them; without one these are what plug-ins add for every target. Raises SpecError for an unknown target.
        """
        if (number, target) not in self._levels:
            places = [Place(name, OURS) for name in self._named_by(target, number)] if target else []
            listed = {place.name for place in places}
            for plugin in self.plugins:
                for name in [name for name in self._named_for(plugin, number) if name not in listed]:
                    known = None if plugin.name == OURS else self.find(name)
                    places.append(Place(name, plugin.name, known.after if known else (), known.before if known else ()))
            self._levels[number, target] = in_order(places, OURS)
        return self._levels[number, target]

    def _named_by(self, target: str, number: int) -> Iterable[str]:
        names = self.target_named(target).levels.get(number, ())
        for name in names:
            if name not in self.passes:
                self.fail(f"the target {target!r} lists {name!r} in its level {number}, but there is no such pass")
        return [name for name in names if name in self.passes]

    def _named_for(self, plugin: Plugin, number: int) -> Iterable[str]:
        if plugin.levels is not None:
            for name in plugin.levels.get(number, ()):
                if name not in plugin.passes:
                    self.fail(f"the plug-in {plugin.name!r} lists {name!r} in its level {number} but brings no such pass")
            return [name for name in plugin.levels.get(number, ()) if name in self.passes and name in plugin.passes]
        return [name for name in plugin.passes if (known := self.find(name)) is not None and known.level == number]

    def level_of(self, name: str) -> int | None:
        """The level that runs a pass, for some target at least; None for one that runs only when it is named."""
        for level in Level:
            if name in self.level(level):
                return int(level)
        loaded = [found for target in self.targets if (found := self.find_target(target)) is not None]
        return next((int(level) for level in Level if any(name in target.levels.get(level, ()) for target in loaded)), None)

    def entry_of(self, step: str) -> Entry | None:
        """What brings a pass, or a rule that ran as one; None for one that a program made itself. Loads nothing."""
        rule = (self._rules or {}).get(step)
        by_its_pass = self.passes[rule.passes[0]] if rule is not None and rule.passes else None
        return self.passes.get(step) or self.single_rules.get(step) or by_its_pass

    # ---- rules

    def rules(self) -> dict[str, KnownRule]:
        """Every rule by its name, in the order of levels and passes; loads all passes. Raises SpecError when two rules share a name."""
        if self._rules is None:
            self._rules = {}
            ordered = dict.fromkeys(name for level in Level for name in self.level(level))
            for name in {**ordered, **dict.fromkeys(self.passes)}:
                for rule in getattr(self.find(name), "rules", ()):
                    self._add_rule(KnownRule(rule, self.passes[name].owner, (name,)))
            for entry in self.single_rules.values():
                if (found := self._loaded("rule", entry, _as_rule)) is not None:
                    self._add_rule(KnownRule(found, entry.owner))
        return self._rules

    def _add_rule(self, new: KnownRule) -> None:
        known = (self._rules or {}).get(new.rule.name)
        if known is not None and known.rule is not new.rule:
            first, second = (f"{it.rule.file}:{it.rule.line} of the plug-in {it.owner!r}" for it in (known, new))
            raise SpecError(f"two owners of the rule {new.rule.name!r}: {first} and {second}; rename one")
        passes = (*known.passes, *new.passes) if known is not None else new.passes
        if self._rules is not None:
            self._rules[new.rule.name] = KnownRule(new.rule, known.owner if known is not None else new.owner, passes)

    def rule_named(self, name: str) -> Rule:
        """A rule. Raises SpecError with the near name when there is none."""
        rules = self.rules()
        if name in rules:
            return rules[name].rule
        if name in self.passes:
            applied = [rule.name for rule in self.pass_named(name).rules]
            said = f"its rules: {', '.join(applied)}" if applied else "it applies no rules"
            raise SpecError(f"{name} is a pass; {said}")
        raise SpecError(f"no rule is called {name!r}{nearest(name, rules, 'graphopt rules')}")

    def single(self, name: str) -> Pass | None:
        """A pass of one rule, for a name that is a rule's and no pass's; None when there is no such rule."""
        known = self.rules().get(name)
        return None if known is None else RulePass.of(name, known.rule)


def _as_pass(found: object) -> type[Pass]:
    if isinstance(found, Pass) and not options_of(type(found)):
        found = type(found)  # one that `RulePass.of` or `onnx_ir_pass` made says all that its class says
    if not (isinstance(found, type) and issubclass(found, Pass)):
        raise TypeError(f"it is {found!r}, not a subclass of Pass")
    options_of(found)
    return found


def _as_rule(found: object) -> Rule:
    from graphopt.match.rule import Rule

    if not isinstance(found, Rule):
        raise TypeError(f"it is {found!r}, not a rule")
    return found


def _as_target(found: object) -> Target:
    from graphopt.pipeline.target import Target

    if not isinstance(found, Target):
        raise TypeError(f"it is {found!r}, not a Target")
    return found


@cache
def installed() -> Registry:
    """The registry of all that is installed, looked up once. Raises SpecError when two plug-ins own one name."""
    plugins, failures = discovered()
    return Registry(tuple(plugins), failures)


def with_plugin(registry: Registry, target: str | Plugin) -> Registry:
    """The same registry and one plug-in more: one at hand, or what `Plugin.load` takes; one that it has already changes nothing.

    Raises SpecError when it cannot be loaded.
    """
    try:
        plugin, slow = (target, "") if isinstance(target, Plugin) else timed(lambda: load_plugin(target))
    except SpecError:
        if any(known.name == target for known in registry.plugins):
            return registry
        raise
    if plugin in registry.plugins:
        return registry
    said = plugin.name if isinstance(target, Plugin) else target
    failures = [*registry.failures, *([f"the plug-in {said!r} {slow}"] if slow else [])]
    return Registry((*registry.plugins, plugin), failures, (*registry.named, said))


def with_plugins(plugins: Sequence[str | Plugin]) -> Registry:
    """What is installed, and these plug-ins. Raises SpecError when one cannot be loaded."""
    if isinstance(plugins, (str, Plugin)):
        raise SpecError(f"plugins takes a list: plugins=[{plugins!r}]")
    return reduce(with_plugin, plugins, installed())
