"""Sequences taken apart give bit for bit what they gave; and states that no round changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx.parser
import pytest

import graphopt
from graphopt.passes.capture_loop_invariants import CaptureLoopInvariants
from graphopt.passes.eliminate_dead_nodes import EliminateDeadNodes
from graphopt.passes.eliminate_optional import EliminateOptional
from graphopt.passes.eliminate_sequence import EliminateSequence
from graphopt.passes.lift_constants import LiftConstants
from tests.passes.models import before_and_after, needs_onnxruntime, ops, parse, run

X = np.arange(30, dtype=np.float32).reshape(5, 6)

# What is split, and the positions that are read; x: (5, 6).
SPLITS = {
    "a vector": ("SplitToSequence<axis = 1>(x, v)", (0, 1, -1)),
    "a vector of int32": ("SplitToSequence<axis = -1>(x, w)", (2, 1, 0)),
    "one size with a rest": ("SplitToSequence<axis = 0>(x, two)", (0, 2, -2)),
    "one size without a rest": ("SplitToSequence<axis = 1>(x, two)", (0, 2, -2)),
    "one size, more than there is": ("SplitToSequence<axis = 0>(x, nine)", (0, -1, 0)),
    "slices": ("SplitToSequence<axis = 1>(x)", (0, 5, -2)),
    "squeezed slices": ("SplitToSequence<axis = -2, keepdims = 0>(x)", (0, 4, -5)),
}


def split_model(call: str, positions: tuple[int, ...], opset: int, more: str = "") -> onnx.ModelProto:
    reads = " ".join(
        f"i{at} = Constant<value = int64 {{{position}}}>() p{at} = SequenceAt(s, i{at})" for at, position in enumerate(positions)
    )
    return onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["" : {opset}]>
    g (float[5,6] x) => (float[A,B] p0, float[C,D] p1, float[E,F] y)
    <int64[3] v = {{1, 0, 5}}, int32[3] w = {{1, 0, 5}}, int64 two = {{2}}, int64 nine = {{9}}> {{
        s = {call} {reads} {more}
        y = Relu(p2)
    }}""")


@needs_onnxruntime
@pytest.mark.parametrize("case", SPLITS)
@pytest.mark.parametrize("opset", [11, 13, 18])
def test_splits(case: str, opset: int) -> None:
    call, positions = SPLITS[case]
    message = split_model(call, positions, opset)
    if case.startswith("squeezed"):
        for value in message.graph.output:
            del value.type.tensor_type.shape.dim[1]
    passes = LiftConstants(), EliminateSequence(), EliminateDeadNodes()
    before, after, model = before_and_after(message, {"x": X}, *passes, by_onnxruntime=True)
    assert [array.tobytes() for array in before] == [array.tobytes() for array in after]
    assert [array.shape for array in before] == [array.shape for array in after]
    left = ops(model.graph)
    assert left.count("Split") == 1
    assert not any("Sequence" in op for op in left)


@pytest.mark.parametrize(
    ("positions", "more"),
    [((0, 1, 7), ""), ((0, 1, -4), ""), ((0, 1, 2), "n = SequenceLength(s) c = Cast<to = 1>(n) i = Cast<to = 7>(c) q = SequenceAt(s, i)")],
)
def test_positions_out_of_range_or_unknown(positions: tuple[int, ...], more: str) -> None:
    """What fails must go on failing; what is not known is read from the sequence."""
    message = split_model("SplitToSequence<axis = 1>(x, v)", positions, 18, more)
    model = parse(onnx.printer.to_text(message))
    run(model, EliminateSequence())
    assert "SequenceAt" in ops(model.graph)


