"""Pages that are made of declarations: written, or with --check only held against them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path


def keep(page: Path, make: Callable[[], str], declared_by: str, arguments: Iterable[str] | None = None) -> int:
    """Write a page where it is not current; with --check say so instead, and return 1."""
    parser = argparse.ArgumentParser(description=f"Write docs/{page.name} from what {declared_by} declare.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when the page is not current")
    options = parser.parse_args(None if arguments is None else list(arguments))
    made = make()
    if page.exists() and page.read_text(encoding="utf-8") == made:
        return 0
    if options.check:
        print(f"docs/{page.name} is not what {declared_by} declare: renew it with `python {sys.argv[0]}`", file=sys.stderr)
        return 1
    page.write_text(made, encoding="utf-8")
    return 0
