"""The law of evaluation: who is believed, who needs a witness, what is rounded how, and that onnxruntime is asked late."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from graphopt.infer import CannotEvaluate, evaluate, runtime
from graphopt.infer.agreement import disagreement
from graphopt.infer.reference import NoKernel, run_definition, run_kernel
from graphopt.infer.trust import RUNTIME_ALONE, SLOW, SLOW_KERNELS, UNTRUSTED_KERNELS, UNTRUSTED_RUNTIME, meaning
from graphopt.ir import Attribute, DType, Editor, Model, Node, Tensor
from graphopt.schema import facts
from tests.infer.test_evaluate import node_of, run
from tests.passes.models import needs_onnxruntime

f32 = np.float32
DATA = np.random.default_rng(3)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where onnxruntime is not installed."""
    monkeypatch.setattr(runtime, "is_installed", lambda: False)


def old(op: str, opset: int, *arrays: Any, **attributes: Any) -> Node:
    """A node as an opset below the newest spells it."""
    model = Model(opsets={"": opset})
    editor = Editor(model)
    inputs = [editor.add_constant(model.graph, Tensor.of(array)) for array in arrays]
    held = {name: Attribute.of(value) for name, value in attributes.items()}
    return editor.insert(Node(op, inputs, 1, held), model.graph)


def results(node: Node) -> Any:
    return evaluate(node, [None if value is None else value.const for value in node.inputs])[0].numpy()


# ---- who is believed


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("op", "arrays", "attributes"),
    [
        ("LRN", [np.zeros((1, 5, 4, 4), f32)], {"size": 3}),
        ("LpNormalization", [np.ones((2, 3), f32)], {"p": 1}),
    ],
)
def test_an_untrusted_kernel_needs_a_witness(op: str, arrays: list[Any], attributes: dict[str, Any]) -> None:
    with pytest.raises(CannotEvaluate, match=r"not trusted.*onnxruntime is not installed"):
        run(op, *arrays, **attributes)


@needs_onnxruntime
def test_onnxruntime_is_a_witness() -> None:
    assert run("LpNormalization", np.array([[3, 1]], f32), p=1).tolist() == [[0.75, 0.25]]
    x = np.arange(4, dtype=f32).reshape(1, 1, 2, 2)
    held = run("Resize", x, None, np.array([1, 1, 2, 2], f32), mode="nearest")
    assert held.tolist() == x.repeat(2, 2).repeat(2, 3).tolist()


@needs_onnxruntime
def test_where_the_two_differ_the_node_is_left_alone() -> None:
    """Resize: the reference rounds the extent before it aligns corners, onnxruntime does not."""
    x = np.array([[[[1, 2, 3, 4], [5, 6, 7, 8]]]], f32)
    with pytest.raises(CannotEvaluate, match="onnxruntime differs: output 0: other elements"):
        run("Resize", x, None, np.array([1, 1, 0.6, 0.6], f32), mode="linear", coordinate_transformation_mode="align_corners")


@pytest.mark.usefixtures("alone")
def test_a_definition_is_a_witness() -> None:
    """Attention is defined by a function: without onnxruntime too its kernel has a witness."""
    q, k, v = (DATA.normal(size=(1, 2, 3, 4)).astype(f32) for _ in range(3))
    made = run("Attention", q, k, v, opset=23)
    scores = q @ k.transpose(0, 1, 3, 2) / 2
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(made, weights @ v, rtol=1e-5)


def test_a_definition_gets_the_defaults_of_its_attributes() -> None:
    x = DATA.normal(size=(2, 3)).astype(f32)
    for node in (node_of("Celu", x), node_of("Celu", x, alpha=2.0), node_of("HardSwish", x), node_of("Shrink", x, bias=0.5)):
        assert disagreement(run_definition(node, 20, [x]), run_kernel(node, 20, [x])) is None


def test_what_no_function_defines() -> None:
    node = node_of("Neg", np.ones(2, f32))
    with pytest.raises(NoKernel, match="not defined by a function"):
        run_definition(node, 20, [np.ones(2, f32)])


def test_tables_name_operators() -> None:
    for op in (*UNTRUSTED_KERNELS, *UNTRUSTED_RUNTIME, *RUNTIME_ALONE, *SLOW_KERNELS):
        assert facts.newest("", op) is not None, op


# ---- what onnxruntime alone may say


@needs_onnxruntime
@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax_over_several_axes(op: str, axis: int) -> None:
    """Below opset 13 everything from the axis on was one row."""
    x = DATA.normal(size=(2, 3, 4)).astype(f32)
    rows = x.reshape(int(np.prod(x.shape[:axis])), -1)
    expected = run(op, rows, axis=-1, opset=13).reshape(x.shape)
    assert disagreement([results(old(op, 11, x, axis=axis))], [expected]) is None


@needs_onnxruntime
def test_scatter() -> None:
    made = results(old("Scatter", 10, np.zeros((3, 2), f32), np.array([[2, 0]]), np.array([[5, 7]], f32), axis=0))
    assert made.tolist() == [[0, 7], [0, 0], [5, 0]]


@pytest.mark.usefixtures("alone")
def test_nobody_is_left_to_say() -> None:
    with pytest.raises(CannotEvaluate, match="onnxruntime is not installed"):
        results(old("Softmax", 11, np.ones((2, 3, 4), f32), axis=1))


