"""Options and steps that several commands share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from graphopt.pipeline.registry import Registry

TEXT_SUFFIXES = (".onnxtxt", ".onnxtext", ".txt")  # of models as text, which onnx-opt reads and writes
Function = TypeVar("Function", bound=Callable[..., Any])  # Any: click calls with what the options say


def plugin_option(function: Function) -> Function:
    """--plugin, for passes and rules that are not installed."""
    decorate = click.option(
        "--plugin", "plugins", multiple=True, metavar="MODULE[:NAME]", help="Load this plug-in too, though it is not installed. Repeatable."
    )
    return decorate(function)


def registry_of(plugins: tuple[str, ...]) -> Registry:
    """What is installed, and the plug-ins that were named."""
    from graphopt.pipeline.registry import installed, with_plugin

    registry = installed()
    for target in plugins:
        registry = with_plugin(registry, target)
    return registry


def refuse_text(path: Path) -> None:
    """Raise ModelError for a model as text, which this command does not read; onnx-opt does."""
    from graphopt.errors import ModelError

    if path.suffix in TEXT_SUFFIXES and path.is_file():
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
