"""The models that are compared, in the forms that the checks need: a proto to look at, a file or bytes to run."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import onnx
from google.protobuf.message import DecodeError, EncodeError
from onnx import ModelProto

from graphopt.errors import ModelError
from graphopt.ir.model import Model

Source: TypeAlias = "str | os.PathLike[str] | bytes | ModelProto | Model"

IN_MEMORY = 1 << 30  # bytes of weights up to which a graphopt model is handed on as one message instead of a temporary file
_OTHER_FORMATS = (".textproto", ".prototxt", ".pbtxt", ".json", ".onnxjson", ".onnxtxt", ".onnxtext")  # what onnx.load tells by its suffix


@dataclass(slots=True)
class Subject:
    """One of two models. It is read here with onnx alone: a fault of graphopt's own reader must not hide in its own judge."""

    name: str
    path: Path | None = None
    message: ModelProto | None = None
    _folder: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)

    def proto(self) -> ModelProto:
        """The model; external data stays outside. Raises ModelError when the file cannot be read."""
        if self.message is not None:
            return self.message
        if self.path is None:
            raise ValueError("a subject without path and message")
        try:
            return onnx.load(self.path, load_external_data=False)
        except OSError as error:
            raise ModelError(f"{self.path}: cannot be read: {error.strerror or error}") from error
        except (DecodeError, ValueError) as error:
            raise ModelError(f"{self.path}: is not an ONNX model: {error}") from error

    def data_folder(self) -> str:
        """Where external data is looked for."""
        return str(self.path.parent) if self.path is not None else ""

    def executable(self) -> str | bytes:
        """What a runtime loads: a path to a binary model, or the bytes of one. Raises ModelError for a message over 2 GB."""
        if self.path is not None and self.path.suffix.lower() not in _OTHER_FORMATS:
            return str(self.path)
        try:
            return bytes(self.proto().SerializeToString())
        except (EncodeError, ValueError) as error:
            raise ModelError(f"{self.name}: cannot be passed on as one message ({error}); give a path instead") from error


def subject(source: Source, name: str) -> Subject:
    """Wrap what a caller gave. A large graphopt model goes to a temporary folder, which lives as long as the subject."""
    if isinstance(source, ModelProto):
        return Subject(name, message=source)
    if isinstance(source, bytes):
        try:
            return Subject(name, message=onnx.load_model_from_string(source))
        except (DecodeError, ValueError) as error:
            raise ModelError(f"{name}: is not an ONNX model: {error}") from error
    if isinstance(source, Model):
        return _from_model(source, name)
    path = Path(source)
    if path.is_dir():
        raise ModelError(f"{path}: is a folder; give the path of the .onnx file in it")
    if not path.exists():
        raise ModelError(f"{path}: does not exist")
    return Subject(str(path), path=path)


def _from_model(model: Model, name: str) -> Subject:
    from graphopt import io

    size = sum(value.tensor.nbytes for graph in model.graphs() for value in graph.initializers.values() if value.tensor is not None)
    if size <= IN_MEMORY:
        return Subject(name, message=io.to_proto(model))
    folder = tempfile.TemporaryDirectory(prefix="graphopt-verify-")
    path = Path(folder.name) / "model.onnx"
    io.save(model, path)
    return Subject(name, path=path, _folder=folder)
