"""What inlining a branch keeps: results, names, metadata; and that types get better by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser
import pytest

from graphopt import io
from graphopt.ir import Value, verify
from graphopt.passes.inline_if import InlineIf
from graphopt.passes.inline_loop import InlineLoop
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.runner import run_pipeline
from tests.passes.models import Told, before_and_after, needs_onnxruntime, ops, parse, results, run

HEADER = '<ir_version: 10, opset_import: ["" : 20]>\n'
X = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]], np.float32)

MODELS = {
    "one value under three names": """g (float[2,3] x) => (float[2,3] y, float[2,3] z, float[2,3] v) <bool c = {1}> {
        y, z, u = If (c) <then_branch = a () => (float[2,3] r, float[2,3] r, float[2,3] r) { r = Relu(x) },
                          else_branch = b () => (float[2,3] e, float[2,3] e, float[2,3] e) { e = Abs(x) }>
        v = Add(u, z)
    }""",
    "an initializer as output, read again": """g (float[2,3] x) => (float[3] y, float[2,3] z) <bool c = {0}> {
        y, u = If (c) <then_branch = a () => (float[2,3] r, float[2,3] r) { r = Relu(x) },
                       else_branch = b () => (float[3] w, float[2,3] e) <float[3] w = {1, 2, 3}> { e = Mul(x, w) }>
        z = Add(u, y)
    }""",
    "constant nodes as outputs": """g (float[2,3] x) => (float[1] y, float[2,3] z) <bool c = {0}> {
        y, u = If (c) <then_branch = a () => (float[2,3] r, float[2,3] r) { r = Relu(x) },
                       else_branch = b () => (float[1] w, float[1] w) { w = Constant<value = float[1] {7}>() }>
        z = Add(x, u)
    }""",
    "output of a nested If, itself an output": """g (bool p, float[2,3] x) => (float[2,3] y) <bool c = {1}> {
        y = If (c) <then_branch = a () => (float[2,3] n) {
                n = If (p) <then_branch = d () => (float[2,3] r) { r = Relu(x) }, else_branch = f () => (float[2,3] s) { s = Exp(x) }>
            }, else_branch = b () => (float[2,3] e) { e = Abs(x) }>
    }""",
    "nested captures of branch values and initializers": """g (bool p, float[2,3] x) => (float[2,3] y) <bool c = {1}> {
        y = If (c) <then_branch = a () => (float[2,3] n) <float[3] w = {1, 2, 3}> {
                t = Mul(x, w)
                n = If (p) <then_branch = d () => (float[2,3] r) { r = Add(t, w) }, else_branch = f () => (float[2,3] s) { s = Sub(t, w) }>
            }, else_branch = b () => (float[2,3] e) { e = Abs(x) }>
    }""",
    "in the body of a loop": """g (bool p, float[2,3] x) => (float[2,3] y) <bool c = {1}, int64 n = {3}> {
        y = Loop (n, , x) <body = l (int64 i, bool k, float[2,3] h) => (bool k, float[2,3] t) <float[3] w = {1, 2, 3}> {
            t = If (c) <then_branch = d () => (float[2,3] r) { r = Mul(h, w) }, else_branch = f () => (float[2,3] s) { s = Exp(h) }>
        }>
    }""",
    "two branches with the same names": """g (bool p, float[2,3] x) => (float[2,3] y, float[2,3] z) <bool c = {1}> {
        y = If (c) <then_branch = a () => (float[2,3] r) <float[3] w = {1, 2, 3}> { t = Mul(x, w) r = Relu(t) },
                    else_branch = b () => (float[2,3] r) { t = Exp(x) r = Abs(t) }>
        u = If (c) <then_branch = a () => (float[2,3] r) <float[3] w = {4, 5, 6}> { t = Mul(x, w) r = Neg(t) },
                    else_branch = b () => (float[2,3] r) { t = Exp(x) r = Abs(t) }>
        z = If (p) <then_branch = a () => (float[2,3] r) <float[3] w = {7, 8, 9}> { t = Mul(u, w) r = Neg(t) },
                    else_branch = b () => (float[2,3] r) { t = Exp(x) r = Abs(t) }>
    }""",
    "sequences": """g (float[2,3] x) => (float[4,3] y) <bool c = {1}> {
        s = If (c) <then_branch = a () => (seq(float[2,3]) r) { e = Exp(x) r = SequenceConstruct(x, e) },
                    else_branch = b () => (seq(float[2,3]) q) { q = SequenceConstruct(x, x, x) }>
        y = ConcatFromSequence<axis = 0>(s)
    }""",
}

# A branch may return what it does not make in the text of ONNX; the checker and onnxruntime do not allow it. y is exp(x) or x.
UNCHECKED = {
    "outer values and inputs as outputs": """g (float[2,3] x) => (float[2,3] y, float[2,3] z, float[2,3] o) <bool c = {1}> {
        o = Exp(x)
        y, u = If (c) <then_branch = a () => (float[2,3] x, float[2,3] o) { },
                       else_branch = b () => (float[2,3] r, float[2,3] r) { r = Relu(x) }>
        z = Neg(u)
    }""",
    "the branch of an If that stays returns it": """g (bool p, float[2,3] x) => (float[2,3] y) <bool c = {1}> {
        o = Exp(x)
        y = If (p) <then_branch = a () => (float[2,3] n) {
                n = If (c) <then_branch = d () => (float[2,3] o) { }, else_branch = f () => (float[2,3] s) { s = Exp(x) }>
            }, else_branch = b () => (float[2,3] e) { e = Abs(x) }>
    }""",
}
TWICE = ("one value", "constant nodes")  # of a branch that returns a value twice, onnxruntime gives one of them undefined


def feeds(message: onnx.ModelProto) -> dict[str, npt.NDArray[Any]]:
    known: dict[str, npt.NDArray[Any]] = {"x": X, "p": np.array(True), "n": np.array(3, np.int64)}
    return {value.name: known[value.name] for value in message.graph.input}


@needs_onnxruntime
@pytest.mark.parametrize(
    ("case", "by_onnxruntime"), [(case, by) for case in MODELS for by in (False, True) if not (by and case.startswith(TWICE))]
)
def test_the_same_comes_out(case: str, by_onnxruntime: bool) -> None:
    message = onnx.parser.parse_model(HEADER + MODELS[case])
    before, after, model = before_and_after(message, feeds(message), InlineIf(), by_onnxruntime=by_onnxruntime)
    assert [array.tobytes() for array in before] == [array.tobytes() for array in after]
    assert [(array.shape, array.dtype) for array in before] == [(array.shape, array.dtype) for array in after]
    assert ops(model.graph).count("If") == (case.startswith(("output of", "nested", "two")))
    assert [value.name for value in io.to_proto(model).graph.output] == [value.name for value in message.graph.output]


@pytest.mark.parametrize("case", UNCHECKED)
def test_a_branch_returns_what_it_does_not_make(case: str) -> None:
    model = parse(HEADER + UNCHECKED[case])
    assert run(model, InlineIf()) == 1
    y = results(io.to_proto(model), {"x": X, "p": np.array(True)} if "bool p" in UNCHECKED[case] else {"x": X})[0]
    np.testing.assert_array_equal(y, X if case.startswith("outer") else np.exp(X))


def test_outputs_that_the_if_does_not_name() -> None:
    message = onnx.parser.parse_model(f"""{HEADER}g (float[2,3] x) => (float[2,3] y) <bool c = {{1}}> {{
        y, z = If (c) <then_branch = a () => (float[2,3] r, float[2,3] q) {{ r = Relu(x) q = Exp(x) }},
                       else_branch = b () => (float[2,3] e, float[2,3] f) {{ e = Abs(x) f = Abs(x) }}>
    }}""")
    message.graph.node[0].output[1] = ""
    _, _, model = before_and_after(message, {"x": X}, InlineIf())
    assert ops(model.graph) == ["Relu", "Exp"]


def test_nodes_keep_what_is_said_of_them() -> None:
    message = onnx.parser.parse_model(f"""{HEADER}g (float[2,3] x) => (float[2,3] y) <bool c = {{1}}> {{
        y = If (c) <then_branch = a () => (float[2,3] r) {{ t = Exp(x) r = Relu(t) }},
                    else_branch = b () => (float[2,3] e) {{ e = Abs(x) }}>
    }}""")
    inner = message.graph.node[0].attribute[0].g.node[0]
    inner.name, inner.doc_string = "block/exp", "why"
    inner.metadata_props.add(key="scope", value="block")
    _, _, model = before_and_after(message, {"x": X}, InlineIf())
    assert io.to_proto(model).graph.node[0] == inner


def test_nested_branches_move_once_and_linearly() -> None:
    """Thirty decided Ifs inside each other: all of them go in one run."""
    text = "r0 = Relu(x)"
    for depth in range(1, 30):
        text = (
            f"r{depth} = If (c) <then_branch = a{depth} () => (float[2,3] r{depth - 1}) {{ {text} }}, "
            f"else_branch = b{depth} () => (float[2,3] e{depth}) {{ e{depth} = Abs(x) }}>"
        )
    model = parse(f"{HEADER}g (float[2,3] x) => (float[2,3] r29) <bool c = {{1}}> {{ {text} }}")
    assert run(model, InlineIf()) == 29
    assert ops(model.graph) == ["Relu"]


def test_an_observer_may_forbid() -> None:
    model = parse(HEADER + MODELS["sequences"])
    assert run(model, InlineIf(), observer=Told(lambda source, node: False)) == 0
    assert ops(model.graph).count("If") == 1


def test_types_are_inferred_again() -> None:
    """The rank that only one branch has is known to the passes that follow, symbols keep their names, and nobody is warned twice."""
    model = io.load(
        onnx.parser.parse_model(f"""{HEADER}g (float[N,1] x) => (float[A] y, float[B,C] z) <bool c = {{1}}> {{
        a = Constant<value = int64[1] {{1}}>()
        s = If (c) <then_branch = t () => (float[M] r) {{ r = Squeeze(x, a) }},
                    else_branch = f () => (float[P,Q] e) {{ e = Identity(x) }}>
        y = Relu(s)
        k = NonZero(x)
        d = Cast<to = 1>(k)
        z = Relu(d)
    }}""")
    )
    told = Warned()
    run_pipeline(Pipeline.parse("inline-if,eliminate-identity"), model, told)
    verify(model)
    types = {value.name: str(value.type) for node in model.graph for value in node.outputs}
    assert types["y"] == "float32[N]"
    assert types["z"] == "float32[2, ?k.1]"
    assert len(told.messages) <= 1, told.messages


class Warned(Told):
    """Remembers warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def warned(self, source: str, message: str) -> None:
        self.messages.append(message)


