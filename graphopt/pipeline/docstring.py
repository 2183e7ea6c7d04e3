"""The docstring of a pass, taken apart: what it does, Before / After, Keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from inspect import cleandoc
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from graphopt.pipeline.base import Pass

SECTION = re.compile(r"^(Before|After|Keeps):", re.MULTILINE)


@final
@dataclass(frozen=True, slots=True)
class PassText:
    """What a docstring says. `examples` are the lines of Before and After as they stand, `keeps` is one paragraph; either may be empty."""

    whole: str
    summary: str
    examples: str
    keeps: str


def text_of(of: type[Pass]) -> PassText:
    """Read the docstring of a pass."""
    whole = cleandoc(of.__doc__ or "")
    starts = [(found[1], found.start()) for found in SECTION.finditer(whole)]
    first = next((at for name, at in starts if name != "Keeps"), None)
    kept = next((at for name, at in starts if name == "Keeps"), len(whole))
    examples = "" if first is None else whole[first:kept].rstrip()
    return PassText(whole, whole.split("\n\n")[0].replace("\n", " "), examples, _line(whole[kept:].removeprefix("Keeps:")))


def _line(text: str) -> str:
    return " ".join(text.split())
