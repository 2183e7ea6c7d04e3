"""Big tensors stay outside of protobuf, on the way in and on the way out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from graphopt.io import load, save, to_proto
from graphopt.io.wire import to_varint
from graphopt.ir import FileSlice, verify
from tests.io import protos


def nested() -> onnx.ModelProto:
    """Big tensors in every place that can hold one."""
    branch = protos.graph(
        [protos.node("Add", ["x", "inner"], ["t"]), protos.node("Constant", [], ["c"], value=protos.tensor("", 300, 300, seed=1))],
        (), [protos.value("t", 300, 300)], [protos.tensor("inner", 300, 300, seed=2)], "branch",
    )  # fmt: skip
    sparse = helper.make_sparse_tensor(protos.tensor("sparse", 70000, seed=3), helper.make_tensor("i", 7, [70000], range(70000)), [80000])
    function = helper.make_function(
        "local", "F", ["a"], ["b"],
        [protos.node("Constant", [], ["k"], value=protos.tensor("k", 300, 300, seed=4)), protos.node("Add", ["a", "k"], ["b"])],
        [helper.make_opsetid("", 18)],
    )  # fmt: skip
    lists = protos.node("Blob", ["x"], ["u"], domain="strange", parts=[protos.tensor("p", 300, 300, seed=5), protos.tensor("q", 4)])
    nodes = [
        protos.node("If", ["flag"], ["y"], then_branch=branch, else_branch=branch),
        protos.node("F", ["x"], ["z"], domain="local"),
        lists,
        protos.node("Constant", [], ["s"], sparse_value=sparse),
    ]
    flag = helper.make_tensor_value_info("flag", onnx.TensorProto.BOOL, [])
    graph = protos.graph(nodes, [protos.value("x", 300, 300), flag], [protos.value("y", 300, 300)], [protos.tensor("w", 300, 300, seed=6)])
    graph.sparse_initializer.append(sparse)
    model = protos.model(graph, functions=[function])
    model.opset_import.extend([helper.make_opsetid("local", 1), helper.make_opsetid("strange", 1)])
    training = model.training_info.add()
    step = protos.node("Add", ["w", "g"], ["w2"])
    training.algorithm.CopyFrom(protos.graph([step], name="train", initializers=[protos.tensor("g", 300, 300)]))
    return model


def test_big_tensors_come_back_from_every_place(tmp_path: Path) -> None:
    before = nested()
    path = tmp_path / "in.onnx"
    onnx.save(before, path)
    for source in (path, path.read_bytes(), before):
        model = load(source)
        verify(model)
        assert to_proto(model) == before
        save(model, tmp_path / "out.onnx")
        assert onnx.load(tmp_path / "out.onnx") == before


def test_only_the_small_parts_go_through_protobuf(tmp_path: Path) -> None:
    path = tmp_path / "in.onnx"
    onnx.save(protos.big(), path)
    model = load(path)
    weights = [value.tensor for value in model.graph.initializers.values()]
    assert all(tensor is not None and isinstance(tensor.storage, FileSlice) for tensor in weights)
    assert to_proto(model, weights=False).ByteSize() < 1000


def test_without_weights_types_shapes_and_small_tensors_stay() -> None:
    before = protos.big(2)
    before.graph.initializer.append(protos.tensor("small", 3))
    after = to_proto(load(before), weights=False)
    assert [(each.name, list(each.dims), each.data_type, len(each.raw_data)) for each in after.graph.initializer] == [
        ("w0", [512, 512], 1, 0),
        ("w1", [512, 512], 1, 0),
        ("small", [3], 1, 12),
    ]
    assert len(before.graph.initializer[0].raw_data) == 1 << 20  # the caller's message is as it was


def test_the_same_field_twice_is_merged_as_protobuf_merges_it(tmp_path: Path) -> None:
    """A singular message that occurs twice is one message; so says the wire format."""
    one, two = protos.big(1), protos.big(2)
    del two.graph.input[:], two.graph.output[:]
    del two.graph.node[0], two.graph.initializer[0]
    (tmp_path / "in.onnx").write_bytes(one.SerializeToString() + two.SerializeToString())
    before = onnx.load(tmp_path / "in.onnx")
    assert len(before.graph.node) == 2
    before.opset_import.pop()  # repeated: the concatenation has it twice
    after = to_proto(load(tmp_path / "in.onnx"))
    after.opset_import.pop()
    assert after == before


def test_unknown_fields_and_groups_are_carried(tmp_path: Path) -> None:
    """What a later ONNX may add to any message, as a number, text, fixed width and even a group."""
    unknown = b"".join((
        to_varint(900 << 3 | 0), to_varint(300),
        to_varint(901 << 3 | 2), to_varint(3), b"abc",
        to_varint(902 << 3 | 1), bytes(range(8)),
        to_varint(903 << 3 | 5), bytes(range(4)),
        to_varint(904 << 3 | 3), to_varint(7 << 3), to_varint(1), to_varint(904 << 3 | 4),
    ))  # fmt: skip
    for before in (protos.big(), protos.model(protos.graph([protos.node("Relu", ["x"], ["y"])], [protos.value("x")], [protos.value("y")]))):
        for part in (before, before.graph, before.graph.node[0], *before.graph.initializer, before.graph.input[0]):
            part.MergeFromString(unknown)
        path = tmp_path / "in.onnx"
        path.write_bytes(before.SerializeToString())
        for source in (path, before):
            assert to_proto(load(source)) == before
            save(load(source), tmp_path / "out.onnx")
            assert onnx.load(tmp_path / "out.onnx") == before


def test_a_file_of_more_than_2_gib_is_read(tmp_path: Path) -> None:
    """Protobuf itself takes no such message. The file is sparse: it takes no space on the disk."""
    path = tmp_path / "huge.onnx"
    count = (1 << 29) + 5
    write_huge(path, count)
    tensor = load(path).graph.initializers["w"].tensor
    assert tensor is not None
    assert tensor.shape == (count,)
    assert tensor.numpy()[-1] == np.float32(1.5)


@pytest.mark.slow
def test_a_model_of_more_than_2_gib_gets_a_data_file(tmp_path: Path) -> None:
    path, out = tmp_path / "huge.onnx", tmp_path / "out.onnx"
    count = (1 << 29) + 5
    write_huge(path, count)
    save(load(path), out)
    assert out.stat().st_size < 1000
    assert (tmp_path / "out.onnx.data").stat().st_size == 4 * count
    tensor = load(out).graph.initializers["w"].tensor
    assert tensor is not None
    assert tensor.numpy()[-1] == np.float32(1.5)


def write_huge(path: Path, count: int) -> None:
    """A model with one float32 tensor of `count` elements: zeros, and 1.5 at the end."""
    before = protos.model(protos.graph([protos.node("Relu", ["w"], ["y"])], (), [protos.value("y", count)]))
    header = onnx.TensorProto(name="w", data_type=protos.FLOAT, dims=[count]).SerializeToString()
    length = 4 * count
    tensor_head = header + b"\x4a" + to_varint(length)  # 0x4a: the key of raw_data
    tensor_field = b"\x2a" + to_varint(len(tensor_head) + length) + tensor_head  # 0x2a: the key of initializer
    graph = before.graph.SerializeToString()
    before.ClearField("graph")
    with path.open("wb") as file:
        file.write(before.SerializeToString() + b"\x3a" + to_varint(len(graph) + len(tensor_field) + length) + graph + tensor_field)
        file.seek(length - 4, os.SEEK_CUR)
        file.write(np.float32(1.5).tobytes())
