"""Graphs of onnx-graphsurgeon: what comes back, what its graphs cannot hold, and that optimizing one gives one that computes the same."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_graphsurgeon as gs
import pytest
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, helper
from onnx.reference import ReferenceEvaluator

import graphopt
from graphopt.errors import ModelError
from graphopt.interop import from_graphsurgeon, to_graphsurgeon
from graphopt.io import load, to_proto
from graphopt.ir import verify

DATA = Path(__file__).parent.parent / "data"
CASES = sorted((DATA / "cases").rglob("*.onnx"))
REFUSED = {"sparse_constant"}  # its weights are a sparse attribute
SKELETONS = sorted((DATA / "io").glob("*.onnx"))
HOLDS_IR_VERSION = "ir_version" in inspect.signature(gs.Graph).parameters
HEADER = '<ir_version: 10, opset_import: ["" : 20]>\n'


def parsed(text: str) -> ModelProto:
    return onnx.parser.parse_model(HEADER + text)


def held(message: ModelProto) -> ModelProto:
    """The part of a model that the docstring of graphopt.interop.graphsurgeon does not list as lost or said otherwise."""
    kept = ModelProto()
    kept.CopyFrom(message)
    for field in ("producer_name", "producer_version", "domain", "model_version", "doc_string", "metadata_props", "training_info"):
        kept.ClearField(field)
    if not HOLDS_IR_VERSION:
        kept.ClearField("ir_version")
    for domain in sorted({node.domain for node in kept.graph.node} - {entry.domain for entry in kept.opset_import}):
        kept.opset_import.add(domain=domain, version=1)
    _hold(kept.graph, {})
    return kept


def _hold(graph: GraphProto, sunk: Mapping[str, TensorProto]) -> None:
    """`sunk`: the initializers of enclosing graphs that only subgraphs read; they lie in those."""
    stored: dict[str, TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
    made = {name for node in graph.node for name in node.output}
    read = {info.name for info in graph.output} | {name for node in graph.node for name in node.input}
    here = {name: tensor for name, tensor in {**sunk, **stored}.items() if name in read}
    below = {name: tensor for name, tensor in {**sunk, **stored}.items() if name not in read}
    inputs = [info for info in graph.input if info.name not in stored]
    known = made | {info.name for info in inputs}
    replace(graph.initializer, [here[name] for name in sorted(here)])
    replace(graph.input, inputs)
    replace(graph.value_info, sorted((info for info in graph.value_info if info.name in known), key=lambda info: info.name))
    for field in ("doc_string", "metadata_props", "quantization_annotation"):
        graph.ClearField(field)
    for infos in (graph.input, graph.output, graph.value_info):
        for info in infos:
            info.ClearField("doc_string")
    for node in graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
            if not attribute.t.name:
                attribute.t.ClearField("name")
            if attribute.HasField("g"):
                _hold(attribute.g, below)


def replace(container: Any, entries: Sequence[Any]) -> None:  # Any: protobuf's containers come without types
    """Make a container of messages hold these, of which some may be its own."""
    copies = [type(entry).FromString(entry.SerializeToString()) for entry in entries]
    del container[:]
    container.extend(copies)


@pytest.mark.parametrize("path", [path for path in CASES if path.parent.name not in REFUSED], ids=lambda path: path.parent.name)
def test_a_model_comes_back_as_it_went(path: Path) -> None:
    before = onnx.load(path)
    model = from_graphsurgeon(to_graphsurgeon(load(path)))
    verify(model)
    assert held(to_proto(model)) == held(before)


def with_function(message: ModelProto, overload: str = "") -> ModelProto:
    """The same model with y = own.scaled<factor=2.>(x) for its body."""
    function = onnx.parser.parse_function(
        '<domain: "own", opset_import: ["" : 20]> scaled <factor, shift: float = 1.0> (x) => (y)'
        "{ f = Constant<value_float: float = @factor>() s = Constant<value_float: float = @shift>() m = Mul(x, f) y = Add(m, s) }"
    )
    if overload:
        function.overload = overload
    message.functions.append(function)
    message.opset_import.add(domain="own", version=1)
    replace(message.graph.node, [helper.make_node("scaled", ["x"], ["y"], domain="own", overload=overload or None, factor=2.0)])
    return message


def with_attribute(message: ModelProto, kind: int, **content: object) -> ModelProto:
    """The same model, its first node with one more attribute."""
    message.graph.node[0].attribute.append(AttributeProto(name="more", type=kind, **content))  # type: ignore[arg-type]  # as given
    return message


IDENTITY = "g (float[3] x) => (float[3] y) { y = Identity(x) }"
CAPTURES = """g (bool c, float[3] x) => (float[3] y)
<float[3] both = {1, 2, 3}, float[3] below = {4, 5, 6}> {
    a = Add(x, both)
    y = If (c) <
        then_branch = t () => (float[3] r) { s = Add(a, both) r = Mul(s, below) },
        else_branch = e () => (float[3] q) { q = If (c) <
            then_branch = n () => (float[3] u) { u = Sub(x, both) },
            else_branch = m () => (float[3] v) <float[3] v = {7, 8, 9}> {}
        > }
    >
}"""


@pytest.mark.parametrize("before", [
    with_function(parsed(IDENTITY)),
    parsed(CAPTURES),
    parsed("g (float[N,?] x) => (float[N,?] y, int64 k) <int64 k = {1}> { m = Constant<value_float=1.0>() y = Clip(x, , m) }"),
    parsed("g (int8[4] x) => (string[2] y, bfloat16[2] b, int4[3] i) <string[2] s = {\"a\", \"b\"}> { y = Identity(s)"
           " b = Constant<value = bfloat16[2] {1, 2}>() i = Constant<value = int4[3] {1, -2, 3}>() }"),
    with_attribute(parsed("g (float[3] x) => (float[3] y) { y = own.Call(x) }"), AttributeProto.STRINGS, strings=[b"a", b""]),
], ids=["function", "captures", "absent-input", "element-types", "unknown-domain"])
def test_unusual_models_come_back(before: ModelProto) -> None:
    assert held(to_proto(from_graphsurgeon(to_graphsurgeon(load(before))))) == held(before)


def sequences(message: ModelProto) -> ModelProto:
    inner = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [3]))
    message.graph.input.append(helper.make_value_info("s", helper.make_sequence_type_proto(inner)))
    return message


def optional(message: ModelProto) -> ModelProto:
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [3]))
    message.graph.input.append(helper.make_value_info("o", kind))
    return message


@pytest.mark.parametrize(("before", "words"), [
    (with_attribute(parsed(IDENTITY), AttributeProto.TYPE_PROTO, tp=helper.make_tensor_type_proto(1, [3])), "'more' of kind TYPE_PROTO"),
    (with_attribute(parsed(IDENTITY), AttributeProto.TENSORS, tensors=[TensorProto(data_type=1, dims=[0])]), "of kind TENSORS"),
    (with_attribute(parsed(IDENTITY), AttributeProto.STRING, s=b"\xff"), "cannot be imported by onnx-graphsurgeon: 'utf-8'"),
    (with_function(parsed(IDENTITY), "o"), "cannot hold the overload 'o' of the function own.scaled"),
    (sequences(parsed(IDENTITY)), "cannot hold the value 's', a sequence of something else"),
    (optional(parsed(IDENTITY)), "cannot hold the value 'o', of the kind optional_type"),
    (onnx.load(DATA / "cases/sparse_constant/model.onnx"), "of kind SPARSE_TENSOR"),
], ids=["type", "tensors", "bytes", "overload", "sequences", "optional", "sparse"])
def test_what_would_be_lost_without_a_word_is_refused(before: ModelProto, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        to_graphsurgeon(load(before))


def test_a_graph_that_graphsurgeon_cannot_write_is_the_models_fault() -> None:
    x = gs.Variable("x", np.dtype(np.float32), (3,))
    y = gs.Variable("y")
    with pytest.raises(ModelError, match=r"the graph 'untyped' cannot be exported by onnx-graphsurgeon: .* dtype"):
        from_graphsurgeon(gs.Graph([gs.Node("Identity", inputs=[x], outputs=[y])], [x], [y], name="untyped"))


def test_initializers_are_no_inputs_and_the_ir_version_allows_it() -> None:
    before = parsed("g (float[3] x, float[3] w) => (float[3] y) <float[3] w = {1, 2, 3}> { y = Add(x, w) }")
    before.ir_version = 3
    graph = to_graphsurgeon(load(before))
    assert [tensor.name for tensor in graph.inputs] == ["x"]
    after = to_proto(from_graphsurgeon(graph))
    assert after.ir_version >= 4
    onnx.checker.check_model(after, full_check=True)


def test_captured_initializers_are_stored_once() -> None:
    """graphsurgeon's exporter repeats them in every subgraph that reads them."""
    graph = to_graphsurgeon(load(parsed(CAPTURES)))
    model = from_graphsurgeon(graph)
    assert [name for each in model.graphs() for name in each.initializers] == ["both", "below", "v"]


