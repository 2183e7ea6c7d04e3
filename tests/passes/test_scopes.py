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

# What a pass finds in a body of x: (2, 3), and an operator of which it leaves fewer.
BODIES = {
    "eliminate-dead-nodes": ("t = Exp(x) r = Relu(x)", "Exp"),
    "eliminate-identity": ("t = Identity(x) r = Relu(t)", "Identity"),
    "eliminate-dropout": ("t = Dropout(x) r = Relu(t)", "Dropout"),
    "fold-constants": ("a = Constant<value_float = 1.5>() t = Neg(a) r = Add(x, t)", "Neg"),
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
}  # fmt: skip
ONLY_WHERE_INITIALIZERS_MAY_BE = {"lift-constants": ("a = Constant<value_float = 1.5>() r = Add(x, a)", "Constant")}
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


def test_no_pass_is_forgotten() -> None:
    ours = {name for name, entry in installed().passes.items() if entry.owner == "graphopt"}
    assert ours == BODIES.keys() | ONLY_WHERE_INITIALIZERS_MAY_BE.keys()


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
