"""Operator facts agree with onnx.defs; what they say of nodes is what the engine may rely on."""

from __future__ import annotations

import subprocess
import sys

import pytest
from onnx import defs

from graphopt.ir import Attribute, AttributeKind, Dim, DType, Editor, Function, Graph, Model, Node, Tensor, TensorType, Value
from graphopt.schema import facts


def made(op: str, opset: int = 17, *inputs: Value | None, outputs: int = 1, domain: str = "", **attributes: object) -> Node:
    model = Model(opsets={"": opset, "custom": 1})
    given = {name: Attribute.of(value) for name, value in attributes.items()}
    return Editor(model).insert(Node(op, inputs, outputs, given, domain=domain), model.graph)


def test_every_schema_is_found_under_its_version() -> None:
    for schema in defs.get_all_schemas_with_history():
        known = facts.of(schema.domain, schema.name, schema.since_version)
        assert known is not None
        assert (known.since_version, known.is_deprecated) == (schema.since_version, schema.deprecated)
        assert (known.min_inputs, known.max_inputs, len(known.attributes)) == (schema.min_input, schema.max_input, len(schema.attributes))


def test_defaults_are_plain_python() -> None:
    conv = facts.of("", "Conv", 13)
    assert conv is not None
    assert conv.since_version == 11
    assert (conv.default("auto_pad"), conv.default("group"), conv.default("pads")) == ("NOTSET", 1, None)
    assert conv.input_names == ("X", "W", "B")
    assert conv.attributes["pads"].kind is AttributeKind.ints
    rnn = facts.of("", "RNN", 14)
    assert rnn is not None
    assert rnn.default("activations") == ("Tanh", "Tanh")


@pytest.mark.parametrize(
    ("domain", "op", "opset"),
    [("", "NoSuchOperator", 17), ("com.microsoft", "Gelu", 1), ("", "Gelu", 19), ("", "Relu", 0), ("", "Relu", facts.newest_opset() + 1)],
)
def test_what_onnx_does_not_know_is_unknown(domain: str, op: str, opset: int) -> None:
    assert facts.of(domain, op, opset) is None


def test_newest_version_is_one_that_may_be_used() -> None:
    upsample = facts.newest("", "Upsample")
    assert upsample is not None
    assert upsample.since_version == 9
    conv = facts.newest("ai.onnx", "Conv")
    assert conv is not None
    assert not conv.is_deprecated


def test_onnx_is_loaded_by_the_first_question_only() -> None:
    script = "import sys, graphopt.schema.facts, graphopt.schema.spelling, graphopt.infer; print('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_plug_ins_add_their_operators() -> None:
    own = facts.OperatorFacts("my.domain", "Twice", 1, min_inputs=1, max_inputs=1)
    facts.register(own)
    assert facts.of("my.domain", "Twice", 3) is own
    assert facts.newest_opset("my.domain") == 1
    with pytest.raises(ValueError, match="onnx defines"):
        facts.register(facts.OperatorFacts("", "Conv", 17))


def test_random_and_unknown_operators_are_not_deterministic() -> None:
    assert facts.is_deterministic(made("Relu"))
    assert not facts.is_deterministic(made("RandomNormal", shape=[2]))
    assert not facts.is_deterministic(made("Bernoulli"))
    assert not facts.is_deterministic(made("Anything", domain="custom"))
    assert not facts.is_deterministic(made("Relu", facts.newest_opset() + 1))


def test_training_is_not_deterministic() -> None:
    def flag(value: bool) -> Value:
        return Value("", TensorType(DType.bool, ()), tensor=Tensor.of(value))

    x = Value("x")
    assert facts.is_deterministic(made("Dropout", 17, x))
    assert facts.is_deterministic(made("Dropout", 11, x))
    assert facts.is_deterministic(made("Dropout", 17, x, None, flag(False)))
    assert not facts.is_deterministic(made("Dropout", 17, x, None, flag(True)))
    assert not facts.is_deterministic(made("Dropout", 17, x, None, Value("training")))
    assert not facts.is_deterministic(made("Dropout", 6, x))
    five = [x] * 5
    assert facts.is_deterministic(made("BatchNormalization", 17, *five))
    assert not facts.is_deterministic(made("BatchNormalization", 17, *five, outputs=3, training_mode=1))
    assert not facts.is_deterministic(made("BatchNormalization", 9, *five, outputs=5))