def test_a_counter_of_unclear_rank_stays_unclear() -> None:
    """What the first inference did not dare to say of a loop's counter, the second does not either."""
    model = io.load(
        onnx.parser.parse_model(f"""{HEADER}g (float[2] x, int64 n) => (float[2] y, float[2] z) <bool c = {{1}}> {{
        y = If (c) <then_branch = t () => (float[2] r) {{ r = Relu(x) }}, else_branch = f () => (float[2] e) {{ e = Abs(x) }}>
        z = Loop (n, , y) <body = b (int64[1] i, bool k, float[2] h) => (bool k, float[2] q) {{ j = Cast<to = 1>(i) q = Add(h, j) }}>
    }}""")
    )
    run_pipeline(Pipeline.parse("inline-if,eliminate-identity"), model)
    [loop] = [node for node in model.graph if node.op == "Loop"]
    counter: Value = loop.subgraphs[0].inputs[0]
    assert counter.shape is None


LOOPS = {
    "one round": """g (float[2,3] x) => (float[2,3] y, float[1,2,3] s, float[1] k) <int64 n = {1}> {
        y, s, k = Loop (n, , x) <body = b (int64 i, bool c, float[2,3] h) => (bool c, float[2,3] r, float[2,3] h, float f) {
            f = Cast<to = 1>(i)
            r = Add(h, f)
        }>
    }""",
    "stops by itself": """g (float[2,3] x) => (float[2,3] y) <bool p = {1}> {
        y = Loop ( , p, x) <body = b (int64 i, bool c, float[2,3] h) => (bool no, float[2,3] r) <bool no = {0}> { r = Relu(h) }>
    }""",
    "reads the condition": """g (float[2,3] x) => (float[2,3] y) <bool p = {1}, int64 n = {1}> {
        y = Loop (n, p, x) <body = b (int64 i, bool c, float[2,3] h) => (bool d, float[2,3] r) {
            d = Not(c)
            e = Cast<to = 1>(c)
            r = Add(h, e)
        }>
    }""",
    "no round": """g (float[2,3] x) => (float[2,3] y, float[N,2,3] s, float[2,3] x2) <int64 n = {0}> {
        y, u, s = Loop (n, , x, x) <
            body = b (int64 i, bool c, float[2,3] h, float[2,3] k) => (bool c, float[2,3] r, float[2,3] k, float[2,3] h) { r = Relu(h) }>
        x2 = Neg(u)
    }""",
    "states change places": """g (float[2,3] x) => (float[2,3] y, float[2,3] z) <int64 n = {1}> {
        o = Exp(x)
        y, z = Loop (n, , x, o) <body = b (int64 i, bool c, float[2,3] h, float[2,3] k) => (bool c, float[2,3] k, float[2,3] h) { }>
    }""",
    "a branch inside": """g (bool p, float[2,3] x) => (float[2,3] y) <int64 n = {1}> {
        y = Loop (n, , x) <body = b (int64 i, bool c, float[2,3] h) => (bool c, float[2,3] r) <float[3] w = {1, 2, 3}> {
            t = Mul(h, w)
            r = If (p) <then_branch = d () => (float[2,3] v) { v = Add(h, t) }, else_branch = f () => (float[2,3] u) { u = Add(t, w) }>
        }>
    }""",
}  # fmt: skip


@needs_onnxruntime
@pytest.mark.parametrize("case", LOOPS)
def test_loops(case: str) -> None:
    message = onnx.parser.parse_model(HEADER + LOOPS[case])
    before, after, model = before_and_after(message, feeds(message), InlineLoop(), by_onnxruntime=True)
    assert [array.tobytes() for array in before] == [array.tobytes() for array in after]
    assert [(array.shape, array.dtype) for array in before] == [(array.shape, array.dtype) for array in after]
    assert "Loop" not in ops(model.graph)


def test_a_negative_trip_count_is_no_round() -> None:
    model = parse(HEADER + LOOPS["no round"].replace("{0}", "{-3}"))
    assert run(model, InlineLoop()) == 1
