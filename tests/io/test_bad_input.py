"""What cannot be read is refused with one sentence that says what, where, and what to do."""

from __future__ import annotations

import random
import re
import shutil
import warnings
from pathlib import Path

import onnx
import pytest

from graphopt.errors import ModelError
from graphopt.io import load, to_proto
from graphopt.io.wire import to_varint
from tests.io import protos
from tests.io.protos import node, value


def refused(source: Path | bytes | onnx.ModelProto, message: str) -> None:
    """Loading raises ModelError with this message, and names the file."""
    with pytest.raises(ModelError, match=message) as caught:
        load(source)
    if isinstance(source, Path):
        assert str(source) in str(caught.value)


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A file that is cut before protobuf sees it."""
    onnx.save(protos.big(2), tmp_path / "in.onnx")
    return tmp_path / "in.onnx"


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# ---- the file itself


def test_no_file(tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx", r"none\.onnx: does not exist")


def test_a_folder(tmp_path: Path) -> None:
    refused(tmp_path, r"is a folder; give the path of the \.onnx file in it")


def test_an_empty_file(tmp_path: Path) -> None:
    refused(written(tmp_path / "e.onnx", b""), "is empty")


def test_a_message_without_a_graph(tmp_path: Path) -> None:
    refused(written(tmp_path / "e.onnx", onnx.ModelProto(ir_version=8).SerializeToString()), "holds no graph; is it an ONNX model")
    refused(onnx.ModelProto(), "the given model: holds no graph")


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n" + bytes(300), b"<html>" * 60, b"\x00" * 300, b"\xff" * 300, b"PK\x03\x04" * 80])
@pytest.mark.parametrize("times", [1, 9000], ids=["small", "big"])
def test_what_is_no_protobuf(tmp_path: Path, data: bytes, times: int) -> None:
    refused(written(tmp_path / "no.onnx", data * times), r"is no readable ONNX model: at byte \d+ .*truncated, damaged or something else")


def test_a_git_lfs_pointer(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
    refused(written(tmp_path / "p.onnx", pointer), "is a Git LFS pointer, not the model itself; fetch it with: git lfs pull")


@pytest.mark.parametrize("left", [1 << 21, (1 << 20) + 200, 5000, 60, 3, 1])
def test_a_truncated_file(big: Path, left: int) -> None:
    """Wherever it ends: in a tensor, in a node, in a length."""
    told = r"at byte \d+ (a field claims \d+ bytes and \d+ are left|the message ends inside a number)"
    refused(written(big, big.read_bytes()[:left]), told)


def test_every_truncation_of_a_small_file_is_told(tmp_path: Path) -> None:
    """A few cuts fall between two fields and leave a whole message, as far as protobuf can tell."""
    data = protos.model(protos.graph([node("Relu", ["x"], ["y"])], [value("x")], [value("y")])).SerializeToString()
    told = 0
    for left in range(1, len(data)):
        try:
            load(written(tmp_path / "t.onnx", data[:left]))
        except ModelError:
            told += 1
    assert told >= len(data) - 10


def test_wrong_lengths(big: Path) -> None:
    """The length of the graph, and of a tensor in it, is too big by one."""
    data = big.read_bytes()
    at = data.index(b"\x3a")
    damaged = data[: at + 3] + bytes([data[at + 3] + 1]) + data[at + 4 :]  # the third of four bytes, hence 16384 more
    refused(written(big, damaged), rf"at byte {at} a field claims \d+ bytes and \d+ are left")
    tensor = data.index(b"\x2a", data.index(b"\x12\x01g"))  # after the graph's name
    damaged = data[: tensor + 1] + to_varint(1 << 27) + data[tensor + 5 :]
    refused(written(big, damaged), r"at byte \d+ (a field claims 134217728 bytes and \d+ are left|a )")


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (b"\x01\x00", "at byte 0 a field .*"),
        (b"\x0f", "at byte 0 a field has the impossible kind 7"),
        (b"\x0c", "at byte 0 a group ends that was never opened"),
        (b"\x0b" + b"\x08\x01", "at byte 0 a group has no end"),
        (b"\x0b" + b"\x14", "at byte 1 a group ends that was never opened"),
        (b"\x08" + b"\xff" * 11, "at byte 1 a number is longer than ten bytes"),
        (b"\x02\x00", "at byte 0 a field has the number 0"),
        (b"\x0b" * 200, "at byte 101 groups lie more than 100 deep in each other"),
    ],
)
@pytest.mark.parametrize("behind", [0, 1 << 21], ids=["small", "big"])
def test_impossible_fields(tmp_path: Path, field: bytes, message: str, behind: int) -> None:
    padding = b"\xfa\x3f" + to_varint(behind) + bytes(behind) if behind and len(field) < 100 and not field.startswith(b"\x0b") else b""
    refused(written(tmp_path / "f.onnx", field + padding), message)


def test_messages_too_deep_in_each_other(tmp_path: Path) -> None:
    inner = bytes(2 << 20)
    for _ in range(120):  # graph, node, attribute, graph ...
        for key in (b"\x32", b"\x2a", b"\x0a"):
            inner = key + to_varint(len(inner)) + inner
    inner = b"\x3a" + to_varint(len(inner)) + inner
    refused(written(tmp_path / "d.onnx", inner), r"at byte \d+ messages lie more than 100 deep in each other")


def test_names_that_are_no_text(tmp_path: Path) -> None:
    made = protos.graph([node("Softplus", ["left"], ["right"], name="name")], [value("left")], [value("right")])
    data = protos.model(made).SerializeToString()
    for name in (b"left", b"right", b"name", b"Softplus"):
        refused(written(tmp_path / "u.onnx", data.replace(name, b"\xff" * len(name))), r"a name in it is not UTF-8 text: b'\\xff")


# ---- what the messages say


def test_tensors_whose_bytes_do_not_fill_their_shape(tmp_path: Path) -> None:
    before = protos.model(protos.graph([], (), [value("w")], [protos.tensor("w", 4)]))
    before.graph.initializer[0].dims[0] = 5
    onnx.save(before, tmp_path / "s.onnx")
    refused(tmp_path / "s.onnx", r"tensor 'w': 20 bytes are needed for float32\[5\], the model holds 16")
    before = protos.big(2)
    before.graph.initializer[1].dims[0] = 5
    onnx.save(before, tmp_path / "s.onnx")
    refused(tmp_path / "s.onnx", r"tensor 'w1': 10240 bytes are needed for float32\[5, 512\], the model holds 1048576")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (onnx.TensorProto(dims=[-1]), "tensor 'w': the dimension -1 is negative"),
        (onnx.TensorProto(data_type=99), "tensor 'w': element type 99 is none that graphopt knows"),
        (onnx.TensorProto(data_type=8, raw_data=b""), "tensor 'w': 4 strings are needed for its shape, it holds 0"),
    ],
)
def test_tensors_that_cannot_be(change: onnx.TensorProto, message: str) -> None:
    tensor = protos.tensor("w", 4)
    if change.dims:
        tensor.ClearField("dims")  # which would be added to
    tensor.MergeFrom(change)
    refused(protos.model(protos.graph([], (), [value("w")], [tensor])), message)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (protos.graph([], [value("x"), value("x")]), "two inputs are called 'x'"),
        (protos.graph([], [value("")]), "input 0 has no name"),
        (protos.graph([], (), (), [protos.tensor("w", 1), protos.tensor("w", 1)]), "two initializers are called 'w'"),
        (protos.graph([], (), (), [protos.tensor("", 1)]), "an initializer has no name"),
    ],
)
def test_graphs_that_contradict_themselves(graph: onnx.GraphProto, message: str) -> None:
    refused(protos.model(graph), f"graph 'g': {message}")


def test_an_attribute_twice() -> None:
    twice = node("LeakyRelu", ["x"], ["y"], alpha=1.0)
    twice.attribute.append(twice.attribute[0])
    refused(protos.model(protos.graph([twice], [value("x")], [value("y")])), "the LeakyRelu node that makes 'y' has two attributes 'alpha'")


def test_a_function_twice() -> None:
    function = onnx.helper.make_function("d", "F", ["a"], ["a"], [], [])
    refused(protos.model(protos.graph([]), functions=[function, function]), "the function 'F' of domain 'd' is defined twice")


# ---- external data


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A model in a folder of its own, whose two tensors lie in weights.bin."""
    folder = tmp_path / "model"
    folder.mkdir()
    onnx.save(protos.big(2, 32), folder / "m.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    return folder / "m.onnx"


def relocated(path: Path, **entries: str) -> Path:
    """The same model with other words about where its first tensor lies."""
    message = onnx.load(path, load_external_data=False)
    for entry in message.graph.initializer[0].external_data:
        entry.value = entries.get(entry.key, entry.value)
    path.write_bytes(message.SerializeToString())
    return path


def test_a_missing_data_file(outside: Path) -> None:
    (outside.parent / "weights.bin").unlink()
    refused(outside, r"tensor 'w0': its data should lie in .*weights\.bin, which does not exist; put the file beside the model")
    tensor = load(outside, check_external=False).graph.initializers["w0"].tensor
    assert tensor is not None and tensor.nbytes == 4096
    with pytest.raises(ModelError, match="does not exist"):
        tensor.numpy()


def test_a_short_data_file(outside: Path) -> None:
    (outside.parent / "weights.bin").write_bytes(bytes(5000))
    refused(outside, r"tensor 'w1': its data should be the bytes \d+ to \d+ of .*weights\.bin, which has 5000; the file is incomplete")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"offset": "99999999"}, r"tensor 'w0': its data should be the bytes 99999999 to 100004095"),
        ({"offset": "-4"}, r"should be the bytes -4 to 4092"),
        ({"offset": "x"}, r"offset and length of its external data must be whole numbers"),
        ({"length": "17"}, r"4096 bytes are needed for its shape and type, the entry for 'weights\.bin' says 17"),
        ({"location": ""}, r"its external data have no location"),
        ({"location": "a\0b"}, r"its external data have a location that is no path"),
        ({"location": "."}, r"which is no regular file"),
    ],
)
def test_wrong_entries(outside: Path, entries: dict[str, str], message: str) -> None:
    refused(relocated(outside, **entries), message)