def test_subgraphs_and_functions_are_looked_into() -> None:
    model = Model(opsets={"": 17})
    editor = Editor(model)
    branches = []
    for op in ("Relu", "RandomNormal"):
        branch = Graph(op, model)
        editor.insert(Node(op), branch)
        branches.append(branch)
    quiet = Node("If", (Value("c"),), 1, {"then_branch": Attribute.of(branches[0]), "else_branch": Attribute.of(branches[0])})
    loud = Node("If", (Value("c"),), 1, {"then_branch": Attribute.of(branches[0]), "else_branch": Attribute.of(branches[1])})
    for node in (quiet, loud):
        editor.insert(node, model.graph)
    assert facts.is_deterministic(quiet)
    assert not facts.is_deterministic(loud)
    assert not facts.is_mergeable(quiet)
    assert facts.may_drop(loud)

    function = Function("local", "F", "", model)
    function.opsets = {"": 17}
    editor.insert(Node("RandomNormal"), function.graph)
    model.functions[function.key] = function
    model.opsets["local"] = 1
    call = editor.insert(Node("F", domain="local"), model.graph)
    assert facts.is_function_call(call)
    assert facts.of_node(call) is None
    assert not facts.is_deterministic(call)
    assert facts.may_drop(call)
    editor.insert(Node("Unknown", domain="nowhere"), function.graph)
    assert not facts.may_drop(call)


def test_a_function_that_calls_itself_is_opaque() -> None:
    model = Model(opsets={"": 17, "local": 1})
    function = Function("local", "F", "", model)
    function.opsets = {"": 17, "local": 1}
    model.functions[function.key] = function
    editor = Editor(model)
    editor.insert(Node("F", domain="local"), function.graph)
    call = editor.insert(Node("F", domain="local"), model.graph)
    assert not facts.is_deterministic(call)
    assert not facts.may_drop(call)


def test_quantization_is_neither_folded_nor_merged() -> None:
    node = made("DequantizeLinear", 17, Value("x"), Value("s"))
    assert not facts.is_foldable(node)
    assert facts.is_foldable(node, quantization=True)
    assert not facts.is_mergeable(node)
    assert not facts.is_foldable(made("Constant", value=Tensor.of(1)))


def test_references_are_not_folded() -> None:
    node = made("Concat", 17, Value("x"))
    node.attributes["axis"] = Attribute(AttributeKind.int, None, reference="axis")
    assert not facts.is_foldable(node)


def test_unknown_operators_are_never_dropped() -> None:
    assert facts.may_drop(made("Relu"))
    assert facts.may_drop(made("RandomNormal"))
    assert not facts.may_drop(made("Anything", domain="custom"))


def test_accepts_says_what_is_wrong() -> None:
    def typed(dtype: DType) -> Value:
        return Value("x", TensorType(dtype, (2, Dim.symbol("N"))))

    assert facts.accepts(made("Add", 17, typed(DType.float32), typed(DType.float32))) is None
    assert facts.accepts(made("Add", 17, typed(DType.float32), Value("y"))) is None
    assert "same type" in str(facts.accepts(made("Add", 17, typed(DType.float32), typed(DType.int64))))
    assert "tensor(string)" in str(facts.accepts(made("Relu", 17, typed(DType.string))))
    assert "tensor(int8)" in str(facts.accepts(made("Relu", 13, typed(DType.int8))))
    assert facts.accepts(made("Relu", 14, typed(DType.int8))) is None
    loose = Node("Relu", (typed(DType.string),))
    assert facts.accepts(loose) is None
    assert facts.accepts(loose, Model(opsets={"": 17}).graph) is not None
