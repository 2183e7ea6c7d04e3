"""compare() catches each way in which a result can be wrong, and accuses no right one.

Unless a test says otherwise the float32 tolerance is the default: 1e-3 |a| + 1e-4 min(1, S).
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper, parser

from graphopt.errors import ModelError, SpecError
from graphopt.verify import Comparison, Verdict, compare

Array = npt.NDArray[Any]
RUNNERS = pytest.mark.parametrize("runner", ["onnxruntime", "reference"])


def model(text: str, *, opset: int = 20, extra: str = "") -> ModelProto:
    """A model from a graph in ONNX's own syntax."""
    return parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}{extra}]>\n{text}')


def verdicts(comparison: Comparison) -> dict[str, Verdict]:
    return {output.name: output.verdict for output in comparison.outputs}


TWO_OUTPUTS = model("g (float[N,3] x) => (float[N,3] y, float[N,3] z) { y = Relu(x)  z = Tanh(x) }")


@RUNNERS
def test_a_model_equals_itself_and_the_report_says_how_that_was_found(runner: str) -> None:
    comparison = compare(TWO_OUTPUTS, TWO_OUTPUTS, runner=runner)
    assert comparison.verdict is Verdict.EQUAL
    assert comparison.agrees
    assert runner in comparison.runner
    assert comparison.feeds == [
        "seed 0, N=1",
        "seed 1, N=2",
        "seed 2, N=3",
        "zeros of both signs, denormals, extreme integers, N=3",
        "NaN and Inf, N=3",
    ]
    assert [output.max_ulp for output in comparison.outputs] == [0, 0]
    assert "0.001" in comparison.tolerance[0]
    assert json.loads(json.dumps(comparison.as_json()))["verdict"] == "equal bits"
    assert str(comparison).startswith("equal bits: ")


@RUNNERS
def test_rounding_is_within_tolerance_but_not_exact(runner: str) -> None:
    """(x + 1) * 3 against 3x + 3, tolerance 1e-3 |a| + 1e-4: a few units in the last place, which `exact` does not forgive."""
    before = model("g (float[64] x, float[1] one) => (float[64] y) { c = Constant<value_float=3.1>() s = Add(x, one) y = Mul(s, c) }")
    after = model(
        "g (float[64] x, float[1] one) => (float[64] y) { c = Constant<value_float=3.1>() s = Mul(x, c) t = Mul(one, c) y = Add(s, t) }"
    )
    comparison = compare(before, after, runner=runner)
    assert comparison.verdict is Verdict.WITHIN
    output = comparison.outputs[0]
    assert output.max_ulp is not None and output.max_ulp >= 1
    assert output.max_abs is not None and 0 < output.max_abs < 1e-4
    assert compare(before, after, runner=runner, exact=True).verdict is Verdict.DIFFERENT


@RUNNERS
def test_one_wrong_element_is_found(runner: str) -> None:
    """One weight of 300 is off by 1e-2: beyond 1e-3 |a| + 1e-4, in one column only."""
    weight = np.random.default_rng(0).standard_normal((3, 100)).astype(np.float32)
    wrong = weight.copy()
    wrong[1, 42] += 0.01

    def matmul(values: Array) -> ModelProto:
        made = model("g (float[N,3] x, float[3,100] w) => (float[N,100] y) { y = MatMul(x, w) }")
        del made.graph.input[1]
        made.graph.initializer.append(numpy_helper.from_array(values, "w"))
        return made

    assert compare(matmul(weight), matmul(weight), runner=runner).verdict is Verdict.EQUAL
    comparison = compare(matmul(weight), matmul(wrong), runner=runner)
    assert comparison.verdict is Verdict.DIFFERENT
    assert "1 of 100 elements" in comparison.outputs[0].why


