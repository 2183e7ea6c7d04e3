"""`graphopt check`: one model for each finding; what it prints, as text and as JSON, and its exit statuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from graphopt.errors import ModelError
from tests.api.models import BEFORE_IR_4, model, write

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]
HEAD = '<ir_version: 8, opset_import: ["" : 17]>'

TRAINING = f"""{HEAD} g (float[2,3] x, float[3] s) => (float[2,3] y, float[3] m, float[3] v)
{{ y, m, v = BatchNormalization<training_mode=1>(x, s, s, s, s) }}"""

# What is looked at -> a model that has it, and only it; the kind, the names, what helps.
CASES = {
    "overridable-initializers": (BEFORE_IR_4, "hint", ["c"], "--initializers-are-constants"),
    "unused-inputs": (f"{HEAD} g (float[2] x, float[2] z) => (float[2] y) {{ y = Relu(x) }}", "hint", ["z"], None),
    "unused-initializers": (
        f"{HEAD} g (float[2] x) => (float[2] y) <float[2] c = {{1, 2}}> {{ y = Relu(x) }}", "hint", ["c"], "graphopt optimize",
    ),
    "unused-opsets": (
        '<ir_version: 8, opset_import: ["" : 17, "my" : 1]> g (float[2] x) => (float[2] y) { y = Relu(x) }',
        "hint", ["my"], "graphopt optimize",
    ),
    "unused-functions": (
        f'{HEAD} g (float[2] x) => (float[2] y) {{ y = Relu(x) }} <domain: "my", opset_import: ["" : 17]> F (a) => (b) {{ b = Relu(a) }}',
        "hint", ["my.F"], None,
    ),
    "training-mode": (
        TRAINING,
        "warning", ["y"], None,
    ),
    "random": (f"{HEAD} g (float[2] x) => (float[2] y) {{ y = RandomNormalLike(x) }}", "warning", ["y"], None),
    "quantized": (
        f"{HEAD} g (float[2] x, float s) => (float[2] y) {{ q = QuantizeLinear(x, s)  y = DequantizeLinear(q, s) }}",
        "hint", ["q", "y"], "--target NAME; `graphopt targets` lists them",
    ),
    "duplicate-names": (f"{HEAD} g (float[2] x) => (float[2] y) {{ [n] a = Relu(x)  [n] y = Exp(a) }}", "hint", ["n"], None),
    "foreign-operator": (
        '<ir_version: 8, opset_import: ["" : 17, "my" : 1]> g (float[2] x) => (float[2] y) { y = my.Magic(x) }',
        "warning", ["y"], "--plugin, with a shape function for it",
    ),
    "unknown-operator": (f"{HEAD} g (float[2] x) => (float[2] y) {{ y = Rellu(x) }}", "error", ["y"], None),
    "invalid": (f"{HEAD} g (float[2] x) => (float[2] y) {{ [n] y = Relu<bogus=1>(x) }}", "error", ["n"], None),
    "types": (f"{HEAD} g (float[2] x) => (float[3] y) {{ y = Relu(x) }}", "warning", ["y"], None),
    "opset-too-old": ('<ir_version: 3, opset_import: ["" : 6]> g (float[2] x) => (float[2] y) { y = Relu(x) }', "warning", [], None),
    "ir-version": ('<ir_version: 4, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { y = Relu(x) }', "hint", [], None),
}  # fmt: skip


def findings(command: Command, capsys: Captured, *options: str) -> list[dict[str, object]]:
    """What `graphopt check --json` finds."""
    command("check", "model.onnx", "--json", *options)
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("about", CASES)
def test_each_finding(command: Command, capsys: Captured, tmp_path: Path, about: str) -> None:
    text, kind, where, helps = CASES[about]
    write(tmp_path, text)
    (found,) = findings(command, capsys, "--quick")
    assert (found["about"], found["kind"], found["where"], found["helps"]) == (about, kind, where, helps), found
    assert command("check", "model.onnx", "--quick") == (1 if kind == "error" else 0)


def test_a_model_that_has_nothing(command: Command, capsys: Captured, tmp_path: Path) -> None:
    write(tmp_path, f"{HEAD} g (float[2] x) => (float[2] y) {{ y = Relu(x) }}")
    assert command("check", "model.onnx", "--weights") == 0
    assert capsys.readouterr().out == "model.onnx: nothing is wrong with it, and no flag would help\n"


def test_the_screen(command: Command, capsys: Captured, tmp_path: Path) -> None:
    write(tmp_path, f"{HEAD} g (float[2] x, float[2] z) => (float[2] y) {{ [a] b = Rellu(x)  [c] y = Rellu(b) }}")
    assert command("check", "model.onnx", "--limit", "1") == 1
    assert capsys.readouterr().out == """\