def test_no_array_is_made_and_nothing_is_shared() -> None:
    before = parsed("g (float[3] x) => (float[3] y) <float[3] w = {1, 2, 3}> { y = Add(x, w) }")
    model = load(before)
    graph = to_graphsurgeon(model)
    weight = graph.tensors()["w"]
    assert type(weight._values).__name__ == "LazyValues"
    back = from_graphsurgeon(graph)
    weight.values[:] = 0
    weight.name = "other"
    graph.nodes.clear()
    assert to_proto(model) == before
    assert held(to_proto(back)) == held(before)


@pytest.mark.parametrize("path", SKELETONS, ids=lambda path: path.stem)
def test_models_of_other_tools_come_back_as_well(path: Path) -> None:
    """Nested subgraphs, captures, doc strings everywhere; the weights lie in a file that is not there."""
    before = onnx.load(path, load_external_data=False)
    model = from_graphsurgeon(to_graphsurgeon(load(path, check_external=False)))
    verify(model)
    after = to_proto(model)
    assert held(after) == held(before)
    assert load(after).graph.size == len(before.graph.node)


def run(message: ModelProto, feeds: dict[str, Any]) -> list[Any]:  # Any: arrays of any kind
    return list(ReferenceEvaluator(message).run(None, feeds))


def perceptron() -> gs.Graph:
    """Made by hand, as users of graphsurgeon do: MatMul and Add that make a Gemm, and an Identity in between."""
    draw = np.random.default_rng(0)
    x, y = gs.Variable("x", np.dtype(np.float32), (4, 8)), gs.Variable("y", np.dtype(np.float32), (4, 3))
    w = gs.Constant("w", draw.standard_normal((8, 3)).astype(np.float32))
    b = gs.Constant("b", draw.standard_normal(3).astype(np.float32))
    t, u = gs.Variable("t"), gs.Variable("u")
    nodes = [
        gs.Node("MatMul", inputs=[x, w], outputs=[t]),
        gs.Node("Identity", inputs=[t], outputs=[u]),
        gs.Node("Add", inputs=[u, b], outputs=[y]),
    ]
    return gs.Graph(nodes, [x], [y], opset=20, name="perceptron")


