"""Models as messages in which tokens stand for the bytes of big tensors: how they pass to other libraries and back without a copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import onnx

from graphopt.errors import ModelError
from graphopt.io.origin import ModelOrigin
from graphopt.io.pending import Holes
from graphopt.io.reader import model_of
from graphopt.io.tensors import Missing, TensorReader
from graphopt.io.writer import Writer, model_name
from graphopt.ir.collector import collector_resting
from graphopt.ir.model import Model
from graphopt.ir.tensor import Storage


def to_held(model: Model) -> tuple[onnx.ModelProto, Mapping[bytes, Storage]]:
    """A message of a model, and what the tokens stand for that are the `raw_data` of its tensors of 1 KiB and more.

    External data that are not to be had stay references. Raises ModelError for big tensors that only io understands (sparse ones, those of
    training_info), which no token may stand for.
    """
    origin = model.origin
    if isinstance(origin, ModelOrigin) and origin.slices:
        raise ModelError(f"{model_name(model)}: holds big tensors that cannot be passed on: sparse ones, or those of training_info")
    writer, holes = Writer(), Holes()
    message = writer.model(model)
    for each in writer.pending:
        if isinstance(each.tensor.storage, Missing):
            each.keep_reference()
        else:
            each.hold(holes)
    return message, holes.contents


def from_held(message: onnx.ModelProto, contents: Mapping[bytes, Storage], name: str = "the given model") -> Model:
    """The model of a message, of which `contents` says what the tokens in it stand for (`Holes` makes them). Nothing is copied or read.

    The message belongs to the model afterwards: do not change it while the model lives. `name` is what errors call the model. Raises
    ModelError when it is none.
    """
    with collector_resting():
        return model_of(message, TensorReader(name, slices=dict(contents)))


def come_from(model: Model, before: Model) -> None:
    """Let a model that another library made of `before` be called as that is, and be saved as that would be: with external data or not.

    Stored tensors whose bytes lie where they lay are the tensors that they were.
    """
    old, new = before.origin, model.origin
    if isinstance(old, ModelOrigin) and isinstance(new, ModelOrigin):
        model.origin = replace(new, name=old.name, folder=old.folder, has_external_data=old.has_external_data, files=old.files)
    model.frozen = dict(before.frozen)
    stored = {name: value.tensor for graph in before.graphs() for name, value in graph.initializers.items()}
    for value in (value for graph in model.graphs() for value in graph.initializers.values()):
        known, tensor = stored.get(value.name), value.tensor
        if known is None or tensor is None or tensor.storage is not known.storage:
            continue
        if (tensor.dtype, tensor.shape) == (known.dtype, known.shape):
            value.tensor = known
