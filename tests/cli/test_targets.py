"""`graphopt targets`, `lint`, `explain --qdq`, `optimize --target`: what they print, and their exit statuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import onnx.parser
import pytest

import graphopt
from graphopt import Pipeline, When
from graphopt.errors import SpecError
from graphopt.pipeline import registry as registry_module
from tests.api.models import IDENTITIES, write
from tests.api.models import model as plain
from tests.pipeline.fakes import registry
from tests.targets.models import CASES, model

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]
X64 = "onnxruntime-cpu-x64"


def save(folder: Path, name: str) -> None:
    onnx.save(model(CASES[name]), folder / "model.onnx")


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the passes and targets of tests/pipeline/fakes.py are installed."""
    monkeypatch.setattr(registry_module, "installed", registry)


@pytest.mark.usefixtures("fakes")
def test_targets_are_listed(command: Command, capsys: Captured) -> None:
    assert command("targets") == 0
    assert capsys.readouterr().out == """\
target    what it is
fast-cpu  A target with passes at two levels.
slow-cpu  A target that lists a pass which is not there.
"""


@pytest.mark.usefixtures("fakes")
def test_the_page_about_a_target(command: Command, capsys: Captured) -> None:
    assert command("targets", "fast-cpu") == 0
    page = capsys.readouterr().out
    assert page.startswith("fast-cpu   A target with passes at two levels.\n\nLevel 2: neg-to-relu, drop-relu\n")
    assert command("targets", "fast-cp") == 2
    assert "did you mean 'fast-cpu'?" in capsys.readouterr().err


def test_targets_as_json(command: Command, capsys: Captured) -> None:
    assert command("targets", "--json") == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert list(found) == [X64, "onnxruntime-cpu-arm64", "tensorrt", "openvino"]
    assert "convert-int8-to-uint8" in found[X64]["levels"]["2"]
    assert found["tensorrt"]["zero_points"] == "zero"
    assert found["openvino"]["placement"] == "sandwiched"
    conv = next(unit for unit in found[X64]["units"] if unit["operators"] == ["Conv"])
    assert conv["becomes"] == "QLinearConv"
    assert "no int8 activation" in conv["conditions"]


def test_lint_with_nothing_refused(command: Command, tmp_path: Path, capsys: Captured) -> None:
    save(tmp_path, "conv_of_int8")
    assert command("lint", "--target", X64, "model.onnx") == 0
    assert capsys.readouterr().out == """\
left in float (1)
  Conv 'm': its first input is int8, which runs on integers as uint8 only

0 refused, 0 computed wrong, 1 left in float
"""


def test_lint_with_something_refused(command: Command, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, "conv")
    assert command("lint", "--target", "tensorrt", "model.onnx") == 1
    said = capsys.readouterr().out
    anew = "; quantize the model anew, with int8 and zero point 0"
    assert said == f"""\
refused (3)
  DequantizeLinear 'd': it holds an activation in uint8, not float4e2m1 or float8e4m3fn or int8{anew}
  DequantizeLinear 'a': it dequantizes int32: a bias must be stored in floats; dequantize-bias would help
  QuantizeLinear 'y': it holds an activation in uint8, not float4e2m1 or float8e4m3fn or int8{anew}

3 refused, 0 computed wrong, 0 left in float
"""
    monkeypatch.setenv("COLUMNS", "60")
    assert command("lint", "--target", "tensorrt", "model.onnx") == 1
    assert capsys.readouterr().out == said
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert command("lint", "--target", "tensorrt", "model.onnx") == 1
    assert capsys.readouterr().out.startswith("""\
refused (3)
  DequantizeLinear 'd': it holds an activation in uint8, not
      float4e2m1 or float8e4m3fn or int8; quantize the model
      anew, with int8 and zero point 0
""")
    assert command("lint", "--target", "tensorrt", "model.onnx", "--json") == 1
    first = json.loads(capsys.readouterr().out)[0]
    reason = f"it holds an activation in uint8, not float4e2m1 or float8e4m3fn or int8{anew}"
    assert first == {"node": "d", "operator": "DequantizeLinear", "kind": "refused", "reason": reason, "helps": None}


