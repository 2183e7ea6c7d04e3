"""`graphopt explain --dynamic`: what is left of a model, why, and which flag removes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.models import write

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]

HEAD = '<ir_version: 10, opset_import: ["" : 20]>\n'
SIZES = HEAD + """g (float[N,S] x, float[M] w) => (float[A,B,C] y, int64[D,E] z) {
    s = Shape(x) t = Shape(w) u = Concat<axis = 0>(s, t) y = ConstantOfShape(u) z = NonZero(x) }"""
LOOP = HEAD + """g (float[N] x, float[M] w) => (float[N] y, int64[1] m) <int64 i = {0}, bool go = {1}> {
    m = Shape(w) s = Shape(x) n = Gather(s, i)
    y = Loop(n, go, x) < body = body (int64 j, bool d, float[N] h) => (bool e, float[N] o) { o = Add(h, h) e = Identity(d) } > }"""
PLAIN = HEAD + "g (float[N] x) => (float[N] y) { y = Relu(x) }"


def told(command: Command, capsys: Captured, *options: str) -> str:
    assert command("explain", "model.onnx", "--dynamic", *options) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def test_operators_with_most_nodes_first(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, SIZES)
    assert told(command, capsys) == """\
Shape (2)
  Shape 's' reads the shape of %x (float32[N, S]), for Concat: it depends on the sizes N, S; --freeze N=...,S=... would remove it
  Shape 't' reads the shape of %w (float32[M]), for Concat: it depends on the size M; --freeze M=... would remove it
ConstantOfShape (1)
  ConstantOfShape 'y': how much it makes depends on the sizes M, N, S; --freeze M=...,N=...,S=... would remove it, \
provided that the result is small, or the file may grow (-p 'level1, fold-constants{max-growth=1MiB}')
NonZero (1)
  NonZero 'z': how much it finds depends on the values of x; no flag removes it
With all sizes frozen (--freeze M=...,N=...,S=...), 2 of 4 would go.
"""


def test_the_flag_that_it_names(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, SIZES)
    assert "NonZero (1)" in (said := told(command, capsys, "--freeze", "M=2,N=3,S=4"))
    assert "Shape" not in said and "--freeze" not in said
    assert "the size M" in told(command, capsys, "--freeze", "N=3,S=4")


def test_all_flags_together_leave_out_what_they_may_not_remove(command: Command, tmp_path: Path, capsys: Captured) -> None:
    """The sizes of both Shapes are named though no one node needs both; the Loop goes only if it then runs once."""
    write(tmp_path, LOOP)
    said = told(command, capsys)
    assert "--freeze N=... would remove it, provided that it then runs at most once" in said
    assert said.endswith("With all sizes frozen (--freeze M=...,N=...), 2 of 3 would go.\n")


def test_json(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, SIZES)
    rows = json.loads(told(command, capsys, "--json", "--limit", "1"))  # all of them, whatever the limit
    assert [(row["operator"], row["freeze"]) for row in rows] == [
        ("Shape", ["N", "S"]), ("Shape", ["M"]), ("ConstantOfShape", ["M", "N", "S"]), ("NonZero", []),
    ]  # fmt: skip
    assert list(rows[0]) == ["node", "operator", "reason", "freeze", "provided"]
    assert rows[3]["reason"] == "NonZero 'z': how much it finds depends on the values of x"
    write(tmp_path, PLAIN)
    assert json.loads(told(command, capsys, "--json")) == []


def test_limit(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, SIZES)
    said = told(command, capsys, "--limit", "1")
    assert "Shape 's'" in said and "Shape 't'" not in said
    assert "  ... and 1 more (--limit)\n" in said
    assert "2 of 4" in said  # counts what is not shown too
    assert command("explain", "model.onnx", "--dynamic", "--limit", "0") == 2


def test_nothing_is_left(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, PLAIN)
    assert told(command, capsys) == "Nothing is left that depends on sizes or data: no Shape, If, Loop or NonZero.\n"


def test_after_another_pipeline(command: Command, tmp_path: Path, capsys: Captured) -> None:
    """Without one level 1 has run: what it removes is not explained."""
    write(tmp_path, HEAD + """g (float[N,S] x) => (float[N,S,1] y) <int64[1] one = {1}> {
        s = Shape(x) t = Concat<axis = 0>(s, one) y = Reshape(x, t) }""")
    assert told(command, capsys).startswith("Nothing is left")
    assert told(command, capsys, "--after", "eliminate-identity").startswith("Shape (1)\n  Shape 's' reads")


def test_rules_or_what_is_left(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, PLAIN)
    assert command("explain", "model.onnx", "--dynamic", "--rule", "neg-neg") == 2
    assert "give one of --rule, --dynamic and --qdq" in capsys.readouterr().err
