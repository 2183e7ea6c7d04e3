"""Make graphopt/ whole in a checkout: graphopt/passes and graphopt/patterns become links to ../passes and ../patterns.

The installed package never needs them (setup.py maps the folders); type checkers, editors and import-linter, which read
folders and not import hooks, do. Git ignores the links. Run after the install, as often as you like.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOUNTED = ("passes", "patterns")


def link(name: str) -> None:
    """Make graphopt/NAME lead to NAME, unless it does already."""
    here, there = ROOT / "graphopt" / name, ROOT / name
    if here.exists():
        if here.resolve() != there:
            raise SystemExit(f"{here} is in the way: it should be a link to {there}. Move it aside and run this again.")
        return
    if here.is_symlink():  # a link to nowhere: the checkout was moved or damaged
        here.unlink()
    if sys.platform == "win32":  # a junction needs no privilege, a symbolic link does
        import _winapi

        _winapi.CreateJunction(str(there), str(here))
    else:
        here.symlink_to(os.path.relpath(there, here.parent), target_is_directory=True)


def main() -> None:
    """Make all links."""
    for name in MOUNTED:
        link(name)


if __name__ == "__main__":
    main()