def test_lint_says_once_what_is_alike(command: Command, tmp_path: Path, capsys: Captured) -> None:
    proto = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["" : 21]>
        g (uint8[4] x) => (float[4] a, float[4] b, float[4] c) <float s = {0.5}, uint8 z = {0}> {
        d = DequantizeLinear(x, s, z) e = DequantizeLinear(x, s, z) f = DequantizeLinear(x, s, z)
        m = Add(d, e) a = Sin(m) n = Add(e, f) b = Cos(n) o = Add(f, d) c = Sin(o) }""")
    onnx.save(proto, tmp_path / "model.onnx")
    assert command("lint", "--target", X64, "model.onnx", "--limit", "1") == 0
    assert capsys.readouterr().out == """\
left in float (3)
  Add (2): its result goes to Sin '...' in floats
    m
    ... and 1 more (--limit)
  Add 'n': its result goes to Cos 'b' in floats

0 refused, 0 computed wrong, 3 left in float
"""
    assert command("lint", "--target", X64, "model.onnx", "--limit", "1", "--json") == 0
    assert [one["node"] for one in json.loads(capsys.readouterr().out)] == ["m", "n", "o"]


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_lint_of_no_model_says_nothing_on_stdout(command: Command, tmp_path: Path, capsys: Captured, how: tuple[str, ...]) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    for name, why in (("missing.onnx", "missing.onnx"), ("text.onnx", "text.onnx")):
        assert command("lint", "--target", "tensorrt", name, *how) == 1
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("error: ") and why in told.err and told.err.count("\n") == 1


def test_lint_with_nothing_to_say(command: Command, tmp_path: Path, capsys: Captured) -> None:
    save(tmp_path, "conv")
    assert command("lint", "--target", X64, "model.onnx") == 0
    assert capsys.readouterr().out == f"{X64} takes the model as it is: nothing is refused, nothing quantized is left in floats\n"
    assert command("lint", "--target", X64, "model.onnx", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_lint_of_floats_is_no_all_clear(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, IDENTITIES)
    assert command("lint", "--target", "tensorrt", "model.onnx") == 0
    assert capsys.readouterr().out == "the model is not quantized: nothing to be said of it for tensorrt\n"


def test_lint_recommends_what_helps(command: Command, tmp_path: Path, capsys: Captured) -> None:
    """Only where a QuantizeLinear or DequantizeLinear tells how integers were quantized can the pass put pairs around what reads them."""
    for given, advice in (("float[1,4] x) => (int8[4,1] y)", True), ("int8[1,4] x) => (int8[4,1] y)", False)):
        body = "q = QuantizeLinear(x, s, z) y = Transpose(q)" if advice else "y = Transpose(x)"
        text = f'<ir_version: 10, opset_import: ["" : 21]> g ({given} <float s = {{0.5}}, int8 z = {{0}}> {{ {body} }}'
        onnx.save(onnx.parser.parse_model(text), tmp_path / "model.onnx")
        assert command("lint", "--target", "tensorrt", "model.onnx") == 0
        out = capsys.readouterr().out
        assert "it reads int8 and has no Q and DQ around it" in out
        assert ("materialize-node-units would help" in out) == advice


def test_lint_wants_a_target_that_is_there(command: Command, tmp_path: Path, capsys: Captured) -> None:
    save(tmp_path, "conv")
    assert command("lint", "model.onnx") == 2
    assert "Missing option '--target'" in capsys.readouterr().err
    assert command("lint", "--target", "tensor-rt", "model.onnx") == 2
    assert "no target is called 'tensor-rt'; did you mean 'tensorrt'?" in capsys.readouterr().err


def test_explain_qdq(command: Command, tmp_path: Path, capsys: Captured) -> None:
    save(tmp_path, "no_kernel")
    assert command("explain", "--qdq", "model.onnx") == 0
    assert capsys.readouterr().out == """\
onnxruntime-cpu-x64 will leave 4 QuantizeLinear and DequantizeLinear, of 4 in the model.
2 because of what is computed in floats:
  DequantizeLinear 'd': Tanh 'm' reads it in floats: the runtime has no Tanh on integers
  QuantizeLinear 'r': it quantizes what Tanh 'm' computes on floats: the runtime has no Tanh on integers
2 where floats come in or go out:
  QuantizeLinear 'q': %x is an input of the graph, in floats
  DequantizeLinear 'y': %y is an output of the graph, in floats
