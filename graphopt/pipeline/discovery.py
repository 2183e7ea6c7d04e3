"""Which plug-ins there are: what the entry points of the group `graphopt.plugins` name, and what somebody names. Imports nothing heavy."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from graphopt.errors import SpecError, nearest
from graphopt.pipeline.plugin import GROUP, Plugin

T = TypeVar("T")
SLOW = 2.0  # seconds; an import that pays for onnx as well, which is not the plug-in's fault, takes less
CODE = (Exception, SystemExit)  # what a stranger's module may raise while it is imported: a script that ends itself, too
FILE = re.compile(r"(.*\.py|.*[/\\].*?)(?::([A-Za-z_][\w.]*))?", re.DOTALL)
REQUIRES_US = re.compile(r"graphopt\s*(?![\w.-])", re.IGNORECASE)
clock = time.perf_counter  # tests have another
_stamps: dict[str, tuple[int, int]] = {}  # of the files that were loaded, by module: somebody in a notebook edits one and tries again


def discovered() -> tuple[list[Plugin], list[str]]:
    """The plug-ins that are installed, and a sentence for each that cannot be loaded, does not fit, or is slow."""
    plugins: list[Plugin] = []
    failures: list[str] = []
    points = {(point.name, point.value): point for point in entry_points(group=GROUP)}  # an editable install may be seen twice
    for _, point in sorted(points.items()):
        try:
            if misfit := unmet(_requirements(point)):
                failures.append(f"the plug-in {point.name!r} is left out: {misfit}")
                continue
            plugin, slow = timed(point.load)
            if not isinstance(plugin, Plugin):
                raise TypeError(f"{point.value} is {plugin!r}, not a graphopt Plugin")
        except CODE as error:
            failures.append(f"the plug-in {point.name!r} is left out: {point.value} cannot be loaded: {reason_of(error)}")
            continue
        if misfit := unmet([plugin.requires]):
            failures.append(f"the plug-in {plugin.name!r} is left out: {misfit}")
            continue
        plugins.append(plugin)
        if slow:
            failures.append(f"the plug-in {plugin.name!r} {slow}")
    return plugins, failures


def load_plugin(target: str) -> Plugin:
    """The plug-in that `target` names: "module", "module:NAME", "path/to/file.py" or "path/to/file.py:NAME".

    Without NAME it is the module's PLUGIN; a module that has none is taken as it is, with the passes and rules that it defines. A path
    begins in the current folder, and what it leads to is a module afterwards that bears the name of the file.

    Raises SpecError, in one sentence, when there is no such thing, when it raises, or when it is not made for this graphopt.
    """
    as_file = FILE.fullmatch(target)
    where, _, name = (as_file[1], "", as_file[2] or "") if as_file is not None else target.partition(":")
    try:
        module = _module_in(Path(where)) if as_file is not None else importlib.import_module(where)
        plugin = _plugin_in(module, name)
    except SpecError as error:
        raise SpecError(f"the plug-in {target!r} cannot be loaded: {error}") from error
    except CODE as error:
        raise SpecError(f"the plug-in {target!r} cannot be loaded: {reason_of(error)}{'' if as_file else _file_beside(where)}") from error
    if misfit := unmet([plugin.requires]):
        raise SpecError(f"the plug-in {target!r} cannot be used: {misfit}")
    return plugin


def from_anywhere(target: str) -> str:
    """The same target for `load_plugin` in any folder: what begins in the current one is a whole path."""
    as_file = FILE.fullmatch(target)
    return target if as_file is None else f"{Path(as_file[1]).resolve()}{f':{as_file[2]}' if as_file[2] else ''}"


def timed(load: Callable[[], T]) -> tuple[T, str]:
    """What `load` gives, and what to say of it when that took long; otherwise ""."""
    began = clock()
    found = load()
    seconds = clock() - began
    advice = "what is heavy should be imported in the functions that need it"
    return found, f"took {seconds:.1f} s to import; {advice}" if seconds > SLOW else ""


def reason_of(error: BaseException) -> str:
    """What an exception of a stranger's code says, with its kind, in one line."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


