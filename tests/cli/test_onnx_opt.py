"""`onnx-opt`: models as text and as bytes, one or several in a file, ready for CHECK lines; what it says of mistakes."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filecheck.matcher import Matcher
from filecheck.options import Options

from graphopt.io.text import split_text
from tests.api.models import model, write

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
    first, second = split_text(TWO)
    assert first.startswith("# RUN")
    assert second.startswith('<ir_version: 10, opset_import: ["" : 20]>\n# CHECK-LABEL: c_has_rank_3')
    assert split_text("") == []


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


def test_what_text_leaves_out_is_told_and_not_taken_for_a_model(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    """Weights of 1 KiB and more are not printed: such a text is for eyes, and neither it nor the silence may pass for a model."""
    body = f"<float[300] w = {{{','.join(['0.5'] * 300)}}}> {{ y = Add(x, w) }}"
    (tmp_path / "big.onnxtxt").write_text(f'<ir_version: 10, opset_import: ["" : 20]> g (float[300] x) => (float[300] y) {body}')
    assert opt("big.onnxtxt", "-o", "again.onnxtxt") == 0
    told = "again.onnxtxt: text is for reading, and 1 weight of 1 KiB or more is not in it; for a model that runs, write again.onnx"
    assert capsys.readouterr().err == f"warning: {told}\n"
    assert opt("again.onnxtxt", "-o", "back.onnx") == 1
    assert "the text leaves out the elements of 'w', [300]" in capsys.readouterr().err
    assert not (tmp_path / "back.onnx").exists()


def test_a_hyphen_is_stdout(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert opt("model.onnx") == 0
    expected = capsys.readouterr().out
    assert opt("model.onnx", "-o", "-") == 0
    assert capsys.readouterr().out == expected
    assert opt("model.onnx", "-o", "/dev/null") == 0
    assert capsys.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_the_result_is_verified(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert opt("model.onnx", "-O1", "--verify", "-o", "out.onnx") == 0
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("equal bits: model.onnx and the result")
    wrong = ("--make-wrong", "--plugin", "tests.cli.strangers")
    assert opt("model.onnx", *wrong, "--verify", "-o", "out.onnxtxt") == 70
    said = capsys.readouterr()
    assert "; to blame is rewrite 1: the rule make-wrong at d" in said.err
    assert not (tmp_path / "out.onnxtxt").exists() and said.out == ""


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["model.onnx", "--eliminate-identiti"], 2, "is called --eliminate-identiti; did you mean 'eliminate-identity'?"),
        (["model.onnx", "--time-pases"], 2, "no option and no pass is called --time-pases; did you mean 'time-passes'?"),
        (["model.onnx", "-p", "level1", "--fuse-conv-bn"], 2, "give --pipeline or --fuse-conv-bn, not both"),
        (["two.onnxtxt", "--split-input-file", "-o", "out.onnx"], 2, "several models do not go into one file"),
        (["missing.onnxtxt"], 1, "missing.onnxtxt: cannot be read: No such file or directory"),
        (["wrong.onnxtxt"], 1, "wrong.onnxtxt: the text is no ONNX model"),
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
