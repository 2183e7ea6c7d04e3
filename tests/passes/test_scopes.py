"""Every pass works in subgraphs and in the bodies of local functions as it does in the main graph."""

from __future__ import annotations

import onnx.checker
import pytest

from graphopt import io
from graphopt.ir import Graph, Model, verify
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.registry import installed
from graphopt.pipeline.runner import run_pipeline
from tests.passes.models import ops
from tests.passes.test_scopes_of_goldens import COVERED

# What a pass finds in a body of x: (2, 3), and an operator of which it leaves fewer.
BODIES = {
    "eliminate-dead-nodes": ("t = Exp(x) r = Relu(x)", "Exp"),
    "eliminate-identity": ("t = Identity(x) r = Relu(t)", "Identity"),
    "eliminate-dropout": ("t = Dropout(x) r = Relu(t)", "Dropout"),
    "inline-if": (
        """k = Constant<value = bool {1}>()
        p = If(k) <then_branch = t () => (float[2,3] s) { s = Relu(x) }, else_branch = e () => (float[2,3] v) { v = Exp(x) }>
        r = If(k) <then_branch = f () => (float[2,3] i) { i = Relu(p) }, else_branch = g () => (float[2,3] j) { j = Exp(x) }>""",
        "If",
    ),
    "inline-loop": (
        """k = Constant<value = int64 {1}>()
        r = Loop(k, , x) <body = b (int64 i, bool d, float[2,3] h) => (bool d, float[2,3] s) { s = Relu(h) }>""",
        "Loop",
    ),
    "unroll-loop": (
        """k = Constant<value = int64 {2}>()
        r = Loop(k, , x) <body = b (int64 i, bool d, float[2,3] h) => (bool d, float[2,3] s) { s = Relu(h) }>""",
        "Loop",
    ),
    "remove-unused-body-outputs": (
        """k = Constant<value = int64 {2}>()
        r, q = Loop(k, , x, x) <body = b (int64 i, bool d, float[2,3] h, float[2,3] g) => (bool d, float[2,3] s, float[2,3] v) {
            s = Relu(h) v = Neg(g)
        }>""",
        "Neg",
    ),
    "eliminate-sequence": (
        "k = Constant<value = int64 {1}>() e = Exp(x) s = SequenceConstruct(x, e) t = SequenceAt(s, k) r = Relu(t)",
        "SequenceAt",
    ),
    "eliminate-optional": ("o = Optional(x) t = OptionalGetElement(o) r = Relu(t)", "OptionalGetElement"),
    "fold-constants": ("a = Constant<value_float = 1.5>() t = Neg(a) r = Add(x, t)", "Neg"),
    "materialize-shapes": ("s = Shape(x) t = Reshape(x, s) r = Relu(t)", "Shape"),
    "eliminate-noop-cast": ("t = Cast<to = 1>(x) r = Relu(t)", "Cast"),
    "eliminate-noop-transpose": ("t = Transpose<perm = [0, 1]>(x) r = Relu(t)", "Transpose"),
    "eliminate-noop-reshape": ("a = Constant<value_ints = [2, 3]>() t = Reshape(x, a) r = Relu(t)", "Reshape"),
    "eliminate-noop-flatten": ("t = Flatten(x) r = Relu(t)", "Flatten"),
    "eliminate-noop-expand": ("a = Constant<value_ints = [1, 3]>() t = Expand(x, a) r = Relu(t)", "Expand"),
    "eliminate-noop-slice": ("a = Constant<value_ints = [0]>() e = Constant<value_ints = [9]>() t = Slice(x, a, e) r = Relu(t)", "Slice"),
    "eliminate-noop-pad": ("a = Constant<value_ints = [0, 0, 0, 0]>() t = Pad(x, a) r = Relu(t)", "Pad"),
    "eliminate-noop-split": ("t = Split<num_outputs = 1>(x) r = Relu(t)", "Split"),
    "eliminate-noop-concat": ("t = Concat<axis = 0>(x) r = Relu(t)", "Concat"),
    "eliminate-noop-tile": ("a = Constant<value_ints = [1, 1]>() t = Tile(x, a) r = Relu(t)", "Tile"),
    "eliminate-noop-resize": ("a = Constant<value_floats = [1.0, 1.0]>() t = Resize(x, , a) r = Relu(t)", "Resize"),
    "eliminate-noop-reduce": ("t = ReduceSum<noop_with_empty_axes = 1>(x) r = Relu(t)", "ReduceSum"),
    "eliminate-squeeze-unsqueeze-pair": ("a = Constant<value_ints = [0]>() t = Unsqueeze(x, a) s = Squeeze(t, a) r = Relu(s)", "Squeeze"),
    "fuse-conv-bn": (
        """n = Constant<value_ints = [2, 3, 1]>() d = Reshape(x, n) w = Constant<value = float[1, 3, 1] {1, 2, 3}>()
        a = Constant<value = float[1] {2}>() c = Conv(d, w) b = BatchNormalization(c, a, a, a, a) e = Expand(b, n)
        o = Constant<value_ints = [2, 3]>() r = Reshape(e, o)""",
        "BatchNormalization",
    ),
    "merge-equal-initializers": (
        """a = Constant<value = float[3] {1, 2, 3}>() b = Constant<value = float[3] {1, 2, 3}>() s = Add(x, a) r = Mul(s, b)""",
        "Constant",
    ),
    "eliminate-common-subexpressions": ("s = Exp(x) t = Exp(x) r = Add(s, t)", "Exp"),
    "fuse-matmul-add": (
        """w = Constant<value = float[3, 3] {1, 2, 3, 4, 5, 6, 7, 8, 9}>() b = Constant<value = float[3] {1, 2, 3}>()
        t = MatMul(x, w) r = Add(t, b)""",
        "MatMul",
    ),
    "simplify-casts": ("t = Cast<to = 11>(x) s = Cast<to = 1>(t) r = Relu(s)", "Cast"),
    "fuse-consecutive-transposes": ("t = Transpose<perm = [1, 0]>(x) s = Transpose<perm = [1, 0]>(t) r = Relu(s)", "Transpose"),
    "fuse-consecutive-reshapes": (
        "a = Constant<value_ints = [0]>() t = Unsqueeze(x, a) s = Unsqueeze(t, a) u = Squeeze(s, a) r = Squeeze(u, a)",
        "Unsqueeze",
    ),
    "fuse-consecutive-concats": (
        "t = Concat<axis = 0>(x, x) s = Concat<axis = 0>(t, x) p, q, r = Split<num_outputs = 3>(s)",
        "Concat",
    ),
    "fuse-gather-unsqueeze": (
        """a = Constant<value_int = 1>() n = Constant<value_ints = [0]>() t = Gather(x, a) s = Unsqueeze(t, n) r = Add(x, s)""",
        "Unsqueeze",
    ),
    "eliminate-neutral-operand": ("a = Constant<value_float = 1.0>() t = Mul(x, a) r = Relu(t)", "Mul"),
    "merge-constant-operands": ("a = Constant<value_float = 2.0>() t = Mul(x, a) r = Mul(t, a)", "Mul"),
    "fuse-div-mul": ("a = Constant<value_float = 1.0>() s = Sqrt(x) t = Div(a, s) r = Mul(x, t)", "Mul"),
    "fuse-conv-scale": (
        """n = Constant<value_ints = [2, 3, 1]>() d = Reshape(x, n) w = Constant<value = float[3, 3, 1] {1, 2, 3, 4, 5, 6, 7, 8, 9}>()
        a = Constant<value_float = 2.0>() c = Conv(d, w) b = Mul(c, a) o = Constant<value_ints = [2, 3]>() r = Reshape(b, o)""",
        "Mul",
    ),
    "fold-scale-into-weights": (
        """w = Constant<value = float[3, 3] {1, 2, 3, 4, 5, 6, 7, 8, 9}>() a = Constant<value_float = 0.5>()
        t = MatMul(x, w) r = Mul(t, a)""",
        "Mul",
    ),
    "convert-slices-to-split": (
        """a = Constant<value_ints = [0]>() b = Constant<value_ints = [1]>() c = Constant<value_ints = [2]>()
        s = Slice(x, a, b) t = Slice(x, b, c) r = Concat<axis = 0>(t, s)""",
        "Slice",
    ),
}  # fmt: skip
ONLY_WHERE_INITIALIZERS_MAY_BE = {"lift-constants": ("a = Constant<value_float = 1.5>() r = Add(x, a)", "Constant")}
# What leaves as many of each: an operator, and what it reads afterwards.
REWIRING = {
    "hoist-loop-invariants": (
        """k = Constant<value = int64 {2}>() w = Exp(x) r = Loop (k, , x) <
            body = b (int64 i, bool d, float[2,3] h) => (bool d, float[2,3] s) { u = Neg(w) s = Mul(h, u) }>""",
        "Neg",
        "w",
    ),
    "capture-loop-invariants": (
        """k = Constant<value = int64 {2}>() w = Exp(x) p, q = Loop (k, , x, w) <
            body = b (int64 i, bool d, float[2,3] h, float[2,3] g) => (bool d, float[2,3] s, float[2,3] g) { s = Mul(h, g) }>
        r = Add(p, q)""",
        "Mul",
        "w",
    )
}
HEADER = '<ir_version: 10, opset_import: ["" : 20, "own" : 1]>\n'


