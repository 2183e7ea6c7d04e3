"""What the newest opset says can be said at older ones, and read back; what cannot is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import checker, helper
from onnx.reference import ReferenceEvaluator

from graphopt.infer.protos import to_node_proto
from graphopt.ir import Attribute, AttributeKind, DType, Editor, Function, Graph, Model, Node, Tensor, TensorType, Value
from graphopt.schema import facts, versions
from graphopt.schema.spelling import (
    UNKNOWN,
    CannotSpell,
    has_neutral_form,
    neutral_attribute,
    neutral_attributes,
    neutral_inputs,
    spell,
)
from graphopt.schema.traits import REDUCTIONS

NEWEST = facts.newest_opset()
FLOAT = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)


def graph_at(opset: int) -> Graph:
    return Model(opsets={"": opset}).graph


def tensor(shape: tuple[int | None, ...] | None = (2, 3, 4), dtype: DType = DType.float32) -> Value:
    return Value("x", TensorType(dtype, shape))


def const(data: object, dtype: DType | None = None) -> Value:
    held = Tensor.of(data, dtype)  # type: ignore[arg-type]  # whatever numpy takes
    return Value("c", TensorType(held.dtype, held.shape), tensor=held)


def placed(node: Node, graph: Graph) -> Node:
    return Editor(graph.model).insert(node, graph)


SINGLE = DType.float32
# Each operator of versions.MOVED and RESLOTTED in its newest spelling: inputs after the data, attributes.
AXES: list[Value | None] = [const([0, 2])]
SPELLINGS: list[tuple[str, list[Value | None], dict[str, Any]]] = [
    ("Clip", [const(-1.0, SINGLE), const(1.0, SINGLE)], {}),
    ("Clip", [None, const(1.0, SINGLE)], {}),
    ("Clip", [const(-1.0, SINGLE)], {}),
    ("Clip", [], {}),
    ("DFT", [None, const(1)], {}),
    ("Dropout", [const(0.25, SINGLE)], {}),
    ("Dropout", [], {}),
    ("Pad", [const([0, 0, 1, 0, 2, 0]), const(0.5, SINGLE)], {"mode": "constant"}),
    ("Pad", [const([0, 0, 1, 0, 2, 0])], {"mode": "edge"}),
    *[(op, AXES, {"keepdims": 0}) for op in sorted(REDUCTIONS)],
    *[(op, [], {}) for op in sorted(REDUCTIONS)],
    ("Slice", [const([0, 1]), const([2, 3]), const([0, 2])], {}),
    ("Slice", [const([0, 1]), const([2, 3])], {}),
    ("Split", [const([1, 2])], {"axis": 1}),
    ("Squeeze", [const([0])], {}),
    ("Squeeze", [], {}),
    ("TopK", [const([2])], {"axis": 1}),
    ("Unsqueeze", [const([0, 4])], {}),
    ("Upsample", [const([1, 1, 2], SINGLE)], {"mode": "nearest"}),
    ("Resize", [None, const([1, 1, 2], SINGLE)],
     {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
    ("Resize", [None, None, const([2, 3, 8])], {"mode": "linear"}),
]  # fmt: skip
OUTPUTS = {"Split": 2, "TopK": 2}


@pytest.mark.parametrize(("op", "inputs", "attributes"), SPELLINGS, ids=lambda part: part if isinstance(part, str) else "")
def test_spelled_and_read_back(op: str, inputs: list[Value | None], attributes: dict[str, Any]) -> None:
    """At every opset: the checker accepts the node, and its neutral form is what was asked for."""
    spelled = 0
    data = tensor((1, 3, 4)) if op in ("Squeeze", "Split", "Resize", "Upsample") else tensor()
    for opset in range(versions.OLDEST, NEWEST + 1):
        graph = graph_at(opset)
        known = facts.of("", op, opset)
        if known is None or known.is_deprecated:
            with pytest.raises(CannotSpell):
                spell(op, (data, *inputs), attributes, graph)
            continue
        if op == "Resize" and opset == 10 and inputs[1] is None:
            continue  # sizes came with 11
        node = placed(spell(op, (data, *inputs), attributes, graph, outputs=OUTPUTS.get(op, 1)), graph)
        spelled += 1
        check(node, opset)
        assert has_neutral_form(node)
        assert same(neutral_inputs(node), (data, *inputs)), opset
        for name, value in attributes.items():
            assert neutral_attribute(node, name) == value
    assert spelled


def check(node: Node, opset: int) -> None:
    context = checker.C.CheckerContext()
    context.ir_version = onnx.IR_VERSION
    context.opset_imports = {"": opset}
    checker.check_node(to_node_proto(node), context)


def same(read: tuple[Value | None, ...], given: tuple[Value | None, ...]) -> bool:
    if len(read) != len(given):
        return False
    for one, other in zip(read, given, strict=True):
        if one is not other and not (one and other and one.const and other.const and one.const.same(other.const)):
            return False
    return True


def test_every_moved_operator_is_tested() -> None:
    assert {op for op, _, _ in SPELLINGS} == set(versions.MOVED) | versions.RESLOTTED


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "opset"),
    [
        ("ReduceSum", [const([-1])], {"keepdims": 0}, 12),
        ("ReduceMean", [const([-1])], {}, 10),
        ("Slice", [const([0]), const([2]), const([-1])], {}, 9),
        ("Slice", [const([0]), const([2]), const([-1])], {}, 10),
        ("Squeeze", [], {}, 11),
        ("Unsqueeze", [const([-1])], {}, 12),
        ("Clip", [None, const(0.5, SINGLE)], {}, 7),
        ("Pad", [const([1, 0]), None, const([1])], {}, 13),
        ("Softmax", [], {}, 11),
        ("Softmax", [], {"axis": 2}, 7),
        ("Concat", [], {"axis": -1}, 8),
    ],
)
def test_means_the_same_at_an_old_opset(op: str, inputs: list[Value | None], attributes: dict[str, Any], opset: int) -> None:
    """onnx's reference evaluator gives the same bits for the old spelling as for the newest."""
    results = []
    for version in (opset, NEWEST):
        graph = graph_at(version)
        node = spell(op, (tensor(), *inputs), attributes, graph)
        feeds = {f"i{slot}": value.const.numpy() for slot, value in enumerate(node.inputs) if value is not None and value.const is not None}
        feeds["i0"] = FLOAT
        message = to_node_proto(node)
        infos = [helper.make_tensor_value_info(name, int(DType.of(array.dtype)), array.shape) for name, array in feeds.items()]
        body = helper.make_graph([message], "g", infos, [onnx.ValueInfoProto(name="o0")])
        model = helper.make_model(body, opset_imports=[helper.make_opsetid("", version)])
        outputs: Any = ReferenceEvaluator(model).run(None, feeds)
        results.append(outputs[0])
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "opset", "reason"),
    [
        ("Gelu", [tensor()], {}, 19, "does not exist"),
        ("NoSuch", [tensor()], {}, 19, "does not exist"),
        ("Upsample", [tensor(), const([1.0], SINGLE)], {}, 13, "deprecated"),
        ("Gemm", [tensor(), tensor()], {}, 10, "inputs"),
        ("Relu", [tensor(), tensor()], {}, 17, "inputs"),
        ("Conv", [None, tensor()], {}, 17, "needs its input X"),
        ("Squeeze", [tensor(), Value("axes")], {}, 11, "not constant"),
        ("Unsqueeze", [tensor()], {}, 17, "inputs"),
        ("Concat", [tensor()], {}, 17, "needs its attribute axis"),
        ("Relu", [tensor()], {"alpha": 1.0}, 17, "has no attribute alpha"),
        ("Reshape", [tensor(), Value("s")], {"allowzero": 1}, 13, "has no attribute allowzero"),
        ("Softmax", [tensor()], {"axis": 1}, 12, "normalizes all axes"),
        ("Softmax", [tensor(None)], {"axis": 1}, 12, "normalizes all axes"),
        ("ReduceSum", [tensor(None), const([-1])], {}, 10, "counts axes from the back"),
        ("ReduceMean", [tensor()], {"noop_with_empty_axes": 1}, 13, "has no attribute noop_with_empty_axes"),
        ("Clip", [tensor(), const(0.1, DType.float64)], {}, 7, "float32"),
        ("Clip", [tensor(), const([0.1, 0.2], SINGLE)], {}, 7, "elements"),
        ("Slice", [tensor(), const([0]), const([1]), None, const([2])], {}, 9, "steps"),
        ("Split", [tensor()], {"num_outputs": 2, "axis": 1}, 13, "num_outputs"),
        ("Dropout", [tensor(), None, const(True)], {}, 11, "trains"),
        ("BatchNormalization", [tensor()] * 5, {"training_mode": 1}, 9, "has no attribute training_mode"),
        ("Resize", [tensor(), None, const([1, 1, 2], SINGLE)], {"mode": "linear"}, 10, "asymmetric"),
        ("Pad", [tensor(), const([0] * 6)], {"mode": "wrap"}, 13, "mode='wrap'"),
        ("OneHot", [tensor(), const(3), const([0, 1])], {}, 9, "negative indices"),
        ("Max", [tensor(), tensor((1, 3, 4))], {}, 7, "broadcasts since opset 8"),
        ("Gather", [tensor(), Value("i")], {}, 10, "from the back"),
        ("Concat", [tensor()], {"axis": 1.5}, 17, "axis of Concat is int"),
        ("Concat", [tensor()], {"axis": UNKNOWN}, 17, "supplied by the caller"),
    ],
)
def test_what_an_opset_cannot_say_is_refused(
    op: str, inputs: list[Value | None], attributes: dict[str, Any], opset: int, reason: str
) -> None:
    with pytest.raises(CannotSpell, match=reason):
        spell(op, inputs, attributes, graph_at(opset))


