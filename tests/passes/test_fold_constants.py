"""What folding computes, within which budget, and where it keeps the bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper, numpy_helper

from graphopt import io
from graphopt.infer import infer_model
from graphopt.ir import DType, FileSlice, Model
from graphopt.passes.deferred import Deferred, Transposed
from graphopt.passes.fold_constants import FoldConstants
from graphopt.pipeline.options import ByteSize
from tests.passes.models import Told, before_and_after, ops, parse, results, run

MEGABYTE = 1 << 20


def big(op_type: str, *others: npt.NDArray[Any], path: Path | None = None, **attributes: Any) -> onnx.ModelProto:
    """y = x + op(w, ...) for a weight w of 2 MiB; in a file if a path is given."""
    w = np.random.default_rng(0).standard_normal((512, 1024)).astype(np.float32)
    held = [numpy_helper.from_array(w, "w"), *(numpy_helper.from_array(other, f"c{i}") for i, other in enumerate(others))]
    nodes = [
        helper.make_node(op_type, ["w", *(f"c{i}" for i in range(len(others)))], ["t"], **attributes),
        helper.make_node("Add", ["x", "t"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [None] * (3 if op_type == "Unsqueeze" else 2))],
        held,
    )  # fmt: skip
    message = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    if path is not None:
        onnx.save(message, path)
    return message


def folded(source: onnx.ModelProto | Path, **options: object) -> Model:
    model = io.load(source)
    infer_model(model)
    run(model, FoldConstants(**options))  # type: ignore[arg-type]  # as the test wants
    return model


@pytest.mark.parametrize(
    ("op_type", "others", "attributes", "storage"),
    [
        ("Transpose", (), {"perm": [1, 0]}, Transposed),
        ("Transpose", (), {}, Transposed),
        ("Reshape", (np.array([1024, -1], np.int64),), {}, FileSlice),
        ("Unsqueeze", (np.array([0], np.int64),), {}, FileSlice),
        ("Flatten", (), {"axis": 0}, FileSlice),
        ("Identity", (), {}, FileSlice),
        ("Neg", (), {}, Deferred),
        ("Mul", (np.float32(2),), {}, Deferred),
    ],
)
def test_big_results_are_not_kept_in_memory(
    op_type: str, others: tuple[npt.NDArray[Any], ...], attributes: dict[str, Any], storage: type, tmp_path: Path
) -> None:
    """Bit for bit what the operator gives; the tensor holds no array, and views of the file stay views."""
    path = tmp_path / "model.onnx"
    message = big(op_type, *others, path=path, **attributes)
    model = folded(path)
    assert ops(model.graph) == ["Add"]
    tensor = model.graph.initializers["t"].tensor
    assert tensor is not None
    assert type(tensor.storage) is storage
    (before,), (after,) = results(message, {"x": np.float32(0)}), results(io.to_proto(model), {"x": np.float32(0)})
    assert before.tobytes() == after.tobytes()
    assert before.shape == after.shape


def test_a_chain_of_big_results() -> None:
    """A transposed weight is scaled: the second result is computed of the first, each time that it is asked for."""
    message = big("Transpose", perm=[1, 0])
    message.graph.node.insert(1, helper.make_node("Neg", ["t"], ["u"]))
    message.graph.node[2].input[1] = "u"
    (before,), (after,), model = before_and_after(message, {"x": np.float32(1)}, FoldConstants())
    assert ops(model.graph) == ["Add"]
    assert list(model.graph.initializers) == ["u"]
    assert before.tobytes() == after.tobytes()


def test_the_operand_stays_for_other_readers_and_counts() -> None:
    """Transpose of a weight that something else reads would store it twice: only with a budget for that."""
    message = big("Transpose", perm=[1, 0])
    message.graph.node.append(helper.make_node("ReduceMax", ["w"], ["m"]))
    message.graph.output.append(helper.make_tensor_value_info("m", onnx.TensorProto.FLOAT, [1, 1]))
    assert ops(folded(message).graph) == ["Transpose", "Add"]
    model = folded(message, max_growth=ByteSize(2 * MEGABYTE))
    assert ops(model.graph) == ["Add"]
    assert list(model.graph.initializers) == ["t", "m"]  # folded as well, and then nobody read w


def test_the_budget_is_for_the_whole_run() -> None:
    """Of two expansions of 40 kB only one fits into 64 kB, also when the pass runs again."""
    text = """<ir_version: 10, opset_import: ["" : 20]>
    g (float x) => (float[100,100] y, float[100,100] z) <float[1] a = {1}, float[1] b = {2}, int64[2] s = {100, 100}> {
       c = Expand(a, s)
       d = Expand(b, s)
       y = Add(x, c)
       z = Add(x, d)
    }"""
    model, step = parse(text), FoldConstants(max_growth=ByteSize(64_000))
    assert run(model, step, step) == 1
    assert ops(model.graph) == ["Expand", "Add", "Add"]


def test_a_limit_for_one_result() -> None:
    told, model = Told(), io.load(big("Neg"))
    infer_model(model)
    assert run(model, FoldConstants(max_tensor=ByteSize(MEGABYTE)), observer=told) == 0
    assert told.refused == [("fold-constants", "the result would have 2097152 bytes, 1048576 are allowed")]


def test_element_types_stay() -> None:
    text = """<ir_version: 10, opset_import: ["" : 20]>
    g (int8[1] x) => (int8[2] y) <int8[2] a = {100, -100}, int8[2] b = {7, 2}> {
       c = Div(a, b)
       y = Add(x, c)
    }"""
    model = parse(text)
    run(model, FoldConstants())
    tensor = model.graph.initializers["c"].tensor
    assert tensor is not None
    assert (tensor.dtype, tensor.numpy().tolist()) == (DType.int8, [14, -50])  # towards zero, as ONNX says


def test_unread_outputs_and_absent_inputs() -> None:
    """Split with one output unread, Clip without a minimum."""
    text = """<ir_version: 10, opset_import: ["" : 20]>
    g (float[2] x) => (float[2] y) <float[4] a = {1, 2, 3, 4}, float m = {1.5}> {
       b, unread = Split<num_outputs = 2>(a)
       c = Clip(b, , m)
       y = Add(x, c)
    }"""
    model = parse(text)
    run(model, FoldConstants())
    assert ops(model.graph) == ["Add"]
    tensor = model.graph.initializers["c"].tensor
    assert tensor is not None
    assert tensor.numpy().tolist() == [1.0, 1.5]


def test_an_observer_may_forbid_it() -> None:
    text = """<ir_version: 10, opset_import: ["" : 20]>
    g (float[2] x) => (float[2] y) <float[2] a = {1, 2}> {
       b = Neg(a)
       c = Abs(b)
       y = Add(x, c)
    }"""
    model = parse(text)
    assert run(model, FoldConstants(), observer=Told(lambda source, node: node.op != "Neg")) == 0
    assert ops(model.graph) == ["Neg", "Abs", "Add"]
    assert list(model.graph.initializers) == ["a"]


@pytest.mark.parametrize("ir_version", [3, 10])
def test_a_graph_output_keeps_its_name(ir_version: int) -> None:
    text = f"""<ir_version: {ir_version}, opset_import: ["" : 8]>
    g (float[2] x) => (float[2] y, float[2] c) {{
       a = Constant<value = float[2] {{1, 2}}>()
       c = Neg(a)
       y = Add(x, c)
    }}"""
    message = onnx.parser.parse_model(text)
    before, after, model = before_and_after(message, {"x": np.array([1, 1], np.float32)}, FoldConstants())
    assert ops(model.graph) == (["Constant", "Add"] if ir_version == 3 else ["Add"])
    assert [array.tolist() for array in before] == [array.tolist() for array in after] == [[0, -1], [-1, -2]]


def joining(bytes_each: int) -> str:
    size = bytes_each // 4
    return f"""<ir_version: 10, opset_import: ["" : 20]>
    g (float[2,N] x) => (float[2,M] y, float[2,{size}] z) {{
       n = Constant<value = int64[2] {{2, {size}}}>()
       a = ConstantOfShape(n)
       b = ConstantOfShape(n)
       y = Concat<axis = 1>(x, a, b)
       z = Neg(a)
    }}"""


def test_constants_side_by_side_count_against_the_budget() -> None:
    """`a` has another reader: joining it stores it twice."""
    model, step = parse(joining(400)), FoldConstants(max_growth=ByteSize(1600))
    run(model, step)
    assert [len(node.inputs) for node in model.graph if node.op == "Concat"] == [3]
    model = parse(joining(400))
    run(model, FoldConstants(max_growth=ByteSize(6400)))
    assert [len(node.inputs) for node in model.graph if node.op == "Concat"] == [2]


def test_a_shared_weight_is_not_stored_transposed_as_well() -> None:
    """The tied embedding of a language model: it is looked up in, and, transposed, the last MatMul's operand."""
    message = big("Transpose", perm=[1, 0])
    message.graph.node.append(helper.make_node("Gather", ["w", "i"], ["g"]))
    message.graph.input.append(helper.make_tensor_value_info("i", onnx.TensorProto.INT64, [1]))
    message.graph.output.append(helper.make_tensor_value_info("g", onnx.TensorProto.FLOAT, [1, 1024]))
    assert ops(folded(message).graph) == ["Transpose", "Add", "Gather"]
