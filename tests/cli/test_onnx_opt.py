"""`onnx-opt`: passes as flags, models as text, one or several in a file, ready for CHECK lines."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from filecheck.matcher import Matcher
from filecheck.options import Options

from graphopt.cli.onnx_opt import parts
from tests.api.models import model, operators, write

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]

TWO = """\
# RUN: onnx-opt %s -p fuse-matmul-add | filecheck %s
<ir_version: 10, opset_import: ["" : 20]>
# CHECK-LABEL: commuted
commuted (float[4,5] x, float[5,3] w, float[3] c) => (float[4,3] y) {
   t = MatMul(x, w)
   # CHECK-NOT: MatMul
   # CHECK: y = Gemm (x, w, c)
   y = Add(c, t)
}
# -----
# CHECK-LABEL: c_has_rank_3
# CHECK: MatMul
c_has_rank_3 (float[4,5] x, float[5,3] w, float[1,1,3] c) => (float[1,4,3] y) {
   t = MatMul(x, w)
   y = Add(c, t)
}
"""


def feed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Let stdin hold this."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def checks(folder: Path, expected: str, actual: str) -> bool:
    """Whether the CHECK lines of one text hold of another."""
    (folder / "expected").write_text(expected)
    (folder / "actual").write_text(actual)
    status: int = Matcher.from_opts(Options(str(folder / "expected"), str(folder / "actual"))).run()
    return status == 0


def test_check_lines_work_on_what_it_prints(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "two.onnxtxt").write_text(TWO)
    assert opt("two.onnxtxt", "--split-input-file", "-p", "fuse-matmul-add") == 0
    said = capsys.readouterr()
    assert checks(tmp_path, TWO, said.out)
    assert "Gemm" in said.out
    assert said.err == ""
    assert opt("two.onnxtxt", "--split-input-file") == 0
    assert not checks(tmp_path, TWO, capsys.readouterr().out)
    capsys.readouterr()


def test_models_of_one_file_share_the_first_header() -> None:
    first, second = parts(TWO)
    assert first.startswith("# RUN")
    assert second.startswith('<ir_version: 10, opset_import: ["" : 20]>\n# CHECK-LABEL: c_has_rank_3')
    assert parts("") == []


def test_flags_are_passes_in_their_order(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert opt("model.onnx", "--eliminate-identity", "-o", "out.onnx", "--eliminate-dead-nodes", "--time-passes") == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert sorted(re.findall(r"^(eliminate-\S+) +1", said.err, re.MULTILINE)) == ["eliminate-dead-nodes", "eliminate-identity"]
    assert operators(onnx.load("out.onnx")) == ["Add", "Relu"]


def test_a_flag_may_be_a_name_of_another_tool(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert opt("model.onnx", "--EliminateIdentity", "--eliminate_deadend", "--nop") == 0
    assert operators(model(capsys.readouterr().out)) == ["Add", "Relu"]
    assert opt("model.onnx", "--EliminateIdentitty") == 2
    assert "did you mean 'EliminateIdentity'?" in capsys.readouterr().err
    assert opt("model.onnx", "--split_init") == 2
    assert "split_init of onnxoptimizer and onnxsim is not built: " in capsys.readouterr().err


def test_a_flag_may_carry_options(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert opt("model.onnx", "--take-all=count=2 strict", "--plugin", "tests.cli.strangers:OPTIONS") == 0
    capsys.readouterr()
    assert opt("model.onnx", "--take-all=count=two", "--plugin", "tests.cli.strangers:OPTIONS") == 2
    points = "take-all{count} takes a whole number, not 'two' (default: 3)\n  take-all{count=two}\n                 ^"
    assert points in capsys.readouterr().err


def test_a_level_is_a_flag_as_well(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert opt("model.onnx", "--level1") == 0
    assert operators(model(capsys.readouterr().out)) == ["Add", "Relu"]


def test_stdin_is_text_or_a_binary_model(opt: Command, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    text = TWO.split("# -----", maxsplit=1)[0]
    feed(monkeypatch, text.encode())
    assert opt("-", "--level1") == 0
    as_text = capsys.readouterr().out
    feed(monkeypatch, model(text).SerializeToString())
    assert opt("--level1") == 0
    assert capsys.readouterr().out == as_text
    assert "Gemm" in as_text


def test_text_goes_to_a_file_that_is_called_so(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert opt("model.onnx", "-o", "out.onnxtxt", "--level1") == 0
    assert capsys.readouterr().out == ""
    assert opt("out.onnxtxt") == 0
    assert capsys.readouterr().out == (tmp_path / "out.onnxtxt").read_text()


def test_changes_go_to_stderr(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert opt("model.onnx", "--eliminate-identity", "--print-after-change", "--verify-each") == 0
    said = capsys.readouterr()
    assert "-   a = Identity (x)\n" in said.err
    assert operators(model(said.out)) == ["Add", "Relu"]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["model.onnx", "--eliminate-identiti"], 2, "is called --eliminate-identiti; did you mean 'eliminate-identity'?"),
        (["model.onnx", "--time-pases"], 2, "no option and no pass is called --time-pases; did you mean 'time-passes'?"),
        (["model.onnx", "-p", "level1", "--fuse-conv-bn"], 2, "give --pipeline or --fuse-conv-bn, not both"),
        (["two.onnxtxt", "--split-input-file", "-o", "out.onnx"], 2, "several models do not go into one file"),
        (["missing.onnxtxt"], 1, "missing.onnxtxt: cannot be read: No such file or directory"),
        (["wrong.onnxtxt"], 1, "the text is no ONNX model"),
        (["bytes.onnxtxt"], 1, "bytes.onnxtxt: is neither ONNX text nor a binary model"),
        (["model.onnx", "-o", "no/such/folder/out.onnxtxt"], 1, "out.onnxtxt: cannot be written: there is no folder no/such/folder"),
    ],
)
def test_errors(opt: Command, tmp_path: Path, capsys: Captured, arguments: list[str], status: int, says: str) -> None:
    write(tmp_path)
    (tmp_path / "two.onnxtxt").write_text(TWO)
    (tmp_path / "wrong.onnxtxt").write_text("<ir_version: 10> what is this")
    (tmp_path / "bytes.onnxtxt").write_bytes(b"\xff\xfe\x00")
    assert opt(*arguments) == status
    said = capsys.readouterr()
    assert says in said.err
    assert "Traceback" not in said.err