@pytest.mark.parametrize("how", ["absolute", "upwards", "link", "link to a folder"])
def test_data_outside_of_the_models_folder(outside: Path, how: str) -> None:
    elsewhere = outside.parent.parent / "elsewhere"
    elsewhere.mkdir()
    shutil.move(outside.parent / "weights.bin", elsewhere / "weights.bin")
    if how == "absolute":
        location = str(elsewhere / "weights.bin")
    elif how == "upwards":
        location = "../elsewhere/weights.bin"
    elif how == "link":
        location = "linked.bin"
        (outside.parent / location).symlink_to(elsewhere / "weights.bin")
    else:
        location = "linked/weights.bin"
        (outside.parent / "linked").symlink_to(elsewhere)
    message = onnx.load(outside, load_external_data=False)
    for tensor in message.graph.initializer:
        tensor.external_data[0].value = location
    outside.write_bytes(message.SerializeToString())
    refused(outside, re.escape(f"its data lie at {location!r}, outside of the model's folder"))
    tensors = [held.tensor for held in load(outside, allow_outside=True).graph.initializers.values()]
    assert all(tensor is not None and tensor.numpy().any() for tensor in tensors)
    load(outside, check_external=False)  # refused only when somebody asks


def test_a_model_in_memory_does_not_say_where_its_data_lie(outside: Path) -> None:
    model = load(onnx.load(outside, load_external_data=False))
    tensor = model.graph.initializers["w0"].tensor
    assert tensor is not None
    with pytest.raises(ModelError, match="a model in memory does not say where; load it from its path"):
        tensor.numpy()


