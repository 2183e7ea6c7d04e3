"""Names of a package that are imported when they are first used, so that importing the package costs nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of a package. `homes` says for each name the module below graphopt that has it; "" is the module of that name."""

    def attribute(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        found: object = getattr(import_module(f"graphopt.{home}"), name) if home else import_module(f"graphopt.{name}")
        setattr(sys.modules[package], name, found)
        return found

    return attribute