# ---- files


def _module_in(place: Path) -> ModuleType:
    """The module in a file or folder, imported under the name of it. Raises SpecError, and whatever importing it raises."""
    import sys
    from difflib import get_close_matches
    from importlib.util import find_spec, module_from_spec, spec_from_file_location

    file = place / "__init__.py" if place.is_dir() else place
    if not file.is_file():
        beside = sorted(str(other) for other in place.parent.glob("*.py") if get_close_matches(place.stem, [other.stem], 1, 0.5))
        raise SpecError(f"there is no file {file}{nearest(str(place), beside) if beside else ''}")
    file = file.resolve()
    name = re.sub(r"\W", "_", (file.parent if place.is_dir() else file.with_suffix("")).name)
    stamp = (file.stat().st_mtime_ns, file.stat().st_size)
    known = sys.modules.get(name)
    spec = find_spec(name) if known is None else None
    origin = spec.origin if spec is not None else getattr(known, "__file__", None)
    if known is not None or spec is not None:
        if origin is None or Path(origin).resolve() != file:
            installed = origin is not None and "site-packages" in Path(origin).parts
            advice = "if it is an installed copy of the file, `pip install -e .` makes both one; otherwise give" if installed else "give"
            raise SpecError(f"there is another module {name!r} ({origin or 'built in'}); {advice} the file another name")
        if _stamps.get(name, stamp) == stamp:
            return importlib.import_module(name)
    spec = spec_from_file_location(name, file, submodule_search_locations=[str(file.parent)] if place.is_dir() else None)
    if spec is None or spec.loader is None:
        raise SpecError(f"{place} is no Python file: its name should end in .py")
    module = sys.modules[name] = module_from_spec(spec)  # before it runs, as imports do, so that what it names as "module:name" is found
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    _stamps[name] = stamp
    return module


def _file_beside(module: str) -> str:
    """How the message about a module that is not there ends when a file of its name is."""
    file = Path(f"{module}.py")
    return f"; for the file here say ./{file}" if re.fullmatch(r"\w+", module) and file.is_file() else ""


def _plugin_in(module: ModuleType, name: str) -> Plugin:
    """What the name stands for in a module; without a name its PLUGIN, or what it defines."""
    found: object = module
    for part in name.split(".") if name else ():
        found = getattr(found, part)
    if not name and (found := getattr(module, "PLUGIN", None)) is None:
        from graphopt.pipeline.loose import plugin_of  # as heavy as what the module has imported

        found = plugin_of(module)
        vars(module)["PLUGIN"] = found  # the next time it is the same
    if not isinstance(found, Plugin):
        raise TypeError(f"{name or 'PLUGIN'} is of the type {type(found).__name__}, not a graphopt Plugin")
    return found


# ---- versions


def unmet(requirements: Iterable[str]) -> str:
    """Which of some requirements, like "graphopt>=0.1", does not hold here, and why; "" when all hold."""
    for text in filter(None, requirements):
        from packaging.requirements import InvalidRequirement, Requirement  # no plug-in needs to ask for anything

        try:
            asked = Requirement(text)
            if asked.marker is not None and not asked.marker.evaluate({"extra": ""}):
                continue
            here = version(asked.name)
        except InvalidRequirement:
            return f"it requires {text!r}, which is not written like 'graphopt>=0.1'"
        except PackageNotFoundError:
            return f"it requires {text}, which is not installed"
        if not asked.specifier.contains(here, prereleases=True):
            return f"it requires {text}, and this is {asked.name} {here}"
    return ""


def _requirements(point: EntryPoint) -> list[str]:
    """What the package of an entry point says of graphopt; read from its metadata, before anything of it is imported."""
    told = point.dist.requires if point.dist is not None else None
    always = [text for text in told or () if "extra" not in text.partition(";")[2]]  # an extra of ours names us, and reading it takes time
    return [text for text in always if REQUIRES_US.match(text)]
