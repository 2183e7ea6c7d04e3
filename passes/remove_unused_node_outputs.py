"""Optional outputs that nobody reads."""

from __future__ import annotations

from typing import ClassVar, Final

from graphopt.ir import Graph, Node
from graphopt.ir.ports import leave_out_output
from graphopt.passes.eliminate_dead_nodes import is_unread
from graphopt.pipeline.base import Context, Pass
from graphopt.schema import facts

# The operators with optional outputs, but for three: how many outputs it has says what a BatchNormalization does, an Attention that
# gets past keys has to give the present ones, and onnxruntime's MaxPool with and without indices makes different numbers of a NaN.
LEAVING_OUT: Final = ("Dropout", "GRU", "LSTM", "LayerNormalization", "RNN", "SoftmaxCrossEntropyLoss", "Unique")


class RemoveUnusedNodeOutputs(Pass):
    """Leave out the optional outputs of a node that nobody reads, so that no runtime computes them.

    Before:  y, mask = Dropout(x); _, h, c = LSTM(v, w, r)           mask, c: unread
    After:   y = Dropout(x); _, h = LSTM(v, w, r)
    Keeps:   outputs that the operator must give (those of Split among them), outputs of unknown operators, of
             BatchNormalization and Attention, where their number has a meaning, and of MaxPool, which may treat NaN otherwise. Exact.
    """

    name: ClassVar[str] = "remove-unused-node-outputs"

    def run(self, graph: Graph, context: Context) -> int:
        """Look at the nodes of this graph and the graphs inside it."""
        changes = 0
        for node in context.editor.calls(graph, LEAVING_OUT):
            if len(node.outputs) > 1 and (unused := unused_outputs(node)) and context.observer.may_apply(self.name, node):
                for index in reversed(unused):
                    leave_out_output(node, index)
                context.observer.applied(self.name, node, ())
                changes += 1
        return changes


def unused_outputs(node: Node) -> list[int]:
    """The outputs that have a name and no reader, and need not be there."""
    if is_unread(node) or (known := facts.of_node(node)) is None:
        return []
    return [
        value.index
        for value, formal in zip(node.outputs, known.outputs, strict=False)
        if value.name and not value.users and formal.is_optional
    ]
