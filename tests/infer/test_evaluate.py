"""Evaluation of one node: right, in the operator's own type, and refused wherever a result is not defined."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from graphopt.infer import CannotEvaluate, evaluate, infer_node, result_bytes
from graphopt.infer.trust import UNTRUSTED_KERNELS
from graphopt.ir import Attribute, AttributeKind, Dim, DType, Editor, Graph, Model, Node, Tensor, TensorType, Value
from graphopt.schema import facts
from graphopt.schema.spelling import spell


def node_of(op: str, *arrays: Any, opset: int = 20, outputs: int = 1, **attributes: Any) -> Node:
    model = Model(opsets={"": opset})
    editor = Editor(model)
    tensors = [data if data is None or isinstance(data, Tensor) else Tensor.of(data) for data in arrays]
    given = [None if tensor is None else editor.add_constant(model.graph, tensor) for tensor in tensors]
    node = editor.insert(spell(op, given, attributes, model.graph, outputs=outputs), model.graph)
    for value, type in zip(node.outputs, infer_node(node), strict=True):
        value.type = type
    return node


def run(op: str, *arrays: Any, **attributes: Any) -> Any:
    node = node_of(op, *arrays, **attributes)
    return evaluate(node, [None if value is None else value.const for value in node.inputs])[0].numpy()


i32 = np.int32


def test_integers_are_divided_towards_zero() -> None:
    assert run("Div", np.array([-7, 7, -8], i32), np.array([2, -2, 3], i32)).tolist() == [-3, -3, -2]


@pytest.mark.parametrize(
    ("op", "arrays", "attributes", "reason"),
    [
        ("Div", [np.array([1, 2]), np.array([1, 0])], {}, "divided by 0"),
        ("Div", [np.array([-(2**31)], i32), np.array([-1], i32)], {}, "divided by -1"),
        ("Mod", [np.array([1]), np.array([0])], {}, "divided by 0"),
        ("Add", [np.array([2**31 - 1], i32), np.array([1], i32)], {}, "overflow"),
        ("Mul", [np.array([2**40]), np.array([2**40])], {}, "overflow"),
        ("ReduceProd", [np.full(40, 9, i32)], {}, "overflow"),
        ("Pow", [np.array([2]), np.array([-1])], {}, "natural number"),
        ("Pow", [np.array([9]), np.array([99])], {}, "overflow"),
        ("Cast", [np.array([300.0])], {"to": int(DType.int8)}, "outside of int8"),
        ("Cast", [np.array([np.nan])], {"to": int(DType.int32)}, "outside of int32"),
        ("Cast", [np.array([-1.0])], {"to": int(DType.uint8)}, "outside of uint8"),
        ("Cast", [np.array([2.0**63])], {"to": int(DType.int64)}, "outside of int64"),
        ("Cast", [np.array([1.5])], {"to": int(DType.string)}, "not written in one way"),
        ("Cast", [np.array([-1.0])], {"to": int(DType.float8e8m0), "opset": 24}, "outside of float8e8m0"),
        ("Cast", [np.array([7.0])], {"to": int(DType.float4e2m1), "opset": 23}, "outside of float4e2m1"),
        ("Cast", [np.array([1 + 2**-11 + 2**-40])], {"to": int(DType.float16)}, "rounded to float32 before"),
        ("MaxPool", [np.ones((1, 1, 2), np.float32)], {"kernel_shape": [3], "strides": [2]}, "how many windows fit"),
        ("AveragePool", [np.ones((1, 1, 2), np.float32)], {"kernel_shape": [3], "strides": [2]}, "how many windows fit"),
        ("BitShift", [np.array([1], np.uint8), np.array([8], np.uint8)], {"direction": "LEFT"}, "shift"),
        ("Range", [np.float32(0), np.float32(1), np.float32(0)], {}, "step is 0"),
        ("Pow", [np.array([2]), np.array([0.5], np.float32)], {}, "natural number"),
        ("StringNormalizer", [np.array(["\u0131"], object)], {"case_change_action": "UPPER"}, "case of letters"),
        ("Max", [np.array([1.0]), np.array([np.nan])], {}, "NaN"),
        ("Gather", [np.array([1, 2]), np.array([5])], {}, "fails"),
    ],
)
def test_what_is_not_defined_is_refused(op: str, arrays: list[Any], attributes: dict[str, Any], reason: str) -> None:
    with pytest.raises(CannotEvaluate, match=reason):
        run(op, *arrays, **attributes)


def test_unsigned_integers_wrap_around() -> None:
    assert run("Add", np.array([255], np.uint8), np.array([2], np.uint8)).tolist() == [1]
    assert run("Cast", np.array([200], np.int16), to=int(DType.int8)).tolist() == [-56]


def test_floats_divide_by_zero_as_ieee_says(recwarn: pytest.WarningsRecorder) -> None:
    np.testing.assert_array_equal(run("Div", np.array([1.0, -1.0, 0.0]), np.zeros(3)), [np.inf, -np.inf, np.nan])
    assert not recwarn


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("op", ["Add", "Mul", "Div", "Sqrt"])
def test_half_precision_is_rounded_once(op: str, dtype: Any) -> None:
    """Against float64 rounded once: float64 has more than twice the digits, so that is the correctly rounded result."""
    data = np.random.default_rng(0).uniform(0.1, 9, (2, 500)).astype(dtype)
    arrays = (data[0].copy(),) if op == "Sqrt" else (data[0].copy(), data[1].copy())
    wide = [array.astype(np.float64) for array in arrays]
    exact = {"Add": np.add, "Mul": np.multiply, "Div": np.divide, "Sqrt": np.sqrt}[op](*wide).astype(dtype)
    result = run(op, *arrays)
    assert result.dtype == dtype
    assert result.tobytes() == exact.tobytes()


def test_movement_works_on_every_type() -> None:
    for dtype in (DType.int4, DType.float8e4m3fn, DType.bfloat16, DType.complex64, DType.string, DType.bool):
        data = [["a", "b", "c"]] if dtype is DType.string else [[0, 1, 1]]
        held = Tensor.of(data, dtype)
        (result,) = evaluate(node_of("Transpose", held, opset=23), [held])
        assert (result.dtype, result.shape) == (dtype, (3, 1))


def test_results_are_not_the_callers_to_change() -> None:
    result = run("Add", np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match="read-only"):
        result[0] = 5


def test_old_versions_run_at_their_own_opset() -> None:
    assert run("Squeeze", np.ones((1, 2)), np.array([0]), opset=11).shape == (2,)
    assert run("Clip", np.array([np.inf], np.float32), opset=11).tolist() == [np.inf]
    node = node_of("Relu", np.array([np.inf], np.float32), opset=7)
    assert node.graph is not None
    clip = Editor(node.graph.model).insert(Node("Clip", node.inputs), node.graph)
    assert evaluate(clip, [Tensor.of(np.array([np.inf], np.float32))])[0].numpy().tolist() == [np.finfo(np.float32).max]


def test_only_what_is_deterministic_and_known() -> None:
    model = Model(opsets={"": 20, "custom": 1})
    editor = Editor(model)
    refused = [
        Node("RandomNormal", (), 1, {"shape": Attribute.of([2])}),
        Node("Op", domain="custom"),
        Node("If", (Value("c"),), 1, {"then_branch": Attribute.of(Graph("t", model)), "else_branch": Attribute.of(Graph("e", model))}),
        Node("Concat", (Value("x"),), 1, {"axis": Attribute(AttributeKind.int, None, reference="axis")}),
        Node("SequenceConstruct", (Value("x"),)),
    ]
    for node in refused:
        editor.insert(node, model.graph)
        with pytest.raises(CannotEvaluate):
            evaluate(node, [Tensor.of([1.0])] * len(node.inputs))


def test_every_kernel_on_the_list_exists() -> None:
    assert all(facts.newest("", op) is not None for op in UNTRUSTED_KERNELS)


def test_size_of_the_result_is_known_before() -> None:
    assert result_bytes(node_of("Expand", np.ones(1, np.float32), np.array([1000, 1000]))) == 4_000_000
    assert result_bytes(node_of("Cast", np.ones(5, np.float32), to=int(DType.int4), opset=21)) == 3
    unknown = node_of("Relu", np.ones(1, np.float32))
    (operand,) = filter(None, unknown.inputs)
    operand.type = TensorType(DType.float32, (Dim.symbol("N"),))
    unknown.output.type = None
    assert result_bytes(unknown) is None
