"""What differs between two models: every kind of difference, how nodes are found again, and that any two models may be compared."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

import graphopt
from graphopt import io
from graphopt.observe.difference import Changed, Difference, NodeChange, by_rule, difference
from graphopt.observe.name_map import between
from graphopt.observe.provenance import Origin
from tests.observe.test_provenance import BRANCHES, CALLS, FUSED, SCALED

BASE = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,4] x, float[N,3] z) => (float[N,3] y, float[N,3] u)
<float[4,3] w = {1,2,3,4,5,6,7,8,9,10,11,12}, float[3] c = {1,2,3}, float[N,3] a> {
   [mul] a = MatMul(x, w)
   [add] b = Add(a, c)
   [soft] y = Softmax<axis = 1>(b)
   [neg] u = Neg(z)
}
"""


def parsed(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(text)


def compared(before: str | onnx.ModelProto, after: str | onnx.ModelProto) -> Difference:
    one, other = (io.load(parsed(each) if isinstance(each, str) else each) for each in (before, after))
    return difference(one, other)


def replaced(*pairs: tuple[str, str]) -> str:
    text = BASE
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def test_a_model_does_not_differ_from_itself() -> None:
    for text in (BASE, FUSED, BRANCHES, CALLS, SCALED):
        assert compared(text, text).is_empty


def test_what_is_not_compared() -> None:
    other = parsed(BASE)
    other.doc_string = other.producer_name = other.graph.node[0].doc_string = "said"
    other.graph.node.sort(key=lambda node: node.name != "neg")  # another order that runs
    assert compared(BASE, other).is_empty


@pytest.mark.parametrize(
    ("old", "new", "kind", "expected"),
    [
        ("ir_version: 8", "ir_version: 9", "ir_version", (8, 9)),
        ('"" : 17', '"" : 18', "opsets", [Changed("", "17", "18")]),
        ('"" : 17', '"" : 17, "other" : 1', "opsets", [Changed("other", None, "1")]),
        ("float[N,3] z", "float[3,3] z", "inputs", [Changed("z", "float32[N, 3]", "float32[3, 3]")]),
        ("float[N,4] x, float[N,3] z", "float[N,3] z, float[N,4] x", "inputs", [Changed("their order", "x, z", "z, x")]),
        ("float[N,3] u)", "float[M,3] u)", "outputs", [Changed("u", "float32[N, 3]", "float32[M, 3]")]),
        ("{1,2,3}", "{1,2,4}", "initializers", [Changed("c", "float32[3]", "float32[3], other elements")]),
        ("float[3] c = {1,2,3}", "float[1] c = {1}", "initializers", [Changed("c", "float32[3]", "float32[1]")]),
        (", float[N,3] a>", ", float[2,3] a>", "types", [Changed("a", "float32[N, 3]", "float32[2, 3]")]),
    ],
)
def test_each_kind_of_difference(old: str, new: str, kind: str, expected: object) -> None:
    found = compared(BASE, replaced((old, new)))
    assert not found.is_empty
    assert getattr(found, kind) == expected
    assert (found.removed, found.added, found.changed) == ([], [], [])


def test_an_attribute_and_an_operator_that_changed() -> None:
    (change,) = compared(BASE, replaced(("axis = 1", "axis = 0"))).changed
    assert change == NodeChange("", ("soft", "Softmax"), ("soft", "Softmax"), (Changed("axis", "1", "0"),))
    (change,) = compared(BASE, replaced(("Softmax<axis = 1>", "Relu"))).changed
    assert (change.before, change.after) == (("soft", "Softmax"), ("soft", "Relu"))
    assert change.attributes == (Changed("axis", "1", None),)
    assert not change.is_consequence


def test_a_node_in_between_moves_what_reads_it() -> None:
    found = compared(BASE, replaced(("[soft]", "[extra] r = Relu(b)\n   [soft]"), ("Softmax<axis = 1>(b)", "Softmax<axis = 1>(r)")))
    (added,), (change,) = found.added, found.changed
    assert (added.after, found.removed) == (("extra", "Relu"), [])
    assert change.inputs == (("b",), ("r",))
    assert change.is_consequence
    assert found.operators == {"Relu": (0, 1)}
    assert found.nodes == (4, 5)


def renamed(text: str) -> onnx.ModelProto:
    """Other names for all but inputs and outputs, and none for the nodes."""
    model = parsed(text)
    ports = {port.name for port in (*model.graph.input, *model.graph.output)}
    for node in model.graph.node:
        node.name = ""
        for names in (node.input, node.output):
            names[:] = [name if name in ports else f"other_{name}" for name in names]
    for tensor in model.graph.initializer:
        tensor.name = f"other_{tensor.name}"
    del model.graph.value_info[:]
    return model


@pytest.mark.parametrize("text", [BASE, FUSED, SCALED])
def test_a_model_whose_every_name_is_another_is_found_by_its_structure(text: str) -> None:
    found = compared(text, renamed(text))
    assert (found.removed, found.added, found.changed) == ([], [], [])
    assert len(found.renamed) == len(parsed(text).graph.node)
    assert all(change.after is not None and change.after.startswith("is called other_") for change in found.initializers)


def test_structure_is_followed_from_both_ends() -> None:
    """Nothing after the new node reads the same, and yet it is found, from the outputs."""
    model = renamed(BASE)
    model.graph.node[0].input[0] = "new"
    model.graph.node.insert(0, onnx.helper.make_node("Abs", ["x"], ["new"]))
    found = compared(BASE, model)
    assert [change.after for change in found.added] == [("new", "Abs")]
    assert [change.before for change in found.changed] == [("mul", "MatMul")]
    assert found.removed == []


def test_nodes_are_found_in_another_graph() -> None:
    before, after = parsed(BRANCHES), graphopt.optimize(parsed(BRANCHES), pipeline="inline-if")
    found = compared(before, after)
    assert {change.before for change in found.removed} == {("choice", "If"), ("exp", "Exp")}
    assert {change.graph for change in found.removed} == {"", "choice.else_branch"}
    assert found.added == []


def test_a_difference_inside_a_branch_and_a_function() -> None:
    (change,) = compared(BRANCHES, BRANCHES.replace("Exp", "Log")).changed
    assert (change.graph, change.before, change.after) == ("choice.else_branch", ("exp", "Exp"), ("exp", "Log"))
    (change,) = compared(CALLS, CALLS.replace("Add(v, v)", "Mul(v, v)")).changed
    assert change.graph == "local.twice"
    assert compared(CALLS, FUSED).functions == [Changed("local.twice", "1 nodes", None)]


def test_what_a_branch_gives_is_compared() -> None:
    found = compared(BRANCHES, BRANCHES.replace("(float[2] r) { [neg] n = Neg(x)  [pos] r", "(float[2] n) { [neg] n = Neg(x)  [pos] r"))
    assert found.outputs == [Changed("of choice.then_branch", "r", "n")]
    assert not found.is_empty


LOOP = """
<ir_version: 10, opset_import: ["" : 20]>
g (float[2] x, int64 n, bool c) => (float[2] y, float[2] z) {
   [loop] y, z = Loop (n, c, x, x) <
      body = b (int64 i, bool d, float[2] p, float[2] q) => (bool e, float[2] r, float[2] s) { e = Identity(d) r = Neg(p) s = Abs(q) }>
}
"""


def test_what_a_body_takes_is_compared_by_place_and_not_by_name() -> None:
    found = compared(LOOP, LOOP.replace("float[2] p, float[2] q", "float[2] q, float[2] p"))
    assert found.inputs == [Changed("of loop.body", "i, d, p, q", "i, d, q, p")]
    other = LOOP.replace("float[2] p", "float[2] o").replace("(p)", "(o)")
    assert compared(LOOP, other).is_empty


def test_an_output_that_has_kept_its_name_alone() -> None:
    text = '<ir_version: 10, opset_import: ["" : 20]> g (float[2] x) => (float[2] y, float[2] z) { [one] y = Neg(x)  [two] z = Neg(x) }'
    crossed = text.replace("[one] y = Neg", "[one] t = Abs").replace("[two] z = Neg(x)", "[two] z = Neg(x)  [new] y = Neg(t)")
    found = compared(text.replace("y = Neg", "y = Abs"), crossed)
    assert found.outputs == [Changed("y", "made by one", "made by new")]


FUNCTIONS = """
<ir_version: 10, opset_import: ["" : 20, "local" : 1]>
g (float[2] x) => (float[2] y, float[2] z) { [call] y, z = local.both<k = 1>(x, x) }
<domain: "local", opset_import: ["" : 20]>
both <k, axis: int = 1> (v, u) => (a, b) { [one] a = Softmax<axis: int = @axis>(v)  [two] b = Neg(u) }
"""


@pytest.mark.parametrize(
    ("old", "new", "kind", "expected"),
    [
        ("=> (a, b)", "=> (b, a)", "outputs", [Changed("of local.both", "a, b", "b, a")]),
        ("(v, u)", "(u, v)", "inputs", [Changed("of local.both", "v, u", "u, v")]),
        ('"local", opset_import: ["" : 20]', '"local", opset_import: ["" : 17]', "functions", [Changed("local.both opset", "20", "17")]),
        ("both <k, axis", "both <k, l, axis", "functions", [Changed("local.both attribute l", None, "required")]),
        ("axis: int = 1", "axis: int = 0", "functions", [Changed("local.both default of axis", "1", "0")]),
    ],
)
def test_what_is_declared_of_a_function_is_compared(old: str, new: str, kind: str, expected: list[Changed]) -> None:
    assert old in FUNCTIONS
    found = compared(FUNCTIONS, FUNCTIONS.replace(old, new))
    assert getattr(found, kind) == expected
    assert (found.removed, found.added, found.changed) == ([], [], [])
    assert not found.is_empty


def test_nodes_that_share_a_name_are_told_apart() -> None:
    nodes = "[n] a = Relu(x)  [n] b = Neg(a)  [n] c = Relu(b)  [n] y = Relu(c)"
    text = f'<ir_version: 10, opset_import: ["" : 20]> g (float[2] x) => (float[2] y) {{ {nodes} }}'
    assert compared(text, text).is_empty
    (change,) = compared(text, text.replace("c = Relu(b)", "c = Relu(a)")).changed
    assert change.inputs == (("b",), ("a",))


def test_what_the_second_model_says_of_itself_is_the_reason() -> None:
    found = compared(SCALED, graphopt.optimize(parsed(SCALED), pipeline="fuse-matmul-add", provenance=True))
    (change,), (gone,) = found.changed, found.removed
    assert (change.rules, change.sources) == (("matmul-add-to-gemm",), ("product", "sum"))
    assert (gone.before, gone.rules, gone.sources) == (("product", "MatMul"), ("matmul-add-to-gemm",), ("sum",))
    assert by_rule([change, gone]) == {"matmul-add-to-gemm": 2}


def test_weights_are_read_only_where_another_has_their_type_and_shape(tmp_path: Path) -> None:
    before, after = (parsed('<ir_version: 8, opset_import: ["" : 17]> g (float[4] x) => (float[4] y) { y = Add(x, w) }') for _ in range(2))
    for model, name in ((before, "a"), (after, "b")):
        model.graph.initializer.append(numpy_helper.from_array(np.arange(4, dtype=np.float32), "w"))
        onnx.save(model, tmp_path / f"{name}.onnx", save_as_external_data=True, location=f"{name}.bin", size_threshold=0)
    (tmp_path / "b.bin").unlink()
    one, other = (io.load(tmp_path / f"{name}.onnx", check_external=False) for name in "ab")
    for found in (difference(one, other), difference(other, one)):
        assert (found.is_empty, found.unread) == (True, 1)


def test_any_two_models_may_be_compared() -> None:
    folder = Path(__file__).parent.parent / "data" / "io"
    paths = sorted(folder.glob("*.onnx"))
    assert paths
    for one, other in itertools.pairwise([*paths, paths[0]]):
        before, after = (io.load(path, check_external=False) for path in (one, other))
        json.dumps(difference(before, after).as_json())
        json.dumps(between(before, after).as_json())
        assert difference(before, io.load(one, check_external=False)).is_empty


def test_a_name_map_between_two_files() -> None:
    before = io.load(parsed(SCALED))
    once = graphopt.optimize(parsed(SCALED), pipeline="fuse-matmul-add", provenance=True)
    found = between(before, io.load(once))
    assert found.nodes == {"sum": Origin(("product", "sum"), ("matmul-add-to-gemm",)), "scale": Origin(("scale",))}
    assert (found.removed, found.values) == ({}, {"a": None})
    twice = graphopt.optimize(once, pipeline="fuse-gemm-scale")
    assert between(io.load(once), io.load(twice)).nodes["scale"].names == ("sum", "scale")
    other = between(before, io.load(renamed(SCALED)))
    assert other.nodes == {"other_a": Origin(("product",)), "other_b": Origin(("sum",)), "y": Origin(("scale",))}
    assert other.values == {"w": "other_w", "c": "other_c", "k": "other_k", "a": "other_a", "b": "other_b"}
