"""Everything that a model can hold is understood, or carried."""

from __future__ import annotations

import warnings
from pathlib import Path

import onnx
import pytest
from onnx import helper

from graphopt.errors import ModelError
from graphopt.io import load, parse_text, print_text, to_proto, type_from_proto, type_to_proto
from graphopt.ir import (
    Dim,
    DType,
    Graph,
    MapType,
    Model,
    OpaqueType,
    OptionalType,
    SequenceType,
    SparseTensorType,
    TensorType,
    Type,
    verify,
)
from tests.io import protos
from tests.io.protos import node, value


def loaded(before: onnx.ModelProto) -> Model:
    """The model, after it was seen to come back."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load(before)
    verify(model)
    assert to_proto(model) == before
    return model


def branches(graph: Graph) -> list[Graph]:
    return [inner for each in graph for inner in each.subgraphs]


BOOL = helper.make_tensor_value_info("flag", onnx.TensorProto.BOOL, [])


def test_subgraphs_capture_and_siblings_reuse_names() -> None:
    then = protos.graph([node("Relu", ["x"], ["t"])], (), [value("t")], name="then")
    other = protos.graph([node("Neg", ["x"], ["t"])], (), [value("t")], name="else")
    choice = node("If", ["flag"], ["y"], then_branch=then, else_branch=other)
    model = loaded(protos.model(protos.graph([choice], [value("x"), BOOL], [value("y")])))
    x = model.graph.inputs[0]
    assert [user.op for user in x.users] == ["Neg", "Relu"]
    assert x.is_captured
    assert [inner.name for inner in branches(model.graph)] == ["else", "then"]


def test_the_nearest_scope_counts() -> None:
    """A body's own input hides a value of the same name outside."""
    inner_nodes = [node("Identity", ["c"], ["c2"]), node("Relu", ["x"], ["x2"])]
    body = protos.graph(inner_nodes, [value("i"), value("c"), value("x")], [value("c2"), value("x2")])
    loop = node("Loop", ["n", "flag", "x"], ["y"], body=body)
    model = loaded(protos.model(protos.graph([loop], [value("n"), BOOL, value("x")], [value("y")])))
    outer, inner = model.graph.inputs[2], branches(model.graph)[0].inputs[2]
    assert [user.op for user in outer.users] == ["Loop"]
    assert [user.op for user in inner.users] == ["Relu"]


def test_a_subgraph_returns_what_lies_outside() -> None:
    then = protos.graph([], (), [value("x")], name="then")
    other = protos.graph([node("Neg", ["x"], ["t"])], (), [value("t")], name="else")
    choice = node("If", ["flag"], ["y"], then_branch=then, else_branch=other)
    model = loaded(protos.model(protos.graph([choice], [value("x"), BOOL], [value("y")])))
    assert branches(model.graph)[1].outputs == (model.graph.inputs[0],)


def test_outputs_may_be_inputs_initializers_and_repeated() -> None:
    outputs = [value("x"), value("w", 2), value("y"), value("y")]
    before = protos.model(protos.graph([node("Relu", ["x"], ["y"])], [value("x")], outputs, [protos.tensor("w", 2)]))
    model = loaded(before)
    assert [each.name for each in model.graph.outputs] == ["x", "w", "y", "y"]
    assert model.graph.outputs[2].users == {model.graph.exit: 2}


def test_absent_inputs_and_unnamed_outputs() -> None:
    before = protos.model(
        protos.graph([node("Clip", ["x", "", "m"], ["y"]), node("Dropout", ["y"], ["z", ""]), node("Clip", ["z", "m", ""], ["a"])],
                     [value("x"), value("m")], [value("a")])
    )  # fmt: skip
    model = loaded(before)
    clip, dropout, last = model.graph
    assert clip.inputs[1] is None
    assert [each.name for each in dropout.outputs] == ["z", ""]
    assert last.inputs[2] is None and len(last.inputs) == 3


def test_an_initializer_that_is_an_input_is_a_default() -> None:
    inputs = [value("x", 2), value("w", "n")]
    before = protos.model(protos.graph([node("Add", ["x", "w"], ["y"])], inputs, [value("y")], [protos.tensor("w", 2)]), ir_version=3)
    model = loaded(before)
    w = model.graph.initializers["w"]
    assert w.overridable and w.const is None and w.tensor is not None
    assert w.type == TensorType(DType.float32, (Dim.symbol("n"),))
    assert not model.graph.holds_initializers


def test_an_initializer_that_is_no_input_is_a_constant() -> None:
    model = loaded(protos.model(protos.graph([node("Add", ["x", "w"], ["y"])], [value("x")], [value("y")], [protos.tensor("w", 2)])))
    assert model.graph.initializers["w"].const is not None


def test_models_without_the_default_domain() -> None:
    before = protos.model(protos.graph([node("F", ["x"], ["y"], domain="ai.onnx.ml")], [value("x")], [value("y")]))
    del before.opset_import[:]
    before.opset_import.add(domain="ai.onnx.ml", version=2)
    model = loaded(before)
    assert model.opsets == {"ai.onnx.ml": 2}