def test_a_file_that_changes_while_it_is_used(outside: Path) -> None:
    model = load(outside)
    (outside.parent / "weights.bin").replace(outside.parent / "old.bin")
    (outside.parent / "weights.bin").write_bytes(bytes(10000))
    tensor = model.graph.initializers["w0"].tensor
    assert tensor is not None
    with pytest.raises(ModelError, match=r"weights\.bin: was replaced by another file while in use; load the model again"):
        tensor.numpy()


@pytest.mark.parametrize("seed", range(3))
def test_damage_anywhere_is_told_or_harmless(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes changed, lost and added at random: one ModelError, or a model that can be written again; nothing else."""
    monkeypatch.setattr("graphopt.io.reader.SMALL", 0)  # so that graphopt looks at the bytes before protobuf does
    whole = (Path(__file__).parent.parent / "data/io/gated_mixer_if_loop_scripted_ts13.onnx").read_bytes()
    source = random.Random(seed)
    for _ in range(100):
        data = bytearray(whole)
        for _ in range(source.randint(1, 3)):
            at = source.randrange(len(data))
            data[at : at + source.randint(0, 3)] = bytes(source.randrange(256) for _ in range(source.randint(0, 3)))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # damaged models may come with nodes that had to be sorted
                model = load(bytes(data), check_external=False)
        except ModelError:
            continue
        to_proto(model)


def test_words_that_are_no_text_are_carried() -> None:
    """Only names must be text: nothing is looked up by a doc string."""
    then = protos.graph([node("Relu", ["x"], ["t"])], (), [value("t")], name="then")
    choice = node("If", ["flag"], ["y"], then_branch=then, else_branch=then, doc_string="word")
    data = protos.model(protos.graph([choice], [value("x"), value("flag")], [value("y")])).SerializeToString()
    damaged = data.replace(b"word", b"\xff\xfe\xfd\xfc")
    assert to_proto(load(damaged)) == onnx.ModelProto.FromString(damaged)
