"""What is saved is complete, in the right place, and never at the cost of what was there."""

from __future__ import annotations

import errno
import os
import stat
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import graphopt.io.files
from graphopt.errors import ModelError
from graphopt.io import load, save, to_proto
from graphopt.ir import Attribute, DType, Editor, Model, Node, Tensor, TensorType, Value, verify
from tests.io import protos
from tests.io.protos import node, value


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(model: Model) -> dict[str, list[float]]:
    return {name: held.tensor.numpy().reshape(-1).tolist() for name, held in model.graph.initializers.items() if held.tensor is not None}


@pytest.fixture
def inline(tmp_path: Path) -> Path:
    onnx.save(protos.big(3, 300), tmp_path / "in.onnx")
    return tmp_path / "in.onnx"


@pytest.fixture
def external(tmp_path: Path) -> Path:
    onnx.save(protos.big(3, 32), tmp_path / "ext.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    return tmp_path / "ext.onnx"


def fetched(path: Path) -> onnx.ModelProto:
    """The model with its weights fetched in, as onnx does it, which leaves a word of that behind."""
    message = onnx.load(path)
    for tensor in message.graph.initializer:
        tensor.ClearField("data_location")
    return message


def locations(path: Path) -> dict[str, dict[str, str]]:
    message = onnx.load(path, load_external_data=False)
    return {tensor.name: {entry.key: entry.value for entry in tensor.external_data} for tensor in message.graph.initializer}


# ---- where tensors go


def test_in_place(inline: Path) -> None:
    before = onnx.load(inline)
    model = load(inline)
    save(model, inline)
    assert onnx.load(inline) == before
    assert contents(model) == contents(load(inline))  # the model in memory still reads the old file
    assert names(inline.parent) == ["in.onnx"]


def test_weights_that_lie_outside_stay_where_they_are(external: Path) -> None:
    before = onnx.load(external, load_external_data=False)
    out = external.with_name("out.onnx")
    save(load(external), out)
    assert onnx.load(out, load_external_data=False) == before
    assert names(out.parent) == ["ext.onnx", "out.onnx", "weights.bin"]
    save(load(external), external)
    assert onnx.load(external, load_external_data=False) == before


def test_a_data_file_of_its_own_when_asked(external: Path) -> None:
    before, out = contents(load(external)), external.with_name("own.onnx")
    save(load(external), out, external_data=True)
    external.with_name("weights.bin").unlink()
    assert contents(load(out)) == before
    assert set(filter(None, (entries.get("location") for entries in locations(out).values()))) == {"own.onnx.data"}


def test_what_is_no_model_of_graphopt(tmp_path: Path) -> None:
    no_model: Any = protos.big(1)  # Any: the mistake that is tested
    with pytest.raises(ModelError, match=r"or optimize gave, not a ModelProto; onnx\.save writes a ModelProto"):
        save(no_model, tmp_path / "out.onnx")


def test_another_folder_gets_its_own_data_file(external: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    out = tmp_path / "there" / "out.onnx"
    save(load(external), out)
    assert names(out.parent) == ["out.onnx", "out.onnx.data"]
    assert contents(load(out)) == contents(load(external))
    assert [(entry["location"], int(entry["offset"]) % 64) for entry in locations(out).values()] == [("out.onnx.data", 0)] * 3
    assert fetched(out) == fetched(external)


def test_what_was_inside_stays_inside_and_what_is_new_goes_outside(external: Path, tmp_path: Path) -> None:
    message = onnx.load(external, load_external_data=False)
    message.graph.initializer.append(protos.tensor("inner", 999))
    external.write_bytes(message.SerializeToString())
    model = load(external)
    save(model, tmp_path / "out.onnx")
    assert onnx.load(tmp_path / "out.onnx", load_external_data=False) == message
    Editor(model).add_constant(model.graph, Tensor.of(np.zeros(999, np.float32)), "new")
    save(model, tmp_path / "out.onnx")
    places = {name: entries.get("location") for name, entries in locations(tmp_path / "out.onnx").items()}
    assert places == {**dict.fromkeys(("w0", "w1", "w2"), "weights.bin"), "inner": None, "new": "out.onnx.data"}
    (tmp_path / "there").mkdir()
    save(model, tmp_path / "there" / "out.onnx")
    places = {name: entries.get("location") for name, entries in locations(tmp_path / "there" / "out.onnx").items()}
    assert places == {**dict.fromkeys(("w0", "w1", "w2", "new"), "out.onnx.data"), "inner": None}


def test_one_file_when_asked(external: Path) -> None:
    out = external.with_name("out.onnx")
    save(load(external), out, external_data=False)
    assert fetched(out) == fetched(external)
    assert names(out.parent) == ["ext.onnx", "out.onnx", "weights.bin"]
    assert not any(locations(out).values())


def test_two_files_when_asked(inline: Path) -> None:
    before = onnx.load(inline)
    out = inline.with_name("out.onnx")
    save(load(inline), out, external_data=True)
    assert names(out.parent) == ["in.onnx", "out.onnx", "out.onnx.data"]
    assert out.stat().st_size < 1000
    assert {int(entry["offset"]) % 4096 for entry in locations(out).values()} == {0}  # big tensors can be mapped
    assert fetched(out) == before


def test_small_tensors_and_attributes_stay_inside(tmp_path: Path) -> None:
    constant = node("Constant", [], ["c"], value=protos.tensor("c", 600))
    made = protos.graph([constant], (), [value("c", 600)], [protos.tensor("small", 255), protos.tensor("large", 256)])
    save(load(protos.model(made)), tmp_path / "out.onnx", external_data=True)
    assert {name: bool(entries) for name, entries in locations(tmp_path / "out.onnx").items()} == {"small": False, "large": True}
    assert len(onnx.load(tmp_path / "out.onnx").graph.node[0].attribute[0].t.raw_data) == 2400


def test_a_data_file_is_never_written_over(inline: Path) -> None:
    """Each save in place takes a fresh name, and the old file goes when nobody names it any more."""
    out = inline.with_name("out.onnx")
    save(load(inline), out, external_data=True)
    first = load(out)
    save(load(inline), out, external_data=True)
    assert names(out.parent) == ["in.onnx", "out.onnx", "out.onnx.1.data"]
    with pytest.raises(ModelError, match=r"out\.onnx\.data: cannot be read: No such file"):
        contents(first)  # it was loaded from what has been replaced since, and had not looked at its weights
    save(load(inline), out, external_data=True)
    assert names(out.parent) == ["in.onnx", "out.onnx", "out.onnx.data"]
    save(load(out), out, external_data=False)
    assert names(out.parent) == ["in.onnx", "out.onnx"]
    assert onnx.load(out) == onnx.load(inline)


def test_the_model_in_memory_survives_the_removal_of_its_data_file(inline: Path) -> None:
    out = inline.with_name("out.onnx")
    save(load(inline), out, external_data=True)
    model = load(out)
    save(model, out, external_data=False)
    assert names(out.parent) == ["in.onnx", "out.onnx"]
    assert contents(model) == contents(load(inline))


def test_a_strangers_data_file_is_left_alone(inline: Path) -> None:
    out = inline.with_name("out.onnx")
    out.with_name("out.onnx.data").write_bytes(b"precious")
    save(load(inline), out, external_data=True)
    assert out.with_name("out.onnx.data").read_bytes() == b"precious"
    assert {entry["location"] for entry in locations(out).values()} == {"out.onnx.1.data"}


def test_what_takes_too_much_for_one_file(inline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is lowered here; the real one is in test_wire."""
    monkeypatch.setattr("graphopt.io.saver.LIMIT", 1 << 19)
    out = inline.with_name("out.onnx")
    told = r"out\.onnx: the file would take \d+ bytes, and protobuf readers take less than 2 GiB; allow external data"
    with pytest.raises(ModelError, match=told):
        save(load(inline), out, external_data=False)
    save(load(inline), out)
    assert fetched(out) == onnx.load(inline)
    monkeypatch.setattr("graphopt.io.writer.LIMIT", 1 << 19)
    with pytest.raises(ModelError, match=r"in\.onnx: takes more than 2 GiB, which one ModelProto cannot hold; save it with external data"):
        to_proto(load(inline))


def test_attributes_go_outside_only_when_nothing_else_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphopt.io.saver.LIMIT", 2000)
    constant = node("Constant", [], ["c"], value=protos.tensor("c", 600))
    before = protos.model(protos.graph([constant], (), [value("c", 600)]))
    save(load(before), tmp_path / "out.onnx")
    assert names(tmp_path) == ["out.onnx", "out.onnx.data"]
    assert to_proto(load(tmp_path / "out.onnx")) == before


def test_a_model_in_memory_keeps_its_references(external: Path, tmp_path: Path) -> None:
    before = onnx.load(external, load_external_data=False)
    save(load(before), tmp_path / "out.onnx")
    assert onnx.load(tmp_path / "out.onnx", load_external_data=False) == before


def test_weights_that_are_not_to_be_had_cannot_move(external: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").unlink()
    (tmp_path / "there").mkdir()
    model = load(external, check_external=False)
    save(model, tmp_path / "out.onnx")  # beside: the reference holds
    with pytest.raises(ModelError, match=r"weights\.bin, which does not exist"):
        save(model, tmp_path / "there" / "out.onnx")
    with pytest.raises(ModelError, match=r"weights\.bin, which does not exist"):
        save(model, tmp_path / "out.onnx", external_data=False)
    assert names(tmp_path / "there") == []


def test_computed_tensors_are_asked_one_at_a_time(tmp_path: Path) -> None:
    """Each is computed when its turn comes and dropped before the next."""
    alive: list[int] = []

    class Computed:
        nbytes = 1 << 17

        def view(self) -> memoryview:
            alive.append(1)
            return memoryview(bytes(range(256)) * 512)

    model = Model("g", 8, {"": 18})
    editor = Editor(model)
    for index in range(3):
        editor.add_constant(model.graph, Tensor(DType.uint8, (1 << 17,), Computed()), f"w{index}")
    editor.set_outputs(model.graph, list(model.graph.initializers.values()))
    for is_external in (False, True):
        alive.clear()
        save(model, tmp_path / "out.onnx", external_data=is_external)
        assert len(alive) == 3
        assert [bytes(tensor.raw_data) for tensor in onnx.load(tmp_path / "out.onnx").graph.initializer] == [bytes(range(256)) * 512] * 3


# ---- what the system refuses


def fails(error: int) -> OSError:
    return OSError(error, os.strerror(error))


@pytest.mark.parametrize("is_external", [False, True], ids=["one file", "two files"])
@pytest.mark.parametrize("call", ["write", "fsync", "copy_file_range", "open", "replace"])
def test_nothing_is_lost_when_the_disk_is_full(inline: Path, monkeypatch: pytest.MonkeyPatch, call: str, is_external: bool) -> None:
    out = inline.with_name("out.onnx")
    out.write_bytes(b"old")
    model = load(inline)

    def full(*arguments: object, **more: object) -> int:
        raise fails(errno.ENOSPC)

    if call == "open":
        monkeypatch.setattr(graphopt.io.files, "_create", full)
    elif call == "replace":
        monkeypatch.setattr(Path, "replace", full)
    else:
        if not hasattr(os, call):
            return  # this system copies otherwise
        monkeypatch.setattr(os, call, full)
    with pytest.raises(ModelError, match=r"out\.onnx: cannot be written: No space left on device; free some space .* unchanged"):
        save(model, out, external_data=is_external)
    assert names(out.parent) == ["in.onnx", "out.onnx"]
    assert out.read_bytes() == b"old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_device_is_written_to_and_not_replaced(inline: Path) -> None:
    with pytest.raises(ModelError, match=r"/dev/full: cannot be written: No space left on device"):
        save(load(inline), "/dev/full")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
    save(load(inline), "/dev/null")
    with pytest.raises(ModelError, match=r"is no regular file, and external data need a place beside it"):
        save(load(inline), "/dev/null", external_data=True)


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such permissions")
def test_a_folder_that_may_not_be_written_to(inline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = inline.with_name("closed")
    folder.mkdir(0o555)
    if os.geteuid() == 0:  # root may always write: say no in its place

        def refuse(*arguments: object) -> int:
            raise fails(errno.EACCES)

        monkeypatch.setattr(graphopt.io.files, "_create", refuse)
    with pytest.raises(ModelError, match=r"out\.onnx: cannot be written: Permission denied; choose a folder that you may write to"):
        save(load(inline), folder / "out.onnx")
    assert names(folder) == []


def test_a_folder_that_takes_no_new_files(inline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc says that there is no such file, whoever asks; the advice is not to create the folder, which is there."""

    def refuse(*arguments: object) -> int:
        raise fails(errno.ENOENT)

    monkeypatch.setattr(graphopt.io.files, "_create", refuse)
    out = inline.with_name("out.onnx")
    for write in (partial(save, load(inline)), partial(graphopt.io.files.write_text, text="text")):
        with pytest.raises(ModelError) as found:
            write(out)
        assert str(found.value).startswith(f"{out}: cannot be written: {out.parent} takes no new files; choose another folder")
    assert names(out.parent) == ["in.onnx"]


def test_targets_that_cannot_be(inline: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be written: it is a folder; give the path of a file"):
        save(load(inline), tmp_path)
    with pytest.raises(ModelError, match=r"cannot be written: there is no folder .*none; create the folder first"):
        save(load(inline), tmp_path / "none" / "out.onnx")


def test_copying_works_where_the_system_does_not_help(inline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = onnx.load(inline)
    for missing in ("copy_file_range", "sendfile"):

        def unknown(*arguments: object) -> int:
            raise fails(errno.ENOSYS)

        if hasattr(os, missing):
            monkeypatch.setattr(os, missing, unknown)
        save(load(inline), inline.with_name("out.onnx"))
        assert onnx.load(inline.with_name("out.onnx")) == before


def test_a_source_that_was_renamed_is_copied_from_its_mapping(inline: Path) -> None:
    before = onnx.load(inline)
    model = load(inline)
    inline.rename(inline.with_name("moved.onnx"))
    inline.write_bytes(b"another file")
    save(model, inline.with_name("out.onnx"))
    assert onnx.load(inline.with_name("out.onnx")) == before


def test_permissions_of_the_old_file_stay(inline: Path) -> None:
    inline.chmod(0o640)
    save(load(inline), inline)
    assert stat.S_IMODE(inline.stat().st_mode) == 0o640


# ---- what changed


def test_changes_are_written(tmp_path: Path) -> None:
    """Renamed, retyped, added and removed things, each in its place."""
    nodes = [node("Relu", ["x"], ["a"], name="first"), node("Neg", ["a"], ["b"]), node("Abs", ["b"], ["y"])]
    infos = [value("a", "n"), value("b", 2), value("ghost", 1)]
    before = protos.model(protos.graph(nodes, [value("x", 2)], [value("y", 2)], value_info=infos))
    annotation = before.graph.quantization_annotation.add(tensor_name="b")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="x")
    model = load(before)
    editor = Editor(model)
    relu, neg, last = model.graph
    editor.set_type(relu.output, TensorType(DType.float32, (2,)))
    editor.set_input(last, 0, relu.output)
    editor.erase(neg)
    editor.set_attribute(last, "alpha", 0.5)
    last.metadata["note"] = "kept"
    model.opsets["com.microsoft"] = 1
    verify(model)
    after = to_proto(model)
    assert [info.name for info in after.graph.value_info] == ["a", "ghost"]
    assert after.graph.value_info[0] == value("a", 2)
    assert not after.graph.quantization_annotation
    wired = [(each.op_type, list(each.input), list(each.output)) for each in after.graph.node]
    assert wired == [("Relu", ["x"], ["a"]), ("Abs", ["a"], ["y"])]
    assert after.graph.node[1].attribute[0].f == 0.5
    assert after.graph.node[1].metadata_props[0].value == "kept"
    assert [entry.domain for entry in after.opset_import] == ["", "com.microsoft"]
    assert len(before.graph.node) == 3  # the caller's message is as it was


def test_a_model_made_from_nothing(tmp_path: Path) -> None:
    model = Model("made", 10, {"": 20, "com.microsoft": 1})
    editor = Editor(model)
    x = Value("x", TensorType(DType.float32, (2, None)))
    x.graph = model.graph
    model.graph.inputs.append(x)
    attributes = {"axes": Attribute.of([0, 1]), "mode": Attribute.of("fast")}
    gelu = editor.insert(Node("Gelu", (x, None), 1, attributes, domain="com.microsoft"), model.graph)
    weight = editor.add_constant(model.graph, Tensor.of(np.zeros((2, 2), np.float32)), "w")
    add = editor.insert(Node("Add", (gelu.output, weight)), model.graph)
    editor.set_outputs(model.graph, [add.output])
    verify(model)
    save(model, tmp_path / "made.onnx")
    after = onnx.load(tmp_path / "made.onnx")
    written = after.graph.node[0]
    assert (written.op_type, written.domain, list(written.input), list(written.output)) == ("Gelu", "com.microsoft", ["x", ""], ["Gelu"])
    assert [onnx.helper.get_attribute_value(each) for each in written.attribute] == [[0, 1], b"fast"]
    assert to_proto(load(after)) == after
