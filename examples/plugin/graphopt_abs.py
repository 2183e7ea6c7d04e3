"""Absolute values, and a prefix for the names inside a model."""

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Match, Pass, Plugin, RulePass, Value, op, rule, tensor
from graphopt.ir import Graph
from graphopt.match import FLOATING
from graphopt.pipeline.base import Context


@rule(op.Max(tensor("x"), op.Neg(tensor("x"))), dtype=FLOATING, exactness="rounding")
def max_neg_to_abs(m: Match, x: Value) -> Value:
    """Max(x, Neg(x))  ->  Abs(x)"""
    return m.op.Abs(x)


class FuseAbs(RulePass):
    """Max(x, Neg(x))  ->  Abs(x)"""

    name, rules = "fuse-abs", (max_neg_to_abs,)


@dataclass(frozen=True)
class PrefixValues(Pass):
    """Give what is between inputs and outputs names with a prefix, so that the graph can stand beside another one."""

    name: ClassVar[str] = "prefix-values"
    prefix: str = "left_"

    def run(self, graph: Graph, context: Context) -> int:
        inner = [value for body in graph.walk() for node in body for value in node.outputs if value.name and not value.is_output]
        old = [value for value in inner if not value.name.startswith(self.prefix)]
        new = context.model.fresh_name
        return context.change_all(self.name, graph, old, lambda value: context.editor.rename(value, new(self.prefix + value.name)))


PASSES = {"fuse-abs": "graphopt_abs:FuseAbs", "prefix-values": "graphopt_abs:PrefixValues"}
PLUGIN = Plugin("graphopt-abs", passes=PASSES, levels={1: ("fuse-abs",)}, requires="graphopt>=0.1")  # the other runs when it is named