"""


def test_explain_qdq_as_json_for_another_target(command: Command, tmp_path: Path, capsys: Captured) -> None:
    save(tmp_path, "conv_of_int8")
    assert command("explain", "--qdq", "--target", "onnxruntime-cpu-arm64", "model.onnx", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert command("explain", "--qdq", "model.onnx", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0] == {
        "node": "d", "operator": "DequantizeLinear", "where": "", "because_of": "m", "helps": "convert-int8-to-uint8", "boundary": False,
        "reason": "Conv 'm' reads it in floats: its first input is int8, which runs on integers as uint8 only",
    }  # fmt: skip


def test_explain_qdq_tells_of_what_is_refused(command: Command, tmp_path: Path, capsys: Captured) -> None:
    save(tmp_path, "conv")
    assert command("explain", "--qdq", "--target", "tensorrt", "model.onnx") == 0
    assert capsys.readouterr().out.startswith("tensorrt will refuse 3 nodes: see graphopt lint --target tensorrt\ntensorrt will leave ")


def test_explain_qdq_of_a_model_without(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert command("explain", "--qdq", "model.onnx") == 0
    assert capsys.readouterr().out == "The model has no QuantizeLinear and no DequantizeLinear.\n"


def test_explain_qdq_goes_alone(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert command("explain", "--qdq", "--dynamic", "model.onnx") == 2
    assert command("explain", "--target", X64, "model.onnx") == 2
    assert "--target goes with --qdq" in capsys.readouterr().err


@pytest.mark.usefixtures("fakes")
def test_optimize_for_a_target(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert command("optimize", "model.onnx", "--dry-run", "--target", "fast-cpu") == 0
    assert "(level1, level2{target=fast-cpu})" in capsys.readouterr().out
    assert command("optimize", "model.onnx", "--dry-run", "--target", "fast-cpu", "--level", "3") == 0
    assert capsys.readouterr().err == ""
    assert command("optimize", "model.onnx", "--dry-run", "--level", "2") == 2
    assert "level 2 needs a target" in capsys.readouterr().err


@pytest.mark.usefixtures("fakes")
def test_a_target_binds_a_pipeline(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    text = "level1, level2, when{target=slow-cpu}(relu-to-neg), when{not-target=slow-cpu}(fuse-relu)"
    assert command("optimize", "model.onnx", "--dry-run", "--target", "fast-cpu", "-p", text) == 0
    assert "(level1, level2{target=fast-cpu}, fuse-relu)" in capsys.readouterr().out
    assert command("optimize", "model.onnx", "--dry-run", "--target", "fast-cup", "-p", "level1") == 2
    assert "no target is called 'fast-cup'; did you mean 'fast-cpu'?" in capsys.readouterr().err
    assert command("optimize", "model.onnx", "--dry-run", "-p", text) == 2
    assert "column 9: level 2 needs a target, as level2{target=NAME} or --target NAME" in capsys.readouterr().err


@pytest.mark.usefixtures("fakes")
def test_onnx_opt_runs_a_level_for_a_target(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert opt("model.onnx", "--level2=target=fast-cpu") == 0
    assert "y = Relu (d)" in capsys.readouterr().out
    assert opt("model.onnx", "--level2") == 2


def test_optimize_in_python_for_a_target() -> None:
    unchecked: Callable[..., object] = graphopt.optimize  # as a program calls it that nobody checks
    assert graphopt.optimize(plain(IDENTITIES), target=X64).graph.node
    with pytest.raises(SpecError, match="level 2 needs a target"):
        graphopt.optimize(plain(IDENTITIES), 2)
    for pipeline in ("when{target=tensorrt}(level1)", Pipeline([When(["level1"], target="tensorrt")])):
        assert len(graphopt.optimize(plain(IDENTITIES), pipeline=pipeline, target="tensorrt").graph.node) == 2
        assert len(graphopt.optimize(plain(IDENTITIES), pipeline=pipeline, target=X64).graph.node) == 4
        assert len(graphopt.optimize(plain(IDENTITIES), pipeline=pipeline).graph.node) == 4
    with pytest.raises(SpecError, match="pipeline must be a Pipeline or its text, not 3"):
        unchecked(plain(IDENTITIES), pipeline=3)