@RUNNERS
def test_swapped_values_of_two_outputs_are_found(runner: str) -> None:
    swapped = model("g (float[N,3] x) => (float[N,3] y, float[N,3] z) { z = Relu(x)  y = Tanh(x) }")
    comparison = compare(TWO_OUTPUTS, swapped, runner=runner)
    assert verdicts(comparison) == {"y": Verdict.DIFFERENT, "z": Verdict.DIFFERENT}


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("g (float[N,3] x) => (float[N,3] z, float[N,3] y) { y = Relu(x)  z = Tanh(x) }", "another order"),
        ("g (float[N,3] x) => (float[N,3] y) { y = Relu(x) }", "lost z"),
        ("g (float[N,3] x, float[1] u) => (float[N,3] y, float[N,3] z) { y = Relu(x)  z = Tanh(x) }", "new u"),
        ("g (float[N,3] q) => (float[N,3] y, float[N,3] z) { y = Relu(q)  z = Tanh(q) }", "lost x; new q"),
        ("g (float[2,3] x) => (float[N,3] y, float[N,3] z) { y = Relu(x)  z = Tanh(x) }", "input x is declared float32[2, 3]"),
        ("g (double[N,3] x) => (double[N,3] y, double[N,3] z) { y = Relu(x)  z = Tanh(x) }", "input x is float64[N, 3]"),
        ("g (float[N,3] x) => (float[N,4] y, float[N,3] z) { y = Relu(x)  z = Tanh(x) }", "output y is declared float32[N, 4]"),
    ],
)
def test_a_changed_signature_is_a_difference(after: str, said: str) -> None:
    comparison = compare(TWO_OUTPUTS, model(after))
    assert comparison.differs
    assert any(said in fault for fault in comparison.signature), comparison.signature
    assert f"signature: {comparison.signature[0]}" in str(comparison)


def test_knowing_more_or_less_about_an_output_is_a_remark() -> None:
    for spelled in ("float[N,?]", "float[N,3]", "float[]"):
        after = model(f"g (float[N,3] x) => ({spelled} y, float[N,3] z) {{ y = Relu(x)  z = Tanh(x) }}")
        assert compare(TWO_OUTPUTS, after).agrees, spelled
    comparison = compare(TWO_OUTPUTS, model("g (float[N,3] x) => (float[] y, float[N,3] z) { y = Relu(x)  z = Tanh(x) }"))
    assert any("output y is declared" in note for note in comparison.notes)


def test_a_false_declaration_may_be_corrected() -> None:
    before = model("g (float[2,3] x) => (float[5] y) { y = Relu(x) }")
    assert compare(before, model("g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }"), runner="reference").agrees
    assert compare(before, model("g (float[2,3] x) => (float[6] y) { y = Relu(x) }"), runner="reference").differs


@RUNNERS
def test_another_element_type_is_found_even_where_it_is_not_declared(runner: str) -> None:
    before = model("g (float[N] x) => (y) { y = Cast<to=6>(x) }")
    after = model("g (float[N] x) => (y) { y = Cast<to=7>(x) }")
    for one in (before, after):
        one.graph.output[0].ClearField("type")
    comparison = compare(before, after, runner="reference")
    assert comparison.differs
    assert "int64 instead of int32" in comparison.outputs[0].why
    int32 = model("g (float[N] x) => (int32[N] y) { y = Cast<to=6>(x) }")
    int64 = model("g (float[N] x) => (int64[N] y) { y = Cast<to=7>(x) }")
    declared = compare(int32, int64, runner=runner)
    assert declared.signature and declared.outputs[0].verdict is Verdict.DIFFERENT


@RUNNERS
def test_a_shape_that_changes_under_one_size_of_a_symbol_only_is_found(runner: str) -> None:
    """[N, 3] + [1, 3] against the two exchanged for a [1, 3] value: equal for N = 1, another shape for N = 2."""
    before = model("g (float[N,3] x, float[1,3] b) => (float[?,3] y) { s = Shape(x)  e = Expand(b, s)  y = Add(e, b) }")
    after = model("g (float[N,3] x, float[1,3] b) => (float[?,3] y) { y = Add(b, b) }")
    assert compare(before, after, runner=runner, sizes=[{"N": 1}], special=False, seeds=1).agrees
    comparison = compare(before, after, runner=runner)
    assert comparison.outputs[0].verdict is Verdict.DIFFERENT
    assert "the shape is [1, 3] instead of [2, 3]" in comparison.outputs[0].why


