"""What passes over loops keep: results for any number of rounds, names, and what they are not sure of."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx.parser
import pytest

from graphopt import io
from graphopt.ir import verify
from graphopt.passes.capture_loop_invariants import CaptureLoopInvariants
from graphopt.passes.hoist_loop_invariants import HoistLoopInvariants
from graphopt.passes.inline_if import InlineIf
from graphopt.passes.remove_unused_body_outputs import RemoveUnusedBodyOutputs
from graphopt.passes.remove_unused_node_outputs import LEAVING_OUT
from graphopt.passes.unroll_loop import UnrollLoop
from graphopt.pipeline.base import Pass
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.runner import run_pipeline
from tests.passes.models import Told, before_and_after, needs_onnxruntime, ops, parse, run

HEADER = '<ir_version: 10, opset_import: ["" : 20]>\n'
X = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]], np.float32)
W = np.array([[-0.0, np.inf, 1.0], [2.0, np.nan, 3.0]], np.float32)

MODELS = {
    "captures two deep": """g (float[2,3] x, float[2,3] w, bool p ROUNDS) => (float[2,3] y, float[K,2,3] s) {
        y, s = Loop (n, , x) <body = b (int64 i, bool c, float[2,3] h) => (bool c, float[2,3] r, float[2,3] q) {
            t = Exp(w)
            q = Neg(h)
            r = If (p) <then_branch = d () => (float[2,3] e) {
                    u = Mul(t, h)
                    e = If (p) <then_branch = f () => (float[2,3] v) { v = Add(u, t) },
                                else_branch = k () => (float[2,3] o) { o = Sub(u, h) }>
                }, else_branch = m () => (float[2,3] z) { z = Abs(h) }>
        }>
    }""",
    "outputs that are body inputs": """g (float[2,3] x, float[2,3] w, bool p ROUNDS) => (float[2,3] y, float[2,3] v, float[K,2,3] s) {
        y, v, u, s = Loop (n, , x, w, x) <
            body = b (int64 i, bool c, float[2,3] h, float[2,3] k, float[2,3] l)
                => (bool c, float[2,3] k, float[2,3] h, float[2,3] o, float[2,3] h) {
            o = Add(l, h)
        }>
    }""",
    "a loop in a loop": """g (float[2,3] x, float[2,3] w, bool p ROUNDS) => (float[2,3] y) {
        y, z = Loop (n, , x, w) <body = b (int64 i, bool c, float[2,3] h, float[2,3] k) => (bool c, float[2,3] r, float[2,3] k) {
            a = Neg(k)
            r, s, q = Loop (n, , h, a) <
                body = d (int64 j, bool e, float[2,3] l, float[2,3] f) => (bool e, float[2,3] m, float[2,3] f, float[2,3] l) {
                t = Relu(w)
                o = Add(f, t)
                m = Mul(l, o)
            }>
        }>
    }""",
    "the number of the round": """g (float[2,3] x, float[2,3] w, bool p ROUNDS) => (float[2,3] y, int64[K] s) {
        y, s = Loop (n, , x) <body = b (int64 i, bool c, float[2,3] h) => (bool c, float[2,3] r, int64 k) {
            k = Neg(i)
            f = Cast<to = 1>(i)
            g = Where(c, f, f)
            r = Add(h, g)
        }>
    }""",
}  # fmt: skip
EVENTS: dict[str, dict[str, dict[tuple[str, str], int]]] = {  # by model and step, what is made whatever the number of rounds
    "captures two deep": {"hoist": {("hoist-loop-invariants", "Exp"): 1}, "all": {("hoist-loop-invariants", "Exp"): 1}},
    "outputs that are body inputs": {
        "shrink": {("remove-unused-body-outputs", "Loop"): 1},
        "all": {("remove-unused-body-outputs", "Loop"): 1},
    },
    "a loop in a loop": {
        "hoist": {("hoist-loop-invariants", "Relu"): 2},
        "shrink": {("remove-unused-body-outputs", "Loop"): 1},
        "all": {
            ("capture-loop-invariants", "Loop"): 2,
            ("remove-unused-body-outputs", "Loop"): 2,
            ("hoist-loop-invariants", "Relu"): 2,
            ("hoist-loop-invariants", "Add"): 2,
            ("hoist-loop-invariants", "Neg"): 1,
        },
    },
    "the number of the round": {},
}


@needs_onnxruntime
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("step", ["hoist", "shrink", "unroll", "all"])
def test_keeps_results(name: str, rounds: int, is_known: bool, step: str) -> None:
    """The same bits, and exactly the changes that each step is there for."""
    text = MODELS[name].replace(" ROUNDS) =>", ") =>" if is_known else ", int64 n) =>")
    if is_known:
        head, _, body = text.partition(" {\n")
        text = f"{head} <int64 n = {{{rounds}}}> {{\n{body}"
    steps: dict[str, tuple[Pass, ...]] = {
        "hoist": (HoistLoopInvariants(),),
        "shrink": (RemoveUnusedBodyOutputs(),),
        "unroll": (UnrollLoop(),),
        "all": (CaptureLoopInvariants(), RemoveUnusedBodyOutputs(), HoistLoopInvariants(), UnrollLoop(), InlineIf()),
    }
    feeds = {"x": X, "w": W, "p": np.array(True)} | ({} if is_known else {"n": np.array(rounds, np.int64)})
    message, told = onnx.parser.parse_model(HEADER + text), Told()
    before, after, model = before_and_after(message, feeds, *steps[step], by_onnxruntime=True, observer=told)
    for one, two in zip(before, after, strict=True):
        assert one.tobytes() == two.tobytes()
    expected = Counter(EVENTS[name].get(step, {}))
    if step in ("unroll", "all") and is_known and rounds > 1:
        expected["unroll-loop", "Loop"] = ops(parse(HEADER + text).graph).count("Loop")
    assert Counter(told.made) == expected
    if step == "unroll" and is_known and rounds > 1:
        assert "Loop" not in ops(model.graph)


def test_a_state_with_a_default_is_left_alone() -> None:
    """Whether the body's default or what the Loop carries counts, ONNX does not say."""
    text = f"""{HEADER}g (float[2] x, float[2] w) => (float[2] y) <int64 n = {{2}}> {{
        y, v = Loop (n, , x, w) <body = b (int64 i, bool c, float[2] h, float[2] k = {{1, 2}}) => (bool c, float[2] r, float[2] k) {{
            t = Neg(k)
            r = Mul(h, t)
        }}>
    }}"""
    model, told = io.load(onnx.parser.parse_model(text)), Told()
    before = io.to_proto(model).SerializeToString()
    passes = "capture-loop-invariants, remove-unused-body-outputs, hoist-loop-invariants, unroll-loop"
    assert run_pipeline(Pipeline.parse(passes), model, told) == 0
    assert io.to_proto(model).SerializeToString() == before
    assert any("of the body has a default" in why for _, why in told.refused)


