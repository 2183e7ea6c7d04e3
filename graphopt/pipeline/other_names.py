"""The names that other tools have for what our passes do, so that a pipeline written for them runs here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, final

from graphopt.errors import SpecError


@final
@dataclass(frozen=True, slots=True)
class Needless:
    """What another tool does in a pass of its own and graphopt does without being asked, or does not need; `why` says which."""

    why: str


@final
@dataclass(frozen=True, slots=True)
class NotBuilt:
    """What another tool does and graphopt does not; `why` says why, and what to use instead if there is something."""

    why: str


# Names of passes, with blanks between them, in the order in which they run.
Meaning: TypeAlias = "str | Needless | NotBuilt"
# Tools, with ", " between them where they share names -> their name -> what it means here.
Table: TypeAlias = "Mapping[str, Mapping[str, Meaning]]"


@final
@dataclass(frozen=True, slots=True)
class OtherName:
    """A name of other tools: the `passes` that do it here, or why there is none."""

    name: str
    tools: tuple[str, ...]
    meaning: Meaning

    @property
    def passes(self) -> tuple[str, ...]:
        """Our passes, in the order in which they run; none where none is needed or none was built."""
        return tuple(self.meaning.split()) if isinstance(self.meaning, str) else ()

    @property
    def is_built(self) -> bool:
        """Whether a pipeline may name it."""
        return not isinstance(self.meaning, NotBuilt)

    def __str__(self) -> str:
        said = f"{self.name} of {_listed(self.tools)}"
        match self.meaning:
            case Needless(why):
                return f"{said} is no pass here: {why}"
            case NotBuilt(why):
                return f"{said} is not built: {why}"
        return f"{said} is {_listed(self.passes)} here"


def read_table(table: Table) -> dict[str, OtherName]:
    """The names of a table, each with all tools that have it. Raises SpecError for a name that means two things."""
    found: dict[str, OtherName] = {}
    for tools, names in table.items():
        for name, meaning in names.items():
            known = found.get(name)
            if known is not None and known.meaning != meaning:
                raise SpecError(f"{name} means one thing of {_listed(known.tools)} and another of {tools}; it can stand for one only")
            new = OtherName(name, tuple(tools.split(", ")), meaning)
            found[name] = new if known is None else replace(known, tools=(*known.tools, *new.tools))
    return found


def _listed(words: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