def test_domains_must_be_imported() -> None:
    graph = graph_at(17)
    with pytest.raises(CannotSpell, match=r"does not import com\.microsoft"):
        spell("Gelu", (tensor(),), {}, graph, domain="com.microsoft")
    graph.model.opsets["com.microsoft"] = 1
    node = spell("Gelu", (tensor(),), {"alpha": 0.5}, graph, domain="com.microsoft")
    assert (node.op, node.attribute("alpha")) == ("com.microsoft.Gelu", 0.5)
    with pytest.raises(CannotSpell, match="does not import the default domain"):
        spell("Relu", (tensor(),), {}, Model(opsets={}).graph)


def test_a_function_of_the_same_name_is_not_called_by_accident() -> None:
    graph = graph_at(17)
    function = Function("", "Relu", "", graph.model)
    graph.model.functions[function.key] = function
    with pytest.raises(CannotSpell, match="defines its own Relu"):
        spell("Relu", (tensor(),), {}, graph)
    assert not has_neutral_form(placed(Node("Relu", (tensor(),)), graph))


def test_numbers_become_what_the_schema_says() -> None:
    node = spell("Gemm", (tensor(), tensor(), None), {"alpha": 2, "transB": True, "beta": None}, graph_at(17))
    assert node.attributes["alpha"].kind is AttributeKind.float
    assert node.attributes["transB"].kind is AttributeKind.int
    assert "beta" not in node.attributes
    assert len(node.inputs) == 2
    empty = spell("ReduceSum", (tensor(), const(np.empty(0, np.int64))), {}, graph_at(11))
    assert empty.attributes["axes"].kind is AttributeKind.ints


