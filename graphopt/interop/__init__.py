"""Graphs of other libraries, in and out, and what these libraries do as passes of ours. Each is imported when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphopt.lazily import lazily

if TYPE_CHECKING:
    from graphopt.interop.graphsurgeon import from_graphsurgeon as from_graphsurgeon
    from graphopt.interop.graphsurgeon import to_graphsurgeon as to_graphsurgeon
    from graphopt.interop.networkx import to_networkx as to_networkx
    from graphopt.interop.onnx_ir import from_onnx_ir as from_onnx_ir
    from graphopt.interop.onnx_ir import to_onnx_ir as to_onnx_ir
    from graphopt.pipeline.foreign import graphsurgeon_pass as graphsurgeon_pass
    from graphopt.pipeline.foreign import onnx_ir_pass as onnx_ir_pass
    from graphopt.pipeline.foreign import onnxscript_rules as onnxscript_rules

_HOMES = {
    "from_graphsurgeon": "interop.graphsurgeon",
    "to_graphsurgeon": "interop.graphsurgeon",
    "from_onnx_ir": "interop.onnx_ir",
    "to_onnx_ir": "interop.onnx_ir",
    "to_networkx": "interop.networkx",
    "graphsurgeon_pass": "pipeline.foreign",  # which the modules here know nothing of
    "onnx_ir_pass": "pipeline.foreign",
    "onnxscript_rules": "pipeline.foreign",
}

__all__ = list(_HOMES)


if not TYPE_CHECKING:  # a type checker that sees it believes that every name is there
    __getattr__ = lazily(__name__, _HOMES)
