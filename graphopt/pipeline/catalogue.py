"""What passes there are, one line each, read from the plug-ins' source files: hundreds of passes are listed without importing one."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from graphopt.pipeline.discovery import CODE, reason_of
from graphopt.pipeline.level import Level
from graphopt.pipeline.plugin import Plugin

HEAD = re.compile(r'^class (\w+)(?:\(([^()]*)\))?:[ \t]*(?:#[^\n]*)?\s*(?:([rR]?"""(?:[^"\\]|\\.|"(?!""))*""")|\S)', re.MULTILINE)
LEVEL = re.compile(r"^[ \t]+level\b[^=\n]*=\s*(?:\w+\.)*Level\.([A-Z]+)", re.MULTILINE)
PLAIN_BASES = ("Pass", "RulePass")  # which say BASIC; another class may say another level


class Listed(NamedTuple):
    """A pass: the level that runs it, None when it runs only when it is named; above level 1 the targets for which it does."""

    name: str
    summary: str
    level: int | None
    targets: tuple[str, ...]
    owner: str


class _Class(NamedTuple):
    """What is known of a class of passes."""

    summary: str
    level: int


def catalogue(plugins: Iterable[Plugin]) -> tuple[list[Listed], list[str]]:
    """The passes of some plug-ins, by level and in the order of the plug-ins; and a sentence for each that cannot be found.

    A plug-in's own order within a level, by `after` and `before`, is not looked up.
    """
    found: list[Listed] = []
    failures: list[str] = []
    given = list(plugins)
    preparing = _preparing(given, failures)
    for plugin in given:
        levels = {name: level for level, names in (plugin.levels or {}).items() for name in names}
        for name, target in plugin.passes.items():
            try:
                known = _read(target, needs_level=plugin.levels is None)
            except CODE as error:
                failures.append(_left_out("pass", name, target, plugin, error))
                continue
            level = known.level if plugin.levels is None else levels.get(name)
            asked = preparing.get(name, {})
            if level is None and asked:
                level = min(asked)
            targets = tuple(asked[level]) if level is not None and level in asked else ()
            found.append(Listed(name, known.summary, level, targets, plugin.name))
    order = {name: position for position, name in enumerate(_in_levels(given))}
    return sorted(found, key=lambda one: (_rank(one.level), order.get(one.name, len(order)))), failures


def _rank(level: int | None) -> int:
    """Levels in the order in which they run, then placement, then what belongs to none."""
    return len(Level) + 1 if level is None else level or len(Level)


def _in_levels(plugins: Iterable[Plugin]) -> dict[str, None]:
    """The names that levels list, in their order."""
    known = [*plugins]
    listed = [names for plugin in known for names in (plugin.levels or {}).values()]
    listed += [names for plugin in known for levels in plugin.target_levels.values() for names in levels.values()]
    return dict.fromkeys(name for names in listed for name in names)


def _preparing(plugins: Iterable[Plugin], failures: list[str]) -> dict[str, dict[int, list[str]]]:
    """Pass -> level -> the targets for which it runs there."""
    found: dict[str, dict[int, list[str]]] = {}
    for plugin in plugins:
        for target, place in plugin.targets.items():
            try:
                levels = plugin.target_levels[target] if target in plugin.target_levels else _named(place).levels
            except CODE as error:
                failures.append(_left_out("target", target, place, plugin, error))
                continue
            for level, names in levels.items():
                for name in names:
                    asking = found.setdefault(name, {}).setdefault(int(level), [])
                    asking += [target] if target not in asking else []
    return found


def _left_out(what: str, name: str, place: str, plugin: Plugin, error: BaseException) -> str:
    return f"the {what} {name!r} is left out: {place} of the plug-in {plugin.name!r} cannot be loaded: {reason_of(error)}"


def _named(place: str) -> Any:  # Any: whatever it names
    """What "module:name" names, imported."""
    module, _, path = place.partition(":")
    found: Any = import_module(module)  # Any: as above
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _read(place: str, *, needs_level: bool) -> _Class:
    """What the source of "module:Class" says; imported where the source does not say it. Raises whatever that raises."""
    module, _, name = place.partition(":")
    text = _source(module)
    head = next((found for found in HEAD.finditer(text) if found[1] == name), None)
    if head is not None:
        body = re.split(r"^[^\s#]", text[head.end() :], maxsplit=1, flags=re.MULTILINE)[0]
        level = LEVEL.search(body) if needs_level else None
        is_plain = all(base.strip() in PLAIN_BASES for base in (head[2] or "").split(",")) and not re.search(r"\blevel\b", body)
        is_said = not needs_level or level is not None or is_plain
        if head[3] and is_said:
            return _Class(_summary(literal_eval(head[3])), Level[level[1]] if level is not None else Level.BASIC)
    return _imported(place)


def _source(module: str) -> str:
    """The text of a module's file; "" where there is none to be read. Imports the packages around it."""
    spec = find_spec(module)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {module!r}")
    file = Path(spec.origin or "")
    try:
        return file.read_text(encoding="utf-8") if file.suffix == ".py" else ""
    except (OSError, UnicodeDecodeError):  # in an archive, or in another encoding: importing it will tell
        return ""


def _imported(place: str) -> _Class:
    found = _named(place)
    return _Class(_summary(found.__doc__ or ""), int(found.level))


def _summary(doc: str) -> str:
    """The first paragraph in one line."""
    return " ".join(line.strip() for line in _paragraph(doc.strip()))


def _paragraph(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if not line.strip():
            return
        yield line
