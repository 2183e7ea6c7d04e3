"""The passes that look at a whole graph: what they may not touch, what they tell, and that they stay linear."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper, numpy_helper

from graphopt import io
from graphopt.infer import infer_model
from graphopt.ir import FileSlice, Model, Storage
from graphopt.passes import PLUGIN, merge_equal_initializers
from graphopt.passes.deferred import hash_of
from graphopt.passes.eliminate_common_subexpressions import EliminateCommonSubexpressions
from graphopt.passes.eliminate_dead_nodes import EliminateDeadNodes
from graphopt.passes.lift_constants import LiftConstants
from graphopt.passes.merge_equal_initializers import MergeEqualInitializers
from graphopt.pipeline.base import Context, Pass
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.registry import installed
from graphopt.pipeline.runner import run_pipeline
from tests.passes.models import Told, before_and_after, ops, parse, run

HEADER = '<ir_version: 10, opset_import: ["" : 20, "my" : 1]>\n'
WHOLE_GRAPH: list[Pass] = [EliminateDeadNodes(), EliminateCommonSubexpressions(), MergeEqualInitializers(), LiftConstants()]
DUPLICATES = HEADER + """
g (bool c, float[2] x) => (float[2] y, float[2] z) <float[2] a = {1, 2}, float[2] b = {1, 2}, float[2] unread = {0, 0}> {
   k = Constant<value = float[2] {1, 2}>()
   dead = Exp(x)
   s = Add(x, a)
   t = Add(x, b)
   y = Mul(s, t)
   z = If (c) <
      then_branch = yes () => (float[2] p) <float[2] d = {1, 2}> { q = Add(x, k) r = Add(q, d) p = Mul(r, q) },
      else_branch = no () => (float[2] u) { v = Add(x, a) u = Neg(v) }>
}"""


def test_what_a_quantization_annotation_names_stays() -> None:
    """A scale that no node reads, one that equals another, and one that folding could leave without readers."""
    message = onnx.parser.parse_model(HEADER + """
    g (float[2] x) => (float[2] y) <float unread = {1}, float equal = {2}, float folded = {2}> {
        t = Neg(folded) s = Mul(x, t) y = Div(s, equal)
    }""")
    for name, scale in (("x", "unread"), ("s", "equal"), ("y", "folded")):
        entry = message.graph.quantization_annotation.add(tensor_name=name).quant_parameter_tensor_names.add()
        entry.key, entry.value = "SCALE_TENSOR", scale
    model = io.load(message)
    run_pipeline(Pipeline.parse("level1"), model)
    assert ops(model.graph) == ["Mul", "Div"]
    assert io.to_proto(model).graph.quantization_annotation == message.graph.quantization_annotation


@pytest.mark.parametrize("condition", [False, True])
def test_together_they_keep_the_results(condition: bool) -> None:
    """Bit for bit, and a second run finds nothing left to do."""
    feeds = {"c": np.array(condition), "x": np.array([0.5, -3], np.float32)}
    before, after, model = before_and_after(onnx.parser.parse_model(DUPLICATES), feeds, *WHOLE_GRAPH[::-1])
    assert [array.tobytes() for array in before] == [array.tobytes() for array in after]
    assert sorted(ops(model.graph)) == ["Add", "Add", "If", "Mul", "Mul", "Neg"]
    assert run(model, *WHOLE_GRAPH) == 0


@pytest.mark.parametrize("step", WHOLE_GRAPH, ids=lambda step: step.name)
def test_an_observer_may_forbid_everything(step: Pass) -> None:
    """Bisection relies on it: nothing is changed before the observer has agreed, and what is made is told."""
    model, told = parse(DUPLICATES), Told(lambda source, node: False)
    was = [(node.op, node.inputs) for node in model.nodes()]
    assert run(model, step, observer=told) == 0
    assert [(node.op, node.inputs) for node in model.nodes()] == was
    assert not told.made


@pytest.mark.parametrize("step", WHOLE_GRAPH, ids=lambda step: step.name)
def test_what_is_made_is_told(step: Pass) -> None:
    model, told = parse(DUPLICATES), Told()
    changes = run(model, step, observer=told)
    assert changes == len(told.made) > 0
    assert {source for source, _ in told.made} == {step.name}


def test_the_second_of_two_equal_nodes_is_remembered() -> None:
    message = onnx.parser.parse_model(HEADER + "g (float[2] x) => (float[2] y) { a = Exp(x) b = Exp(x) y = Add(a, b) }")
    message.graph.node[0].name, message.graph.node[1].name = "first", "second"
    message.graph.node[0].metadata_props.add(key="from", value="one")
    message.graph.node[1].metadata_props.add(key="from", value="two")
    model = io.load(message)
    infer_model(model)
    run(model, EliminateCommonSubexpressions())
    node = next(iter(model.graph))
    assert (node.name, node.replaces, node.metadata) == ("first", ("second",), {"from": "one"})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("LeakyRelu<alpha = 0.1>(x)", "LeakyRelu<alpha = 0.2>(x)"),
        ("Max(x, z)", "Max(z, x)"),  # of +0 and -0 either may come out
        ("Sum(x, z, z)", "Sum(z, x, z)"),  # rounds otherwise
        ("Clip(x, a)", "Clip(x, , a)"),
        ("RandomNormalLike<seed = 1.0>(x)", "RandomNormalLike<seed = 1.0>(x)"),
        ("my.Add(x, z)", "my.Add(x, z)"),
    ],
)
def test_what_is_not_the_same(first: str, second: str) -> None:
    text = f"g (float[2] x, float[2] z, float a) => (float[2] y) {{ s = {first} t = {second} y = Add(s, t) }}"
    assert run(parse(HEADER + text), EliminateCommonSubexpressions()) == 0


def test_legacy_broadcasting_does_not_commute() -> None:
    text = """<ir_version: 3, opset_import: ["" : 6]>
    g (float[2,3] x, float[2,3] z) => (float[2,3] y) { s = Add<broadcast = 1>(x, z) t = Add<broadcast = 1>(z, x) y = Mul(s, t) }"""
    assert run(parse(text), EliminateCommonSubexpressions()) == 0


def test_not_into_bodies_of_which_nothing_is_known() -> None:
    """A subgraph of an unknown operator may not be able to read what is around it."""
    body = helper.make_graph(
        [helper.make_node("Exp", ["x"], ["q"])], "body", [], [helper.make_tensor_value_info("q", 1, [2])],
        [numpy_helper.from_array(np.array([1, 2], np.float32), "d")],
    )  # fmt: skip
    body.node.append(helper.make_node("Add", ["q", "d"], ["r"]))
    body.output[0].name = "r"
    message = onnx.parser.parse_model(HEADER + "g (float[2] x) => (float[2] y) <float[2] a = {1, 2}> { s = Exp(x) y = Add(s, a) }")
    message.graph.node.append(helper.make_node("Map", ["x"], ["z"], domain="my", body=body))
    message.graph.output.append(helper.make_tensor_value_info("z", 1, [2]))
    model = io.load(message)
    infer_model(model)
    assert run(model, EliminateCommonSubexpressions(), MergeEqualInitializers()) == 0


def test_equal_sequences_that_are_both_outputs_stay() -> None:
    """An Identity of a sequence is legal only from opset 14 on."""
    text = """<ir_version: 7, opset_import: ["" : 11]>
    g (float[2] x) => (seq(float[2]) y, seq(float[2]) z) { y = SequenceConstruct(x) z = SequenceConstruct(x) }"""
    told = Told()
    assert run(parse(text), EliminateCommonSubexpressions(), observer=told) == 0
    assert "would have to keep its name: Identity-1 takes no seq" in told.refused[0][1]


def weights(path: Path, *arrays: npt.NDArray[Any]) -> Model:
    """A model that reads these weights, in a file."""
    names = [f"w{index}" for index in range(len(arrays))]
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], [f"y_{name}"]) for name in names], "g", [],
        [helper.make_tensor_value_info(f"y_{name}", helper.np_dtype_to_tensor_dtype(array.dtype), list(array.shape))
         for name, array in zip(names, arrays, strict=True)],
        [numpy_helper.from_array(array, name) for name, array in zip(names, arrays, strict=True)],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return io.load(path)


def test_weights_are_read_only_where_samples_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a weight that differs from the others in type or shape not even a sample is read; a hash is taken of two equal ones alone."""
    one = np.arange(1 << 19, dtype=np.float32)
    model = weights(tmp_path / "m.onnx", one, one.copy(), one[::-1].copy(), one.astype(np.int16), one[:-1].copy())
    looked: list[int] = []
    hashed: list[int] = []
    view = FileSlice.view

    def look(storage: FileSlice) -> memoryview:
        looked.append(storage.nbytes)
        return view(storage)

    def hash_it(storage: Storage) -> bytes:
        hashed.append(storage.nbytes)
        return hash_of(storage)

    monkeypatch.setattr(FileSlice, "view", look)
    monkeypatch.setattr(merge_equal_initializers, "hash_of", hash_it)
    assert run(model, MergeEqualInitializers()) == 1
    assert hashed == [one.nbytes, one.nbytes]
    assert set(looked) == {one.nbytes}
    assert list(model.graph.initializers) == ["w0", "w2", "w3", "w4"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.array([0.0, 1], np.float32), np.array([-0.0, 1], np.float32)),
        (np.array([0x7FC00000], np.uint32).view(np.float32), np.array([0x7FC00001], np.uint32).view(np.float32)),
        (np.zeros(4, np.int8), np.zeros(4, np.uint8)),
        (np.zeros((2, 2), np.int8), np.zeros(4, np.int8)),
        (np.concatenate([np.zeros(5000), [1], np.zeros(5000)]), np.concatenate([np.zeros(5000), [2], np.zeros(5000)])),
        (np.array(["ab", "c"], object), np.array(["a", "bc"], object)),
    ],
    ids=["zeros", "nans", "types", "shapes", "outside the sample", "strings"],
)
def test_what_differs_in_a_bit_is_not_equal(one: npt.NDArray[Any], other: npt.NDArray[Any], tmp_path: Path) -> None:
    assert run(weights(tmp_path / "m.onnx", one, other), MergeEqualInitializers()) == 0
    assert run(weights(tmp_path / "n.onnx", one, one.copy()), MergeEqualInitializers()) == 1


