"""What a package says of the passes, rules, targets, operator facts, shape functions and commands' defaults that it brings.

Imports nothing: an index of names must be cheap.

A package has one entry point, in pyproject.toml:

    [project.entry-points."graphopt.plugins"]
    my-passes = "my_passes:PLUGIN"

and my_passes/__init__.py says where things are. Nothing that is named here is imported before somebody asks for it:

    PLUGIN = Plugin(
        name="my-passes",
        passes={"fuse-my-norm": "my_passes.fuse_my_norm:FuseMyNorm"},
    )
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

GROUP = "graphopt.plugins"


@final
class Plugin:
    """One package's passes, rules, targets, operator facts and shape functions, by name; and what its users want by default.

    The right sides are `"module:name"`, imported when named.

    `passes` name subclasses of `Pass`. `rules` name single rules that are not (only) part of a pass: a pipeline may use each by its
    name, and `verify-rules` checks them all. `levels` says which of the passes run at which level, and in which order; a pass that is in
    none of them runs only when it is named. Without `levels` each pass runs at the level that its class says. Where in its level a pass
    of another package than graphopt comes is for its class to say (`after`, `before`); the default is after all of graphopt's own.
    `operators` name `OperatorFacts` of the package's own domains: what has them is no longer opaque, so it may be merged and dropped.
    `shapes` have for an operator of such a domain, as `"my.domain.Operator"`, a function that takes a `Node` and returns the types of its
    outputs, None for what is not known; it is imported when the first such node is met.
    `other_names` is one such place, of a table of the names that other tools have for what these passes do
    (`graphopt.pipeline.other_names`); it is imported when a pipeline names what is neither a pass nor a rule.
    `targets` name `graphopt.pipeline.target.Target`s: what a runtime wants of a model, and which passes prepare it.
    `target_levels` may say of each what its `levels` say, for lists of passes that are to appear at once: without it the target is
    imported.
    `requires` is what it was made for, like "graphopt>=0.1,<2": where that is not what is installed, it is left out and nothing that it
    names is imported.
    `defaults` have for a command the options that are meant when nobody gives them: `{"optimize": {"verify": True, "report": "r.html"}}`.
    """

    __slots__ = (
        "defaults", "levels", "name", "operators", "other_names", "passes", "requires", "rules", "shapes", "target_levels", "targets",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        *,
        passes: Mapping[str, str] | None = None,
        levels: Mapping[int, tuple[str, ...]] | None = None,
        rules: Mapping[str, str] | None = None,
        operators: Mapping[str, str] | None = None,
        shapes: Mapping[str, str] | None = None,
        other_names: str | None = None,
        targets: Mapping[str, str] | None = None,
        target_levels: Mapping[str, Mapping[int, tuple[str, ...]]] | None = None,
        requires: str = "",
        defaults: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        self.name = name
        self.passes = dict(passes or {})
        self.levels = None if levels is None else {int(level): tuple(names) for level, names in levels.items()}
        self.rules = dict(rules or {})
        self.operators = dict(operators or {})
        self.shapes = dict(shapes or {})
        self.other_names = other_names
        self.targets = dict(targets or {})
        self.target_levels = dict(target_levels or {})
        self.requires = requires
        self.defaults = {command: dict(options) for command, options in (defaults or {}).items()}

    @staticmethod
    def load(target: str) -> Plugin:
        """A plug-in that is not installed: "module" (its PLUGIN), "module:NAME", or the path of a file, "./my_rules.py".

        A file or module without a PLUGIN is taken as it is: the passes and rules that it defines. Raises SpecError when it cannot be
        loaded.
        """
        from graphopt.pipeline.discovery import load_plugin  # knows plug-ins, and is needed by few

        return load_plugin(target)

    def __repr__(self) -> str:
        return f"Plugin({self.name!r}, {len(self.passes)} passes, {len(self.rules)} rules)"
