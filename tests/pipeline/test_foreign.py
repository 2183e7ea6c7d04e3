"""Passes of other libraries in our pipelines: they take the whole model, our guards hold, and names say what became of which node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from onnx import ModelProto

import graphopt
from graphopt import Level, Pipeline, Plugin
from graphopt.errors import InternalError, SpecError
from graphopt.interop import graphsurgeon_pass, onnx_ir_pass, onnxscript_rules
from graphopt.io import load, parse_text, save, to_proto
from graphopt.ir import Model
from graphopt.observe.observer import Observer
from graphopt.pipeline.job import Job
from graphopt.pipeline.pipeline import Fixpoint, Step
from graphopt.pipeline.registry import Registry, installed
from tests.interop.kinds import heavy, parsed

ir = pytest.importorskip("onnx_ir")
common = pytest.importorskip("onnx_ir.passes.common")
pattern = pytest.importorskip("onnxscript.rewriter.pattern")

CHAIN = """g (float[N, 3] x) => (float[N, 3] y) <float[3] c = {1, 2, 3}, float[3] unread = {4, 5, 6}> {
    a = Identity(x)
    b = Identity(a)
    d = Add(b, c)
    y = Relu(d)
}"""


OPTIONAL = (
    "drop-identities: left out: onnx-graphsurgeon cannot hold the value 'o', of the kind optional_type; "
    "keep this model as a graphopt Model or as a ModelProto"
)


@graphsurgeon_pass
def drop_identities(graph: gs.Graph, *, most: int = 100) -> None:
    """Let readers of an Identity read what it reads.

    Keeps: Identities that make outputs.
    """
    for node in [node for node in graph.nodes if node.op == "Identity" and node.outputs[0] not in graph.outputs][:most]:
        source, result = node.inputs[0], node.outputs[0]
        for reader in list(result.outputs):
            reader.inputs = [source if value is result else value for value in reader.inputs]
        node.outputs.clear()
    graph.cleanup()


@graphsurgeon_pass(name="look-only")
def look(graph: gs.Graph) -> None:
    """Change nothing."""
    assert graph.nodes


def job(message: ModelProto | Model | Path, *steps: Step | str, observer: Observer | None = None, **options: Any) -> Job:
    made = Job(message, Pipeline(steps), installed(), traced=True, verify_each=True, **options)
    made.run(observer)
    return made


def optimized(message: ModelProto, *steps: Step | str) -> ModelProto:
    return graphopt.optimize(message, pipeline=Pipeline(steps), verify=True, verify_each=True)


def operators(message: ModelProto) -> list[str]:
    return [node.op_type for node in message.graph.node]


class Told(Observer):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warned(self, source: str, message: str) -> None:
        self.warnings.append(f"{source}: {message}")


# ---- functions on graphs of onnx-graphsurgeon


def test_a_function_is_a_pass_with_options_that_prints_and_parses() -> None:
    plugin = Plugin("mine", passes={"drop-identities": f"{__name__}:drop_identities"}, levels={})
    registry = Registry((*installed().plugins, plugin))
    pipeline = Pipeline.parse("drop-identities{most=1}, fixpoint(drop-identities)", registry)
    assert str(pipeline) == "drop-identities{most=1}, fixpoint(drop-identities)"
    assert pipeline == Pipeline([drop_identities(most=1), Fixpoint((drop_identities(),))])  # type: ignore[call-arg]  # made of parameters
    assert operators(optimized(parsed(CHAIN), *pipeline.steps)) == ["Add", "Relu"]


def test_names_say_what_became_of_which_node() -> None:
    done = job(parsed(CHAIN), drop_identities())
    assert done.report.names == {"a": ["d"], "b": ["d"], "d": ["d"]}
    assert [(each.rule, each.replaced, each.made) for each in done.report.rewrites] == [("drop-identities", ("a", "b", "d"), ("d",))]
    assert done.report.changes == 3


def test_nodes_that_stay_keep_what_they_stood_for() -> None:
    done = job(parsed(CHAIN), "eliminate-identity", look(), drop_identities(), "eliminate-dead-nodes")
    assert done.report.names["a"] == done.report.names["b"]


def test_a_function_that_changes_nothing_changes_nothing() -> None:
    message = parsed(CHAIN)
    model = load(message)
    nodes = list(model.graph)
    assert job(model, Fixpoint((look(),))).report.changes == 0
    assert list(model.graph) == nodes
    assert to_proto(model) == message


def test_levels_go_on_with_what_it_made() -> None:
    """What is known of the new graph is inferred anew, or nothing could be fused in it."""
    message = parsed("g (float[4, 5] x) => (float[4, 3] y) <float[5, 3] w = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}, float[3] c = {1,2,3}> {"
                     " a = Identity(x) t = MatMul(a, w) b = Identity(t) y = Add(b, c) }")
    assert operators(optimized(message, drop_identities(), "level1")) == ["Gemm"]
    assert operators(optimized(message, "level1", drop_identities())) == ["Gemm"]
    assert operators(optimized(message, "fuse-matmul-add", drop_identities(), "fuse-matmul-add")) == ["Gemm"]


def test_it_runs_once_for_a_model_with_functions_and_subgraphs() -> None:
    text = """<ir_version: 10, opset_import: ["" : 20, "own" : 1]>
    g (bool c, float[3] x) => (float[3] y) {
        a = Identity(x)
        b = own.twice(a)
        y = If (c) < then_branch = t () => (float[3] r) { r = Neg(b) }, else_branch = e () => (float[3] q) { q = Abs(b) } >
    }
    <domain: "own", opset_import: ["" : 20]> twice (u) => (v) { w = Identity(u) v = Add(w, w) }"""
    done = job(to_proto(parse_text(text)), drop_identities())
    assert done.report.names == {"a": ["b"], "b": ["b"]}
    assert [rewrite.number for rewrite in done.report.rewrites] == [1]


def test_a_change_in_one_of_two_branches_that_look_alike_is_seen() -> None:
    @graphsurgeon_pass
    def second_only(graph: gs.Graph) -> None:
        graph.nodes[0].attrs["else_branch"].nodes[0].inputs[0] = graph.inputs[2]

    message = parsed("g (bool c, float[3] x, float[3] z) => (float[3] y) { y = If (c) <"
                     "then_branch = b () => (float[3] r) { r = Neg(x) }, else_branch = b () => (float[3] r) { r = Neg(x) }> }")
    result = graphopt.optimize(message, pipeline=Pipeline([second_only()]))
    assert [branch.g.node[0].input[0] for branch in result.graph.node[0].attribute] == ["x", "z"]


def test_provenance_follows_nodes_through_a_foreign_pass() -> None:
    result = graphopt.optimize(parsed(CHAIN), pipeline=Pipeline([drop_identities()]), provenance=True)
    said = {node.output[0]: {entry.key: entry.value for entry in node.metadata_props} for node in result.graph.node}
    assert said == {"d": {"graphopt.rule": "drop-identities", "graphopt.replaced": '["a", "b", "d"]'}, "y": {}}


def test_what_graphsurgeon_cannot_hold_is_still_said_afterwards() -> None:
    message = parsed("g (float[N, 3] x) => (float[N, 3] y) <float s = {0.5}> { a = Identity(x) b = Relu(a) y = Neg(b) }")
    graph = message.graph
    message.producer_name, message.model_version, message.doc_string = "me", 7, "a model"
    message.metadata_props.add(key="k", value="v")
    graph.doc_string, graph.node[1].doc_string, graph.input[0].doc_string = "a graph", "a node", "an input"
    graph.node[1].metadata_props.add(key="node", value="b")
    graph.input[0].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    for name in ("a", "b"):
        graph.quantization_annotation.add(tensor_name=name).quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="s")
    graph.node.append(onnx.helper.make_node("Mul", ["y", "s"], ["scaled"]))
    graph.output.append(onnx.helper.make_tensor_value_info("scaled", 1, ["N", 3]))
    result = optimized(message, drop_identities())
    assert operators(result) == ["Relu", "Neg", "Mul"]
    del message.graph.node[0], message.graph.quantization_annotation[0]
    message.graph.node[0].input[0] = "x"
    assert result == message


def test_weights_are_shared_with_the_model_and_stay_in_their_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    (tmp_path / "again").mkdir()
    message = heavy()
    message.graph.node.insert(1, onnx.helper.make_node("Identity", ["x"], ["same"]))
    message.graph.node[2].input[0] = "same"
    onnx.save(message, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    model = load(path)
    before = model.graph.initializers["w"].tensor
    assert job(model, drop_identities(), save_options={}).report.changes
    after = model.graph.initializers["w"].tensor
    assert before is not None and after is not None
    assert after is before
    save(model, tmp_path / "again" / "out.onnx")
    assert (tmp_path / "again" / "out.onnx.data").is_file()  # as the source had it


def test_inputs_with_defaults_and_what_it_cannot_hold_leave_the_pass_out() -> None:
    told = Told()
    overridable = parsed("g (float[3] x, float[3] w) => (float[3] y) <float[3] w = {1, 2, 3}> { a = Identity(x) y = Add(a, w) }")
    assert job(overridable, drop_identities(), observer=told).report.changes == 0
    optional = parsed("g (optional(float[3]) o) => (bool y) { a = OptionalHasElement(o) b = Identity(a) y = Not(b) }")
    assert job(optional, drop_identities(), observer=told).report.changes == 0
    assert told.warnings == [
        "drop-identities: left out: onnx-graphsurgeon would make constants of the inputs that have a default: w",
        OPTIONAL,
    ]


def test_a_changed_signature_is_refused_unless_the_pass_says_so() -> None:
    def expose(graph: gs.Graph) -> None:
        graph.outputs.append(graph.tensors()["d"].to_variable(np.dtype(np.float32), ("N", 3)))

    refused, allowed = graphsurgeon_pass(expose), graphsurgeon_pass(name="expose-all", changes_signature=True)(expose)
    with pytest.raises(InternalError, match=r"the pass expose failed .* it changed the signature: the outputs were y .*_signature"):
        graphopt.optimize(parsed(CHAIN), pipeline=Pipeline([refused()]))
    result = graphopt.optimize(parsed(CHAIN), pipeline=Pipeline([allowed()]))
    assert [info.name for info in result.graph.output] == ["y", "d"]


def test_types_that_the_function_declares_are_claims() -> None:
    """A false one is told and not believed: the Cast stays, as what it reads are integers whatever is declared."""

    @graphsurgeon_pass
    def lie(graph: gs.Graph) -> None:
        graph.tensors()["a"].dtype = np.dtype(np.float32)
        graph.nodes[0].name = "touched"

    told = Told()
    message = parsed("g (int64[3] x) => (float[3] y) { a = Neg(x) b = Cast<to = 1>(a) y = Relu(b) }")
    result = graphopt.optimize(message, pipeline=Pipeline([lie(), "level1"]), observer=told, verify=True)
    assert operators(result) == ["Neg", "Cast", "Relu"]
    assert any("'a'" in warning or "%a" in warning for warning in told.warnings), told.warnings


def test_what_a_function_raises_names_the_pass_and_a_wrong_result_too() -> None:
    @graphsurgeon_pass
    def explode(graph: gs.Graph) -> None:
        raise ZeroDivisionError("no")

    @graphsurgeon_pass
    def give_nothing(graph: gs.Graph) -> Any:
        return 3

    for step, words in ((explode, "ZeroDivisionError: no"), (give_nothing, "the function returned 3")):
        with pytest.raises(InternalError, match=f"the pass {step.name} failed on graph 'g': {words}"):
            graphopt.optimize(parsed(CHAIN), pipeline=Pipeline([step()]))


def test_a_wrong_function_is_found_by_verify_and_named() -> None:
    @graphsurgeon_pass
    def make_wrong(graph: gs.Graph) -> None:
        for node in graph.nodes:
            node.op = "Sub" if node.op == "Add" else node.op

    with pytest.raises(InternalError, match=r"to blame is rewrite \d+: the rule make-wrong at"):
        graphopt.optimize(parsed(CHAIN), pipeline=Pipeline(["level1", make_wrong()]), verify=True)


@pytest.mark.parametrize(("function", "words"), [
    (lambda: None, "takes no graph"),
    (lambda graph, size=3: None, "the parameter 'size' is no option"),
    (lambda graph, *, size=3: None, "the parameter 'size' is no option; options are annotated"),
])
def test_parameters_that_are_no_options_are_refused(function: Any, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        graphsurgeon_pass(function)


def test_what_is_said_of_the_pass_is_what_was_given() -> None:
    made = graphsurgeon_pass(name="mine", level=Level.EXTENDED, after=("fold-constants",), exactness="approximate")(lambda graph: None)
    assert (made.name, made.level, made.after, made.exactness) == ("mine", Level.EXTENDED, ("fold-constants",), "approximate")
    assert drop_identities.__doc__ is not None and "Keeps" in drop_identities.__doc__


# ---- passes of onnx-ir


class DoubleNegation(ir.passes.FunctionalPass):  # type: ignore[misc,name-defined]  # what importorskip gives has no type
    """Neg(Neg(x)) -> x, in a copy."""

    def call(self, model: Any) -> Any:
        copy = ir.from_proto(ir.to_proto(model))
        modified = False
        for node in copy.graph:
            source = node.inputs[0].producer() if node.inputs and node.inputs[0] is not None else None
            if node.op_type == "Neg" and source is not None and source.op_type == "Neg" and not node.outputs[0].is_graph_output():
                ir.convenience.replace_all_uses_with(node.outputs[0], source.inputs[0])
                copy.graph.remove(node, safe=True)
                modified = True
        return ir.passes.PassResult(copy, modified)


def test_passes_of_onnx_ir_run_in_place_and_on_copies() -> None:
    pytest.importorskip("onnx_ir.passes.common.identity_elimination")
    assert operators(optimized(parsed(CHAIN), onnx_ir_pass(common.IdentityEliminationPass()))) == ["Add", "Relu"]
    double = parsed("g (float[3] x) => (float[3] y) { a = Neg(x) b = Neg(a) y = Relu(b) }")
    assert operators(optimized(double, Fixpoint((onnx_ir_pass(DoubleNegation),)), "eliminate-dead-nodes")) == ["Relu"]


def test_a_pass_of_onnx_ir_is_named_and_says_what_became_of_nodes() -> None:
    step = onnx_ir_pass(DoubleNegation())
    assert (step.name, str(step), type(step).__doc__) == ("double-negation", "double-negation", "Neg(Neg(x)) -> x, in a copy.")
    done = job(parsed("g (float[3] x) => (float[3] y) { a = Neg(x) b = Neg(a) y = Relu(b) }"), step)
    assert done.report.names == {"b": ["y"], "y": ["y"]}


def test_metadata_that_a_pass_of_onnx_ir_changed_is_changed() -> None:
    def stamp(model: Any) -> Any:
        model.metadata_props["stamped"] = "yes"
        return ir.passes.PassResult(model, True)

    done = job(parsed(CHAIN), onnx_ir_pass(stamp))
    assert done.report.changes == 1
    result = optimized(parsed(CHAIN), onnx_ir_pass(stamp))
    assert [(entry.key, entry.value) for entry in result.metadata_props] == [("stamped", "yes")]


def test_weights_do_not_move_through_a_pass_of_onnx_ir() -> None:
    model = load(heavy().SerializeToString())
    before = model.graph.initializers["w"].tensor
    job(model, onnx_ir_pass(lambda given: ir.passes.PassResult(given, True), name="touch"))
    after = model.graph.initializers["w"].tensor
    assert before is not None and after is not None
    assert after is before


def test_overridable_inputs_stay_with_onnx_ir() -> None:
    message = parsed("g (float[3] x, float[3] w) => (float[3] y) <float[3] w = {1, 2, 3}> { a = Identity(x) y = Add(a, w) }")
    result = optimized(message, onnx_ir_pass(common.TopologicalSortPass()), "level1")
    assert [info.name for info in result.graph.input] == ["x", "w"]
    assert [tensor.name for tensor in result.graph.initializer] == ["w"]


def test_what_is_no_pass_is_refused() -> None:
    with pytest.raises(SpecError, match="no pass can be made of 3"):
        onnx_ir_pass(3)

    def give(model: Any) -> int:
        return 3

    with pytest.raises(InternalError, match=r"the pass give failed .* give returned 3, no onnx_ir.Model"):
        graphopt.optimize(parsed(CHAIN), pipeline=Pipeline([onnx_ir_pass(give)]))


def test_one_pass_made_on_the_spot_can_be_a_plug_ins() -> None:
    registry = Registry((*installed().plugins, Plugin("mine", passes={"double-negation": f"{__name__}:DOUBLE"})))
    assert Pipeline.parse("double-negation", registry).steps == (DOUBLE,)
    assert "double-negation" in registry.level(1)


DOUBLE = onnx_ir_pass(DoubleNegation)


# ---- rules of onnxscript


def neg_of_neg(op: Any, x: Any) -> Any:
    return op.Neg(op.Neg(x))


def only_x(op: Any, x: Any) -> Any:
    return op.Identity(x)


@pytest.mark.parametrize("many", [False, True])
def test_rules_of_onnxscript_apply(many: bool) -> None:
    rule = pattern.RewriteRule(neg_of_neg, only_x, name="NegNeg")
    step = onnxscript_rules([rule] if many else pattern.RewriteRuleSet([rule]), name="neg-neg")
    assert type(step).__doc__ == "Rewrite rules of onnxscript: NegNeg."
    message = parsed("g (float[3] x) => (float[3] y) { a = Neg(x) b = Neg(a) y = Relu(b) }")
    assert operators(optimized(message, Fixpoint((step,)), "level1")) == ["Relu"]
    assert job(parsed(CHAIN), step).report.changes == 0
    names = job(message, step).report.names
    assert set(names) >= {"a"}


def test_a_single_rule_of_onnxscript_applies() -> None:
    step = onnxscript_rules(pattern.RewriteRule(neg_of_neg, only_x))
    message = parsed("g (float[3] x) => (float[3] y) { a = Neg(x) b = Neg(a) y = Relu(b) }")
    assert operators(optimized(message, step, "level1")) == ["Relu"]
