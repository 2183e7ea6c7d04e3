"""One thing to know of a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, final

Kind: TypeAlias = Literal["error", "warning", "hint"]
KINDS: Final[tuple[Kind, ...]] = ("error", "warning", "hint")  # the worst first


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """An "error" (the model is invalid, or cannot be run), a "warning" (it may not do what its author thinks), or a "hint".

    `about` names what was looked at, the same for every model: "overridable-initializers". `where` are names of nodes or values, all of
    them. `helps` is what to add to `graphopt optimize`, or a command; empty when nothing of ours helps.
    """

    kind: Kind
    about: str
    text: str
    where: tuple[str, ...] = ()
    helps: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}{f'; {self.helps} would help' if self.helps else ''}"


def sorted_by_kind(found: Iterable[Finding]) -> list[Finding]:
    """The worst first, otherwise in the order in which they were found."""
    return sorted(found, key=lambda one: KINDS.index(one.kind))


def counted(number: int, what: str, plural: str = "") -> str:
    """A number of things.

    >>> counted(1, "node"), counted(2, "node"), counted(2, "copy", "copies")
    ('1 node', '2 nodes', '2 copies')
    """
    return f"{number} {what if number == 1 else plural or f'{what}s'}"
