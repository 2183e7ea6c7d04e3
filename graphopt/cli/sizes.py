"""The options that freeze dimensions, which several commands take: `--freeze`, `--set-input-shape`, `--keep-dynamic`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphopt.infer.freeze import Wishes

Function = TypeVar("Function", bound="Callable[..., Any]")  # Any: click calls with what the options say


def size_options(function: Function) -> Function:
    """--freeze, --set-input-shape and --keep-dynamic, which `wishes_of` reads."""
    for decorate in (
        click.option("--keep-dynamic", is_flag=True, help="Freeze nothing: what is done anyway, for scripts that say so."),
        click.option(
            "--set-input-shape", "shapes", multiple=True, metavar="INPUT=1,3,?,NAME",
            help="Freeze an input's whole shape; ? leaves a dimension as it is, NAME names one that has no name. Repeatable.",
        ),
        click.option(
            "--freeze", "sizes", multiple=True, metavar="NAME=SIZE,...",
            help="Make the dimension NAME, or INPUT:AXIS, this number, everywhere in the model. Repeatable.",
        ),
    ):  # fmt: skip
        function = decorate(function)
    return function


def wishes_of(options: dict[str, Any]) -> Wishes:  # Any: one type for each option
    """What the options ask for. Takes them out of `options`. Raises SpecError for what is no size and no shape."""
    from graphopt.infer.freeze import Wishes

    sizes, shapes, keeps = options.pop("sizes"), options.pop("shapes"), options.pop("keep_dynamic")
    if keeps and (sizes or shapes):
        raise click.UsageError(f"give --keep-dynamic or {'--freeze' if sizes else '--set-input-shape'}, not both")
    return Wishes.of(_sizes(sizes), _shapes(shapes))


def _sizes(texts: tuple[str, ...]) -> dict[str, int]:
    from graphopt.errors import SpecError

    found: dict[str, int] = {}
    for text in texts:
        for piece in text.split(","):
            name, sign, size = piece.strip().rpartition("=")  # from the right: names may hold anything
            if not sign or not name:
                raise SpecError(f"--freeze {text}: expected NAME=SIZE or INPUT:AXIS=SIZE, found {piece!r}")
            if not (size.isascii() and size.isdigit()):
                raise SpecError(f"--freeze {text}: the size of {name!r} must be a whole number from 0 on, not {size!r}")
            if found.setdefault(name, int(size)) != int(size):
                raise SpecError(f"--freeze: {name!r} cannot be both {found[name]} and {size}")
    return found


def _shapes(texts: tuple[str, ...]) -> dict[str, list[int | str | None]]:
    from graphopt.errors import SpecError

    found: dict[str, list[int | str | None]] = {}
    for text in texts:
        name, sign, shape = text.rpartition("=")
        sizes = [size.strip() for size in shape.split(",")]
        if not sign or not name or "" in sizes:
            raise SpecError(f"--set-input-shape {text}: expected INPUT=SIZE,SIZE,... where a size is a number, ? or a name")
        if name in found:
            raise SpecError(f"--set-input-shape: the input {name!r} is given twice")
        found[name] = [int(size) if size.isascii() and size.isdigit() else size for size in sizes]
    return found
