"""What inlining a function keeps: results, names, attributes; and what it refuses."""

from __future__ import annotations

import numpy as np
import onnx.parser
import pytest

from graphopt import io
from graphopt.ir import verify
from graphopt.passes.inline_functions import InlineFunctions
from graphopt.passes.remove_unused_functions import RemoveUnusedFunctions
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.runner import run_pipeline
from tests.passes.models import Told, before_and_after, needs_onnxruntime, ops, parse, run

HEADER = '<ir_version: 10, opset_import: ["" : 20, "local" : 1]>\n'
X = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]], np.float32)

MODELS = {
    "the names of the caller inside": """g (float[2,3] x) => (float[2,3] y) { t = Exp(x) r = local.F(t, x) y = Sub(r, t) }
        <domain: "local", opset_import: ["" : 20]> F (x, t) => (y) { r = Mul(x, t) y = Add(r, x) }""",
    "captures two deep": """g (float[2,3] x, bool p) => (float[2,3] y) { t = Exp(x) y = local.F(t, p) }
        <domain: "local", opset_import: ["" : 20]> F (x, p) => (y) {
            t = Neg(x)
            y = If (p) <then_branch = a () => (float[2,3] q) {
                    u = Abs(t)
                    q = If (p) <then_branch = c () => (float[2,3] v) { v = Add(u, t) }, else_branch = d () => (float[2,3] w) { w = Exp(u) }>
                }, else_branch = b () => (float[2,3] e) { e = Mul(x, t) }>
        }""",
    "a body input of a loop is its output": """g (float[2,3] x, int64 n) => (float[2,3] y, float[K,2,3] s) { y, s = local.F(x, n) }
        <domain: "local", opset_import: ["" : 20]> F (x, n) => (y, s) {
            y, s = Loop (n, , x) <body = b (int64 i, bool c, float[2,3] h) => (bool c, float[2,3] k, float[2,3] h) { k = Neg(h) }>
        }""",
    "called in a loop in a branch": """g (float[2,3] x, bool p, int64 n) => (float[2,3] y) {
            y = If (p) <then_branch = a () => (float[2,3] l) {
                l = Loop (n, , x) <body = b (int64 i, bool c, float[2,3] h) => (bool c, float[2,3] k) { k = local.F(h, x) }>
            }, else_branch = o () => (float[2,3] e) { e = local.F(x, x) }>
        }
        <domain: "local", opset_import: ["" : 20, "local" : 1]> F (h, x) => (k) { c = local.G<by = 0.5>(h) k = Add(c, x) }
        <domain: "local", opset_import: ["" : 20]> G <by> (h) => (i) { i = LeakyRelu<alpha: float = @by>(h) }""",
    "outputs that the call leaves out": """g (float[2,3] x) => (float[2,3] z) { , z, v = local.F(x) }
        <domain: "local", opset_import: ["" : 20]> F (x) => (y, z, v) { y = Exp(x) z = Neg(x) v = Abs(y) }""",
}  # fmt: skip


@needs_onnxruntime
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("taken", [True, False])
def test_keeps_results(name: str, taken: bool) -> None:
    message = onnx.parser.parse_model(HEADER + MODELS[name])
    feeds = {"x": X, "p": np.array(taken), "n": np.array(2, np.int64)}
    given = {value.name: feeds[value.name] for value in message.graph.input}
    before, after, model = before_and_after(message, given, InlineFunctions(), RemoveUnusedFunctions(), by_onnxruntime=True)
    assert not model.functions
    assert not any("local" in op for op in ops(model.graph))
    for one, two in zip(before, after, strict=True):
        assert one.tobytes() == two.tobytes()


def test_nodes_are_called_after_the_call_and_themselves() -> None:
    model = parse(f"""{HEADER}g (float[2] x) => (float[2] y) {{ [call] y = local.F(x) }}
        <domain: "local", opset_import: ["" : 20]> F (x) => (y) {{ [one] t = Exp(x) y = Neg(t) }}""")
    model.graph.exit.previous.metadata = {"scope": "block"}  # type: ignore[union-attr]  # the call
    run(model, InlineFunctions())
    assert [node.name for node in model.graph] == ["call/one", ""]
    assert [node.metadata for node in model.graph] == [{"scope": "block"}] * 2
    assert all(node.replaces == ("call",) for node in model.graph)


def test_no_two_nodes_of_a_graph_share_a_name() -> None:
    model = parse(f"""{HEADER}g (float[2] x) => (float[2] y) {{ [one] z = Exp(x) t = local.F(z) u = local.F(t) [one_1] y = local.F(u) }}
        <domain: "local", opset_import: ["" : 20]> F (x) => (y) {{ [one] t = Exp(x) y = Neg(t) }}""")
    run(model, InlineFunctions())
    assert [node.name for node in model.graph] == ["one", "one_2", "", "one_3", "", "one_1/one", ""]


