"""Models as tests give them, and pipelines run over them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import onnx.checker
import onnx.defs
from onnx import ModelProto
from onnx.shape_inference import InferenceError

from graphopt import io, suffixes
from graphopt.errors import InternalError, ModelError
from graphopt.io.text import text_of as printed
from graphopt.io.walking import all_nodes
from graphopt.ir import Model, verify
from graphopt.observe.observer import Observer
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.plugin import Plugin
from graphopt.pipeline.registry import with_plugins
from graphopt.pipeline.runner import run_pipeline

Source: TypeAlias = "ModelProto | Model | bytes | str | os.PathLike[str]"
Plugins: TypeAlias = "Sequence[str | Plugin]"
SIGNATURE = "=>"  # is in the text of every model, and in no path


def parse(source: Source) -> ModelProto:
    """The message of a model: of text in ONNX's syntax, of a path (also of a file of such text), of bytes, of a Model.

    Raises ModelError when it makes no sense, and names the place.
    """
    if isinstance(source, ModelProto):
        return source
    proto: ModelProto = io.to_proto(source if isinstance(source, Model) else read(source))
    return proto


def read(source: Source) -> Model:
    """The same as a Model of its own."""
    if isinstance(source, Model):
        return io.load(io.to_proto(source))
    text = text_of(source)
    return io.load(source) if text is None else io.parse_text(text)


def text_of(source: Source) -> str | None:
    """The text of a model that is given as text, or as a file of text; None for any other."""
    if isinstance(source, str) and SIGNATURE in source:
        return source
    if isinstance(source, (ModelProto, Model, bytes)) or Path(source).suffix not in suffixes.TEXT:
        return None
    try:
        return Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{os.fspath(source)}: cannot be read as text: {error}") from error


def optimized(source: Source, pipeline: Pipeline | str, *, plugins: Plugins = (), observer: Observer | None = None) -> ModelProto:
    """A model after a pipeline; yours stays as it is. The laws of the graph and the rules of ONNX are checked afterwards.

    Plug-ins are objects, or what `Plugin.load` takes. Raises ModelError for the model, SpecError for the pipeline, InternalError when the
    pipeline leaves a broken graph or a model that is no valid ONNX, naming the first fault.
    """
    model = read(source)
    registry = with_plugins(plugins)
    run_pipeline(pipeline if isinstance(pipeline, Pipeline) else Pipeline.parse(pipeline, registry), model, observer, registry=registry)
    verify(model)
    proto: ModelProto = io.to_proto(model)
    check(proto)
    return proto


def check(proto: ModelProto) -> None:
    """Raise InternalError for what is no valid ONNX. A model with nodes of domains that onnx does not know passes: it cannot judge them."""
    local = {function.domain for function in proto.functions}
    known = local.union(schema.domain for schema in onnx.defs.get_all_schemas())
    if any(node.domain not in known for node in all_nodes(proto)):
        return
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, InferenceError) as error:
        raise InternalError(f"what the pipeline made is no valid ONNX: {error}\n{printed(proto)}") from error
