"""What a file says for people and tools, beyond what the model computes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import onnx

from graphopt.errors import InternalError
from graphopt.io.origin import GraphOrigin, ModelOrigin, copy_without
from graphopt.ir.model import Model

TEXTS = ("doc_string", "metadata_props")
_HEAVY = frozenset({"node", "initializer", "sparse_initializer"})


def clear_descriptions(model: Model, *, value_info: bool = False) -> int:
    """Forget the doc strings and metadata of the model, its graphs, functions and their values; returns of how many things there were any.

    With `value_info` also what the file declares of the types of inner values. The messages that the model was read from stay as they are.
    """
    cleared = 0
    if isinstance(model.origin, ModelOrigin) and _has_texts(model.origin.message):
        bare = onnx.ModelProto()
        copy_without(model.origin.message, bare, {*TEXTS, "graph", "functions"})
        model.origin, cleared = replace(model.origin, message=bare), 1
    for function in model.functions.values():
        if isinstance(function.origin, onnx.FunctionProto) and _has_texts(function.origin):
            plain = onnx.FunctionProto()
            copy_without(function.origin, plain, {*TEXTS, "node"})
            function.origin, cleared = plain, cleared + 1
    for graph in model.graphs():
        if isinstance(graph.origin, GraphOrigin):
            graph.origin, count = _cleared(graph.origin, value_info)
            cleared += count
    return cleared


def set_metadata(model: Model, key: str, text: str) -> None:
    """Let a model that was read say this in its metadata, whatever it says there now. The message it was read from stays as it is."""
    if not isinstance(model.origin, ModelOrigin):
        raise InternalError("only a model that was read has metadata")
    message = onnx.ModelProto()
    copy_without(model.origin.message, message, {"metadata_props", "graph", "functions"})
    message.metadata_props.extend(entry for entry in model.origin.message.metadata_props if entry.key != key)
    message.metadata_props.add(key=key, value=text)
    model.origin = replace(model.origin, message=message)


def _cleared(origin: GraphOrigin, value_info: bool) -> tuple[GraphOrigin, int]:
    message = origin.message
    infos = (*message.input, *message.output) if isinstance(message, onnx.GraphProto) else ()
    described = sum(map(_has_texts, (message, *infos, *message.value_info)))
    dropped = len(message.value_info) if value_info else 0
    if not described and not dropped:
        return origin, 0
    bare: onnx.GraphProto | onnx.FunctionProto
    if isinstance(message, onnx.GraphProto):
        bare = onnx.GraphProto()
        copy_without(message, bare, {*TEXTS, *_HEAVY})
        _clear((*bare.input, *bare.output))
    else:
        bare = onnx.FunctionProto()
        copy_without(message, bare, {*TEXTS, "node"})
    _clear(bare.value_info)
    if value_info:
        bare.ClearField("value_info")
    return GraphOrigin(bare, [] if value_info else origin.types, origin.bound), described + dropped


def _has_texts(message: Any) -> bool:  # Any: any message; not all kinds have both fields in every release of onnx
    return any(bool(getattr(message, name, None)) for name in TEXTS)


def _clear(infos: Iterable[onnx.ValueInfoProto]) -> None:
    for info in infos:
        for name in TEXTS:
            if hasattr(info, name):
                info.ClearField(name)