@needs_onnxruntime
def test_slow_kernels_of_large_operands(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = runtime.run_runtime

    def listening(node: Node, opset: int, inputs: Any) -> list[Any]:
        asked.append(node.op)
        return real(node, opset, inputs)

    monkeypatch.setattr(runtime, "run_runtime", listening)
    small, large = (np.ones((1, 1, size, 512), f32) for size in (4, SLOW // 2048))
    run("AveragePool", small, kernel_shape=[2, 2])
    assert not asked
    assert run("AveragePool", large, kernel_shape=[2, 2]).shape == (1, 1, SLOW // 2048 - 1, 511)
    assert asked


# ---- opsets below 7


@pytest.mark.parametrize(
    ("op", "arrays", "attributes", "expected"),
    [
        ("Relu", [np.array([-1, 2], f32)], {}, [0, 2]),
        ("Add", [np.ones((2, 3), f32), np.arange(3, dtype=f32)], {"broadcast": 1}, [[1, 2, 3]] * 2),
        ("Add", [np.ones((2, 3), f32), np.arange(3, dtype=f32)], {"broadcast": 1, "axis": 1}, [[1, 2, 3]] * 2),
        ("Mul", [np.ones((2, 2), f32), np.ones((2, 2), f32)], {}, [[1, 1]] * 2),
    ],
)
def test_the_oldest_opsets(op: str, arrays: list[Any], attributes: dict[str, Any], expected: list[Any]) -> None:
    assert results(old(op, 6, *arrays, **attributes)).tolist() == expected


@pytest.mark.parametrize(
    ("op", "arrays", "attributes"),
    [
        ("Add", [np.ones((2, 2), f32), np.arange(2, dtype=f32)], {"broadcast": 1, "axis": 0}),  # along the first axis
        ("Add", [np.ones((2, 2), f32), np.arange(2, dtype=f32)], {}),
        ("AveragePool", [np.ones((1, 1, 4, 4), f32)], {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1]}),
    ],
)
def test_what_only_the_oldest_opsets_say(op: str, arrays: list[Any], attributes: dict[str, Any]) -> None:
    assert meaning(old(op, 6, *arrays, **attributes)) is None


# ---- rounding

FLOAT8 = [DType.float8e4m3fn, DType.float8e4m3fnuz, DType.float8e5m2, DType.float8e5m2fnuz]


@pytest.mark.parametrize("to", FLOAT8)
@pytest.mark.parametrize("saturate", [0, 1])
def test_every_float16_becomes_float8_as_the_table_says(to: DType, saturate: int) -> None:
    """ONNX Cast-19: round to nearest even; beyond the greatest the greatest, or, without saturation, infinity or NaN."""
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    made = run("Cast", x, to=int(to), saturate=saturate, opset=21).astype(np.float64)
    grid = np.arange(256, dtype=np.uint8).view(to.numpy).astype(np.float64)
    order = np.argsort(grid[:128])
    line, even = grid[order], (order % 2 == 0)
    even = even[np.isfinite(line)]
    line = line[np.isfinite(line)]
    size = np.abs(x.astype(np.float64))
    with np.errstate(invalid="ignore"):
        below = np.clip(np.searchsorted(line, size, side="right") - 1, 0, len(line) - 2)
        middle = (line[below] + line[below + 1]) / 2
        up = (size > middle) | ((size == middle) & even[below + 1])
        expected = np.where(up, line[below + 1], line[below])
        last = line[-1] + (line[-1] - line[-2]) / 2
        beyond = (size > last) | ((size == last) & (not even[-1]))
    if not saturate:
        expected[beyond] = np.inf if to is DType.float8e5m2 else np.nan
    expected[np.isnan(size)] = np.nan
    expected = np.copysign(expected, x.astype(np.float64))
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("op", ["Exp", "Tanh", "Sigmoid", "Erf", "Softmax"])
def test_half_precision_is_computed_in_float32(op: str, dtype: Any) -> None:
    x = DATA.normal(size=(4, 50)).astype(dtype)
    expected = run(op, x.astype(f32)).astype(dtype)
    assert run(op, x, opset=22).tobytes() == expected.tobytes()


def test_half_precision_that_overflows_on_the_way_is_left_alone() -> None:
    """The sum of squares is beyond float16, its root is not: a runtime may give either infinity or the root."""
    with pytest.raises(CannotEvaluate, match="half precision"):
        run("ReduceL2", np.full(2, 300, np.float16), keepdims=0)


def test_wide_integers_become_narrow_floats_once() -> None:
    assert run("Cast", np.array([3, 2**20 + 1]), to=int(DType.bfloat16)).astype(np.float64).tolist() == [3, 2**20]
    with pytest.raises(CannotEvaluate, match="rounded to float32 before"):
        run("Cast", np.array([2**31 + 2**23 + 1]), to=int(DType.bfloat16))


def test_agreement() -> None:
    one = np.array([1, 1e-3], f32)
    assert disagreement([one], [one + f32(1e-6)]) is None
    assert disagreement([one], [one + f32(1e-3)]) == "output 0: other elements"
    assert disagreement([np.array([1, np.nan], f32)], [np.array([1, np.inf], f32)]) == "output 0: other infinities or NaN"
    assert disagreement([np.array([1, 2])], [np.array([1, 3])]) == "output 0: other elements"
    assert disagreement([one], [one.astype(np.float64)]) == "output 0: float32[2] and float64[2]"
    assert disagreement([one], [one, one]) == "1 outputs and 2"
    assert disagreement([np.array(["a"], object)], [np.array(["b"], object)]) == "output 0: other texts"


# ---- start-up


def test_onnxruntime_is_not_imported_for_what_kernels_are_trusted_with() -> None:
    program = """if True:
        import sys, numpy as np
        from tests.infer.test_evaluate import run
        run("Concat", np.array([1]), np.array([2]), axis=0), run("MatMul", np.ones((2, 2)), np.ones((2, 2)))
        assert not any(name.split(".")[0] == "onnxruntime" for name in sys.modules)"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
