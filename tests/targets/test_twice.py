"""Levels 1 and 2 once more change nothing: for every target, the second result has the bytes of the first."""

from __future__ import annotations

from pathlib import Path

import onnx.parser
import onnx.printer
import pytest
from onnx import ModelProto

import graphopt
from graphopt.passes.targets import TARGETS
from tests.targets.models import CASES, model

GOLDEN = Path(__file__).parent.parent / "golden"
QUANTIZED = [path for path in sorted(GOLDEN.rglob("*.onnxtxt")) if "quantizeLinear" in path.read_text().replace("Q", "q")]

every_target = pytest.mark.parametrize("target", [target.name for target in TARGETS])


def once_more(proto: ModelProto, target: str) -> tuple[ModelProto, ModelProto]:
    """A model after levels 1 and 2, and after them again."""
    first = graphopt.optimize(proto, target=target)
    return first, graphopt.optimize(first, target=target)


@every_target
@pytest.mark.parametrize("name", CASES)
def test_models_of_targets(name: str, target: str) -> None:
    first, second = once_more(model(CASES[name]), target)
    assert onnx.printer.to_text(second) == onnx.printer.to_text(first)
    assert second.SerializeToString() == first.SerializeToString()


@every_target
@pytest.mark.parametrize("path", QUANTIZED, ids=lambda path: path.parent.name)
def test_models_of_passes(path: Path, target: str) -> None:
    for text in path.read_text().split("# -----\n"):
        first, second = once_more(onnx.parser.parse_model(text), target)
        assert onnx.printer.to_text(second) == onnx.printer.to_text(first)
        assert second.SerializeToString() == first.SerializeToString()
