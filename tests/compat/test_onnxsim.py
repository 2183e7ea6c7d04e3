"""graphopt.compat.onnxsim and .onnxslim in the place of onnxsim and onnxslim: results, what each argument does, errors."""

from __future__ import annotations

import inspect
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import ModelProto, numpy_helper

from graphopt.compat import onnxoptimizer
from graphopt.compat.onnxsim import _WITHOUT_EFFECT, simplify
from graphopt.compat.onnxslim import _ARGUMENTS, slim
from graphopt.errors import ModelError, SpecError
from tests.compat.optimizer_cases import CASES

PAGE = Path(__file__).parent.parent.parent / "docs" / "compat.md"
HEADER = '<ir_version: 8, opset_import: ["" : 17]>\n'
DYNAMIC = """g (float[N, C, 2] x, float[N] z) => (float[N, M] y, float[N] u) {
    s = Shape(x) i = Constant<value = int64 {0}>() n = Gather(s, i) a = Constant<value = int64[1] {0}>() b = Unsqueeze(n, a)
    r = Constant<value = int64[1] {-1}>() t = Concat<axis = 0>(b, r) y = Reshape(x, t) u = Neg(z)
}"""
CONV = CASES["fuse_bn_into_conv"].body


def parsed(text: str) -> ModelProto:
    return onnx.parser.parse_model(HEADER + text)


def operators(message: ModelProto) -> list[str]:
    return [node.op_type for node in message.graph.node]


def shape(message: ModelProto, name: str) -> list[int | str]:
    info = next(info for info in (*message.graph.input, *message.graph.output) if info.name == name)
    return [dim.dim_param or dim.dim_value for dim in info.type.tensor_type.shape.dim]


def test_a_message_or_a_path_gives_a_message_and_ok(tmp_path: Path) -> None:
    given = parsed(CONV)
    before = given.SerializeToString(deterministic=True)
    onnx.save(given, tmp_path / "model.onnx")
    for source in (given, str(tmp_path / "model.onnx"), tmp_path / "model.onnx"):
        result, ok = simplify(source, check_n=1)
        assert (operators(result), ok) == (["Conv"], True)
    assert given.SerializeToString(deterministic=True) == before


def test_arguments_that_leave_passes_out() -> None:
    assert operators(simplify(parsed(CONV), skip_fuse_bn=True)[0]) == ["Conv", "BatchNormalization"]
    assert operators(simplify(parsed(CONV), skipped_optimizers=["fuse_bn_into_conv"])[0]) == ["Conv", "BatchNormalization"]
    assert operators(simplify(parsed(CONV), perform_optimization=False)[0]) == ["Conv", "BatchNormalization"]
    folded = parsed("g (float[2] x) => (float[2] y) <float[2] a = {1, 2}> { b = Exp(a) y = Add(x, b) }")
    assert operators(simplify(folded)[0]) == ["Add"]
    assert operators(simplify(folded, perform_optimization=False)[0]) == ["Add"]
    assert operators(simplify(folded, skip_constant_folding=True)[0]) == ["Exp", "Add"]
    with pytest.warns(UserWarning, match="no optimizer is called 'fuse_bn_into_cnv', nothing .*did you mean 'fuse_bn_into_conv'"):
        assert operators(simplify(parsed(CONV), skipped_optimizers=["fuse_bn_into_cnv"])[0]) == ["Conv"]


def test_shapes_are_overwritten_and_what_follows_from_them_is_computed() -> None:
    result, ok = simplify(parsed(DYNAMIC), overwrite_input_shapes={"x": [2, 3, 2]}, check_n=1)
    assert ok
    assert (shape(result, "x"), shape(result, "y"), shape(result, "z")) == ([2, 3, 2], [2, 6], [2])
    assert operators(result) == ["Reshape", "Neg"]
    partly, _ = simplify(parsed(DYNAMIC), overwrite_input_shapes={"x": [-1, 3, 2]})
    assert shape(partly, "x") == ["N", 3, 2]
    single = parsed("g (float[N] x) => (float[N] y) { y = Relu(x) }")
    assert shape(simplify(single, overwrite_input_shapes={None: [4]})[0], "x") == [4]
    with pytest.warns(UserWarning, match="input_shapes is deprecated"):
        assert shape(simplify(single, input_shapes={"x": [4]})[0], "x") == [4]


def test_outputs_that_nobody_wants_go() -> None:
    result, ok = simplify(parsed(DYNAMIC), unused_output=["y"], check_n=1)
    assert ok
    assert [info.name for info in result.graph.output] == ["u"]
    assert operators(result) == ["Neg"]


