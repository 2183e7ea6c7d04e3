"""Writes the Python source of a matcher: lines, names, and what is known at each point of it."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, final

from graphopt.match.language import Leaf

Why: TypeAlias = "Callable[..., str]"
Note: TypeAlias = "Callable[..., None]"


@final
@dataclass(frozen=True, slots=True)
class Reason:
    """Why a test of the pattern part `part` may fail; `words` makes the sentence from what the test looked at."""

    part: str
    words: Why


@final
@dataclass(slots=True)
class Scope:
    """What is known at one point of a matcher.

    `known` are the variables that hold what they are named for, `perhaps` those that may be None instead because an alternative or
    an optional input did not bind them; where such a one is bound after all, it `moved` to a fresh variable, since the loops around
    come back to the old one. `visible` are all variables that can be read, `nodes` the variables of matched nodes ("*" before
    several), `tested` the named leaves whose conditions hold, `reads` how often the pattern has read a node so far (an expression).
    """

    known: dict[str, None] = field(default_factory=dict)
    perhaps: dict[str, None] = field(default_factory=dict)
    visible: dict[str, None] = field(default_factory=dict)
    nodes: dict[str, None] = field(default_factory=dict)
    tested: dict[Leaf, None] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    reads: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def copy(self) -> Scope:
        return Scope(
            dict(self.known), dict(self.perhaps), dict(self.visible), dict(self.nodes), dict(self.tested), dict(self.moved),
            dict(self.reads),
        )  # fmt: skip

    def read(self, variable: str, count: str = "1") -> None:
        """The pattern reads a node once more, or as often as the variable `count` says."""
        self.reads[variable] = (*self.reads.get(variable, ()), count)

    def count(self, variable: str, start: Scope | None = None) -> str:
        """How often the pattern reads a node here; or only since `start`."""
        reads = self.reads.get(variable, ())[len(start.reads.get(variable, ())) if start is not None else 0 :]
        ones = reads.count("1")
        return " + ".join([*(count for count in reads if count != "1"), *([str(ones)] if ones else [])]) or "0"

    def at(self, variable: str) -> str:
        """Where the content of a variable is now."""
        return self.moved.get(variable, variable)

    def holds(self, variable: str) -> bool:
        """Whether the variable has a value here, None perhaps."""
        return variable in self.known or variable in self.perhaps


@final
class Writer:
    """Lines of source. In a matcher that explains, each failing test is noted: how far it was, what failed, on what values."""

    def __init__(self, explains: bool, reserved: Iterable[str]) -> None:
        self.explains = explains
        self.lines: list[str] = []
        self.functions: list[str] = []
        self.namespace: dict[str, Any] = {}  # Any: constants of the pattern, of any kind
        self.indent = 1
        self.loops = 0
        self.step = 0
        self._used = set(reserved)
        self._count: dict[str, int] = {}

    # ---- names

    def variable(self, wish: str) -> str:
        """A variable that is called as wished, or nearly so when that is taken."""
        while wish in self._used or keyword.iskeyword(wish):
            wish += "_"
        self._used.add(wish)
        return wish

    def fresh(self, stem: str) -> str:
        """A variable of our own: the stem and a number."""
        while True:
            number = self._count[stem] = self._count.get(stem, 0) + 1
            if (name := f"{stem}{number}") not in self._used:
                self._used.add(name)
                return name

    def constant(self, stem: str, held: Any) -> str:  # Any: the namespace holds all kinds
        """A name under which the source finds an object."""
        for name, known in self.namespace.items():
            if known is held and name.startswith(stem):
                return name
        name = self.fresh(stem)
        self.namespace[name] = held
        return name

    # ---- lines

    def put(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)

    def loop(self, head: str) -> None:
        """A choice: everything that follows is tried for each of its ways."""
        self.put(head)
        self.indent += 1
        self.loops += 1

    def fail_if(self, condition: str, part: object, why: Why, *looked_at: str) -> None:
        """A test: go on to the next choice when `condition` holds."""
        self.step += 1
        if self.explains:
            reason = self.constant("WHY", Reason(str(part), why))
            self.put(f"if {condition}: note({', '.join([str(self.step), reason, *looked_at])}); continue")
        else:
            self.put(f"if {condition}: continue")

    def remark(self, part: object, why: Why, *looked_at: str) -> None:
        """What is said before a choice, in case that there is nothing to choose from."""
        if self.explains:
            self.step += 1
            self.put(f"note({', '.join([str(self.step), self.constant('WHY', Reason(str(part), why)), *looked_at])})")

    @contextmanager
    def captured(self) -> Iterator[list[str]]:
        """What is written meanwhile goes into a list of its own, as the body of a function."""
        outer, indent, loops = self.lines, self.indent, self.loops
        self.lines, self.indent, self.loops = [], 1, 0
        try:
            yield self.lines
        finally:
            self.lines, self.indent, self.loops = outer, indent, loops

    def function(self, name: str, first: Iterable[str], outer: Iterable[str], body: list[str]) -> list[str]:
        """Define a function of the parameters `first` and those of `outer` that its body mentions, which are returned."""
        words = set(re.findall(r"[A-Za-z_]\w*", "\n".join(line.split("#")[0] for line in body)))
        first = list(first)
        needed = [variable for variable in outer if variable in words and variable not in first]
        self.functions += [f"def {name}({', '.join([*first, *needed])}):", *body, "", ""]
        return needed

    def source(self, name: str, parameters: str) -> str:
        return "\n".join([*self.functions, f"def {name}({parameters}):", *self.lines, ""])


def row(items: Iterable[str]) -> str:
    """A tuple display, right for one item as well."""
    held = list(items)
    return f"({held[0]},)" if len(held) == 1 else f"({', '.join(held)})"