def test_two_symbols_that_were_mixed_up_are_found() -> None:
    """Reshape to (N, M) against (M, N): the same for equal sizes, so they must differ in some feed."""
    before = model("g (float[N,M] x) => (float[A,B] y) { y = Identity(x) }")
    after = model("g (float[N,M] x) => (float[A,B] y) { t = Transpose<perm=[1,0]>(x)  s = Shape(t)  y = Reshape(x, s) }")
    comparison = compare(before, after)
    assert "N=3, M=5" in comparison.outputs[0].feed
    assert comparison.differs


OVERRIDABLE = "g (float[N,3] x, float[3] w = {1, 2, 3}) => (float[N,3] y)"


@RUNNERS
def test_an_overridable_initializer_that_is_taken_for_a_constant_is_found(runner: str) -> None:
    before = model(f"{OVERRIDABLE} {{ y = Mul(x, w) }}")
    ignored = model(f"{OVERRIDABLE} {{ v = Constant<value_floats=[1.0, 2.0, 3.0]>()  y = Mul(x, v) }}")
    assert compare(before, before, runner=runner).verdict is Verdict.EQUAL
    comparison = compare(before, ignored, runner=runner)
    assert comparison.outputs[0].verdict is Verdict.DIFFERENT
    assert comparison.outputs[0].feed.startswith("other values for the stored defaults")
    assert compare(before, ignored, runner=runner, initializers_are_constants=True).agrees


def test_a_default_that_is_lost_is_found_and_one_that_may_go_is_not() -> None:
    before = model(f"{OVERRIDABLE} {{ y = Mul(x, w) }}")
    without = model(f"{OVERRIDABLE} {{ y = Mul(x, w) }}")
    del without.graph.initializer[:]
    comparison = compare(before, without)
    assert "input w must be fed now, it has a default before" in comparison.signature
    folded = model("g (float[N,3] x) => (float[N,3] y) { v = Constant<value_floats=[1.0, 2.0, 3.0]>()  y = Mul(x, v) }")
    assert compare(before, folded).signature == ["inputs: lost w"]
    assert compare(before, folded, initializers_are_constants=True).agrees


@RUNNERS
@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("n = IsNaN(x)  z = Constant<value_float=0.0>()  y = Where(n, z, x)", "NaN in other places"),
        ("h = Constant<value_float=3.0e38>()  y = Min(x, h)", "Inf in other places"),
        ("z = Constant<value_float=0.0>()  p = Mul(x, z)  y = Add(x, p)", "NaN in other places"),
    ],
)
def test_places_of_nan_and_inf_are_exact(runner: str, after: str, said: str) -> None:
    before = model("g (float[40] x) => (float[40] y) { y = Identity(x) }")
    comparison = compare(before, model(f"g (float[40] x) => (float[40] y) {{ {after} }}"), runner=runner)
    assert comparison.outputs[0].verdict is Verdict.DIFFERENT
    assert said in comparison.outputs[0].why
    assert comparison.outputs[0].feed.startswith("NaN and Inf")


def test_the_sign_of_zero_counts_only_when_bits_must_be_the_same() -> None:
    before = model("g (float[40] x) => (float[40] y) { y = Identity(x) }")
    after = model("g (float[40] x) => (float[40] y) { z = Constant<value_float=0.0>()  y = Add(x, z) }")
    comparison = compare(before, after)
    assert comparison.verdict is Verdict.WITHIN
    assert comparison.outputs[0].why == "zeros of another sign"
    assert compare(before, after, exact=True).differs


@RUNNERS
@pytest.mark.parametrize("operator", ["RandomNormalLike(x)", "Bernoulli(p)"])
def test_a_random_model_is_not_comparable(runner: str, operator: str) -> None:
    random = model(
        f"g (float[N,30] x) => (float[N,30] y, float[N,30] z) {{ p = Sigmoid(x)  y = {operator}  z = Relu(x) }}",
    )
    comparison = compare(random, random, runner=runner)
    assert verdicts(comparison) == {"y": Verdict.NOT_COMPARABLE, "z": Verdict.EQUAL}
    assert not comparison.agrees and not comparison.differs
    assert "differs from itself" in str(comparison)