def test_the_opset_can_be_raised_and_latest_is_what_onnx_knows() -> None:
    assert simplify(parsed(CONV), target_opset_version=20)[0].opset_import[0].version == 20
    assert simplify(parsed(CONV), target_opset_version="latest")[0].opset_import[0].version == onnx.defs.onnx_opset_version()


def test_weights_stay_to_be_tuned_when_they_are_no_constants() -> None:
    result, ok = simplify(parsed(CONV), initializers_as_constants=False, check_n=1)
    assert ok
    assert operators(result) == ["Conv", "BatchNormalization"]
    assert [info.name for info in result.graph.input] == ["x"]
    assert len(result.graph.initializer) == 5


def test_initializers_that_are_inputs_are_constants_before_ir_version_4_only() -> None:
    text = "g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1, 2}> { e = Exp(w) y = Add(x, e) }"
    newer = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')
    older = onnx.parser.parse_model(f'<ir_version: 3, opset_import: ["" : 8]> {text}')
    assert operators(simplify(newer)[0]) == ["Exp", "Add"]
    assert operators(simplify(older, check_n=1)[0]) == ["Add"]
    assert operators(simplify(older, mutable_initializer=True)[0]) == ["Exp", "Add"]


def test_functions_are_inlined_when_that_is_wanted() -> None:
    message = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17, "own" : 1]> g (float[2] x) => (float[2] y) { y = own.twice(x) }'
        '<domain: "own", opset_import: ["" : 17]> twice (a) => (b) { b = Add(a, a) }'
    )
    assert operators(simplify(message)[0]) == ["twice"]
    assert operators(simplify(message, inline_functions=True, check_n=1)[0]) == ["Add"]


def test_folding_makes_nothing_bigger_than_the_threshold() -> None:
    grows = parsed("g (float[64, 64] x) => (float[64, 64] y) <float a = {2}, int64[2] s = {64, 64}>"
                   " { e = Expand(a, s) b = Exp(e) y = MatMul(x, b) }")
    assert operators(simplify(grows)[0])[-1] == "MatMul" and len(simplify(grows)[0].graph.node) > 1  # folding adds no bytes
    assert operators(simplify(grows, tensor_size_threshold="1MB", check_n=1)[0]) == ["MatMul"]
    assert len(simplify(grows, tensor_size_threshold="1KB")[0].graph.node) > 1


def test_further_optimizers_run_when_they_are_named() -> None:
    given = parsed("g (float[2] x) => (float[2] y) { y = Neg(x) }")
    assert operators(simplify(given, extra_optimizers=["neg_to_mul"], check_n=1)[0]) == ["Mul"]
    with pytest.warns(UserWarning, match="float16_to_float32 of onnxsim is not built"):
        simplify(given, extra_optimizers=["float16_to_float32"])
    with pytest.raises(RuntimeError, match="unknown optimizer 'neg_to_mull'; did you mean 'neg_to_mul'"):
        simplify(given, extra_optimizers=["neg_to_mull"])


@pytest.mark.parametrize("returns", ["a model", "None", "True"])
def test_a_rewriter_and_our_passes_run_in_turn(returns: str) -> None:
    calls = []

    def negs(message: ModelProto) -> Any:
        calls.append(operators(message))
        for node in message.graph.node:
            if node.op_type == "Abs":
                node.op_type = "Identity"
                return {"a model": message, "None": None, "True": True}[returns]
        return False if returns == "True" else None

    given = parsed("g (float[2] x) => (float[2] y) { a = Abs(x) b = Sin(a) c = Abs(b) y = Exp(c) }")
    assert operators(simplify(given, custom_rewriter=negs)[0]) == ["Sin", "Exp"]
    assert calls == [["Abs", "Sin", "Abs", "Exp"], ["Sin", "Abs", "Exp"], ["Sin", "Exp"]]


def test_the_check_says_no_when_the_models_differ_and_when_they_cannot_be_run() -> None:
    def spoil(message: ModelProto) -> None:
        for node in message.graph.node:
            node.op_type = "Exp"

    given = parsed("g (float[N, 2] x) => (float[N, 2] y) { y = Neg(x) }")
    assert simplify(given, custom_rewriter=spoil)[1]  # nobody looked
    assert not simplify(given, check_n=1, custom_rewriter=spoil)[1]
    assert not simplify(given, check_n=1, custom_rewriter=spoil, test_input_shapes={"x": [3, 2]})[1]
    assert not simplify(given, check_n=1, custom_rewriter=spoil, input_data={"x": np.ones((1, 2), np.float32)})[1]
    zero = parsed("g (float[2] x) => (float[2] y) { y = Neg(x) }")
    assert simplify(zero, check_n=1, custom_rewriter=_negs_to_abs, input_fill="zeros", check_atol=1e-6)[1]
    assert not simplify(zero, check_n=1, custom_rewriter=_negs_to_abs, input_fill="ones")[1]
    unknown = parsed("g (float[2] x) => (float[2] y) { y = own.Call(x) }")
    with pytest.warns(UserWarning, match="the simplified model could not be checked"):
        assert not simplify(unknown, check_n=1)[1]


