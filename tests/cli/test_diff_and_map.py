"""`graphopt diff`, `graphopt map` and `optimize --provenance`: what they print, and their exit statuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from tests.api.models import write
from tests.observe.test_provenance import SCALED

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]
LONG = f"""
<ir_version: 10, opset_import: ["" : 20]>
g (float[4] x) => (float[4] y) {{
   v0 = Neg(x)
   {' '.join(f'v{number} = Abs(v{number - 1})' for number in range(1, 20))}
   y = Neg(v19)
}}
"""


def test_a_diff_says_what_and_why(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, SCALED)
    assert command("optimize", "model.onnx", "-o", "out.onnx", "-q", "-p", "fuse-matmul-add", "--provenance") == 0
    assert command("diff", "model.onnx", "out.onnx") == 0
    assert capsys.readouterr().out == """\
model.onnx -> out.onnx

                      before  after
Add                        1      -
Gemm                       -      1
MatMul                     1      -
nodes                      3      2

1 node removed: matmul-add-to-gemm 1
- MatMul  product
    by matmul-add-to-gemm; now in sum

1 node changed: matmul-add-to-gemm 1
~ Add -> Gemm  sum
    by matmul-add-to-gemm; takes in product
"""


def test_a_report_says_why_as_well(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, SCALED)
    assert command("optimize", "model.onnx", "-o", "out.onnx", "-q", "--report", "report.json") == 0
    assert command("diff", "model.onnx", "out.onnx", "--report", "report.json", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["equal"]) == (1, False)
    assert {change["before"][0]: change["rules"] for change in found["removed"]} == {
        "product": ["matmul-add-to-gemm", "gemm-mul-to-gemm"],
        "sum": ["matmul-add-to-gemm", "gemm-mul-to-gemm"],
    }
    assert command("diff", "model.onnx", "out.onnx", "--report", "model.onnx") == 1
    assert "model.onnx: is no report with a map of the nodes" in capsys.readouterr().err


def test_the_exit_status(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, SCALED)
    write(tmp_path, LONG, "long.onnx")
    assert command("diff", "model.onnx", "model.onnx", "--exit-code") == 0
    assert "nothing differs but" in capsys.readouterr().out
    assert command("diff", "model.onnx", "long.onnx", "--exit-code") == 1
    assert command("diff", "model.onnx", "long.onnx") == 0
    capsys.readouterr()
    assert command("diff", "model.onnx", "gone.onnx") == 1
    assert capsys.readouterr() == ("", "error: gone.onnx: does not exist\n")


def test_long_lists_are_cut_short_unless_asked_for(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, LONG)
    write(tmp_path, LONG.replace("Abs", "Relu").replace(" v", " w").replace("(v", "(w"), "other.onnx")
    assert command("diff", "model.onnx", "other.onnx") == 0
    text = capsys.readouterr().out
    assert "19 nodes removed\n" in text
    assert text.count("  9 more; --all shows them\n") == 2
    assert command("diff", "model.onnx", "other.onnx", "--all") == 0
    text = capsys.readouterr().out
    assert "--all" not in text
    assert text.count("\n- Abs") == 19


def test_a_model_as_text_is_compared_too(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, SCALED)
    (tmp_path / "model.onnxtxt").write_text(SCALED)
    assert command("diff", "model.onnx", "model.onnxtxt", "--exit-code") == 0
    assert "nothing differs" in capsys.readouterr().out


MAP = {
    "schema": 1,
    "nodes": {
        "scale": {"op": "Gemm", "from": ["product", "sum", "scale"], "rules": ["matmul-add-to-gemm", "gemm-mul-to-gemm"]},
    },
    "removed": {},
    "values": {"w": None, "c": None, "k": None, "a": None, "b": None},
}


def printed(capsys: Captured) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_a_map_of_what_a_run_would_do(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, SCALED)
    assert command("map", "model.onnx") == 0
    found = printed(capsys)
    assert list(found) == list(MAP)
    assert (found["nodes"], found["removed"]) == (MAP["nodes"], MAP["removed"])
    assert command("map", "model.onnx", "-p", "fuse-matmul-add") == 0
    assert printed(capsys)["nodes"] == {
        "sum": {"op": "Gemm", "from": ["product", "sum"], "rules": ["matmul-add-to-gemm"]},
        "scale": {"op": "Mul", "from": ["scale"], "rules": []},
    }
    assert list(tmp_path.iterdir()) == [tmp_path / "model.onnx"]


def test_a_map_from_files(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, SCALED)
    assert command("optimize", "model.onnx", "-o", "out.onnx", "-q", "--provenance", "--report", "report.json") == 0
    for arguments in (["model.onnx", "out.onnx"], ["--report", "report.json"]):
        assert command("map", *arguments) == 0
        assert printed(capsys)["nodes"] == MAP["nodes"]
    found = {node.name: len(node.metadata_props) for node in onnx.load("out.onnx").graph.node}
    assert found == {"scale": 2}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "give a model IN, or --report FILE.json"),
        (["model.onnx", "--report", "report.json"], "give a model IN, or --report FILE.json"),
        (["model.onnx", "model.onnx", "--level", "1"], "--level goes with IN alone: with OUT nothing is run"),
        (["--report", "report.json", "-p", "level1"], "--pipeline goes with IN alone: with --report nothing is run"),
    ],
)
def test_what_does_not_go_together(arguments: list[str], why: str, command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, SCALED)
    assert command("map", *arguments) == 2
    assert why in capsys.readouterr().err


def test_a_map_of_a_file_that_does_not_tell_says_so(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, SCALED)
    assert command("optimize", "model.onnx", "-o", "out.onnx", "-q") == 0
    assert command("map", "model.onnx", "out.onnx") == 0
    assert capsys.readouterr().err.startswith("warning: out.onnx does not say where its nodes come from")
    assert command("optimize", "model.onnx", "-o", "out.onnx", "-q", "--provenance") == 0
    assert command("map", "model.onnx", "out.onnx") == 0
    assert capsys.readouterr().err == ""
