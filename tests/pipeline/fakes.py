"""Passes with every kind of option and behaviour, and plug-ins that bring them; no ONNX needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Literal

from graphopt.ir import Graph, Node
from graphopt.ir.graph import Value
from graphopt.match.language import op, tensor
from graphopt.match.match import Match
from graphopt.match.rule import Outcome, rule
from graphopt.pipeline.base import Context, Level, Pass, RulePass
from graphopt.pipeline.options import ByteSize
from graphopt.pipeline.plugin import Plugin
from graphopt.pipeline.registry import Registry
from graphopt.pipeline.target import Target


class Mode(Enum):
    """What some option chooses."""

    FAST_MATH = 1
    SAFE = 2


@dataclass(frozen=True)
class TakeAll(Pass):
    """Has an option of each type.

    Before:  anything
    After:   the same
    """

    name: ClassVar[str] = "take-all"
    strict: bool = False
    count: int = 3
    ratio: float = 0.5
    word: str = "plain"
    max_growth: ByteSize = field(default=ByteSize(0), metadata={"doc": "how much the file may grow"})
    choice: Literal["auto", "never"] = "auto"
    mode: Mode = Mode.SAFE
    operators: tuple[str, ...] = ()
    limit: int | None = None
    nickname: str | None = None

    def run(self, graph: Graph, context: Context) -> int:
        return 0


@dataclass(frozen=True)
class NeedsOption(Pass):
    """Has an option without default."""

    name: ClassVar[str] = "needs-option"
    amount: int

    def run(self, graph: Graph, context: Context) -> int:
        return 0


@dataclass(frozen=True)
class DropRelu(Pass):
    """Removes the last Relu whose output is not the graph's; one each time, so that it needs a loop."""

    name: ClassVar[str] = "drop-relu"

    def run(self, graph: Graph, context: Context) -> int:
        for node in reversed(graph):
            if node.op == "Relu" and not node.output.is_output and context.observer.may_apply(self.name, node):
                source = node.inputs[0]
                assert source is not None
                context.editor.replace(node.output, source)
                context.editor.erase(node)
                context.observer.applied(self.name, node, ())
                return 1
        return 0


def _swap(graph: Graph, context: Context, old: str, new: str) -> int:
    """Replace the first node of one operator by one of another."""
    for node in graph:
        if node.op == old:
            fresh = context.editor.insert(Node(new, node.inputs), graph, node)
            context.editor.replace(node.output, fresh.output)
            context.editor.erase(node)
            context.observer.applied(f"{old}-to-{new}".lower(), node, (fresh,))
            return 1
    return 0


@dataclass(frozen=True)
class ReluToNeg(Pass):
    """Relu becomes Neg, which is wrong."""

    name: ClassVar[str] = "relu-to-neg"

    def run(self, graph: Graph, context: Context) -> int:
        return _swap(graph, context, "Relu", "Neg")


@dataclass(frozen=True)
class NegToRelu(Pass):
    """Neg becomes Relu, which undoes the other's work."""

    name: ClassVar[str] = "neg-to-relu"

    def run(self, graph: Graph, context: Context) -> int:
        return _swap(graph, context, "Neg", "Relu")


@dataclass(frozen=True)
class Break(Pass):
    """Raises at the first node."""

    name: ClassVar[str] = "break"

    def run(self, graph: Graph, context: Context) -> int:
        for node in graph:
            raise KeyError(node.op)
        return 0


@dataclass(frozen=True)
class Corrupt(Pass):
    """Leaves a broken graph behind: a value whose readers are not counted."""

    name: ClassVar[str] = "corrupt"

    def run(self, graph: Graph, context: Context) -> int:
        next(iter(graph)).output.users.clear()
        return 1


@dataclass(frozen=True)
class ForgetReturn(Pass):
    """Returns nothing."""

    name: ClassVar[str] = "forget-return"

    def run(self, graph: Graph, context: Context) -> int:
        return None  # type: ignore[return-value]  # what an author forgets


@rule(op.Relu(op.Relu(tensor("x"))))
def relu_relu(m: Match, x: Value) -> Outcome:
    """Relu(Relu(x))  ->  Relu(x)"""
    return m.op.Relu(x)


@rule(op.Neg(op.Neg(tensor("x"))))
def neg_neg(m: Match, x: Value) -> Outcome:
    """Neg(Neg(x))  ->  x"""
    return x


class FuseRelu(RulePass):
    """Relu(Relu(x))  ->  Relu(x)"""

    name = "fuse-relu"
    level = Level.EXTENDED
    rules = (relu_relu,)


class _Strange(Pass):
    def run(self, graph: Graph, context: Context) -> int:
        return 0


class ComesAfter(_Strange):
    """A stranger's pass that follows one of ours."""

    name = "comes-after"
    after = ("drop-relu",)


class ComesBefore(_Strange):
    """A stranger's pass that precedes one of ours."""

    name = "comes-before"
    before = ("drop-relu",)


class ComesLast(_Strange):
    """A stranger's pass that wishes nothing."""

    name = "comes-last"


class Chicken(_Strange):
    """Follows the egg."""

    name = "chicken"
    after = ("egg",)


class Egg(_Strange):
    """Follows the chicken."""

    name = "egg"
    after = ("chicken",)


HERE = "tests.pipeline.fakes"

FAST_CPU = Target("fast-cpu", "A target with passes at two levels.", {2: ("neg-to-relu", "drop-relu"), 3: ("take-all",)})
SLOW_CPU = Target("slow-cpu", "A target that lists a pass which is not there.", {2: ("drop-relu", "no-such-pass")})

PLUGIN = Plugin(
    "graphopt",
    passes={
        "take-all": f"{HERE}:TakeAll",
        "needs-option": f"{HERE}:NeedsOption",
        "drop-relu": f"{HERE}:DropRelu",
        "relu-to-neg": f"{HERE}:ReluToNeg",
        "neg-to-relu": f"{HERE}:NegToRelu",
        "break": f"{HERE}:Break",
        "corrupt": f"{HERE}:Corrupt",
        "forget-return": f"{HERE}:ForgetReturn",
        "fuse-relu": f"{HERE}:FuseRelu",
    },
    levels={1: ("take-all", "drop-relu"), 2: ("fuse-relu",)},
    rules={"neg-neg": f"{HERE}:neg_neg"},
    targets={"fast-cpu": f"{HERE}:FAST_CPU", "slow-cpu": f"{HERE}:SLOW_CPU"},
)


def registry(*strangers: Plugin) -> Registry:
    """The passes above as if they were graphopt's own, and those of strangers."""
    return Registry((PLUGIN, *strangers))
