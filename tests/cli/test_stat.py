"""`graphopt stat`: what it prints, as text and as JSON, and its exit statuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.models import write

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]

LAYERS = """
<ir_version: 8, opset_import: ["" : 17], producer_name: "hand", producer_version: "1.0">
agraph (float[N, 64] x) => (float[N, 64] y)
<float[64, 64] w = {WEIGHTS}, float[64] b = {BIASES}> {
   [first] a = MatMul(x, w)
   [second] c = Add(a, b)
   [third] y = Relu(c)
}
""".replace("WEIGHTS", ",".join(["0.5"] * 4096)).replace("BIASES", ",".join(["0.5"] * 64))


def test_the_screen(command: Command, capsys: Captured, tmp_path: Path) -> None:
    size = write(tmp_path, LAYERS).stat().st_size
    assert command("stat", "model.onnx") == 0
    assert capsys.readouterr().out == f"""\
model.onnx   {size / 1024:.1f} KiB
IR version 8, opset 17, made by hand 1.0

        name  type
input   x     float32[N, 64]
output  y     float32[N, 64]

operator  nodes     MACs  other FLOPs
MatMul        1  4.10k*N            -
Add           1        -         64*N
Relu          1        -         64*N
all           3  4.10k*N        128*N

parameters    4.16k (float32 4.16k)
weights       16.2 KiB in the file
MACs          4.10k*N
FLOPs         8.32k*N
activations   512 B*N at MatMul 'first'
longest path  3 nodes

--freeze N=... makes these numbers
"""


def test_frozen_sizes_and_the_table_of_nodes(command: Command, capsys: Captured, tmp_path: Path) -> None:
    write(tmp_path, LAYERS)
    assert command("stat", "model.onnx", "--freeze", "N=10", "--nodes", "--sort", "parameters") == 0
    out = capsys.readouterr().out
    assert "MACs          41.0k\n" in out and "--freeze" not in out
    assert out.endswith("""
#  node    operator  gives            parameters   MACs    bytes
1  first   MatMul    float32[10, 64]       4.10k  41.0k  2.5 KiB
2  second  Add       float32[10, 64]          64      -  2.5 KiB
3  third   Relu      float32[10, 64]           -      -  2.5 KiB
""")


@pytest.mark.parametrize(("sort", "names"), [("name", ["first", "second", "third"]), ("macs", ["first", "second", "third"])])
def test_the_order_of_nodes(command: Command, capsys: Captured, tmp_path: Path, sort: str, names: list[str]) -> None:
    write(tmp_path, LAYERS)
    assert command("stat", "model.onnx", "--nodes", "--sort", sort) == 0
    table = capsys.readouterr().out.split("#  node")[1]
    assert sorted(names, key=table.index) == names


def test_as_json(command: Command, capsys: Captured, tmp_path: Path) -> None:
    write(tmp_path, LAYERS)
    assert command("stat", "model.onnx", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["macs"] == {"expression": "4096*N", "terms": {"N": 4096}}
    assert found["parameters"] == {"count": 4160, "by_type": {"float32": 4160}, "sparse_initializers": 0}
    assert found["activations"]["peaks"] == [
        {"bytes": {"expression": "512*N", "terms": {"N": 512}}, "node": "first", "operator": "MatMul"}
    ]
    assert [(one["name"], one["parameters"]) for one in found["nodes"]] == [("first", 4096), ("second", 64), ("third", 0)]
    assert found["inputs"] == [{"name": "x", "type": "float32[N, 64]", "overridable": False}]


def test_what_is_not_counted_is_said(command: Command, capsys: Captured, tmp_path: Path) -> None:
    text = '<ir_version: 8, opset_import: ["" : 17, "my" : 1]> g (float[3] x) => (float[3] y) { a = my.Magic(x)  y = Relu(a) }'
    write(tmp_path, text)
    assert command("stat", "model.onnx") == 0
    out = capsys.readouterr().out
    assert "MACs          not known\n" in out
    assert "not in MACs and FLOPs, for no formula counts them: my.Magic (1)\n" in out


def test_mistakes(command: Command, capsys: Captured, tmp_path: Path) -> None:
    write(tmp_path, LAYERS)
    assert command("stat", "nowhere.onnx") == 1
    assert capsys.readouterr().err == "error: nowhere.onnx: does not exist\n"
    assert command("stat", "model.onnx", "--freeze", "M=3") == 2
    assert "no input has a dimension 'M'; dynamic dimensions: N" in capsys.readouterr().err.replace("did you mean 'N'?; ", "")
    assert command("stat", "model.onnx", "--sort", "macs") == 2
    assert "--sort goes with --nodes" in capsys.readouterr().err
    (tmp_path / "model.onnxtxt").write_text(LAYERS)
    assert command("stat", "model.onnxtxt") == 1
    assert "use onnx-opt" in capsys.readouterr().err
