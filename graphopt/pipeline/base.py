"""What a pass is, when it runs, and what it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from graphopt.ir.edit import Editor
from graphopt.ir.graph import Graph, Node
from graphopt.ir.model import Model
from graphopt.observe.observer import Observer
from graphopt.pipeline.level import Level

if TYPE_CHECKING:
    from graphopt.match.rule import Exactness, Rule

__all__ = ["Context", "Level", "Pass", "RulePass"]

T = TypeVar("T")
WORSE = ("exact", "rounding", "approximate")  # in this order


@dataclass(slots=True)
class Context:
    """What a pass may use: the model, the only editor of it, and whom to tell."""

    model: Model
    observer: Observer = field(default_factory=Observer)
    editor: Editor = field(init=False)
    nodes: int = field(init=False)  # how many the main graph had when the run began
    spent: dict[Pass, int] = field(default_factory=dict)  # of a budget for the whole run, by the pass that has it
    stale: bool = False  # a pass asks that types be inferred again before the next pass
    finished: dict[tuple[object, Graph], int] = field(default_factory=dict)  # when these rules, or a pass, last looked at all of a graph
    notes: dict[tuple[Pass, Graph], Any] = field(default_factory=dict)  # Any: what each pass keeps for itself from one run to the next

    def __post_init__(self) -> None:
        self.editor = Editor(self.model)
        self.nodes = len(self.model.graph)

    def allows(self, source: str, node: Node, refusal: str | None) -> bool:
        """Whether a pass may change a node: it has no refusal of its own, which is told, and no observer forbids it."""
        if refusal is not None:
            self.observer.declined(source, node, refusal.__str__)
            return False
        return self.observer.may_apply(source, node)

    def change_all(self, source: str, graph: Graph, found: Sequence[T], change: Callable[[T], object]) -> int:
        """Change everything that was found in a graph as one step, unless an observer forbids it; return how many."""
        # What belongs to no node, like an initializer or an import: the end of the graph stands for it before the observers.
        if not found or not self.observer.may_apply(source, graph.exit):
            return 0
        for item in found:
            change(item)
        self.observer.applied(source, graph.exit, ())
        return len(found)


@dataclass(frozen=True)
class Pass(ABC):
    """One pass. A subclass is a frozen dataclass whose fields are its options: typed, defaulted, documented.

    `name` is verb-object in kebab-case; `level` says when it runs. `after` and `before` name passes of the same level that a plug-in's pass
    must follow or precede. `rules` are those that the pass applies; none for an algorithm over the whole graph. `exactness` is the
    algorithm's own; a pass is no more exact than the worst of its rules. The docstring says Before / After / Keeps; each field is
    documented by `metadata={"doc": "one line"}`. `changes_signature` says that it may change what callers see; such a pass runs only
    when it is named.
    """

    name: ClassVar[str] = ""
    level: ClassVar[Level] = Level.BASIC
    after: ClassVar[tuple[str, ...]] = ()
    before: ClassVar[tuple[str, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = ()
    exactness: ClassVar[Exactness] = "exact"
    changes_signature: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.exactness = max((cls.exactness, *(rule.exactness for rule in cls.rules)), key=WORSE.index)

    @abstractmethod
    def run(self, graph: Graph, context: Context) -> int:
        """Change a graph and the graphs inside it through `context.editor`; return how many changes were made, 0 for none.

        `graph` is the main graph or the body of a local function; the runner calls once for each.
        """

    def __str__(self) -> str:
        from graphopt.pipeline.options import print_options  # a cycle: options are read into passes

        return self.name + print_options(self)


@dataclass(frozen=True)
class RulePass(Pass):
    """A pass that applies `rules`, all in one worklist, to a fixpoint.

    >>> class FuseMatMulAdd(RulePass):                           # doctest: +SKIP
    ...     \"\"\"Add(MatMul(x, w), c)  ->  Gemm(x, w, c)\"\"\"
    ...     name = "fuse-matmul-add"
    ...     rules = (matmul_add_to_gemm,)
    """

    def run(self, graph: Graph, context: Context) -> int:
        """Apply the rules everywhere until none applies; return how many rewrites were made."""
        from graphopt.rewrite import apply_rules  # loads the matcher, which a list of passes does not need

        key = (self.rules, graph)
        changes = apply_rules(graph, self.rules, context.editor, context.observer, context.finished.get(key))
        context.finished[key] = context.editor.index.now
        return changes

    @staticmethod
    def of(name: str, *rules: Rule, level: Level = Level.BASIC) -> RulePass:
        """A pass made on the spot: `Pipeline([RulePass.of("my-fusions", my_rule, my_other_rule)])`."""
        return _class_of(name, rules, level)()


@cache  # the same rules make the same class, so that passes made of them are equal
def _class_of(name: str, rules: tuple[Rule, ...], level: Level) -> type[RulePass]:
    members = {"name": name, "rules": rules, "level": level, "__doc__": f"Applies {', '.join(map(str, rules))}.", "__module__": __name__}
    return type(name, (RulePass,), members)