def test_the_default_domain_has_two_spellings() -> None:
    before = protos.model(protos.graph([node("Relu", ["x"], ["y"], domain="ai.onnx")], [value("x")], [value("y")]))
    before.opset_import[0].domain = "ai.onnx"
    model = loaded(before)
    assert model.opsets == {"": 18}
    assert [each.op for each in model.graph] == ["Relu"]
    model.opsets[""] = 20
    assert [(each.domain, each.version) for each in to_proto(model).opset_import] == [("ai.onnx", 20)]


def test_functions_with_everything() -> None:
    function = helper.make_function(
        "local", "F", ["a"], ["b"], [node("Relu", ["a"], ["h"]), node("LeakyRelu", ["h"], ["b"])], [helper.make_opsetid("", 17)],
        ["alpha"], [helper.make_attribute("beta", 2.0)], "what it does",
    )  # fmt: skip
    function.node[1].attribute.add(name="alpha", type=onnx.AttributeProto.FLOAT, ref_attr_name="alpha")
    function.value_info.append(value("h", 2, None))
    function.overload = "second"
    function.metadata_props.add(key="k", value="v")
    call = node("F", ["x"], ["y"], domain="local", alpha=0.5)
    call.overload = "second"
    before = protos.model(protos.graph([call], [value("x")], [value("y")]), functions=[function], ir_version=10)
    model = loaded(before)
    held = model.functions["local", "F", "second"]
    assert (held.opsets, held.attributes, held.defaults["beta"].value) == ({"": 17}, ("alpha",), 2.0)
    relu, leaky = held.graph
    assert relu.output.type == TensorType(DType.float32, (2, None))
    assert leaky.attributes["alpha"].reference == "alpha" and leaky.attributes["alpha"].value is None
    assert next(iter(model.graph)).overload == "second"
    assert relu.opset == 17
    del model.functions["local", "F", "second"]
    assert not to_proto(model).functions


def test_words_of_every_kind_are_carried() -> None:
    before = protos.model(protos.graph([node("Relu", ["x"], ["y"], name="n", doc_string="d")], [value("x")], [value("y")]), ir_version=10)
    before.producer_name, before.domain, before.doc_string = "p", "d", "words"
    for part in (before, before.graph, before.graph.node[0], before.graph.input[0]):
        part.metadata_props.add(key="k", value="v")
    before.graph.doc_string = "of the graph"
    before.graph.input[0].doc_string = "of the input"
    before.graph.input[0].type.denotation = "IMAGE"
    relu = next(iter(loaded(before).graph))
    assert (relu.name, relu.doc, relu.metadata) == ("n", "d", {"k": "v"})


def test_training_and_quantization_are_carried() -> None:
    before = protos.model(protos.graph([node("Relu", ["x"], ["y"])], [value("x")], [value("y")], [protos.tensor("s", 1)]))
    annotation = before.graph.quantization_annotation.add(tensor_name="y")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="s")
    training = before.training_info.add()
    training.algorithm.CopyFrom(protos.graph([node("Add", ["s", "g"], ["s_next"])], name="a"))
    training.update_binding.add(key="s", value="s_next")
    model = loaded(before)
    assert {"s_next", "g"} <= model.names  # no new value may take such a name


def test_kinds_of_attributes() -> None:
    sparse = helper.make_sparse_tensor(protos.tensor("v", 2), helper.make_tensor("i", 7, [2], [0, 1]), [3])
    strange = node("Strange", ["x"], ["y"], domain="d", f=1.5, i=2, s="text", raw=b"\xff", t=protos.tensor("t", 2), fs=[1.0], ii=[1, 2],
                   ss=["a", "b"], ts=[protos.tensor("t", 2)], g=protos.graph([], name="g"), gs=[protos.graph([], name="h")], sp=sparse,
                   tp=value("v", "n").type)  # fmt: skip
    strange.attribute.add(name="later", type=onnx.AttributeProto.SPARSE_TENSORS).sparse_tensors.append(sparse)
    strange.attribute.add(name="types", type=onnx.AttributeProto.TYPE_PROTOS).type_protos.append(value("v").type)
    strange.attribute.add(name="empty", type=onnx.AttributeProto.INTS)
    strange.attribute.add(name="unsaid", i=4)  # IR version 1 gave no type
    held = next(iter(loaded(protos.model(protos.graph([strange], [value("x")], [value("y")]))).graph))
    assert (held.attribute("f"), held.attribute("i"), held.attribute("s"), held.attribute("raw")) == (1.5, 2, "text", b"\xff")
    assert (held.attribute("fs"), held.attribute("ii"), held.attribute("ss"), held.attribute("empty")) == ((1.0,), (1, 2), ("a", "b"), ())
    assert held.attribute("tp") == TensorType(DType.float32, (Dim.symbol("n"),))
    assert held.attribute("unsaid") == 4
    assert [graph.name for graph in held.subgraphs] == ["g", "h"]