def optimized(text: str, step: str) -> Model:
    """The model of a text after one pass, valid and whole."""
    model = io.parse_text(text)
    run_pipeline(Pipeline.parse(step), model)
    verify(model)
    onnx.checker.check_model(io.to_proto(model), full_check=True)
    return model


def count(graph: Graph, operator: str) -> int:
    """How many nodes are of an operator, here and inside."""
    return ops(graph).count(operator)


ON_SIZES = {"simplify-shape-arithmetic"}  # here all sizes are numbers: tests/passes/test_shape_arithmetic.py has it
# What is about the whole model, or names and texts: test_inline_functions.py and test_whole_model_passes.py have it.
ON_MODELS = {
    "add-default-attributes", "add-initializers-to-inputs", "clear-metadata", "fix-names", "inline-functions", "insert-qdq",
    "lift-subgraph-initializers", "prune-unused-graph-inputs", "remove-default-attributes", "remove-initializers-from-inputs",
    "remove-unused-functions", "remove-unused-node-outputs", "remove-unused-opset-imports", "rename-io",
}  # fmt: skip


def test_no_pass_is_forgotten() -> None:
    """Each is tried inside here, or on its golden models, or is about whole models."""
    ours = {name for name, entry in installed().passes.items() if entry.owner == "graphopt"}
    here = BODIES.keys() | ONLY_WHERE_INITIALIZERS_MAY_BE.keys() | REWIRING.keys() | ON_SIZES | ON_MODELS
    assert here <= ours
    assert ours == here | COVERED


