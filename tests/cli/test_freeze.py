"""`--freeze`, `--set-input-shape` and `--keep-dynamic`, in the three commands that take them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from tests.api.models import DYNAMIC, operators, write

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]


def sizes(path: str) -> list[list[int | str]]:
    """The dimensions of all inputs and outputs in a file."""
    graph = onnx.load(path).graph
    shapes = [info.type.tensor_type.shape for info in (*graph.input, *graph.output)]
    return [[dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in shape.dim] for shape in shapes]


@pytest.mark.parametrize(
    "options",
    [
        ["--freeze", "batch=3,seq=5"],
        ["--freeze", "batch=3", "--freeze", "mask:1=5"],
        ["--set-input-shape", "x=3,5,8"],
        ["--set-input-shape", "x=3,seq,?", "--freeze", "seq=5"],
    ],
)
def test_everything_frozen(command: Command, tmp_path: Path, options: list[str]) -> None:
    write(tmp_path, DYNAMIC)
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--verify", *options) == 0
    assert operators(onnx.load("out.onnx")) == ["Reshape", "Relu", "Neg"]
    assert sizes("out.onnx") == [[3, 5, 8], [3, 5], [3, 5, 2, 4], [3, 5]]


def test_what_was_frozen_is_told(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, DYNAMIC)
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--freeze", "x:0=3") == 0
    said = capsys.readouterr()
    assert "\nfrozen, as asked: batch=3\nstill dynamic: seq\n" in said.out
    assert said.err == "warning: a dimension with a name is frozen wherever the model uses the name: 'batch' (asked for as x:0)\n"
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--freeze", "batch=3,seq=1") == 0
    said = capsys.readouterr()
    assert "\nfrozen, as asked: batch=3, seq=1\nevery dimension of the inputs is a number now\n" in said.out
    assert said.err == ""


def test_everything_stays_dynamic_unless_asked(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, DYNAMIC)
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--keep-dynamic") == 0
    assert "frozen" not in capsys.readouterr().out
    assert sizes("out.onnx") == [["batch", "seq", 8], ["batch", "seq"], ["batch", "seq", 2, 4], ["batch", "rows"]]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--freeze", "bacth=4"], "error: no input has a dimension 'bacth'; did you mean 'batch'?; dynamic dimensions: batch, seq"),
        (["--freeze", "batch"], "error: --freeze batch: expected NAME=SIZE or INPUT:AXIS=SIZE, found 'batch'"),
        (["--freeze", "batch=4,"], "error: --freeze batch=4,: expected NAME=SIZE or INPUT:AXIS=SIZE, found ''"),
        (["--freeze", "batch=-1"], "error: --freeze batch=-1: the size of 'batch' must be a whole number from 0 on, not '-1'"),
        (["--freeze", "batch=4.0"], "error: --freeze batch=4.0: the size of 'batch' must be a whole number from 0 on, not '4.0'"),
        (["--freeze", "batch=4", "--freeze", "batch=5"], "error: --freeze: 'batch' cannot be both 4 and 5"),
        (["--freeze", "x:2=9"], "error: 'x:2' cannot be 9, it is 8 in the input 'x' (float32[batch, seq, 8]); dynamic dim"),
        (["--set-input-shape", "x"], "error: --set-input-shape x: expected INPUT=SIZE,SIZE,... where a size is a number, ? or a name"),
        (["--set-input-shape", "x=1,,8"], "error: --set-input-shape x=1,,8: expected INPUT=SIZE,SIZE,..."),
        (["--set-input-shape", "x=1x5x8"], "error: input_shapes: x: a size is a whole number from 0 on, a name, or ? to leave it as it is"),
        (["--set-input-shape", "x=1,5,8", "--set-input-shape", "x=2,5,8"], "error: --set-input-shape: the input 'x' is given twice"),
        (["--keep-dynamic", "--freeze", "batch=1"], "give --keep-dynamic or --freeze, not both"),
        (["--keep-dynamic", "--set-input-shape", "x=1,?,8"], "give --keep-dynamic or --set-input-shape, not both"),
    ],
)
def test_wrong_words_are_exit_status_2(command: Command, tmp_path: Path, capsys: Captured, options: list[str], says: str) -> None:
    write(tmp_path, DYNAMIC)
    assert command("optimize", "model.onnx", "-o", "out.onnx", *options) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out.onnx").exists()


def test_onnx_opt_freezes_too(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, DYNAMIC)
    assert opt("model.onnx", "--freeze", "batch=3", "--set-input-shape", "mask=?,5", "--level1") == 0
    said = capsys.readouterr()
    assert "(float[3,5,8] x, float[3,5] mask)" in said.out
    assert "Shape" not in said.out
    assert opt("model.onnx", "--keep-dynamic") == 0
    assert "(float[batch,seq,8] x, float[batch,seq] mask)" in capsys.readouterr().out
    assert opt("model.onnx", "--freeze", "n=3") == 2


def test_explain_looks_at_the_frozen_model(command: Command, tmp_path: Path, capsys: Captured) -> None:
    header = '<ir_version: 8, opset_import: ["" : 17]>'
    write(tmp_path, header + "g (float[n, 4] x, float[4, 5] w, float[m, 5] c) => (float[n, 5] y) { t = MatMul(x, w) y = Add(t, c) }")
    assert command("explain", "model.onnx", "--rule", "matmul-add-to-gemm") == 0
    before = capsys.readouterr().out
    assert command("explain", "model.onnx", "--rule", "matmul-add-to-gemm", "--freeze", "n=3,m=3") == 0
    assert "applies" in capsys.readouterr().out
    assert "applies" not in before
    assert command("explain", "model.onnx", "--freeze", "k=3") == 2
