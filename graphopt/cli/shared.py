"""Options and steps that several commands share."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from graphopt import suffixes

if TYPE_CHECKING:
    from graphopt.pipeline.registry import Registry

Function = TypeVar("Function", bound=Callable[..., Any])  # Any: click calls with what the options say


class OutputFile(click.Path):
    """Where a command writes a file. A name that can only be a folder's is refused, which a Path would not show any more."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # Any: as click declares it
        """A Path. Fails for `folder/`."""
        if isinstance(value, str) and value.endswith(("/", os.sep)):
            self.fail(f"{value} is the name of a folder; give that of a file", param, ctx)
        return super().convert(value, param, ctx)


def plugin_option(function: Function) -> Function:
    """--plugin, for passes and rules that are not installed."""
    decorate = click.option(
        "--plugin", "plugins", multiple=True, metavar="FILE.py|MODULE", is_eager=True,  # what other options are by default may be its word
        help="Load this plug-in too, though it is not installed: a file, a module, or MODULE:NAME. Repeatable.",
    )  # fmt: skip
    return decorate(function)


def registry_of(plugins: tuple[str, ...]) -> Registry:
    """What is installed, and the plug-ins that were named. Within one command it is one registry, which tells what is wrong once."""
    from graphopt.pipeline.registry import with_plugins

    context = click.get_current_context(silent=True)
    kept = context.meta if context is not None else {}
    key = f"{__name__}: {plugins}"
    if key not in kept:
        kept[key] = with_plugins(plugins)
    registry: Registry = kept[key]
    return registry


def with_owner(text: str, plugin: str) -> str:
    """What a list says of something, with the plug-in that brings it if that is not graphopt itself."""
    from graphopt.pipeline.registry import OURS

    return text if plugin == OURS else f"{text} ({plugin})"


def refuse_text(path: Path) -> None:
    """Raise ModelError for a model as text, which this command does not read; onnx-opt does."""
    from graphopt.errors import ModelError

    if path.suffix in suffixes.TEXT and path.is_file():
        advice = f"use onnx-opt: onnx-opt {path} -o {path.with_suffix('.onnx')} makes a binary model of it, --level1 optimizes it too"
        raise ModelError(f"{path}: is a model as text, to go by its name, and this command reads binary models; {advice}")


def warn(message: str) -> None:
    """Tell a warning, on stderr."""
    click.echo(f"warning: {message}", err=True)


def warn_of_failures(registry: Registry) -> None:
    """Tell which plug-ins, passes and rules were left out, and why."""
    for failure in registry.failures:
        warn(failure)


@contextmanager
def python_warnings_told(tell: Callable[[str], None]) -> Iterator[None]:
    """Python's own warnings (reading a model gives some) come as ours do, each once."""
    with warnings.catch_warnings():
        warnings.simplefilter("once", UserWarning)

        def show(message: Warning | str, *about: object, **more: object) -> None:  # category, file, line: of no use to a user
            tell(str(message))

        warnings.showwarning = show
        yield