@pytest.mark.parametrize("step", [*BODIES, *ONLY_WHERE_INITIALIZERS_MAY_BE])
def test_in_a_subgraph(step: str) -> None:
    body, operator = (BODIES | ONLY_WHERE_INITIALIZERS_MAY_BE)[step]
    model = optimized(f"""{HEADER}g (bool c, float[2,3] x) => (float[2,3] y) {{
        y = If (c) <then_branch = yes () => (float[2,3] r) {{ {body} }}, else_branch = no () => (float[2,3] n) {{ n = Abs(x) }}>
    }}""", step)  # fmt: skip
    assert count(model.graph, operator) < body.count(f"{operator}<") + body.count(f"{operator}(")


@pytest.mark.parametrize("step", BODIES)
def test_in_a_function(step: str) -> None:
    body, operator = BODIES[step]
    model = optimized(f"""{HEADER}g (float[2,3] x) => (float[2,3] y) {{ y = own.f(x) }}
        <domain: "own", opset_import: ["" : 20]> f (x) => (r) {{ {body} }}""", step)  # fmt: skip
    [function] = model.functions.values()
    assert count(function.graph, operator) < body.count(f"{operator}<") + body.count(f"{operator}(")


@pytest.mark.parametrize("step", REWIRING)
def test_rewires_in_a_subgraph_and_in_a_function(step: str) -> None:
    body, operator, read = REWIRING[step]
    model = optimized(f"""{HEADER}g (bool c, float[2,3] x) => (float[2,3] y) {{
        z = own.f(x)
        y = If (c) <then_branch = yes () => (float[2,3] r) {{ {body} }}, else_branch = no () => (float[2,3] n) {{ n = Abs(z) }}>
    }}
    <domain: "own", opset_import: ["" : 20]> f (x) => (r) {{ {body} }}""", step)  # fmt: skip
    found = [value.name for node in model.nodes() if node.op == operator for value in node.inputs if value is not None]
    assert found.count(read) == 2
