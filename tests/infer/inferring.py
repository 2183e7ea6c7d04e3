"""Models from text, with their types inferred, and the warnings on the way."""

from __future__ import annotations

from onnx import parser

import graphopt.io
from graphopt.infer import infer_model
from graphopt.ir import Model


class Warnings:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def warned(self, source: str, message: str) -> None:
        self.messages.append(message)


def inferred(text: str, warnings: Warnings | None = None) -> Model:
    """The model of a text, its types inferred."""
    model = graphopt.io.load(parser.parse_model(text))
    infer_model(model, warnings)
    return model