def test_attributes_that_came_later_may_say_what_they_meant_before() -> None:
    assert "allowzero" not in spell("Reshape", (tensor(), Value("s")), {"allowzero": 0}, graph_at(13)).attributes
    assert "allowzero" not in spell("Reshape", (tensor(), const([6, 4])), {"allowzero": 1}, graph_at(13)).attributes
    assert "dilations" not in spell("MaxPool", (tensor(),), {"kernel_shape": [1], "dilations": [1]}, graph_at(8)).attributes
    assert spell("Split", (tensor(),), {"num_outputs": 3, "axis": 1}, graph_at(13), outputs=3).attributes.keys() == {"axis"}
    assert spell("Split", (tensor(),), {"axis": 1}, graph_at(18), outputs=3).attribute("num_outputs") == 3
    assert spell("GridSample", (tensor(), tensor()), {"mode": "cubic"}, graph_at(16)).attribute("mode") == "bicubic"


def test_equal_attributes_are_one_constant_until_it_is_taken() -> None:
    graph = graph_at(11)
    nodes = [placed(Node("Squeeze", (tensor(),), 1, {"axes": Attribute.of([0])}), graph) for _ in range(2)]
    first = neutral_inputs(nodes[0])[1]
    assert first is not None
    assert neutral_inputs(nodes[0])[1] is first
    assert neutral_inputs(nodes[1])[1] is first
    assert first.producer is None
    assert first.graph is None
    Editor(graph.model).adopt_initializer(graph, first)
    second = neutral_inputs(nodes[1])[1]
    assert second is not None
    assert second is not first
    positive, negative = (
        neutral_inputs(placed(Node("Clip", (tensor(),), 1, {"min": Attribute.of(zero)}), graph_at(7)))[1] for zero in (0.0, -0.0)
    )
    assert positive is not negative


