"""What programs have in hand when they ask for an optimized model: graphs of other libraries, results of exporters."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from graphopt.interop.graphsurgeon import from_graphsurgeon, is_surgeon_graph, to_graphsurgeon
from graphopt.interop.onnx_ir import from_onnx_ir, is_ir_model, to_onnx_ir
from graphopt.io import to_proto
from graphopt.ir.model import Model

if TYPE_CHECKING:
    from onnx import ModelProto


class ExportedProgram(Protocol):
    """What `torch.onnx.export(..., dynamo=True)` returns, and whatever else can say which ModelProto it is."""

    @property
    def model_proto(self) -> ModelProto: ...


def is_exported(source: object) -> TypeGuard[ExportedProgram]:
    """Whether it has a `model_proto`, found out without making it."""
    return inspect.getattr_static(source, "model_proto", None) is not None


def source_of(source: Any) -> Any:  # Any: whatever a caller gives; io refuses what is no model
    """What `io.load` takes, or a Model that shares nothing that changes with what was given.

    A `gs.Graph`, an `onnx_ir.Model` and an exporter's result become Models, the latter through its `model` if that is an `onnx_ir.Model`,
    so that its weights are not copied, otherwise through its `model_proto`. Anything else is returned as it is.
    """
    if is_surgeon_graph(source):
        return from_graphsurgeon(source)
    if is_ir_model(source):
        return from_onnx_ir(source)
    if is_exported(source):
        inner = getattr(source, "model", None)
        return from_onnx_ir(inner) if is_ir_model(inner) else source.model_proto
    return source


def result_like(source: object, model: Model) -> Any:  # Any: see above
    """A model as the kind of thing that was given: a ModelProto for what is no graph of another library."""
    if is_surgeon_graph(source):
        return to_graphsurgeon(model)
    if is_ir_model(source):
        return to_onnx_ir(model)
    message = to_proto(model)
    return message.SerializeToString() if isinstance(source, bytes) else message
