"""Models as text and as bytes, in files, on stdin and on stdout, one or several."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from graphopt import suffixes

if TYPE_CHECKING:
    from graphopt.ir.model import Model

STANDARD = "-"  # stdin and stdout
BINARY_START = b"\x08"  # the tag of ModelProto.ir_version, which every serializer writes first; no text begins so
SEPARATOR = "\n# -----\n"
Given: TypeAlias = "Path | bytes | Model"  # what a Job takes


def read(source: str, *, split: bool) -> list[Given]:
    """The models that a file or stdin holds; a binary file is not opened yet. Raises ModelError when text cannot be read."""
    from graphopt import io
    from graphopt.errors import ModelError

    path = Path(source)
    if source != STANDARD and path.suffix not in suffixes.TEXT:
        return [path]
    if source == STANDARD and sys.stdin.isatty():
        click.echo("reading a model as text from the terminal; its end is Ctrl-D, and --help says more", err=True)
    try:
        data = sys.stdin.buffer.read() if source == STANDARD else path.read_bytes()
        if data.startswith(BINARY_START):
            return [data if source == STANDARD else path]
        text = data.decode()
    except OSError as error:
        raise ModelError(f"{source}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{source}: is neither ONNX text nor a binary model") from error
    from graphopt.io.text import split_text

    try:
        return [io.parse_text(part) for part in (split_text(text) if split else [text])]
    except ModelError as error:
        raise ModelError(f"{'stdin' if source == STANDARD else source}: {error if text.strip() else 'is empty'}") from error


def is_text(output: Path) -> bool:
    """Whether what goes to this file is text, by its name."""
    return output.suffix in suffixes.TEXT


def as_text(model: Model) -> str:
    """A model as text that ends with its last line."""
    from graphopt import io

    return io.print_text(model).rstrip("\n")