@needs_onnxruntime
@pytest.mark.parametrize(("axis", "new_axis"), [(0, 0), (-1, 0), (0, 1), (2, 1), (-3, 1), (-1, 1)])
def test_concatenations(axis: int, new_axis: int) -> None:
    rank = 2 + new_axis
    message = onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["" : 13]>
    g (float[5,6] x) => (float[{",".join("ABC"[:rank])}] y) {{
        a = Neg(x)
        s = SequenceConstruct(x, a)
        y = ConcatFromSequence<axis = {axis}, new_axis = {new_axis}>(s)
    }}""")
    (before,), (after,), model = before_and_after(message, {"x": X}, EliminateSequence(), EliminateDeadNodes(), by_onnxruntime=True)
    assert before.tobytes() == after.tobytes()
    assert before.shape == after.shape
    assert "ConcatFromSequence" not in ops(model.graph)


@needs_onnxruntime
def test_edits_of_a_sequence() -> None:
    message = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 13]>
    g (float[5,6] x) => (float[A,B] p, float[C,D] q, int64 n) <int64 zero = {0}, int64 last = {-1}, int64 end = {2}> {
        a = Neg(x) b = Abs(x) c = Exp(x)
        e = SequenceEmpty<dtype = 1>()
        s1 = SequenceInsert(e, x, zero)
        s2 = SequenceInsert(s1, a, zero)
        s3 = SequenceInsert(s2, b, end)
        s4 = SequenceInsert(s3, c, last)
        s5 = SequenceErase(s4)
        p = SequenceAt(s5, last)
        q = SequenceAt(s5, zero)
        n = SequenceLength(s5)
    }""")
    before, after, model = before_and_after(message, {"x": X}, EliminateSequence(), EliminateDeadNodes(), by_onnxruntime=True)
    assert [array.tobytes() for array in before] == [array.tobytes() for array in after]
    assert not any("Sequence" in op for op in ops(model.graph))


@needs_onnxruntime
def test_optionals() -> None:
    message = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 18]>
    g (float[5,6] x) => (float[5,6] y, bool b, bool c) {
        o = Optional(x)
        b = OptionalHasElement(o)
        c = OptionalHasElement(x)
        t = OptionalGetElement(o)
        y = Relu(t)
    }""")
    before, after, model = before_and_after(message, {"x": X}, EliminateOptional(), EliminateDeadNodes(), by_onnxruntime=True)
    assert [array.tobytes() for array in before] == [array.tobytes() for array in after]
    assert ops(model.graph).count("Relu") == 1
    assert not any("Optional" in op for op in ops(model.graph))


@needs_onnxruntime
@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_states_that_no_round_changes(rounds: int) -> None:
    message = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 18]>
    g (float[5,6] x, int64 n) => (float[5,6] y, float[6] v, float[6] z) <float[6] w = {1, 2, 3, 4, 5, 6}> {
        y, v, u = Loop (n, , x, w, w) <
            body = b (int64 i, bool c, float[5,6] h, float[6] k, float[6] m) => (bool c, float[5,6] r, float[6] l, float[6] m) {
            t = Mul(h, k)
            r = Add(t, m)
            l = Identity(k)
        }>
        z = Neg(u)
    }""")
    feeds: dict[str, npt.NDArray[Any]] = {"x": X, "n": np.array(rounds, np.int64)}
    before, after, model = before_and_after(message, feeds, CaptureLoopInvariants(), by_onnxruntime=True)
    assert [array.tobytes() for array in before] == [array.tobytes() for array in after]
    read = [
        value.name for node in model.nodes() if node.op in ("Mul", "Add") for value in node.inputs if value is not None
    ]
    assert read == ["h", "w", "t", "w"]


def test_a_new_axis_that_means_nothing() -> None:
    """Onnxruntime takes 2 for 0; onnx refuses it where it knows what the sequence holds."""
    text = """<ir_version: 8, opset_import: ["" : 20]> g (float[2,3] x) => (float[M,N] y) {
        s = SequenceEmpty() t = SequenceInsert(s, x) y = ConcatFromSequence<axis = 0, new_axis = 2>(t) }"""
    result = graphopt.optimize(onnx.parser.parse_model(text))
    assert [node.op_type for node in result.graph.node] == ["SequenceConstruct", "ConcatFromSequence"]
    result = graphopt.optimize(onnx.parser.parse_model(text.replace("= 2", "= 0")))
    assert [node.op_type for node in result.graph.node] == ["Identity"]
