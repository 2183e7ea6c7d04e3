"""A module that has rules and passes but no PLUGIN, as a plug-in: what it defines, taken as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from inspect import isabstract
from types import ModuleType
from typing import TypeGuard, TypeVar

from graphopt.errors import SpecError
from graphopt.match.rule import Rule
from graphopt.pipeline.base import Pass, RulePass
from graphopt.pipeline.plugin import Plugin

PASS_OF_RULES = "PASS_OF_RULES"  # what the module has afterwards: the pass of those of its rules that are in none of its own
T = TypeVar("T", Rule, type[Pass])


def plugin_of(module: ModuleType) -> Plugin:
    """A plug-in with the passes and rules that a module defines, not those that it imports.

    Rules that none of its passes applies become one more pass, called as the module is; approximate ones run only when they are named.
    Raises SpecError when it defines neither, or two of one name.
    """
    passes = {key: found for key, found in vars(module).items() if _is_pass(found, module)}
    rules = {key: found for key, found in vars(module).items() if isinstance(found, Rule) and found.action.__module__ == module.__name__}
    if not passes and not rules:
        raise SpecError("it has no PLUGIN, and defines no rule and no pass")
    name = _kebab(module.__name__)
    applied = {rule for found in passes.values() for rule in found.rules}
    left = [rule for rule in dict.fromkeys(rules.values()) if rule not in applied and rule.exactness != "approximate"]
    if left:
        called = name if all(found.name != name for found in passes.values()) else f"{name}-rules"
        passes[PASS_OF_RULES] = type(RulePass.of(called, *left))
        setattr(module, PASS_OF_RULES, passes[PASS_OF_RULES])
    return Plugin(name, passes=_places(passes, module), rules=_places(rules, module))


def _is_pass(found: object, module: ModuleType) -> TypeGuard[type[Pass]]:
    if not (isinstance(found, type) and issubclass(found, Pass)):
        return False
    return found.__module__ == module.__name__ and bool(found.name) and not isabstract(found)


def _places(things: Mapping[str, T], module: ModuleType) -> dict[str, str]:
    """Where each thing is, by what it calls itself."""
    keys: dict[str, str] = {}
    for key, found in things.items():
        if things[keys.setdefault(found.name, key)] is not found:
            raise SpecError(f"{keys[found.name]} and {key} both call themselves {found.name!r}")
    return {name: f"{module.__name__}:{key}" for name, key in keys.items()}


def _kebab(module: str) -> str:
    """A module's name as that of a pass."""
    words = "-".join(re.findall(r"[a-z0-9]+", module.rpartition(".")[2].lower()))
    return words if words[:1].isalpha() else f"rules-{words}".rstrip("-")