@pytest.mark.parametrize(
    ("functions", "reason"),
    [
        ("""<domain: "local", opset_import: ["" : 20, "local" : 1]> F (x) => (y) { y = local.G(x) }
            <domain: "local", opset_import: ["" : 20, "local" : 1]> G (x) => (y) { y = local.F(x) }""", "F calls itself"),
        ("""<domain: "local", opset_import: ["" : 20]> F <a> (x) => (y) { c = Constant<value_float: float = @a>() y = Mul(x, c) }""",
         "what %c holds, its caller does not say"),
        ("""<domain: "local", opset_import: ["" : 20]> F (x, z) => (y, z) { y = Neg(x) }""", "F returns %z, which the call leaves out"),
        ("""<domain: "local", opset_import: ["" : 12]> F (x) => (y) { y = Softmax<axis = 0>(x) }""", "cannot be said at opset 20"),
        ("""<domain: "local", opset_import: ["" : 27]> F (x) => (y) { y = NoSuchThing(x) }""", "NoSuchThing"),
        ("""<domain: "local", opset_import: ["" : 20]> F (x) => (y) { y = other.Thing(x) }""", "F does not import other"),
    ],
)  # fmt: skip
def test_refuses(functions: str, reason: str) -> None:
    model = io.load(onnx.parser.parse_model(f"{HEADER}g (float[2,3] x) => (float[2,3] y) {{ y = local.F(x) }} {functions}"))
    told = Told()
    run_pipeline(Pipeline.parse("inline-functions"), model, told)
    verify(model)
    assert reason in "; ".join(why for _, why in told.refused)
    assert "local.F" in ops(model.graph)


@pytest.mark.parametrize(("extent", "is_inlined"), [(9, True), (6, False)])
def test_an_operator_whose_meaning_changed_stays_in_its_function(extent: int, is_inlined: bool) -> None:
    """Since opset 22 a window that would begin in the padding behind is left out."""
    model = io.load(onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 22, "local" : 1]>
        g (float[1,1,{extent}] x) => (float[1,1,C] y) {{ y = local.F(x) }}
        <domain: "local", opset_import: ["" : 10]> F (x) => (y) {{
            y = MaxPool<kernel_shape = [4], strides = [4], pads = [0, 3], ceil_mode = 1>(x) }}"""))
    told = Told()
    run(model, InlineFunctions(), observer=told)
    assert ops(model.graph) == (["MaxPool"] if is_inlined else ["local.F"])
    assert is_inlined or "MaxPool of opset 10 cannot be said at opset 22: with ceil_mode" in told.refused[0][1]


def test_functions_to_keep() -> None:
    text = f"""{HEADER}g (float[2] x) => (float[2] y) {{ t = local.F(x) y = local.G(t) }}
        <domain: "local", opset_import: ["" : 20]> F (x) => (y) {{ y = Neg(x) }}
        <domain: "local", opset_import: ["" : 20, "local" : 1]> G (x) => (y) {{ y = local.F(x) }}"""
    model = parse(text)
    run(model, InlineFunctions(keep=("local.F",)))
    assert ops(model.graph) == ["local.F", "local.F"]


def test_growth_is_bounded() -> None:
    """Each function calls the next one twice: 2 ** 40 nodes."""
    functions = "".join(
        f"""<domain: "local", opset_import: ["" : 20, "local" : 1]>
            F{depth} (x) => (y) {{ t = local.F{depth + 1}(x) y = local.F{depth + 1}(t) }}
        """
        for depth in range(40)
    )
    last = '<domain: "local", opset_import: ["" : 20]> F40 (x) => (y) { y = Neg(x) }'
    model = parse(f"{HEADER}g (float[2] x) => (float[2] y) {{ y = local.F0(x) }} {functions} {last}")
    told = Told()
    run(model, InlineFunctions(nodes=100), observer=told)
    assert ops(model.graph) == ["local.F0"]
    assert "it would bring 1099511627776 nodes, and the model may get" in told.refused[0][1]
    assert sum(len(graph) for graph in model.graphs()) <= 200


def test_imports_come_with_the_body() -> None:
    model = parse("""<ir_version: 10, opset_import: ["" : 20, "local" : 1]> g (float[2] x) => (float[2] y) { y = local.F(x) }
        <domain: "local", opset_import: ["" : 20, "com.other" : 3]> F (x) => (y) { y = com.other.Thing(x) }""")
    run(model, InlineFunctions())
    assert ops(model.graph) == ["com.other.Thing"]
    assert model.opsets == {"": 20, "local": 1, "com.other": 3}
