"""`graphopt.check`, `stat` and `lint`: what Python programs may ask of a model, whatever kind it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import onnx.parser
import onnx_ir
import pytest

import graphopt
from graphopt.api import Given
from graphopt.errors import SpecError

PRODUCT = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[N,4] x) => (float[N,2] y) <float[4,2] w = {1,2,3,4,5,6,7,8}> { y = MatMul(x, w) }"""
INTEGERS = """<ir_version: 10, opset_import: ["" : 21]>
    g (float[1,4] x) => (int8[4,1] y) <float s = {0.5}, int8 z = {0}> { q = QuantizeLinear(x, s, z) y = Transpose(q) }"""


def proto(text: str, folder: Path) -> Given:
    return onnx.parser.parse_model(text)


def path(text: str, folder: Path) -> Given:
    onnx.save(onnx.parser.parse_model(text), folder / "model.onnx")
    return folder / "model.onnx"


def model(text: str, folder: Path) -> Given:
    return graphopt.load(onnx.parser.parse_model(text))


def ir(text: str, folder: Path) -> Given:
    return onnx_ir.from_proto(onnx.parser.parse_model(text))


KINDS = pytest.mark.parametrize("given", [proto, path, model, ir])


@KINDS
def test_stat(given: Callable[[str, Path], Given], tmp_path: Path) -> None:
    source = given(PRODUCT, tmp_path)
    assert str(graphopt.stat(source).total.macs) == "8*N"
    assert str(graphopt.stat(source, freeze={"N": 3}).total.macs) == "24"
    assert str(graphopt.stat(source).total.macs) == "8*N"  # what was asked changes nothing
    with pytest.raises(SpecError, match="M"):
        graphopt.stat(source, freeze={"M": 3})


@KINDS
def test_check(given: Callable[[str, Path], Given], tmp_path: Path) -> None:
    old = PRODUCT.replace("ir_version: 8", "ir_version: 3").replace("x)", "x, float[4,2] w)").replace('"" : 17', '"" : 8')
    source = given(old, tmp_path)
    found = {one.about: one for one in graphopt.check(source, quick=True)}
    if given is not ir:  # onnx-ir knows no inputs that are initializers as well
        assert found["overridable-initializers"].helps == "--initializers-are-constants"
    assert all(one.kind != "error" for one in found.values())


@KINDS
def test_lint_recommends_what_helps(given: Callable[[str, Path], Given], tmp_path: Path) -> None:
    source = given(INTEGERS, tmp_path)
    (found,) = graphopt.lint(source, target="tensorrt")
    assert (found.node.op, found.kind, found.helps) == ("Transpose", "float", "materialize-node-units")
