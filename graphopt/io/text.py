"""Models in ONNX's own text syntax."""

from __future__ import annotations

import onnx.parser
import onnx.printer

from graphopt.errors import ModelError
from graphopt.io.reader import load
from graphopt.io.writer import to_proto
from graphopt.ir.model import Model


def parse_text(text: str) -> Model:
    """The model that a text in ONNX's syntax describes; comments start with #.

    Raises ModelError with the place where the text stops making sense.
    """
    try:
        message = onnx.parser.parse_model(text)
    except onnx.parser.ParseError as error:
        raise ModelError(f"the text is no ONNX model: {str(error).strip()}") from error
    return load(message)


def print_text(model: Model) -> str:
    """The model as text; `parse_text` reads it unless tensors of 1 KiB and more were left out, of which only type and shape are shown."""
    text: str = onnx.printer.to_text(to_proto(model, weights=False))
    return text