@pytest.mark.parametrize("shape", [(2, 4), (3,), (2, 3, 1)])
def test_data_of_another_shape_than_declared_are_not_computed_with(shape: tuple[int, ...]) -> None:
    given = parsed("g (float[N, 3] x) => (float[N, 3] y) { y = Neg(x) }")
    assert simplify(given, check_n=1, input_data={"x": np.ones((2, 3), np.float32)})[1]
    words = rf"could not be checked: the input 'x' is float32\[N, 3\], and was given the shape {re.escape(str(list(shape)))}"
    with pytest.warns(UserWarning, match=words):
        assert not simplify(given, check_n=1, input_data={"x": np.ones(shape, np.float32)})[1]


def test_a_path_where_nothing_is_is_what_it_is_there(tmp_path: Path) -> None:
    for function in (simplify, slim):
        with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "none.onnx"))):
            function(str(tmp_path / "none.onnx"))
    (tmp_path / "wrong.onnx").write_bytes(b"nothing like a model")
    with pytest.raises(ModelError):
        simplify(tmp_path / "wrong.onnx")


def _negs_to_abs(message: ModelProto) -> None:
    for node in message.graph.node:
        node.op_type = "Abs"


@pytest.mark.parametrize("fill", ["random", "ones", "zeros", "arange"])
def test_every_kind_of_feed_fits_every_kind_of_input(fill: str) -> None:
    kinds = "float[N, 2] a, int64[N] b, bool[N] c, float16[N] d, string[N] e"
    given = parsed(f"g ({kinds}) => (float[N, 2] v, int64[N] w, bool[N] x, float16[N] y, string[N] z)"
                   " { v = Neg(a) w = Neg(b) x = Not(c) y = Neg(d) z = Identity(e) }")
    assert simplify(given, check_n=2, input_fill=fill, test_input_shapes={"a": [3, 2], **{name: [3] for name in "bcde"}})[1]


def test_the_result_is_written_and_big_weights_beside_it(tmp_path: Path) -> None:
    message = parsed("g (float[64] x) => (float[64] y) { a = Identity(x) y = MatMul(a, w) }")
    message.graph.initializer.append(numpy_helper.from_array(np.ones((64, 64), np.float32), "w"))
    onnx.save(message, tmp_path / "in.onnx")
    result, _ = simplify(str(tmp_path / "in.onnx"), output_path=tmp_path / "out.onnx")
    assert onnx.load(tmp_path / "out.onnx") == result
    assert not (tmp_path / "out.onnx.data").exists()
    simplify(str(tmp_path / "in.onnx"), output_path=tmp_path / "two.onnx", external_data_threshold="8KB")
    assert (tmp_path / "two.onnx.data").stat().st_size >= 64 * 64 * 4


