"""Reading models: from a path, from bytes, from a ModelProto."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from graphopt.errors import ModelError, SpecError
from graphopt.io import wire
from graphopt.io.build import Builder, UnorderedError, opsets_of
from graphopt.io.origin import ModelOrigin
from graphopt.io.tensors import TensorReader
from graphopt.ir.collector import collector_resting
from graphopt.ir.graph import DEFAULT_DOMAINS
from graphopt.ir.model import Function, Model
from graphopt.ir.tensor import FileSlice, InMemory, MappedFile, Storage

Source = str | os.PathLike[str] | bytes | onnx.ModelProto
SMALL = 1 << 20  # a file below this goes to protobuf whole


def load(source: Source, *, allow_outside: bool = False, check_external: bool = True) -> Model:
    """The model in a file, in bytes or in a ModelProto, without its weights being read.

    A path's weights stay in the file, which is mapped: do not write into it while the model lives (`save` never does; it replaces
    files whole). A ModelProto is never changed and not copied: do not change it while the model lives.

    `allow_outside` lets external data lie outside of the model's folder. With `check_external=False` missing or short external data
    are an error only when somebody asks for the bytes.

    Raises ModelError when there is no readable, consistent model, SpecError when the source is none of these things. Warns when nodes had
    to be sorted.
    """
    with collector_resting():
        message, tensors, seal = _open(source)
        tensors.allow_outside, tensors.check_external = allow_outside, check_external
        return model_of(message, tensors, seal)


def model_of(message: onnx.ModelProto, tensors: TensorReader, seal: bytes = b"") -> Model:
    """The model of a message whose tensors `tensors` reads; `seal` is how the tokens start that stand for some. Raises as `load` does."""
    if not message.HasField("graph"):
        raise ModelError(f"{tensors.name}: holds no graph; is it an ONNX model?")
    try:
        try:
            return _build(message, tensors, seal, sort=False)
        except UnorderedError:
            return _build(message, tensors, seal, sort=True)
    except UnicodeDecodeError as error:
        raise ModelError(f"{tensors.name}: a name in it is not UTF-8 text: {error.object[:40]!r}") from error


def _build(message: onnx.ModelProto, tensors: TensorReader, seal: bytes, *, sort: bool) -> Model:
    opsets = opsets_of(message.opset_import)
    model = Model(message.graph.name, message.ir_version, opsets)
    builder = Builder(model, tensors, sort=sort)
    for each in message.functions:
        function = Function("" if each.domain in DEFAULT_DOMAINS else each.domain, each.name, each.overload, model)
        if function.key in model.functions:
            raise ModelError(f"{tensors.name}: the function {each.name!r} of domain {each.domain!r} is defined twice")
        function.opsets = opsets_of(each.opset_import)
        model.functions[function.key] = function
        builder.function(each, function)
    builder.graph(message.graph, model.graph)
    model.trains = bool(message.training_info)
    for training in message.training_info:  # its graphs see the main graph's names: no new value may take one of them
        for graph in (training.initialization, training.algorithm):
            model.names.update(name for node in graph.node for name in (*node.input, *node.output))
    carried = {token: storage for token, storage in tensors.slices.items() if token not in tensors.taken}
    model.origin = ModelOrigin(message, tensors.name, tensors.folder, dict(opsets), seal, carried, tensors.saw_external, tensors.files())
    if builder.moved:
        warnings.warn(f"{'; '.join(builder.moved)}: the nodes are in no order that runs; they were sorted", stacklevel=5)
    return model


def _open(source: Source) -> tuple[onnx.ModelProto, TensorReader, bytes]:
    if isinstance(source, onnx.ModelProto):
        return source, TensorReader("the given model", strict=False), b""
    folder: Path | None = None
    file: MappedFile | None = None
    if isinstance(source, (bytes, bytearray, memoryview)):
        name, data = "the given bytes", memoryview(bytes(source))
    elif not isinstance(source, (str, os.PathLike)):
        raise SpecError(f"no model can be read from a {type(source).__name__}: give a path, a ModelProto or the bytes of one")
    else:
        path = Path(source)
        name, folder = str(path), path.parent
        file = _map(path)
        data = file.view()
    message, slices, seal = parse(data, name, file)
    return message, TensorReader(name, folder, slices=slices), seal


def _map(path: Path) -> MappedFile:
    try:
        if path.is_dir():
            raise ModelError(f"{path}: is a folder; give the path of the .onnx file in it")
        file = MappedFile(path)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: does not exist") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not file.size:
        raise ModelError(f"{path}: is empty")
    return file


def parse(data: memoryview, name: str, file: MappedFile | None) -> tuple[onnx.ModelProto, dict[bytes, Storage], bytes]:
    """The message, what the tokens in it stand for, and how they start.

    Raises ModelError with the offset where the bytes stop making sense.
    """
    slices: dict[bytes, Storage] = {}
    try:
        if len(data) < SMALL:
            return onnx.ModelProto.FromString(bytes(data)), slices, b""
        cutter = wire.Cutter(data, passed=file.release_pages if file is not None else None)
        small = cutter.message()
        for token, (start, end) in cutter.slices.items():
            slices[token] = FileSlice(file, start, end - start) if file is not None else InMemory(data[start:end])
        return onnx.ModelProto.FromString(small), slices, cutter.seal
    except wire.MalformedError as fault:
        raise _unreadable(data, name, fault) from fault
    except DecodeError as error:
        raise _unreadable(data, name, wire.find_fault(data)) from error


def _unreadable(data: memoryview, name: str, fault: wire.MalformedError | None) -> ModelError:
    if bytes(data[:24]).startswith(b"version https://git-lfs"):
        return ModelError(f"{name}: is a Git LFS pointer, not the model itself; fetch it with: git lfs pull")
    if fault is None:
        return ModelError(f"{name}: protobuf cannot parse it, though its fields nest as they should; it is too big or too deep")
    return wire.malformed(name, fault)
