"""Plug-ins that are not installed: passes that are wrong, that break, that are not there."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import ClassVar

from graphopt.ir import Graph, Value
from graphopt.match import Declined, Match, op, rule, tensor
from graphopt.pipeline.base import Context, Pass
from graphopt.pipeline.plugin import Plugin


@rule(op.Relu(tensor("x")))
def raises(m: Match, x: Value) -> Value:
    """Relu(x)  ->  an exception"""
    raise LookupError("nothing")


@rule(op.Relu(tensor("x", where=lambda x: 1 // 0 > 0)))
def asks_wrongly(m: Match, x: Value) -> Value:
    """Its condition raises."""
    return x


@rule(op.Identity(tensor("x")))
def declines(m: Match, x: Value) -> Declined:
    """Identity(x)  ->  no"""
    return m.no("{} is needed", x)


@dataclass(frozen=True)
class Leave(Pass):
    """Ends itself as a script does."""

    name: ClassVar[str] = "leave"

    def run(self, graph: Graph, context: Context) -> int:
        """Leave."""
        sys.exit("bad thing")


PLUGIN = Plugin(
    "strangers",
    passes={"make-wrong": "tests.api.test_optimize:MakeWrong", "explode": "tests.api.test_optimize:Explode"},
    levels={},  # they run only when they are named
)
BROKEN = Plugin("broken", passes={"gone": "no_such_module:Gone"})
RULES = Plugin("ruling", rules={"raises": "tests.cli.strangers:raises", "asks-wrongly": "tests.cli.strangers:asks_wrongly"})
OPTIONS = Plugin("options", passes={"take-all": "tests.pipeline.fakes:TakeAll"}, levels={})
FAKES = Plugin("fakes", passes={"relu-to-neg": "tests.pipeline.fakes:ReluToNeg", "corrupt": "tests.pipeline.fakes:Corrupt"}, levels={})
LEAVES = Plugin("leaving", passes={"leave": "tests.cli.strangers:Leave"})
DECLINES = Plugin("declining", rules={"declines": "tests.cli.strangers:declines"})
