"""What models cost: multiply-accumulates by hand, parameters, memory; with sizes that are known and that are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from graphopt import io
from graphopt.infer.freeze import Wishes, freeze_dimensions
from graphopt.infer.model import infer_model
from graphopt.ir import Dim, Model
from graphopt.observe.cost import ModelCost, cost_of

DATA = Path(__file__).parents[1] / "data" / "io"
HEAD = '<ir_version: 10, opset_import: ["" : {opset}, "com.microsoft" : 1]>'


def cost(text: str, opset: int = 22) -> ModelCost:
    """What the model of a text costs."""
    return cost_of(inferred(io.parse_text(f"{HEAD.format(opset=opset)}\n{text}")))


def inferred(model: Model) -> Model:
    infer_model(model)
    return model


# One line for each formula: the graph, its multiply-accumulates, the other operations. Counted by hand.
CASES = {
    "conv": ("g (float[1,8,10,10] x, float[16,4,3,3] w, float[16] b) => (float[1,16,8,8] y) { y = Conv<group=2>(x, w, b) }",
             16 * 64 * 36, 16 * 64),
    "conv without bias": ("g (float[2,3,5] x, float[4,3,3] w) => (float[2,4,3] y) { y = Conv(x, w) }", 2 * 4 * 3 * 9, 0),
    "transposed conv": ("g (float[1,4,5,5] x, float[4,3,2,2] w) => (y) { y = ConvTranspose<strides=[2,2], group=2>(x, w) }", 100 * 12, 0),
    "integer conv": ("g (uint8[1,2,4,4] x, uint8[3,2,1,1] w) => (int32[1,3,4,4] y) { y = ConvInteger(x, w) }", 48 * 2, 0),
    "matmul": ("g (float[7,2,3] x, float[3,5] w) => (float[7,2,5] y) { y = MatMul(x, w) }", 7 * 2 * 3 * 5, 0),
    "dot product": ("g (float[3] x, float[3] w) => (float y) { y = MatMul(x, w) }", 3, 0),
    "gemm": ("g (float[3,2] x, float[5,3] w, float[5] c) => (float[2,5] y) { y = Gemm<transA=1, transB=1>(x, w, c) }", 2 * 3 * 5, 10),
    "integer matmul": ("g (uint8[2,3] x, uint8[3,5] w) => (int32[2,5] y) { y = MatMulInteger(x, w) }", 30, 0),
    "einsum": ("g (float[2,3,4] x, float[2,4,5] w) => (float[2,3,5] y) { y = Einsum<equation=\"bij,bjk->bik\">(x, w) }", 2 * 3 * 4 * 5, 0),
    "lstm": ("g (float[5,2,3] x, float[1,16,3] w, float[1,16,4] r) => (float[5,1,2,4] y) { y = LSTM<hidden_size=4>(x, w, r) }",
             5 * 2 * (16 * 3 + 16 * 4), 5 * 2 * 4 * 17),
    "gru, both ways": (
        "g (float[5,2,3] x, float[2,12,3] w, float[2,12,4] r) => (y) { y = GRU<hidden_size=4, direction=\"bidirectional\">(x, w, r) }",
        5 * 2 * 2 * (12 * 3 + 12 * 4), 5 * 2 * 2 * 4 * 14),
    "softmax": ("g (float[2,6] x) => (float[2,6] y) { y = Softmax(x) }", 0, 36),
    "reduction": ("g (float[2,6] x) => (float y) { y = ReduceMean<keepdims=0>(x) }", 0, 12),
    "pooling": ("g (float[1,2,4,4] x) => (float[1,2,2,2] y) { y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) }", 0, 8 * 4),
    "moves": ("g (float[2,6] x) => (float[6,2] y) { y = Transpose(x) }", 0, 0),
    "sum of three": ("g (float[4] x) => (float[4] y) { y = Sum(x, x, x) }", 0, 8),
    "onnxruntime's gemm": ("g (float[2,3] x, float[3,5] w) => (float[2,5] y) { y = com.microsoft.FusedGemm(x, w) }", 30, 0),
    "onnxruntime's matmul": ("g (float[3,2] x, float[3,5] w) => (y) { y = com.microsoft.FusedMatMul<transA=1>(x, w) }", 30, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_formulas(name: str) -> None:
    text, macs, operations = CASES[name]
    found = cost(text)
    assert (found.macs, found.operations) == (macs, operations)
    assert found.flops == 2 * macs + operations
    assert found.is_complete


@pytest.mark.parametrize("keys", [6, 9])
def test_attention_is_counted_in_both_layouts(keys: int) -> None:
    apart = f"g (float[2,4,6,8] q, float[2,4,{keys},8] k, float[2,4,{keys},16] v) => (y) {{ y = Attention(q, k, v) }}"
    joined = f"""g (float[2,6,32] q, float[2,{keys},32] k, float[2,{keys},64] v) => (y)
    {{ y = Attention<q_num_heads=4, kv_num_heads=4>(q, k, v) }}"""
    assert cost(apart, 24).macs == cost(joined, 24).macs == 2 * 4 * 6 * keys * (8 + 16)


def test_quantized_products() -> None:
    found = cost("""g (uint8[2,3] a, uint8[3,5] b, float s, uint8 z) => (uint8[2,5] y) { y = QLinearMatMul(a, s, z, b, s, z, s, z) }""")
    assert found.macs == 30
    found = cost("""g (uint8[1,2,4,4] x, uint8[3,2,3,3] w, float s, uint8 z) => (uint8[1,3,2,2] y)
    { y = QLinearConv(x, s, z, w, s, z, s, z) }""")
    assert found.macs == 3 * 4 * 18


def test_dynamic_sizes_stay_names_until_they_are_frozen() -> None:
    text = "g (float[N,S,4] x, float[4,6] w) => (float[N,S,6] y) { a = MatMul(x, w)  t = Transpose<perm=[0,2,1]>(x)  y = Relu(a) }"
    found = cost(text)
    N, S = Dim.symbol("N"), Dim.symbol("S")
    assert found.symbols == ("N", "S")
    assert found.macs == 24 * N * S and found.operations == 6 * N * S
    model = io.parse_text(f"{HEAD.format(opset=22)}\n{text}")
    freeze_dimensions(model, Wishes.of({"N": 2, "S": 5}, None))
    assert cost_of(inferred(model)).macs == 240


def test_sizes_without_a_name_are_called_by_their_place() -> None:
    found = cost("g (float[?,4] x, float[4,6] w) => (float[?,6] y) { y = MatMul(x, w) }")
    assert (str(found.macs), found.symbols) == ("24*x:0", ("x:0",))


def test_what_data_decide_is_unknown_and_said_so() -> None:
    found = cost("""g (float[N] x) => (y) { i = NonZero(x)  f = Cast<to=1>(i)  y = Exp(f) }""")
    assert found.total.unknown == {"Exp": 1} and found.operations == 0
    assert found.memory.unsized == 3  # i, f, y
    assert not found.is_complete


def test_operators_without_a_formula_are_listed() -> None:
    found = cost("g (float[3] x) => (float[3] y) { y = my.Magic(x) }".replace("my.", "com.microsoft."))
    assert found.total.uncounted == {"com.microsoft.Magic": 1}


IF = """
g (float[4,4] x, bool c) => (float[4,4] y) {
  y = If(c) <then_branch = a () => (float[4,4] p) { q = MatMul(x, x)  p = MatMul(q, x) },
             else_branch = b () => (float[4,4] r) { r = MatMul(x, x) }>
}"""


def test_of_branches_the_larger_counts() -> None:
    found = cost(IF)
    assert found.macs == 2 * 64
    assert [(one.node.op, one.macs) for one in found.nodes] == [("If", 128), ("MatMul", 64), ("MatMul", 64), ("MatMul", 64)]
    assert found.operators == {"MatMul": 3, "If": 1}


LOOP = """
g (float[4,4] x) => (float[4,4] y) <int64 n = {5}, bool t = {1}> {
  y = Loop(COUNT, t, x) <body = b (int64 i, bool c, float[4,4] v) => (bool d, float[4,4] w) { d = Identity(c)  w = MatMul(v, v) }>
}"""


def test_a_loop_costs_its_body_as_often_as_it_runs() -> None:
    assert cost(LOOP.replace("COUNT", "n")).macs == 5 * 64


def test_a_loop_that_data_end_counts_one_round_and_says_so() -> None:
    found = cost(LOOP.replace("COUNT", "m").replace("x)", "x, int64 m)", 1))
    assert found.macs == 64
    assert list(found.total.notes) == ["how often Loop 'y' runs is not known before: one round is counted"]


def test_a_scan_runs_along_its_axis() -> None:
    found = cost("""
    g (float[7,4] x, float[1,4] s) => (float[1,4] e, float[7,1,1] y) {
      e, y = Scan<num_scan_inputs=1, body = b (float[1,4] h, float[4] v) => (float[1,4] k, float[1,1] z)
         { k = Add(h, v)  u = Transpose(k)  z = MatMul(k, u) }>(s, x)
    }""")
    assert (found.macs, found.operations) == (7 * 4, 7 * 4)


FUNCTION = """<ir_version: 10, opset_import: ["" : 22, "my" : 1]>
g (float[2,3] x, float[4,3] z, float[3,5] w) => (float[2,5] y, float[4,5] u) { y = my.F(x, w)  u = my.F(z, w) }
<domain: "my", opset_import: ["" : 22]> F (a, b) => (c) { m = MatMul(a, b)  c = Relu(m) }
"""


def test_a_function_costs_what_each_call_of_it_costs() -> None:
    model = inferred(io.parse_text(FUNCTION))
    body = next(iter(model.functions.values())).graph
    before = [str(value.type) for node in body for value in node.outputs]
    found = cost_of(model)
    assert found.macs == (2 + 4) * 3 * 5
    assert [(one.node.op, one.macs) for one in found.nodes] == [("my.F", 30), ("my.F", 60)]
    assert [str(value.type) for node in body for value in node.outputs] == before  # what is true for all callers


def test_what_follows_from_constants_costs_nothing() -> None:
    found = cost("g (float[2] x) => (float[2] y) <int8[2] w = {1, 2}, float s = {0.5}> { d = DequantizeLinear(w, s)  y = Add(x, d) }")
    assert found.operations == 2
    assert found.memory.most == 16


# ---- memory


def peak(text: str) -> tuple[object, str]:
    found = cost(text).memory
    (one,) = found.peaks
    return one.bytes, one.node.op


def test_the_peak_is_what_is_alive_together() -> None:
    # x 400 bytes, a 800, b 800, y 400: at Neg x is gone; a is read again at Add
    text = "g (float[100] x) => (float[100] y) { a = Concat<axis=0>(x, x)  b = Neg(a)  c = Add(a, b)  y = Slice(c, s, e) }"
    assert peak(text.replace("=> (float[100] y)", "=> (float[100] y) <int64[1] s = {0}, int64[1] e = {100}>")) == (2400, "Add")


def test_a_view_takes_no_bytes_of_its_own() -> None:
    text = "g (float[10,10] x) => (float[100] y) <int64[1] s = {-1}> { a = Neg(x)  b = Reshape(a, s)  y = Exp(b) }"
    assert peak(text) == (800, "Neg")


def test_an_unread_output_dies_at_once() -> None:
    text = "g (float[10] x) => (float[10] y) { a = Neg(x)  y = Exp(x) }"
    assert peak(text) == (80, "Neg")


def test_narrow_elements_are_packed() -> None:
    assert peak("g (uint4[3] x) => (uint4[3] y) { y = Transpose(x) }") == (4, "Transpose")


def test_where_sizes_decide_which_node_is_at_the_peak_all_are_named() -> None:
    found = cost("""
    g (float[N,4] x, float[4,4] w) => (float y) {
      a = MatMul(x, w)  b = Exp(a)  c = ReduceSum<keepdims=0>(b)
      t = Transpose(x)  d = MatMul(x, t)  e = ReduceSum<keepdims=0>(d)  y = Add(c, e)
    }""").memory
    assert [one.node.op for one in found.peaks] == ["MatMul", "Exp", "MatMul"]  # with w; with three of x; with its square
    assert found.unsized == 0


def test_the_body_of_a_branch_counts_where_it_runs() -> None:
    # x 64, c 1, y 64, and inside q 64, p 64
    assert peak(IF) == (64 + 1 + 64 + 128, "If")


# ---- weights


def test_weights_are_counted_once_wherever_they_lie(tmp_path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    small = onnx.numpy_helper.from_array(np.ones(3, np.int64), "k")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["a"]), onnx.helper.make_node("MatMul", ["a", "w"], ["y"])], "g",
        [onnx.helper.make_tensor_value_info("x", 1, [2, 64])], [onnx.helper.make_tensor_value_info("y", 1, [2, 64])], [weight, small],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 22)])
    onnx.save_model(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=1024)
    found = cost_of(inferred(io.load(tmp_path / "m.onnx")))
    assert found.weights.elements == {"float32": 4096, "int64": 3}
    assert (found.weights.inside, found.weights.beside) == (24, {(tmp_path / "m.data").resolve(): 16384})
    assert [one.parameters for one in found.nodes] == [4096, 4096]
    (tmp_path / "m.data").unlink()
    assert cost_of(inferred(io.load(tmp_path / "m.onnx", check_external=False))).weights.count == 4099


def test_squeezenet() -> None:
    # torchvision publishes 1,235,496 parameters and 0.35 GFLOPS (multiply-accumulates) for squeezenet1_1
    found = cost_of(inferred(io.load(DATA / "squeezenet_ts10.onnx", check_external=False)))
    assert found.weights.elements["float32"] == 1_235_496
    assert found.macs == 349_151_936
    assert found.longest_path == 49


def test_a_model_without_nodes() -> None:
    found = cost("g (float[2] x) => (float[2] x) { }")
    assert (found.macs, found.memory.most, found.longest_path, found.nodes) == (0, 0, 0, ())


@pytest.mark.parametrize(("old", "new"), [("else_branch", "other"), ("then_branch", "other"), (", else_branch", ", more = 1, else_branch")])
def test_an_if_whose_branches_are_called_otherwise(old: str, new: str) -> None:
    found = cost(IF.replace(old, new))
    assert found.total.uncounted == ({} if "more" in new else {"If": 1})
