"""Every element type, from raw bytes and from typed fields, is what onnx itself makes of it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from graphopt.errors import ModelError
from graphopt.io import load, tensor_to_proto, to_proto
from graphopt.ir import DType, Tensor
from graphopt.ir.tensor import Array
from tests.io import protos

TYPES = [kind for kind in DType if kind not in (DType.undefined, DType.string) and kind.name in DType.__members__]
KNOWN = [kind for kind in TYPES if int(kind) in onnx.TensorProto.DataType.values()]


def read(message: onnx.TensorProto) -> Tensor:
    message.name = "w"
    tensor = load(protos.model(protos.graph([], (), [protos.value("w")], [message]))).graph.initializers["w"].tensor
    assert tensor is not None
    return tensor


def some(kind: DType, count: int) -> Array:
    """Elements of a type of whole bytes, with bit patterns from 0 upwards."""
    if kind is DType.bool:
        return np.asarray(np.arange(count) % 3 == 0)
    return np.arange(count * kind.bits // 8, dtype=np.uint8).view(kind.numpy)


@pytest.mark.parametrize("kind", KNOWN, ids=str)
def test_raw_data(kind: DType) -> None:
    count = 5
    raw = np.arange((count * kind.bits + 7) // 8, dtype=np.uint8).tobytes() if kind is not DType.bool else bytes([1, 0, 1, 1, 0])
    message = onnx.TensorProto(data_type=int(kind), dims=[count], raw_data=raw)
    tensor = read(message)
    assert (tensor.dtype, tensor.shape, tensor.nbytes) == (kind, (count,), len(raw))
    assert bytes(tensor.storage.view()) == raw
    expected = numpy_helper.to_array(message)
    assert tensor.numpy().astype(expected.dtype).tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", KNOWN, ids=str)
def test_typed_fields(kind: DType) -> None:
    raw = onnx.TensorProto(data_type=int(kind), dims=[4], raw_data=np.arange((4 * kind.bits + 7) // 8, dtype=np.uint8).tobytes())
    if kind is DType.bool:
        raw.raw_data = bytes([1, 0, 1, 1])
    elements = np.frombuffer(raw.raw_data, np.uint8)
    message = onnx.TensorProto(data_type=int(kind), dims=[4])
    if kind in (DType.float32, DType.complex64):
        message.float_data.extend(elements.view(np.float32).tolist())
    elif kind in (DType.float64, DType.complex128):
        message.double_data.extend(elements.view(np.float64).tolist())
    elif kind is DType.int64:
        message.int64_data.extend(elements.view(np.int64).tolist())
    elif kind in (DType.uint64, DType.uint32):
        message.uint64_data.extend(elements.view(kind.numpy).tolist())
    elif kind.bits == 6:  # one element an entry, onnx.proto says
        message.int32_data.extend([0, 4, 32, 0])
        raw.raw_data = (0 | 4 << 6 | 32 << 12).to_bytes(3, "little")
    elif kind in (DType.int8, DType.int16, DType.int32):
        message.int32_data.extend(elements.view(kind.numpy).tolist())
    else:  # bit patterns of one element, or of all that share a byte
        message.int32_data.extend(elements.view(f"u{max(kind.bits // 8, 1)}").tolist())
    tensor = read(message)
    assert bytes(tensor.storage.view()) == raw.raw_data
    assert tensor.same(read(raw))
    assert tensor_to_proto(tensor) == message  # the fields stay as they were


def test_negative_numbers_in_narrow_typed_fields() -> None:
    assert read(helper.make_tensor("w", onnx.TensorProto.INT8, [3], [-1, -128, 127])).numpy().tolist() == [-1, -128, 127]
    assert read(helper.make_tensor("w", onnx.TensorProto.INT16, [2], [-1, -32768])).numpy().tolist() == [-1, -32768]


def test_strings() -> None:
    message = onnx.TensorProto(name="w", data_type=onnx.TensorProto.STRING, dims=[2, 1], string_data=["ä".encode(), b"\xff"])
    tensor = read(message)
    assert tensor.numpy().tolist() == [["ä"], [b"\xff"]]
    assert tensor_to_proto(tensor) == message


def test_new_tensors_are_written() -> None:
    for kind in KNOWN:
        if kind.bits >= 8:
            tensor = Tensor.of(some(kind, 6).reshape(2, 3), kind)
            again = read(tensor_to_proto(tensor, "w"))
            assert again.same(tensor)
    strings = tensor_to_proto(Tensor.of(["a", "b"]), "s")
    assert (strings.name, list(strings.string_data)) == ("s", [b"a", b"b"])


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ({"value": helper.make_tensor("", 1, [2], [1.0, 2.0])}, np.array([1, 2], np.float32)),
        ({"value_int": 3}, np.array(3)),
        ({"value_ints": [3, 4]}, np.array([3, 4])),
        ({"value_float": 0.5}, np.array(0.5, np.float32)),
        ({"value_floats": [0.5]}, np.array([0.5], np.float32)),
        ({"value_string": "a"}, np.array("a", object)),
        ({"value_strings": ["a", "b"]}, np.array(["a", "b"], object)),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_constants_are_known_however_they_are_spelled(attribute: dict[str, object], expected: Array) -> None:
    model = load(protos.model(protos.graph([protos.node("Constant", [], ["c"], **attribute)], (), [protos.value("c")])))
    tensor = model.graph.outputs[0].const
    assert tensor is not None
    assert tensor.numpy().dtype == expected.dtype
    assert np.array_equal(tensor.numpy(), expected)


def test_an_empty_list_is_a_constant_without_elements() -> None:
    empty = protos.node("Constant", [], ["c"])
    empty.attribute.add(name="value_ints", type=onnx.AttributeProto.INTS)
    tensor = load(protos.model(protos.graph([empty], (), [protos.value("c")]))).graph.outputs[0].const
    assert tensor is not None
    assert (tensor.dtype, tensor.shape) == (DType.int64, (0,))


def test_what_a_function_passes_on_is_not_known() -> None:
    reference = protos.node("Constant", [], ["c"])
    reference.attribute.add(name="value_float", type=onnx.AttributeProto.FLOAT, ref_attr_name="alpha")
    function = helper.make_function("local", "F", [], ["c"], [reference], [helper.make_opsetid("", 18)], ["alpha"])
    call = protos.node("F", [], ["y"], domain="local", alpha=1.0)
    before = protos.model(protos.graph([call], (), [protos.value("y")]), functions=[function])
    model = load(before)
    held = model.functions["local", "F", ""].graph.outputs[0]
    assert held.const is None
    assert to_proto(model) == before


def test_a_tensor_without_data_is_an_error_when_it_is_read() -> None:
    tensor = read(onnx.TensorProto(name="w", data_type=1, dims=[3]))
    with pytest.raises(ModelError, match=r"tensor 'w': 12 bytes are needed for its shape and type, it holds 0"):
        tensor.numpy()