def test_without_a_runtime_for_the_original_nothing_is_checked_but_the_signature() -> None:
    unknown = model("g (float[N] x) => (float[N] y) { y = my.Mystery(x) }", extra=', "my" : 1')
    comparison = compare(unknown, unknown)
    assert comparison.verdict is Verdict.NOT_CHECKED
    assert len(comparison.notes) == 2  # onnxruntime, onnx.reference: why not
    assert "Mystery" in str(comparison)
    renamed = model("g (float[N] x) => (float[N] z) { z = my.Mystery(x) }", extra=', "my" : 1')
    assert compare(unknown, renamed).differs


def test_the_reference_steps_in_where_onnxruntime_has_no_kernel() -> None:
    """Complex numbers: onnxruntime has no Mul for them... nor many other kernels."""
    before = model("g (complex64[N] x) => (complex64[N] y) { y = Mul(x, x) }")
    comparison = compare(before, before)
    assert comparison.runner.startswith("onnx.reference")
    assert comparison.notes and comparison.notes[0].startswith("onnxruntime")
    assert comparison.verdict is Verdict.EQUAL


def test_a_result_that_does_not_load_or_run_differs() -> None:
    unknown = model("g (float[N,3] x) => (float[N,3] y, float[N,3] z) { y = my.Mystery(x)  z = Tanh(x) }", extra=', "my" : 1')
    comparison = compare(TWO_OUTPUTS, unknown)
    assert comparison.differs
    assert "loads the original but not the result" in comparison.failure
    fails = model(
        "g (float[N,3] x) => (float[N,3] y, float[N,3] z)"
        " { s = Constant<value_ints=[2,-1]>()  r = Reshape(x, s)  t = Shape(x)  y = Reshape(r, t)  z = Tanh(x) }"
    )
    comparison = compare(TWO_OUTPUTS, fails)  # N = 1 has 3 elements, which do not make 2 rows
    assert comparison.differs
    assert "fails where the original runs (seed 0, N=1)" in comparison.failure


def test_sizes_that_the_original_rejects_are_skipped_and_reported() -> None:
    before = model("g (float[N,3] x) => (float[2,?] y) { s = Constant<value_ints=[2,-1]>()  y = Reshape(x, s) }")
    comparison = compare(before, before)
    assert comparison.agrees
    assert [line.split(":")[0] for line in comparison.skipped] == ["seed 0, N=1", "seed 1, N=3"]


@RUNNERS
def test_a_map_and_a_sequence_as_outputs(runner: str) -> None:
    """Sequences element by element; ZipMap's list of maps needs onnxruntime."""
    before = model("g (float[N,3] x) => (seq(float[N,3]) y) { r = Relu(x)  y = SequenceConstruct(r, x) }")
    after = model("g (float[N,3] x) => (seq(float[N,3]) y) { r = Relu(x)  y = SequenceConstruct(x, r) }")
    shorter = model("g (float[N,3] x) => (seq(float[N,3]) y) { r = Relu(x)  y = SequenceConstruct(r) }")
    assert compare(before, before, runner=runner).agrees
    assert compare(before, after, runner=runner).differs
    assert "has 1 elements instead of 2" in compare(before, shorter, runner=runner).outputs[0].why
    if runner == "onnxruntime":
        text = "g (float[N,2] x) => (seq(map(int64,float)) y) { y = ai.onnx.ml.ZipMap<classlabels_int64s=[KEYS]>(x) }"
        one, two = (model(text.replace("KEYS", keys), opset=15, extra=', "ai.onnx.ml" : 2') for keys in ("3,4", "3,5"))
        one.ir_version = two.ir_version = 8
        assert compare(one, one).agrees
        assert compare(one, two).outputs[0].why == "the keys differ"


@RUNNERS
def test_empty_tensors_compare_by_shape(runner: str) -> None:
    before = model("g (float[N,0] x) => (float[N,0] y) { y = Relu(x) }")
    comparison = compare(before, before, runner=runner)
    assert comparison.agrees
    assert "output y is empty in every feed" in comparison.notes


def test_an_output_that_is_nan_everywhere_is_pointed_out() -> None:
    before = model("g (float[N] x) => (float[N] y) { z = Constant<value_float=nan>()  y = Add(x, z) }".replace("nan", "0.0"))
    for node in before.graph.node:
        for attribute in node.attribute:
            attribute.f = float("nan")
    assert "output y is NaN everywhere in every feed" in compare(before, before).notes


