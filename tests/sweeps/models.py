"""The small models that come with the tests: the golden models of all passes, and the cases that trip optimizers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx.parser
from onnx import ModelProto

from graphopt.io.text import split_text

TESTS = Path(__file__).resolve().parent.parent
TITLE = re.compile(r"^(?:# CHECK-LABEL: |agraph |)(\w+) ?\(", re.MULTILINE)
LARGE = 600  # nodes: cases of thousands are about time, not about order


def bundled() -> Iterator[tuple[str, ModelProto]]:
    """(where it is from, model) of each."""
    for path in sorted((TESTS / "golden").glob("*/*.onnxtxt")):
        for number, text in enumerate(split_text(path.read_text(encoding="utf-8")), 1):
            model = onnx.parser.parse_model(text)
            yield f"{path.parent.name}/{path.stem}:{number} {model.graph.name}", model
    for path in sorted((TESTS / "data" / "cases").glob("*/model.onnx")):
        model = onnx.load(path)
        if len(model.graph.node) < LARGE:
            yield f"cases/{path.parent.name}", model