TENSOR = TensorType(DType.float32, (2, Dim.symbol("n"), None))


@pytest.mark.parametrize(
    "type",
    [
        TENSOR,
        TensorType(DType.bfloat16),
        TensorType(DType.int4, ()),
        SparseTensorType(DType.float32, (3,)),
        SequenceType(TENSOR),
        SequenceType(None),
        OptionalType(SequenceType(TENSOR)),
        MapType(DType.string, TENSOR),
        OpaqueType("d", "n"),
    ],
    ids=str,
)
def test_types_go_both_ways(type: Type) -> None:
    assert type_from_proto(type_to_proto(type)) == type


def test_declarations_that_say_nothing() -> None:
    assert type_from_proto(onnx.TypeProto()) is None
    assert type_from_proto(helper.make_tensor_type_proto(0, [1])) is None
    assert type_from_proto(helper.make_tensor_type_proto(99, [1])) is None
    odd = helper.make_tensor_type_proto(1, ["", None, -1, 0])
    assert type_from_proto(odd) == TensorType(DType.float32, (None, None, None, 0))


def test_nodes_out_of_order_are_sorted_and_it_is_said() -> None:
    then = protos.graph([node("Add", ["late", "t"], ["u"]), node("Relu", ["x"], ["t"])], (), [value("u")], name="then")
    nodes = [
        node("If", ["flag"], ["y"], then_branch=then, else_branch=then),
        node("Neg", ["early"], ["late"]),
        node("Abs", ["x"], ["z"]),
        node("Relu", ["x"], ["early"]),
    ]
    before = protos.model(protos.graph(nodes, [value("x"), BOOL], [value("y"), value("z")]))
    with pytest.warns(UserWarning, match=r"graph 'g'; .*graph 'then': the nodes are in no order that runs; they were sorted"):
        model = load(before)
    verify(model)
    assert [each.op for each in model.graph] == ["Abs", "Relu", "Neg", "If"]
    assert [each.op for each in branches(model.graph)[0]] == ["Relu", "Add"]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [node("Relu", ["b"], ["a"]), node("Neg", ["a"], ["b"], name="n")],
            r"the Relu node that makes 'a' reads 'b', which is made from its own output; in a ring: .*the Neg node 'n'",
        ),
        ([node("Relu", ["ghost"], ["a"])], r"the Relu node that makes 'a' reads 'ghost', which no node makes"),
        ([node("Relu", ["x"], ["a"]), node("Neg", ["x"], ["a"])], r"'a' is made twice, by the Relu node .* and by the Neg node"),
        ([node("Relu", ["x"], ["x"]), node("Relu", ["x"], ["a"])], r"'x' is made twice, by an input or initializer and by the Relu node"),
        ([node("Relu", ["x"], ["b"])], r"output 0 reads 'a', which no node makes"),
    ],
    ids=["ring", "undefined", "twice", "hides an input", "output"],
)  # fmt: skip
def test_graphs_that_cannot_run(nodes: list[onnx.NodeProto], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(protos.model(protos.graph(nodes, [value("x")], [value("a")])))


def test_a_subgraph_that_reads_what_is_nowhere() -> None:
    then = protos.graph([node("Relu", ["ghost"], ["t"])], (), [value("t")], name="then")
    made = protos.graph([node("If", ["flag"], ["y"], then_branch=then, else_branch=then)], [BOOL], [value("y")])
    with pytest.raises(ModelError, match=r"the Relu node that makes 't' reads 'ghost', which no node makes"):
        load(protos.model(made))


def test_text_goes_both_ways(tmp_path: Path) -> None:
    text = """
        # a comment
        <ir_version: 10, opset_import: ["" : 20]>
        g (float[n, 4] x) => (float[n, 4] y) <float[4] b = {1, 2, 3, 4}> { y = Add(x, b) }
    """
    model = parse_text(text)
    verify(model)
    assert to_proto(parse_text(print_text(model))) == to_proto(model)
    with pytest.raises(ModelError, match=r"the text is no ONNX model: line 1, column 16: .* In: <ir_version: 10"):
        parse_text("<ir_version: 10")


def test_text_without_its_weights_is_refused() -> None:
    """What is printed leaves big weights out, and so is no model that could be run."""
    head = '<ir_version: 10, opset_import: ["" : 20]> g (float[2] x) => (float[2] y)'
    left_out = r"the text leaves out the elements of 'w', \[2\]: texts are printed without weights of 1 KiB and more"
    for body in ("<float[2] w = {}> { y = Add(x, w) }", "{ w = Constant<value = float[2] w {}>() y = Add(x, w) }"):
        with pytest.raises(ModelError, match=left_out):
            parse_text(f"{head} {body}")
    assert parse_text(f"{head} <float[0] w = {{}}> {{ y = Identity(x) }}").graph.initializers["w"].shape == (0,)