def test_given_feeds_replace_the_drawn_ones() -> None:
    before = model("g (float[N] x) => (float[N] y) { y = Relu(x) }")
    after = model("g (float[N] x) => (float[N] y) { y = Identity(x) }")
    assert compare(before, after, feeds=[{"x": np.ones(3, np.float32)}]).agrees
    comparison = compare(before, after, feeds=[{"x": np.ones(3, np.float32)}, {"x": -np.ones(3, np.float32)}])
    assert comparison.outputs[0].feed == "given feed 1"


@RUNNERS
@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float8e4m3fn"])
def test_narrow_floats_are_compared_as_what_they_are(runner: str, kind: str) -> None:
    number = onnx.TensorProto.DataType.Value(kind.upper())
    before = model(f"g (float[N,50] x) => ({kind}[N,50] y) {{ y = Cast<to={number}>(x) }}")
    after = model(f"g (float[N,50] x) => ({kind}[N,50] y) {{ t = Constant<value_float=1.5>()  s = Mul(x, t)  y = Cast<to={number}>(s) }}")
    same = compare(before, before, runner=runner, special=False)
    assert same.verdict is Verdict.EQUAL and same.outputs[0].kind == kind
    assert compare(before, after, runner=runner, special=False).differs


def test_paths_with_external_data_and_a_file_that_is_no_model(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.arange(300, dtype=np.float32).reshape(3, 100), "w")
    made = model("g (float[N,3] x, float[3,100] w) => (float[N,100] y) { y = MatMul(x, w) }")
    del made.graph.input[1]
    made.graph.initializer.append(weight)
    inline, outside, broken = tmp_path / "inline.onnx", tmp_path / "outside.onnx", tmp_path / "broken.onnx"
    onnx.save(made, inline)
    onnx.save(deepcopy(made), outside, save_as_external_data=True, location="outside.data", size_threshold=0)
    broken.write_bytes(b"\x0bno model")
    assert compare(inline, outside).verdict is Verdict.EQUAL
    assert compare(str(outside), made, runner="reference").verdict is Verdict.EQUAL
    assert compare(inline.read_bytes(), made).verdict is Verdict.EQUAL
    for one, other in ((tmp_path / "absent.onnx", inline), (inline, tmp_path / "absent.onnx")):
        with pytest.raises(ModelError, match=r"absent\.onnx: does not exist"):
            compare(one, other)
    for one, other in ((broken, inline), (inline, broken)):
        with pytest.raises(ModelError, match="is not an ONNX model"):
            compare(one, other)


def test_a_runner_that_does_not_exist_is_the_callers_fault() -> None:
    with pytest.raises(SpecError, match="known: auto, onnxruntime, reference"):
        compare(TWO_OUTPUTS, TWO_OUTPUTS, runner="tensorflow")


def test_local_functions_and_subgraphs_run() -> None:
    text = (
        '<ir_version: 10, opset_import: ["" : 20, "local" : 1]>\n'
        "g (float[N] x, bool c) => (float[N] y) { t = local.twice(x)  y = If(c) <then_branch = a () => (float[N] u) { u = Relu(t) },"
        " else_branch = b () => (float[N] v) { v = NEXT(t) }> }\n"
        '<opset_import: ["" : 20], domain: "local"> twice (p) => (q) { q = Add(p, p) }'
    )
    before, after = (parser.parse_model(text.replace("NEXT", op)) for op in ("Neg", "Abs"))
    assert compare(before, before).agrees
    assert compare(before, after).differs


def test_the_report_of_many_outputs_is_short() -> None:
    names = [f"y{number}" for number in range(40)]
    nodes = [helper.make_node("Relu", ["x"], [name]) for name in names]
    outputs = [helper.make_tensor_value_info(name, 1, ["N"]) for name in names]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", 1, ["N"])], outputs)
    many = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])
    comparison = compare(many, many)
    assert len(str(comparison).splitlines()) < 30
    assert len(json.loads(json.dumps(comparison.as_json()))["outputs"]) == 40
