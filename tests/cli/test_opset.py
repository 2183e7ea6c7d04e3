"""`graphopt optimize --opset`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import onnx.parser
import pytest

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]
TEXT = '<ir_version: 7, opset_import: ["" : 11]> g (float[A,B,4] x) => (float[A,B,4] y) { y = Softmax<axis = 1>(x) }'


@pytest.fixture(autouse=True)
def _model(command: Command) -> None:
    onnx.save(onnx.parser.parse_model(TEXT), "model.onnx")


def test_raised_before_anything_else(command: Command, capsys: Captured) -> None:
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--opset", "17", "--verify") == 0
    assert "model.onnx -> out.onnx   (convert-opset{to=17}, level1)" in capsys.readouterr().out
    made = onnx.load("out.onnx")
    assert ([entry.version for entry in made.opset_import], made.ir_version) == ([17], 8)


def test_nothing_is_written_when_a_node_cannot_be_converted(command: Command, capsys: Captured) -> None:
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--opset", "13") == 1
    assert "error: convert-opset{to=13}: the Softmax y of opset 11 cannot be written at opset 13: " in capsys.readouterr().err
    assert not Path("out.onnx").exists()


def test_opsets_that_do_not_exist(command: Command, capsys: Captured) -> None:
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--opset", "3") == 2
    assert "the oldest opset that graphopt converts to is 7, not 3" in capsys.readouterr().err


def test_what_an_opset_stands_in_the_way_of_is_explained_with_the_option_that_helps(command: Command, capsys: Captured) -> None:
    constants = "<float root = {1.4142135}, float one = {1}, float half = {0.5}>"
    body = "{ d = Div(x, root)  e = Erf(d)  a = Add(e, one)  m = Mul(x, a)  y = Mul(m, half) }"
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[4] x) => (float[4] y) {constants} {body}'
    onnx.save(onnx.parser.parse_model(text), "gelu.onnx")
    assert command("explain", "gelu.onnx", "--rule", "erf-gelu") == 0
    assert "the model's is 17; optimize with --opset 20\n" in capsys.readouterr().out
    assert command("optimize", "gelu.onnx", "-o", "out.onnx", "--opset", "20", "-q") == 0
    assert [node.op_type for node in onnx.load("out.onnx").graph.node] == ["Gelu"]
    assert command("explain", "gelu.onnx", "--rule", "erf-gelu", "--after", "convert-opset{to=20}") == 0
    assert "it applies" in capsys.readouterr().out
