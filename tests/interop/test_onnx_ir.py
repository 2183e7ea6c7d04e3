"""Models of onnx-ir: what comes back, that no weight is copied or read, and that optimizing one gives one that computes the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

import graphopt
from graphopt.errors import ModelError, SpecError
from graphopt.interop import from_onnx_ir, to_onnx_ir
from graphopt.io import load, save, to_proto
from graphopt.ir import verify
from graphopt.ir.model import Model
from graphopt.ir.tensor import Tensor
from tests.interop.held import held_by_onnx_ir as held
from tests.interop.kinds import IDENTITY, every_type, heavy, kinds, parsed

ir = pytest.importorskip("onnx_ir")

DATA = Path(__file__).parent.parent / "data"
CASES = sorted((DATA / "cases").rglob("*.onnx"))
REFUSED = {"sparse_constant"}
SKELETONS = sorted((DATA / "io").glob("*.onnx"))
KNOWN = [int(kind) for kind in ir.DataType]
KINDS = {**dict(kinds()), "element-types": every_type(4, KNOWN), "long-element-types": every_type(4096, KNOWN)}
if "metadata_props" not in {part.name for part in TensorProto.DESCRIPTOR.fields}:
    del KINDS["metadata"]


def there_and_back(model: Model) -> Model:
    made = from_onnx_ir(to_onnx_ir(model))
    verify(made)
    return made


@pytest.mark.parametrize("path", [path for path in CASES if path.parent.name not in REFUSED], ids=lambda path: path.parent.name)
def test_a_model_comes_back_as_it_went(path: Path) -> None:
    assert held(to_proto(there_and_back(load(path)))) == held(onnx.load(path))


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_model_comes_back(name: str) -> None:
    before = KINDS[name]
    assert held(to_proto(there_and_back(load(before)))) == held(before)


@pytest.mark.parametrize("path", SKELETONS, ids=lambda path: path.stem)
def test_models_of_other_tools_come_back_as_well(path: Path) -> None:
    """Nested subgraphs, captures, doc strings everywhere; the weights lie in a file that is not there, and stay references to it."""
    before = onnx.load(path, load_external_data=False)
    assert held(to_proto(there_and_back(load(path, check_external=False)))) == held(before)


@pytest.mark.parametrize(("before", "words"), [
    (onnx.load(DATA / "cases/sparse_constant/model.onnx"), "cannot hold the attribute 'sparse_value' of kind SPARSE_TENSOR"),
    (parsed("g (map(int64, float[3]) m) => (float[3] y) { y = own.Look(m) }"), "cannot hold the value 'm', of the kind map_type"),
    (parsed("g (seq(map(int64, float[3])) m) => (float[3] y) { y = own.Look(m) }"), "cannot hold the value 'm', of the kind map_type"),
], ids=["sparse", "map", "maps"])
def test_what_would_be_lost_without_a_word_is_refused(before: ModelProto, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        to_onnx_ir(load(before))


def test_a_model_that_onnx_ir_cannot_write_is_the_models_fault() -> None:
    x = ir.Value(name="x", shape=ir.Shape([3]), type=ir.TensorType(ir.DataType.FLOAT))
    sparse = ir.Attr("value", ir.AttributeType.SPARSE_TENSOR, object())
    node = ir.Node("own", "Take", [x], [sparse])
    node.outputs[0].name = "y"
    made = ir.Model(ir.Graph([x], node.outputs, nodes=[node], opset_imports={"": 20, "own": 1}, name="sparse"), ir_version=10)
    # The last words are onnx-ir's own, passed on as they are: it says what it cannot write, and graphopt of which model.
    with pytest.raises(ModelError, match=r"the model 'sparse' cannot be written by onnx-ir: NotImplementedError: Sparse tensors"):
        from_onnx_ir(made)


# ---- weights


def tensors(model: Model) -> Iterator[Tensor]:
    for graph in model.graphs():
        yield from (value.tensor for value in graph.initializers.values() if value.tensor is not None)
        yield from (held.value for node in graph for held in node.attributes.values() if isinstance(held.value, Tensor))


def test_weights_stay_where_they_are_there_and_back() -> None:
    """An initializer's, a Constant's and one in a branch: what comes back reads the storage that the model had."""
    model = load(heavy().SerializeToString())
    back = there_and_back(model)
    pairs = [(old, new) for old, new in zip(tensors(model), tensors(back), strict=True) if old.nbytes >= 1024]
    assert len(pairs) == 3
    assert all(old.storage is new.storage for old, new in pairs)


def test_nothing_of_a_file_is_read_before_somebody_asks(tmp_path: Path) -> None:
    """The data file is taken away after loading: names and shapes still pass, and reading the bytes says what is wrong."""
    path = tmp_path / "model.onnx"
    onnx.save(heavy(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    model = load(path)
    (tmp_path / "weights.bin").unlink()
    back = there_and_back(model)
    weight = next(tensor for tensor in tensors(back) if tensor.shape == (64, 64))
    with pytest.raises(ModelError, match=r"weights\.bin"):
        weight.numpy()


def test_a_tensor_of_onnx_ir_comes_back_as_the_object_that_it_was() -> None:
    array = np.arange(1024, dtype=np.float32)
    given = ir.from_proto(parsed("g (float[1024] x) => (float[1024] y) <float[1] w = {0}> { y = Add(x, w) }"))
    given.graph.initializers["w"].const_value = weight = ir.Tensor(array, name="w")
    model = from_onnx_ir(given)
    inside = model.graph.initializers["w"].tensor
    assert inside is not None
    assert np.shares_memory(inside.numpy(), array)
    assert to_onnx_ir(model).graph.initializers["w"].const_value is weight


def test_arrays_are_made_when_they_are_read_and_hold_what_was_there() -> None:
    before = heavy()
    made = to_onnx_ir(load(before))
    weight = made.graph.initializers["w"].const_value
    assert isinstance(weight, ir.LazyTensor)
    np.testing.assert_array_equal(weight.numpy(), numpy_helper.to_array(before.graph.initializer[0]))
    assert weight.tobytes() == before.graph.initializer[0].raw_data
    assert ir.to_proto(made).graph.initializer[0].raw_data == before.graph.initializer[0].raw_data


@pytest.mark.parametrize("name", ["element-types", "long-element-types"])
def test_elements_of_every_type_read_the_same_in_both(name: str) -> None:
    model = load(KINDS[name])
    made = to_onnx_ir(model)
    for key, value in model.graph.initializers.items():
        ours, theirs = value.tensor, made.graph.initializers[key].const_value
        assert ours is not None
        assert theirs is not None
        if "string" in key:
            assert list(theirs.numpy().reshape(-1)) == [element.encode() for element in ours.numpy()]
        else:
            assert bytes(ours.storage.view()) == theirs.tobytes()


def test_external_tensors_of_onnx_ir_are_read_through_it(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    before = heavy()
    onnx.save(before, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    given = ir.load(path)
    assert isinstance(given.graph.initializers["w"].const_value, ir.ExternalTensor)
    model = from_onnx_ir(given)
    save(model, tmp_path / "again.onnx")
    assert onnx.load(tmp_path / "again.onnx").graph.initializer[0].raw_data == numpy_helper.from_array(
        numpy_helper.to_array(onnx.load(path).graph.initializer[0])
    ).raw_data


def test_a_tensor_that_cannot_be_read_says_which_and_why() -> None:
    given = ir.from_proto(parsed("g (float[1024] x) => (float[1024] y) <float[1] w = {0}> { y = Add(x, w) }"))

    def fails() -> Any:
        raise OSError("no such disk")

    given.graph.initializers["w"].const_value = ir.LazyTensor(fails, ir.DataType.FLOAT, ir.Shape([1024]), name="w")
    with pytest.raises(ModelError, match="the tensor 'w' of an onnx-ir model cannot be read: OSError: no such disk"):
        to_proto(from_onnx_ir(given))


def test_the_given_model_is_not_changed_and_shares_no_edit() -> None:
    given = ir.from_proto(heavy())
    before = ir.to_proto(given)
    model = from_onnx_ir(given)
    back = to_onnx_ir(model)
    back.graph.remove(list(back.graph)[-1], safe=False)
    back.graph.initializers["w"].name = "other"
    assert ir.to_proto(given) == before
    given.graph.inputs[1].name = "renamed"
    assert [value.name for value in model.graph.inputs] == ["c", "x"]


# ---- optimize


def run(message: ModelProto, feeds: dict[str, Any]) -> list[Any]:  # Any: arrays of any kind
    return list(ReferenceEvaluator(message).run(None, feeds))


@pytest.mark.parametrize("name", ["if_const_branch_outputs_initializer", "matmul3d_add", "identity_fanout_outputs", "expand_rank_up"])
def test_optimized_models_compute_the_same(name: str) -> None:
    """Tolerance 1e-5 of float32."""
    folder = DATA / "cases" / name
    given = ir.load(folder / "model.onnx")
    before = ir.to_proto(given)
    result = graphopt.optimize(given, verify=True)
    assert isinstance(result, ir.Model)
    assert result is not given
    assert ir.to_proto(given) == before
    feeds = dict(np.load(folder / "inputs.npz"))
    for got, expected in zip(run(ir.to_proto(result), feeds), run(before, feeds), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_with_output_a_model_is_written(tmp_path: Path) -> None:
    given = ir.from_proto(parsed("g (float[3] x) => (float[3] y) { a = Identity(x) y = Relu(a) }"))
    assert graphopt.optimize(given, output=tmp_path / "out.onnx") == tmp_path / "out.onnx"
    assert [node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node] == ["Relu"]


def test_lint_takes_one_too() -> None:
    assert graphopt.lint(ir.from_proto(parsed(IDENTITY)), target="tensorrt") == []


def test_without_onnx_ir_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx_ir", None)
    with pytest.raises(SpecError, match=r"onnx-ir is not installed .*pip install 'graphopt\[onnx-ir\]'"):
        to_onnx_ir(load(parsed(IDENTITY)))


def test_nothing_is_imported_before_it_is_needed() -> None:
    program = "import sys, graphopt.interop.onnx_ir, graphopt.api; sys.exit(any(name in sys.modules for name in ('onnx_ir', 'onnxscript')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# ---- exporters


class Program:
    """What `torch.onnx.export(..., dynamo=True)` returns looks like this: the proto is made each time it is asked for."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.made = 0

    @property
    def model_proto(self) -> ModelProto:
        self.made += 1
        message = ir.to_proto(self.model)
        assert isinstance(message, ModelProto)
        return message


class OnlyProto:
    """An exporter's result that has nothing but a proto."""

    model = "something else"

    def __init__(self, message: ModelProto) -> None:
        self.model_proto = message


def test_what_an_exporter_returned_becomes_a_proto() -> None:
    message = parsed("g (float[3] x) => (float[3] y) { a = Identity(x) y = Relu(a) }")
    program = Program(ir.from_proto(message))
    result = graphopt.optimize(program)
    assert isinstance(result, ModelProto)
    assert [node.op_type for node in result.graph.node] == ["Relu"]
    assert program.made == 0  # its model was taken, whose weights need no proto
    other = OnlyProto(message)
    assert [node.op_type for node in graphopt.optimize(other).graph.node] == ["Relu"]
    assert [node.op_type for node in other.model_proto.graph.node] == ["Identity", "Relu"]