error: Rellu (2 nodes): onnx has no such operator; did you mean 'Relu'?
    at: a and 1 more (--limit)
hint: 1 input is read by nobody (z): callers must feed them all the same
    at: z

1 error, 1 hint
"""


def test_an_operator_of_a_newer_opset(command: Command, capsys: Captured, tmp_path: Path) -> None:
    write(tmp_path, f"{HEAD} g (float[2] x) => (float[2] y) {{ y = Gelu(x) }}")
    (found,) = findings(command, capsys)
    assert found["text"] == "Gelu (1 node): the operator came with opset 20, and the model imports 17"


def test_an_opset_that_no_option_raises(command: Command, capsys: Captured, tmp_path: Path) -> None:
    write(tmp_path, CASES["opset-too-old"][0])
    (found,) = findings(command, capsys, "--quick")
    advice = "convert it to 7 first, with onnx.version_converter"
    assert str(found["text"]).endswith(f"; {advice}")
    assert command("optimize", "model.onnx", "--dry-run", "--opset", "13") == 1
    assert advice in capsys.readouterr().err


def test_inputs_without_a_shape(command: Command, capsys: Captured, tmp_path: Path) -> None:
    write(tmp_path, f"{HEAD} g (float[] x) => (float[] y) {{ y = Relu(x) }}")
    message = onnx.load(tmp_path / "model.onnx")
    message.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save(message, tmp_path / "model.onnx")
    found = {one["about"]: one for one in findings(command, capsys, "--quick")}
    assert found["inputs-without-shape"]["helps"] == "--set-input-shape x=..."
    assert found["invalid"]["kind"] == "warning"  # only the checker minds


def test_nodes_in_no_order_that_runs(command: Command, capsys: Captured, tmp_path: Path) -> None:
    message = model(f"{HEAD} g (float[2] x) => (float[2] y) {{ a = Relu(x)  y = Exp(a) }}")
    message.graph.node.insert(0, message.graph.node[1])
    del message.graph.node[2]
    onnx.save(message, tmp_path / "model.onnx")
    (found,) = findings(command, capsys)
    assert (found["about"], found["kind"]) == ("order", "error")


def external(folder: Path) -> onnx.ModelProto:
    """A model whose weights lie beside it."""
    weight = onnx.numpy_helper.from_array(np.ones((32, 32), np.float32), "w")
    other = onnx.numpy_helper.from_array(np.full((32, 32), np.nan, np.float32), "v")
    nodes = [onnx.helper.make_node("MatMul", ["x", "w"], ["a"]), onnx.helper.make_node("MatMul", ["a", "v"], ["y"])]
    x, y = (onnx.helper.make_tensor_value_info(name, 1, [2, 32]) for name in "xy")
    graph = onnx.helper.make_graph(nodes, "g", [x], [y], [weight, other])
    message = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)])
    onnx.save_model(message, folder / "model.onnx", save_as_external_data=True, location="m.data", size_threshold=64)
    return message


def test_external_data_that_are_not_there(command: Command, capsys: Captured, tmp_path: Path) -> None:
    external(tmp_path)
    (tmp_path / "m.data").unlink()
    (found,) = findings(command, capsys)
    assert (found["about"], found["kind"], found["where"]) == ("external-data", "error", ["w", "v"])
    assert str(found["text"]).startswith("tensor 'w': its data should lie in m.data, which does not exist")
    assert "the data of 1 more initializer are missing too" in str(found["text"])


def test_external_data_that_are_cut_off(command: Command, capsys: Captured, tmp_path: Path) -> None:
    external(tmp_path)
    (tmp_path / "m.data").write_bytes(bytes(5000))
    (found,) = findings(command, capsys)
    assert found["where"] == ["v"] and "the file is incomplete or belongs to another model" in str(found["text"])


def test_weights_are_read_only_when_asked_for(command: Command, capsys: Captured, tmp_path: Path) -> None:
    external(tmp_path)
    assert findings(command, capsys) == []
    (found,) = findings(command, capsys, "--weights")
    assert (found["about"], found["kind"], found["where"]) == ("nan", "warning", ["v"])


def test_copies_denormals_and_infinities(command: Command, capsys: Captured, tmp_path: Path) -> None:
    message = model(f"{HEAD} g (float[512] x) => (float[512] y) {{ y = Sum(x, a, b, c, d) }}")
    odd = {"a": 1.0, "b": 1.0, "c": 1e-42, "d": np.inf}
    for name, number in odd.items():
        message.graph.initializer.append(onnx.numpy_helper.from_array(np.full(512, number, np.float32), name))
    onnx.save(message, tmp_path / "model.onnx")
    found = {one["about"]: one["where"] for one in findings(command, capsys, "--weights")}
    assert found == {"infinite": ["d"], "duplicate-weights": ["b"], "denormals": ["c"]}


def test_small_weights_are_read_too(command: Command, capsys: Captured, tmp_path: Path) -> None:
    """But one infinity alone is what masks are made of, and nobody notices a few denormals."""
    message = model(f"{HEAD} g (float[64] x) => (float[64] y) {{ y = Sum(x, a, b, c, d) }}")
    for name, (size, number) in {"a": (64, np.nan), "b": (64, -np.inf), "c": (1, -np.inf), "d": (64, 1e-42)}.items():
        message.graph.initializer.append(onnx.numpy_helper.from_array(np.full(size, number, np.float32), name))
    onnx.save(message, tmp_path / "model.onnx")
    assert {one["about"]: one["where"] for one in findings(command, capsys, "--weights")} == {"nan": ["a"], "infinite": ["b"]}


def test_two_names_of_one_place_are_no_copy(command: Command, capsys: Captured, tmp_path: Path) -> None:
    message = external(tmp_path)
    for tensor in message.graph.initializer:
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        del tensor.external_data[:]
        for key, value in (("location", "m.data"), ("offset", "0"), ("length", "4096")):
            tensor.external_data.add(key=key, value=value)
    (tmp_path / "m.data").write_bytes(np.ones(1024, np.float32).tobytes())
    (tmp_path / "model.onnx").write_bytes(message.SerializeToString())
    assert findings(command, capsys, "--weights") == []


def test_float64_weights_and_large_constants(command: Command, capsys: Captured, tmp_path: Path) -> None:
    message = model(f"{HEAD} g (double[1,200000] x) => (double[1,200000] y) {{ y = Add(x, c) }}")
    held = onnx.numpy_helper.from_array(np.ones((1, 200000)), "c")
    message.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["c"], value=held))
    onnx.save(message, tmp_path / "model.onnx")
    found = {one["about"]: one["where"] for one in findings(command, capsys)}
    assert found == {"large-constants": ["c"], "float64-weights": ["c"]}


GELU = f"""{HEAD}
g (float[N, 8] x) => (float[N, 8] y) <float r = {{1.4142135}}, float o = {{1.0}}, float h = {{0.5}}> {{
  a = Div(x, r)  b = Erf(a)  c = Add(b, o)  d = Mul(x, c)  y = Mul(d, h)
}}"""


def test_an_opset_at_which_more_is_fused(command: Command, capsys: Captured, tmp_path: Path) -> None:
    write(tmp_path, GELU)
    (found,) = findings(command, capsys)
    assert (found["about"], found["helps"]) == ("old-opset", "--opset 20")
    assert "leaves 4 nodes fewer" in str(found["text"])
    assert findings(command, capsys, "--quick") == []


def test_sizes_that_keep_shape_arithmetic(command: Command, capsys: Captured, tmp_path: Path) -> None:
    write(tmp_path, f"{HEAD} g (float[N, M] x) => (int64[2] y) {{ y = Shape(x) }}")
    (found,) = findings(command, capsys)
    assert (found["about"], found["helps"]) == ("dynamic-sizes", "--freeze M=...,N=...")


def test_what_a_runtime_refuses(command: Command, capsys: Captured, tmp_path: Path) -> None:
    write(tmp_path, f"""{HEAD} g (float[2] x) => (float[2] y) <float s = {{0.5}}, uint8 z = {{3}}>
    {{ q = QuantizeLinear(x, s, z)  y = DequantizeLinear(q, s, z) }}""")
    assert {one["kind"] for one in findings(command, capsys, "--target", "tensorrt")} == {"error"}
    assert command("check", "model.onnx", "--target", "tensorr") == 2
    assert "did you mean 'tensorrt'?" in capsys.readouterr().err


def test_passes_are_recommended_for_a_runtime_where_they_help(command: Command, capsys: Captured, tmp_path: Path) -> None:
    """Without a QuantizeLinear or DequantizeLinear nothing tells how the integers were quantized; `--quick` tries nothing out."""
    quantized = "float[1,4] x) => (int8[4,1] y) <float s = {0.5}, int8 z = {0}> { q = QuantizeLinear(x, s, z) y = Transpose(q) }"
    for body, helped in ((quantized, True), ("int8[1,4] x) => (int8[4,1] y) { y = Transpose(x) }", False)):
        write(tmp_path, f'<ir_version: 10, opset_import: ["" : 21]> g ({body}')
        for quick in (False, True):
            told = findings(command, capsys, "--target", "tensorrt", *(["--quick"] if quick else []))
            (found,) = (one for one in told if "it reads int8" in str(one["text"]))
            assert found["helps"] == ("the pass materialize-node-units" if helped or quick else None)


def test_files_that_are_no_models(command: Command, capsys: Captured, tmp_path: Path) -> None:
    assert command("check", "nowhere.onnx") == 1
    assert capsys.readouterr() == ("", "error: nowhere.onnx: does not exist\n")
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08\x3a\xff\xff\x01 cut off")
    (found,) = findings(command, capsys)
    assert (found["about"], found["kind"]) == ("unreadable", "error")
    assert str(found["text"]).startswith("model.onnx: is no readable ONNX model: at byte")
    assert command("check", "model.onnx") == 1
    assert capsys.readouterr().out.startswith("error: model.onnx: is no readable ONNX model: at byte")
    assert command("check", ".") == 1
    assert capsys.readouterr().err == "error: .: is a folder; give the path of the .onnx file in it\n"


@pytest.mark.parametrize("says", ["model.onnx: cannot be read: Permission denied", "cannot be read: Permission denied"])
def test_a_file_that_may_not_be_read(
    command: Command, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    """What the system says is made up, as root may read everything. A fault that names no file gets the name too."""

    def refuse(*arguments: object, **options: object) -> None:
        raise ModelError(says)

    write(tmp_path, f"{HEAD} g (float[2] x) => (float[2] y) {{ y = Relu(x) }}")
    monkeypatch.setattr("graphopt.io.load", refuse)
    assert command("check", "model.onnx") == 1
    assert capsys.readouterr().out == "error: model.onnx: cannot be read: Permission denied\n\n1 error\n"