def test_defaults_of_the_nodes_own_opset() -> None:
    graph = graph_at(11)
    node = placed(Node("Softmax", (tensor((2, 3)),)), graph)
    assert neutral_attribute(node, "axis") == 1
    assert has_neutral_form(node)
    assert not has_neutral_form(placed(Node("Softmax", (tensor((2, 3, 4)),)), graph))
    assert has_neutral_form(placed(Node("Softmax", (tensor((2, 3, 1)),)), graph))
    assert neutral_attribute(placed(Node("Softmax", (tensor(),)), graph_at(13)), "axis") == -1
    roi = placed(Node("RoiAlign", (tensor(), tensor(), tensor())), graph_at(10))
    assert neutral_attribute(roi, "coordinate_transformation_mode") == "output_half_pixel"
    split = placed(Node("Split", (tensor(),), 3), graph_at(11))
    assert neutral_attribute(split, "num_outputs") == 3
    grid = placed(Node("GridSample", (tensor(), tensor())), graph_at(16))
    assert neutral_attribute(grid, "mode") == "linear"
    assert neutral_attribute(placed(Node("Squeeze", (tensor(),), 1, {"axes": Attribute.of([0])}), graph), "axes") is None


def test_the_old_defaults_of_clip_are_numbers_of_float32() -> None:
    """Of float32 they are what an absent bound stands for; float16 has no such numbers, and of float64 they are some among others."""
    clip = placed(Node("Clip", (tensor(),)), graph_at(7))
    assert neutral_inputs(clip) == (clip.inputs[0],)
    half = neutral_inputs(placed(Node("Clip", (tensor(dtype=DType.float16),), 1, {"min": Attribute.of(-1.0)}), graph_at(7)))
    assert [value.const.item() for value in half[1:] if value is not None and value.const is not None] == [-1, float("inf")]
    assert not has_neutral_form(placed(Node("Clip", (Value("x"),)), graph_at(7)))
    double = neutral_inputs(placed(Node("Clip", (tensor(dtype=DType.float64),)), graph_at(7)))[2]
    assert double is not None
    assert double.dtype is DType.float64
    assert double.const is not None
    assert double.const.item() == versions.FLOAT_MAX


def that_is_read(name: str) -> Value:
    value = Value(name)
    value.users[Node("Not", (value,))] = 1
    return value


@pytest.mark.parametrize(
    ("node", "opset"),
    [
        (Node("BatchNormalization", [tensor()] * 5, 1, {"spatial": Attribute.of(0)}), 7),
        (Node("BatchNormalization", [tensor()] * 5, 5), 9),
        (Node("Resize", (tensor(), const([1, 1, 0.5], SINGLE))), 10),
        (Node("OneHot", (tensor(), tensor(), tensor())), 9),
        (Node("ConvTranspose", (tensor(), tensor()), 1, {"auto_pad": Attribute.of("SAME_UPPER")}), 10),
        (Node("Upsample", (tensor(), tensor())), 11),
        (Node("Add", (tensor(), tensor())), 6),
        (Node("Relu", (tensor(),)), NEWEST + 1),
        (Node("NoSuch", (tensor(),)), 17),
        (Node("Squeeze", (tensor(),), 1, {"axes": Attribute(AttributeKind.ints, None, reference="axes")}), 11),
        (Node("Dropout", (tensor(),), [Value("y"), that_is_read("mask")]), 7),
    ],
    ids=lambda part: part.op if isinstance(part, Node) else str(part),
)
def test_what_the_newest_spelling_cannot_say_matches_nothing(node: Node, opset: int) -> None:
    assert not has_neutral_form(placed(node, graph_at(opset)))


def test_attributes_that_are_there() -> None:
    node = placed(Node("Gemm", (tensor(), tensor()), 1, {"alpha": Attribute.of(2.0), "transB": Attribute.of(1)}), graph_at(17))
    assert neutral_attributes(node) == {"alpha": 2.0, "transB": 1}
    assert neutral_attributes(node, "transA", "transB") == {"transB": 1}


def test_references_are_unknown() -> None:
    node = placed(Node("Concat", (tensor(),), 1, {"axis": Attribute(AttributeKind.int, None, reference="a")}), graph_at(17))
    assert neutral_attribute(node, "axis") is UNKNOWN
    assert has_neutral_form(node)