def test_optimizing_a_graph_gives_a_new_one_that_computes_the_same() -> None:
    """Tolerance 1e-5 of float32: a Gemm may add in another order."""
    given = perceptron()
    before = gs.export_onnx(given)
    result = graphopt.optimize(given, verify=True)
    assert isinstance(result, gs.Graph)
    assert result is not given
    assert len(result.nodes) < 3
    assert [node.op for node in given.nodes] == ["MatMul", "Identity", "Add"]
    assert gs.export_onnx(given) == before
    feeds = {"x": np.random.default_rng(1).standard_normal((4, 8)).astype(np.float32)}
    np.testing.assert_allclose(run(gs.export_onnx(result), feeds)[0], run(before, feeds)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["if_const_branch_outputs_initializer", "matmul3d_add", "identity_fanout_outputs", "expand_rank_up"])
def test_optimized_graphs_of_models_compute_the_same(name: str) -> None:
    """Tolerance 1e-5 of float32."""
    folder = DATA / "cases" / name
    given = gs.import_onnx(onnx.load(folder / "model.onnx"))
    before, after = gs.export_onnx(given), gs.export_onnx(graphopt.optimize(given))
    feeds = dict(np.load(folder / "inputs.npz"))
    for got, expected in zip(run(after, feeds), run(before, feeds), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_with_output_a_graph_is_written(tmp_path: Path) -> None:
    assert graphopt.optimize(perceptron(), output=tmp_path / "out.onnx") == tmp_path / "out.onnx"
    assert len(onnx.load(tmp_path / "out.onnx").graph.node) < 3


def test_a_class_derived_from_graph_is_a_graph() -> None:
    class Mine(gs.Graph):  # type: ignore[misc]  # graphsurgeon ships no types
        pass

    given = perceptron()
    assert isinstance(graphopt.optimize(Mine(given.nodes, given.inputs, given.outputs, opset=20)), gs.Graph)


def test_nothing_is_imported_before_it_is_needed() -> None:
    program = (
        "import sys, graphopt.interop, graphopt.api, graphopt.interop.networkx\n"
        "sys.exit(any(name in sys.modules for name in ('onnx_graphsurgeon', 'networkx')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