def test_large_weights_of_a_message_are_stored_once(tmp_path: Path) -> None:
    """A model that was not read from a file: its weights lie in its messages."""
    one = np.arange(1 << 18, dtype=np.float32)
    weights(tmp_path / "m.onnx", one, one.copy())
    message = onnx.load(tmp_path / "m.onnx")
    assert run(io.load(message), MergeEqualInitializers()) == 1


def chain(length: int) -> Model:
    """Relu after Neg after Relu ..., each twice, with as many equal constants."""
    nodes, held, last = [], [], "x"
    for index in range(length):
        nodes += [helper.make_node("Add", [last, f"c{index}"], [f"{kind}{index}"]) for kind in "ab"]
        nodes.append(helper.make_node("Mul", [f"a{index}", f"b{index}"], [f"m{index}"]))
        nodes.append(helper.make_node("Exp", [f"m{index}"], [f"d{index}"]))  # dead
        held.append(numpy_helper.from_array(np.array([index % 7], np.float32), f"c{index}"))
        last = f"m{index}"
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [info("x", 1, [1])], [info(last, 1, [1])], held)
    return io.load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))


@pytest.mark.parametrize("step", WHOLE_GRAPH, ids=lambda step: step.name)
def test_work_is_linear(step: Pass) -> None:
    """Eight times the nodes take eight times the calls of functions, whether there is something to do or not; no clock is asked."""
    def calls(length: int) -> int:
        model, count = chain(length), 0

        def counting(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(counting)
        try:
            step.run(model.graph, Context(model))
            step.run(model.graph, Context(model))
        finally:
            sys.setprofile(None)
        return count

    few = calls(100)
    assert calls(800) < 9 * few


def test_every_pass_says_what_it_does() -> None:
    """Each is found through the entry point under its own name, lives in a module of that name, and is documented."""
    registry = installed()
    for name in PLUGIN.passes:
        found = registry.find(name)
        assert found is not None
        assert found.name == name
        assert found.__module__ == f"graphopt.passes.{name.replace('-', '_')}"
        assert all(f"\n    {word}:" in (found.__doc__ or "") for word in ("Before", "After", "Keeps")), name
        assert any(word in (found.__doc__ or "") for word in ("xact", "ounding", "pproximate")), name


def test_equal_weights_fuse_before_they_are_merged() -> None:
    """Two convolutions with equal weights, each with a normalization of its own: both are gone after level 1."""
    random = np.random.default_rng(0)
    w = random.standard_normal((64, 64, 3, 3)).astype(np.float32)
    held = [numpy_helper.from_array(w, name) for name in ("w0", "w1")]
    nodes = []
    for index in range(2):
        names = [f"{name}{index}" for name in ("scale", "shift", "mean", "var")]
        held += [numpy_helper.from_array(random.uniform(1, 2, 64).astype(np.float32), name) for name in names]
        nodes.append(helper.make_node("Conv", ["x", f"w{index}"], [f"t{index}"]))
        nodes.append(helper.make_node("BatchNormalization", [f"t{index}", *names], [f"y{index}"]))
    info = helper.make_tensor_value_info
    outputs = [info(f"y{index}", 1, [1, 64, 2, 2]) for index in range(2)]
    graph = helper.make_graph(nodes, "g", [info("x", 1, [1, 64, 4, 4])], outputs, held)
    model = io.load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))
    run_pipeline(Pipeline.of_levels(1), model)
    assert ops(model.graph) == ["Conv", "Conv"]
