"""The passes as lists for `onnx-opt`: all of them, one line each, without any of them being imported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from graphopt.cli.shared import warn

if TYPE_CHECKING:
    from graphopt.pipeline.catalogue import Listed

OURS = "graphopt"
ALONE = "Passes that run only when they are named"


class Line(NamedTuple):
    """A pass and what is said of it in one line."""

    name: str
    level: int | None
    told: str


def listed(plugins: Sequence[str] = ()) -> list[Listed]:
    """The passes of what is installed and of the plug-ins named. Warns of what is left out; raises SpecError as `--plugin` does."""
    from graphopt.pipeline.catalogue import catalogue
    from graphopt.pipeline.discovery import discovered, load_plugin

    found, failures = discovered()
    for target in plugins:
        plugin = load_plugin(target)
        found += [plugin] if plugin not in found else []
    passes, more = catalogue(sorted(found, key=lambda plugin: (plugin.name != OURS, plugin.name)))
    for failure in dict.fromkeys([*failures, *more]):
        warn(failure)
    return passes


def lines(passes: Iterable[Listed]) -> list[Line]:
    """What is said of each pass: its summary, and whose it is when it is not ours."""
    return [Line(one.name, one.level, one.summary + ("" if one.owner == OURS else f" ({one.owner})")) for one in passes]


def sections(passes: Iterable[Listed]) -> list[tuple[str, list[Line]]]:
    """The passes by level, each level with a title."""
    return [(_title(level), list(found)) for level, found in groupby(lines(passes), key=lambda line: line.level)]


def _title(level: int | None) -> str:
    if level is None:
        return ALONE
    return f"Passes of level {level}" if level <= 1 else f"Passes of level {level}, each for some targets: -O{level} --target NAME"


def show_list(plugins: Sequence[str]) -> None:
    """Print the passes, one line each, in the order of the levels."""
    from graphopt.cli.tables import listing, show

    rows = [["-" if line.level is None else str(line.level), line.name, line.told] for line in lines(listed(plugins))]
    if rows:
        show(listing(["level", "pass", "what it does"], rows))
