"""Where the nodes of a result come from: in memory, in the file, after a second run, and that nothing else of the result changes."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import onnx.parser
import pytest

import graphopt
from graphopt import Pipeline, io
from graphopt.observe.observer import Observer
from graphopt.observe.provenance import REPLACED, RULE, Origin, Origins, read_origins
from graphopt.pipeline.job import Job
from graphopt.pipeline.registry import installed

FUSED = """
<ir_version: 10, opset_import: ["" : 20]>
g (float[2,4] x) => (float[2,3] y)
<float[4,3] w = {1,2,3,4,5,6,7,8,9,10,11,12}, float[3] c = {1,2,3}> {
   [first] a = Identity(x)
   b = MatMul(a, w)
   [sum] d = Add(b, c)
   e = Relu(d)
   [twice] y = Relu(e)
}
"""
SCALED = """
<ir_version: 10, opset_import: ["" : 20]>
g (float[2,4] x) => (float[2,3] y)
<float[4,3] w = {1,2,3,4,5,6,7,8,9,10,11,12}, float[3] c = {1,2,3}, float[3] k = {2,3,4}> {
   [product] a = MatMul(x, w)
   [sum] b = Add(a, c)
   [scale] y = Mul(b, k)
}
"""
BRANCHES = """
<ir_version: 10, opset_import: ["" : 20]>
g (float[2] x) => (float[2] y)
<bool yes = {1}> {
   [choice] y = If (yes) <
      then_branch = t () => (float[2] r) { [neg] n = Neg(x)  [pos] r = Abs(n) },
      else_branch = f () => (float[2] s) { [exp] s = Exp(x) }>
}
"""
CALLS = """
<ir_version: 10, opset_import: ["" : 20, "local" : 1]>
g (float[2] x) => (float[2] y) { [call] z = local.twice(x)  [out] y = Neg(z) }
<domain: "local", opset_import: ["" : 20]>
twice (v) => (w) { [inner] w = Add(v, v) }
"""


def model(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(text)


def traced(text: str, pipeline: str = "level1") -> Origins:
    job = Job(model(text), Pipeline.parse(pipeline), installed(), traced=True)
    job.run()
    return job.report.origins


def told(result: onnx.ModelProto) -> dict[str, tuple[str, list[str]]]:
    found = {node.name: {entry.key: entry.value for entry in node.metadata_props} for node in result.graph.node}
    return {name: (data[RULE], json.loads(data[REPLACED])) for name, data in found.items() if data}


def test_new_nodes_know_their_rules_and_what_went_is_blamed() -> None:
    found = traced(FUSED)
    assert found.nodes == {"sum": Origin(("b", "sum"), ("matmul-add-to-gemm",)), "y": Origin(("e",))}
    assert found.operators == {"sum": "Gemm", "y": "Relu"}
    assert found.removed == {"first": "identity", "twice": "unary-twice"}
    assert found.values == {"a": None, "b": None, "e": "y"}


def test_what_moves_out_of_a_branch_and_what_goes_with_it() -> None:
    found = traced(BRANCHES)
    assert found.nodes == {"neg": Origin(("neg",), ("inline-if",)), "pos": Origin(("pos",), ("inline-if",))} | found.nodes
    assert found.removed["exp"] == found.removed["choice"] == "inline-if"


def test_an_inlined_call_is_what_its_nodes_come_from() -> None:
    found = traced(CALLS, "inline-functions, remove-unused-functions")
    assert [(origin.names, origin.rules) for origin in found.nodes.values()] == [(("call",), ("inline-functions",))]
    assert found.removed == {"inner": "remove-unused-functions"}


def test_it_is_stored_on_request_only_and_changes_nothing_else() -> None:
    plain, stored = graphopt.optimize(model(FUSED)), graphopt.optimize(model(FUSED), provenance=True)
    assert told(plain) == {}
    assert told(stored) == {"sum": ("matmul-add-to-gemm", ["b", "sum"]), "": ("", ["e"])}
    for node in stored.graph.node:
        node.ClearField("metadata_props")
    assert stored == plain


def test_it_survives_a_second_run_with_the_names_of_the_first_model() -> None:
    once = graphopt.optimize(model(SCALED), pipeline="fuse-matmul-add", provenance=True)
    assert told(once) == {"sum": ("matmul-add-to-gemm", ["product", "sum"])}
    twice = graphopt.optimize(once, pipeline="fuse-gemm-scale")
    assert told(twice) == {"scale": ("matmul-add-to-gemm, gemm-mul-to-gemm", ["product", "sum", "scale"])}
    again = graphopt.optimize(graphopt.optimize(model(BRANCHES), pipeline="inline-if", provenance=True), pipeline="level1")
    assert {name for _, names in told(again).values() for name in names} <= {"choice", "neg", "pos", "exp"}
    assert all(rules.startswith("inline-if") for rules, _ in told(again).values())


def chain(length: int) -> onnx.ModelProto:
    """Additions of one constant, which become one, one after the other."""
    nodes = "".join(f"[n{place}] t{place + 1} = Add(t{place}, c)" for place in range(length))
    text = f'<ir_version: 10, opset_import: ["" : 20]> g (int32[2] t0) => (int32[2] t{length}) <int32[2] c = {{1, 1}}> {{ {nodes} }}'
    return model(text)


def test_a_long_chain_of_rewrites_is_told_in_linear_space() -> None:
    sizes: list[int] = []
    for length in (64, 128):
        job = Job(chain(length), Pipeline.parse("level1"), installed(), traced=True)
        job.run()
        rewrites = job.report.rewrites
        assert len(rewrites) >= length - 1
        assert max(len(rewrite.replaced) for rewrite in rewrites) <= 2
        sizes.append(len(json.dumps(job.report.to_json()["rewrites"])))
        ((last, origin),) = job.report.origins.nodes.items()
        assert origin.names == tuple(f"n{place}" for place in range(length))
        assert job.report.names == {name: [last] for name in origin.names}
        assert job.report.origins.removed == {}
    assert sizes[1] < 2.2 * sizes[0]


def test_what_went_is_blamed_on_who_took_it_out_last() -> None:
    """The one node that the chain became goes, and with it all that it stood for."""
    text = """<ir_version: 10, opset_import: ["" : 20]>
    g (int32[2] x) => (int32[2] y) <int32[2] c = {1, 1}, int32[2] d = {2, 2}> {
       [one] a = Add(x, c)  [two] b = Add(a, d)  [away] z = Neg(b)  [out] y = Abs(x) }"""
    first = set(traced(text, "merge-constant-operands").removed.values())
    found = traced(text, "merge-constant-operands, eliminate-dead-nodes")
    assert found.removed.keys() == {"one", "two", "away"}
    assert set(found.removed.values()) == {"eliminate-dead-nodes"} != first


def test_who_clears_metadata_clears_it_too() -> None:
    once = graphopt.optimize(model(FUSED), provenance=True)
    assert told(graphopt.optimize(once, pipeline="clear-metadata")) == {}


def test_metadata_that_is_not_ours_is_no_provenance() -> None:
    once = graphopt.optimize(model(FUSED), provenance=True)
    for node, text in zip(once.graph.node, ("no json", "3"), strict=True):
        for entry in node.metadata_props:
            if entry.key == REPLACED:
                entry.value = text
    assert told(graphopt.optimize(once, 0)) == {}


def test_an_older_ir_version_cannot_hold_it_which_is_told(tmp_path: Path) -> None:
    class Warnings(Observer):
        heard: tuple[str, ...] = ()

        def warned(self, source: str, message: str) -> None:
            self.heard += (message,)

    old, heard = model(FUSED), Warnings()
    old.ir_version = 9
    report = tmp_path / "report.json"
    assert told(graphopt.optimize(old, provenance=True, observer=heard, report=report)) == {}
    why = "nodes have metadata from IR version 10 on, and this model is of version 9"
    assert heard.heard == (f"where the nodes come from is not stored: {why}",)
    assert read_origins(report).nodes["sum"].names == ("b", "sum")


def test_a_report_has_the_map(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    graphopt.optimize(model(FUSED), report=report)
    assert read_origins(report) == traced(FUSED)
    for text in ("{", "[]", '{"map": {}}', '{"map": {"nodes": {"a": 3}, "removed": {}, "values": {}}}'):
        report.write_text(text)
        with pytest.raises(graphopt.ModelError, match="is no report with a map of the nodes"):
            read_origins(report)
    with pytest.raises(graphopt.ModelError, match=r"gone.json: cannot be read"):
        read_origins(tmp_path / "gone.json")


def test_names_that_look_like_marks_do_no_harm() -> None:
    strange = model(FUSED)
    strange.graph.node[0].name, strange.graph.node[3].name = "\0", "\0" + "9" * 30
    graphopt.optimize(strange, provenance=True)


def test_nothing_stays_in_a_model_in_memory() -> None:
    loaded = io.load(model(FUSED))
    graphopt.optimize(loaded, provenance=True)
    assert {node.name: node.replaces for node in loaded.graph} == {"sum": ("b", "sum"), "": ("e",)}