def test_unrolling_is_bounded() -> None:
    model = parse(f"""{HEADER}g (float[2] x) => (float[2] y) <int64 n = {{4}}> {{
        y = Loop (n, , x) <body = b (int64 i, bool c, float[2] h) => (bool c, float[2] r) {{
            r = Loop (n, , h) <body = d (int64 j, bool e, float[2] l) => (bool e, float[2] m) {{ m = Neg(l) }}>
        }}>
    }}""")
    run(model, UnrollLoop(nodes=15))
    assert ops(model.graph) == ["Loop", "Neg", "Neg", "Neg", "Neg"]
    run(model, UnrollLoop(nodes=16))
    assert ops(model.graph) == ["Neg"] * 16
    verify(model)


def test_a_model_with_a_concat_of_its_own() -> None:
    """What the rounds give cannot be put together then: the pass says so before it edits anything."""
    text = f"""{HEADER}g (float[2] x) => (float[2] y, float[K,2] s) <int64 n = {{2}}> {{
        y, s = Loop (n, , x) <body = b (int64 i, bool c, float[2] h) => (bool c, float[2] r, float[2] r) {{ r = Neg(h) }}>
    }}
    <domain: "", opset_import: ["" : 20]> Concat (a) => (b) {{ b = Neg(a) }}"""
    model, told = parse(text), Told()
    before = io.to_proto(model).SerializeToString()
    assert run(model, UnrollLoop(), observer=told) == 0
    assert io.to_proto(model).SerializeToString() == before
    ((source, why),) = told.refused
    assert source == "unroll-loop" and "Concat" in why


def test_what_may_leave_outputs_out_is_what_onnx_says() -> None:
    from onnx import defs

    found = {
        schema.name
        for schema in defs.get_all_schemas_with_history()
        if schema.domain in ("", "ai.onnx.ml")
        and len(schema.outputs) > 1
        and any(one.option == defs.OpSchema.FormalParameterOption.Optional for one in schema.outputs)
    }
    left_out = {"Attention", "BatchNormalization", "MaxPool"}  # where the number of outputs changes what is in the others
    assert found - left_out == set(LEAVING_OUT)


@needs_onnxruntime
def test_what_comes_out_of_a_branch_gets_a_name_of_its_own() -> None:
    """ONNX Runtime refuses a graph in which two nodes have the same name."""
    text = f"""{HEADER}g (float[2,3] x) => (float[2,3] y) <bool yes = {{1}}> {{
        [one] t = Exp(x)
        u = If (yes) <then_branch = a () => (float[2,3] r) {{ [one] r = Neg(t) }}, else_branch = b () => (float[2,3] e) {{ e = Abs(x) }}>
        [one_1] y = Relu(u)
    }}"""
    before, after, model = before_and_after(onnx.parser.parse_model(text), {"x": X}, InlineIf(), by_onnxruntime=True)
    assert [node.name for node in model.graph] == ["one", "one_2", "one_1"]
    assert before[0].tobytes() == after[0].tobytes()