@pytest.mark.parametrize(("arguments", "error", "words"), [
    ({"overwrite_input_shapes": {"X": [1]}}, RuntimeError, 'The model doesn\'t have input named "X"; known: x, z'),
    ({"overwrite_input_shapes": {None: [1]}}, RuntimeError, "the model has 2 inputs, x, z: give each its shape by its name"),
    ({"test_input_shapes": {"X": [1]}, "check_n": 1}, RuntimeError, "input named"),
    ({"input_data": {"X": np.ones(1)}, "check_n": 1}, ValueError, "the feed has 'X', which is no input of the model; known: x, z"),
    ({"input_data": {"x": np.ones((1, 1, 2))}, "check_n": 1}, ValueError, "the feed has no 'z', which the model takes"),
    ({"overwrite_input_shapes": {"x": [2]}}, SpecError, "the input 'x' (float32[N, C, 2]) has 3 dimensions, the shape asked for has 1"),
    ({"unused_output": ["Y"]}, RuntimeError, 'The model doesn\'t have output named "Y"'),
    ({"tensor_size_threshold": "much"}, ValueError, "'much' is no size"),
    ({"tensor_size_threshold": "3GB"}, ValueError, "should be less than 2GB"),
    ({"external_data_threshold": "1 mile"}, ValueError, "'1 mile' is no size"),
    ({"target_opset_version": "newest"}, ValueError, "must be an int, the string 'latest', or None, got 'newest'"),
    ({"gemm_fusion_backend": "webgu"}, ValueError, "got 'webgu'; did you mean 'webgpu'"),
    ({"input_fill": "twos"}, ValueError, "input_fill must be one of random, ones, zeros, arange"),
    ({"function_rewrite_rules": [1]}, SpecError, "write them with graphopt.rule"),
    ({"function_rewrite_rules": [1], "custom_rewriter": _negs_to_abs}, ValueError, "mutually exclusive"),
    ({"output_path": "out.onnx"}, ValueError, "output_path requires `model` to be a file path"),
])
def test_what_is_wrong_is_said(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        simplify(parsed(DYNAMIC), **arguments)


@pytest.mark.parametrize("name", _WITHOUT_EFFECT)
def test_what_means_nothing_here_warns_only_when_it_is_given(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simplify(parsed(CONV))
    arguments: dict[str, Any] = {name: True}
    with pytest.warns(UserWarning, match=f"{name} does nothing here: "):
        simplify(parsed(CONV), **arguments)


def test_the_page_lists_every_argument_of_both() -> None:
    _, simplifier, slimmer = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    for section, names in ((simplifier, list(inspect.signature(simplify).parameters)[1:]), (slimmer, _ARGUMENTS)):
        listed = {name for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
        assert listed == set(names)


def test_arguments_are_those_of_onnxsim() -> None:
    """They are written down on the page, and compared with the peer where somebody has it; it is no dependency of the tests."""
    onnxsim = pytest.importorskip("onnxsim", reason="onnxsim is not installed, and no test needs it")
    ours, theirs = inspect.signature(simplify).parameters, inspect.signature(onnxsim.simplify).parameters
    assert [(each.name, each.default, each.kind) for each in ours.values()] == [
        (each.name, each.default, each.kind) for each in theirs.values()
    ]


def test_inputs_that_are_sequences_are_fed_as_graphopt_feeds_them() -> None:
    assert simplify(parsed("g (seq(float[N]) s) => (int64 n) { n = SequenceLength(s) }"), check_n=1)[1]


# ---- onnxslim


def test_slim_returns_a_message_or_writes_it(tmp_path: Path) -> None:
    given = parsed(CONV)
    result = slim(given, model_check=True)
    assert result is not None and operators(result) == ["Conv"]
    onnx.save(given, tmp_path / "model.onnx")
    assert slim(str(tmp_path / "model.onnx"), str(tmp_path / "out.onnx")) is None
    assert operators(onnx.load(tmp_path / "out.onnx")) == ["Conv"]
    assert slim(given, output_model=str(tmp_path / "two.onnx"), save_as_external_data=True) is None
    assert operators(onnx.load(tmp_path / "two.onnx")) == ["Conv"]


def test_slim_takes_shapes_and_names_of_what_not_to_do(tmp_path: Path) -> None:
    result = slim(parsed(DYNAMIC), input_shapes=["x:2,3,2"], model_check=True, model_check_inputs=["x:2,3,2", "z:2"])
    assert result is not None and shape(result, "y") == [2, 6]
    np.save(tmp_path / "x.npy", np.ones((2, 3, 2), np.float32))
    np.save(tmp_path / "z.npy", np.ones(2, np.float32))
    files = [f"x:{tmp_path}/x.npy", f"z:{tmp_path}/z.npy"]
    assert slim(parsed(DYNAMIC), model_check=True, model_check_inputs=files) is not None
    kept = slim(parsed(CONV), skip_fusion_patterns=["FusionConvBN"])
    assert kept is not None and operators(kept) == ["Conv", "BatchNormalization"]


@pytest.mark.parametrize(("arguments", "error", "words"), [
    ({"input_shapes": ["X:1"]}, RuntimeError, 'The model doesn\'t have input named "X"'),
    ({"input_shapes": ["x:a,b"]}, ValueError, "'a,b' is no shape"),
    ({"input_shapes": ["2,3"]}, ValueError, "'2,3' is neither NAME:SHAPE"),
    ({"dtype": "fp16"}, SpecError, "slim(dtype=...): it changes what the model computes in"),
    ({"inspect": True}, SpecError, "graphopt stat"),
    ({"skip_fusion_pattern": []}, TypeError, "unexpected keyword argument 'skip_fusion_pattern'; did you mean 'skip_fusion_patterns'"),
])
def test_what_slim_does_not_do_is_said(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        slim(parsed(DYNAMIC), **arguments)


def test_no_package_that_these_are_named_after_is_imported() -> None:
    import subprocess
    import sys

    program = (
        "import sys, graphopt.compat.onnxoptimizer, graphopt.compat.onnxsim, graphopt.compat.onnxslim\n"
        "sys.exit(any(name in sys.modules for name in ('onnxoptimizer', 'onnxsim', 'onnxslim', 'onnxruntime', 'onnx_ir')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert onnxoptimizer.get_available_passes()
