"""What a report says: counts, traces, the name map, and JSON whose fields stay."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from graphopt.ir import Attribute, Editor, Model, Node, Tensor
from graphopt.observe.inventory import Inventory, Signature
from graphopt.observe.observer import Observers
from graphopt.observe.report import Report
from graphopt.observe.statistics import OTHER, REASONS, Statistics
from graphopt.observe.trace import Trace, label, name_map, node_names
from graphopt.observe.watch import PrintAfterChange
from tests.ir.graphs import add_input, relu_chain, with_branch


def rewritten() -> tuple[Model, Statistics, Trace, tuple[str, ...]]:
    """A chain of named nodes of which two became one and one went, told to observers."""
    model, editor, (first, second, third, last) = relu_chain(4)
    for node, name in zip((first, second, third, last), "abcd", strict=True):
        node.name = name
    names = node_names(model)
    statistics, trace = Statistics(reasons=True), Trace()
    observer = Observers(statistics, trace)
    observer.pass_began("fuse-relu", model.graph)
    observer.declined("relu-relu", last, lambda: "it is an output")
    fused = Node("Relu", first.inputs, name="b")
    fused.replaces, fused.rule = ("a", "b"), "relu-relu"
    editor.insert(fused, model.graph, first)
    editor.replace(second.output, fused.output)
    editor.erase(second)
    editor.erase(first)
    observer.applied("relu-relu", second, (fused,))
    editor.replace(third.output, fused.output)
    editor.erase(third)
    observer.applied("drop-relu", third, ())
    observer.pass_ended("fuse-relu", model.graph, 2, 0.25)
    observer.warned("somebody", "something")
    return model, statistics, trace, names


def test_statistics_count_per_pass_and_per_rule() -> None:
    _, statistics, _, _ = rewritten()
    count = statistics.passes["fuse-relu"]
    assert (count.runs, count.changes, count.seconds, count.nodes_before, count.nodes_after) == (1, 2, 0.25, 4, 2)
    assert {name: (rule.fired, dict(rule.declined)) for name, rule in statistics.rules.items()} == {
        "relu-relu": (1, {"it is an output": 1}),
        "drop-relu": (1, {}),
    }
    assert statistics.warnings == ["something"]


def test_reasons_are_only_made_when_asked_for_and_never_without_bound() -> None:
    _, _, (node,) = relu_chain(1)

    def fail() -> str:
        raise AssertionError("nobody asked")

    Statistics().declined("rule", node, fail)
    statistics = Statistics(reasons=True)
    for number in range(3 * REASONS):
        statistics.declined("rule", node, lambda number=number: f"reason {number}")  # type: ignore[misc]  # mypy sees no default in a lambda
    declined = statistics.rules["rule"].declined
    assert len(declined) == REASONS + 1
    assert declined[OTHER] == 2 * REASONS


def test_the_trace_numbers_rewrites_and_says_what_became_what() -> None:
    _, _, trace, _ = rewritten()
    first, second = trace.rewrites
    assert (first.number, first.pass_name, first.graph, first.rule, first.root) == (1, "fuse-relu", "chain", "relu-relu", "b")
    assert (first.replaced, first.made) == (("a", "b"), ("b",))
    assert (second.replaced, second.made) == (("c",), ())
    assert str(first) == "1: relu-relu at b in graph 'chain' -> b"


def test_the_name_map_follows_every_node() -> None:
    model, _, _, names = rewritten()
    assert name_map(names, model) == {"a": ["b"], "b": ["b"], "c": []}


def test_a_node_without_name_is_called_by_its_value() -> None:
    model, _, (node,) = relu_chain(1)
    assert label(node) == "Relu"
    assert label(model.graph.exit) == "exit"


def test_an_inventory_counts_all_graphs_and_reads_no_weights() -> None:
    model, _, _, branch = with_branch()
    editor = Editor(model)
    editor.add_constant(model.graph, Tensor.of(np.zeros((2, 3), np.float32)))
    editor.insert(Node("Constant", (), 1, {"value": Attribute.of(Tensor.of(np.zeros(5, np.int8)))}), branch, branch.exit.next)
    found = Inventory.of(model)
    assert found.operators == {"Constant": 1, "If": 1, "Neg": 1, "Relu": 1}
    assert (found.nodes, found.initializers, found.initializer_bytes, found.constant_bytes) == (4, 1, 24, 5)


def test_a_signature_knows_what_callers_would_notice() -> None:
    model, editor, (node,) = relu_chain(1)
    before = Signature.of(model)
    assert before.changes(Signature.of(model)) == []
    editor.insert(Node("Neg", (node.output,)), model.graph)
    assert before.changes(Signature.of(model)) == []
    add_input(model.graph, "z")
    model.opsets[""] = 18
    assert before.changes(Signature.of(model)) == ["the input 'z' is new", "the opset of the domain '' was 17, it is 18"]
    model.graph.inputs.reverse()
    model.graph.output_names = ("other",)
    assert "the outputs were Relu" in before.changes(Signature.of(model))[1]


def test_a_more_precise_output_is_no_change() -> None:
    model, _, (node,) = relu_chain(1)
    before = Signature.of(model)
    assert node.output.type is None
    node.output.type = model.graph.inputs[0].type
    assert before.changes(Signature.of(model)) == []


def test_json_has_the_documented_fields(tmp_path: Path) -> None:
    model, statistics, trace, names = rewritten()
    report = Report("fuse-relu", passes=statistics.passes, rules=statistics.rules, rewrites=trace.rewrites, names=name_map(names, model))
    report.write(tmp_path / "report.json")
    data = json.loads((tmp_path / "report.json").read_text())
    assert list(data) == [
        "schema", "pipeline", "source", "output", "before", "after", "data_files", "changes", "signature", "dimensions", "passes", "rules",
        "rewrites", "names", "map", "verification", "warnings", "seconds",
    ]  # fmt: skip
    assert list(data["before"]) == ["nodes", "operators", "initializers", "initializer_bytes", "constant_bytes", "file_bytes"]
    assert list(data["passes"][0]) == ["name", "runs", "changes", "seconds", "nodes_before", "nodes_after"]
    assert list(data["rules"][0]) == ["name", "exactness", "file", "line", "fired", "declined", "seconds"]
    assert data["rewrites"][0] == {
        "number": 1, "pass": "fuse-relu", "graph": "chain", "rule": "relu-relu", "root": "b", "replaced": ["a", "b"], "made": ["b"],
    }  # fmt: skip
    assert data["signature"] == {"unchanged": True, "changes": [], "overridable": 0, "frozen": []}


def test_changes_are_printed_as_a_diff() -> None:
    model, editor, (_, last) = relu_chain(2)
    told: list[str] = []
    observer = PrintAfterChange(lambda model: "\n".join(map(repr, model.graph)) + "\n", told.append)
    observer.pass_began("idle", model.graph)
    observer.pass_ended("idle", model.graph, 0, 0.0)
    assert told == []
    observer.pass_began("rewire", model.graph)
    editor.set_input(last, 0, model.graph.inputs[0])
    observer.pass_ended("rewire", model.graph, 1, 0.0)
    assert told == [
        "--- before\n+++ after rewire: 1 changes\n@@ -1,2 +1,2 @@\n %Relu = Relu(%x)\n-%Relu_1 = Relu(%Relu)\n+%Relu_1 = Relu(%x)"
    ]
