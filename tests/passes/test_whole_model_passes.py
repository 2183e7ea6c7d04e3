"""Passes over what a model says besides its nodes: functions, imports, inputs, names, texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.checker
import onnx.parser
import pytest

import graphopt
from graphopt import io
from graphopt.errors import InternalError, SpecError
from graphopt.ir import Graph, verify
from graphopt.ir.ports import remove_graph_input
from graphopt.passes.clear_metadata import ClearMetadata
from graphopt.passes.fix_names import FixNames
from graphopt.pipeline.base import Context
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.registry import installed
from tests.passes.models import Told, before_and_after, needs_onnxruntime, parse, run

HEADER = '<ir_version: 10, opset_import: ["" : 20, "own" : 1]>\n'
X = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]], np.float32)
TWO_DEEP = f"""{HEADER}
    g (float[2,3] x, bool p, float[2,3] unread, float[3] d = {{1, 2, 3}}) => (float[2,3] y, float[2,3] z) <float[3] w = {{3, 2, 1}}> {{
    t = LeakyRelu<alpha = 0.01>(x)
    z, m = Dropout(t)
    y = If (p) <then_branch = a () => (float[2,3] r) <float[3] v = {{4, 5, 6}}> {{
            u = Mul(t, w)
            r = If (p) <then_branch = b () => (float[2,3] s) <float[3] k = {{7, 8, 9}}> {{ q = own.f(u, v) s = Mul(q, k) }},
                        else_branch = c () => (float[2,3] o) {{ o = Elu(u) }}>
        }}, else_branch = e () => (float[2,3] i) <float[3] v = {{0, 1, 2}}> {{ j, n = Dropout(x) i = Add(j, d) }}>
    }}
    <domain: "own", opset_import: ["" : 20]> f (x, y) => (z) {{ t, m = Dropout(x) z = Add(t, y) }}"""
SAME_SIGNATURE = (
    "inline-functions, remove-unused-functions, remove-unused-opset-imports",
    "remove-unused-node-outputs",
    "lift-subgraph-initializers",
    "add-default-attributes",
    "remove-default-attributes",
    "clear-metadata{value-info=true}",
    "fix-names",
)
OTHER_SIGNATURE = {
    "prune-unused-graph-inputs": ["x", "p", "d"],
    "remove-initializers-from-inputs": ["x", "p", "unread"],
    "add-initializers-to-inputs": ["x", "p", "unread", "d", "w"],
    'rename-io{names=["x=image"]}': ["image", "p", "unread", "d"],
}


def two_deep() -> onnx.ModelProto:
    """A model in which each of these passes has something to change."""
    message = onnx.parser.parse_model(TWO_DEEP)
    message.graph.node[0].doc_string = message.graph.node[2].attribute[0].g.node[0].doc_string = "text"
    return message


@needs_onnxruntime
@pytest.mark.parametrize("pipeline", [*SAME_SIGNATURE, ", ".join(SAME_SIGNATURE)])
def test_keeps_results_two_graphs_deep(pipeline: str) -> None:
    """The same bits whichever branches are taken, and each pass changed something."""
    message = two_deep()
    for taken in (True, False):
        feeds = {"x": X, "p": np.array(taken), "unread": X}
        steps = [step for step in Pipeline.parse(pipeline).steps if isinstance(step, graphopt.Pass)]
        told = Told()
        before, after, _ = before_and_after(message, feeds, *steps, by_onnxruntime=True, observer=told)
        assert {source for source, _ in told.made} == {step.name for step in steps}
        for one, two in zip(before, after, strict=True):
            assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("pipeline", SAME_SIGNATURE)
def test_keeps_the_signature_and_comes_to_an_end(pipeline: str) -> None:
    """Inputs and outputs stay; what the pass changes it changes once."""
    message = two_deep()
    once = graphopt.optimize(message, pipeline=pipeline)
    assert once.SerializeToString(deterministic=True) != io.to_proto(io.load(message)).SerializeToString(deterministic=True)
    onnx.checker.check_model(once, full_check=True)
    assert once.graph.input == message.graph.input
    assert [value.name for value in once.graph.output] == ["y", "z"]
    twice = graphopt.optimize(once, pipeline=pipeline)
    assert twice.SerializeToString(deterministic=True) == once.SerializeToString(deterministic=True)


@pytest.mark.parametrize(("pipeline", "inputs"), OTHER_SIGNATURE.items())
def test_changes_the_signature_as_asked(pipeline: str, inputs: list[str]) -> None:
    message = onnx.parser.parse_model(TWO_DEEP)
    changed = graphopt.optimize(message, pipeline=f"{pipeline}, eliminate-dead-nodes")
    onnx.checker.check_model(changed, full_check=True)
    assert [value.name for value in changed.graph.input] == inputs
    assert message == onnx.parser.parse_model(TWO_DEEP)


def test_a_report_says_that_the_signature_changed(tmp_path: Path) -> None:
    graphopt.optimize(onnx.parser.parse_model(TWO_DEEP), pipeline="prune-unused-graph-inputs", report=tmp_path / "report.json")
    assert "the input 'unread' is gone" in (tmp_path / "report.json").read_text()


def test_only_passes_on_request_change_the_signature() -> None:
    known = installed()
    changing = {name for name in known.passes if (found := known.find(name)) is not None and found.changes_signature}
    assert {pipeline.partition("{")[0] for pipeline in OTHER_SIGNATURE} <= changing
    assert not any(known.level_of(name) for name in changing)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ('["z1=a"]', "has no input or output 'z1'"),
        ('["x=p"]', "has an input or output 'p' already"),
        ("[x]", "'x' is not old=new"),
        ('["x=a", "y=a"]', "two of the new names are the same"),
    ],
)
def test_refuses_to_rename(names: str, reason: str) -> None:
    with pytest.raises(SpecError, match=reason):
        graphopt.optimize(onnx.parser.parse_model(TWO_DEEP), pipeline=f"rename-io{{names={names}}}")


def test_renaming_keeps_what_was_declared() -> None:
    message = onnx.parser.parse_model(f"{HEADER}g (float[N,3] x) => (float[N,K] y) {{ t = Relu(x) y = Neg(t) }}")
    message.graph.output[0].doc_string = "said"
    renamed = graphopt.optimize(message, pipeline='rename-io{names=["y=t", "x=image"]}')
    assert renamed.graph.output[0].doc_string == "said"
    assert [dim.dim_param for dim in renamed.graph.output[0].type.tensor_type.shape.dim] == ["N", "K"]
    assert [node.output[0] for node in renamed.graph.node] == ["t_1", "t"]


def test_annotated_values_keep_their_names() -> None:
    message = onnx.parser.parse_model(f"{HEADER}g (float[2] x) => (float[2] y) {{ y = Neg(x) }}")
    message.graph.quantization_annotation.add(tensor_name="x")
    with pytest.raises(SpecError, match="a quantization annotation speaks of 'x'"):
        graphopt.optimize(message, pipeline='rename-io{names=["x=image"]}')


def described() -> onnx.ModelProto:
    """A model with texts in every place."""
    message = onnx.parser.parse_model(TWO_DEEP)
    message.producer_name = "somebody"
    message.doc_string = message.graph.doc_string = message.graph.node[0].doc_string = message.functions[0].doc_string = "text"
    message.graph.input[0].doc_string = message.graph.node[2].attribute[0].g.node[0].doc_string = "text"
    message.graph.value_info.add(name="t", doc_string="text").type.CopyFrom(message.graph.input[0].type)
    message.metadata_props.add(key="author", value="text")
    for key in ("namespace", "keep.it"):
        message.graph.node[0].metadata_props.add(key=key, value="text")
    return message


def test_clears_texts_everywhere() -> None:
    message = described()
    model = io.load(message)
    assert run(model, ClearMetadata()) > 0
    plain = io.to_proto(model)
    assert b"text" not in plain.SerializeToString()
    assert plain.producer_name == "somebody"
    assert [info.name for info in plain.graph.value_info] == ["t"]
    assert message == described()
    assert run(model, ClearMetadata()) == 0


def test_clears_all_but_what_is_to_be_kept() -> None:
    model = io.load(described())
    run(model, ClearMetadata(keep=("keep.",), value_info=True))
    plain = io.to_proto(model)
    assert [entry.key for entry in plain.graph.node[0].metadata_props] == ["keep.it"]
    assert not plain.graph.value_info


def test_names_of_nodes_are_written() -> None:
    model = parse(TWO_DEEP)
    run(model, FixNames())
    verify(model)
    message = io.to_proto(model)
    names = [node.name for node in model.nodes()]
    assert all(names) and len(set(names)) == len(names)
    assert [node.name for node in message.graph.node] == ["LeakyRelu_0", "Dropout_0", "If_0"]


def test_another_signature_is_still_an_error() -> None:
    """A pass that says nothing of it may not change what callers see."""

    class Drops(graphopt.Pass):
        name = "drops-an-input"

        def run(self, graph: Graph, context: Context) -> int:
            remove_graph_input(graph, next(value for value in graph.inputs if not value.users))
            return 1

    message = onnx.parser.parse_model(f"{HEADER}g (float[2] x, float[2] unread) => (float[2] y) {{ y = Neg(x) }}")
    with pytest.raises(InternalError, match="the input 'unread' is gone"):
        graphopt.optimize(message, pipeline=Pipeline([Drops()]))
