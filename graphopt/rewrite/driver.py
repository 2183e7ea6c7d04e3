"""The driver: rules to a fixpoint over one graph and all graphs inside it, in time linear in nodes plus rewrites."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import lru_cache, partial
from typing import Any, final

from graphopt.errors import InternalError
from graphopt.ir.edit import Editor
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.listener import Listener
from graphopt.match.index import RuleIndex, needs_of, operators_of
from graphopt.match.rule import Declined, Rule
from graphopt.observe.observer import Observer
from graphopt.rewrite.plan import Plan, plan, shadowed
from graphopt.schema import facts

ROUNDS = 20  # rewrites per node of the graph after which rules must be undoing each other's work


def apply_rules(graph: Graph, rules: Iterable[Rule], editor: Editor, observer: Observer, since: int | None = None) -> int:
    """Apply rules everywhere in a graph and the graphs inside it until none applies; returns how many rewrites were made.

    Bigger patterns are tried first, then the order given. Types must have been inferred (`infer_model`). `since` is the moment
    (`editor.index.now`) at which the same rules last found nothing more to do here: only what changed after it is looked at, and what
    patterns reach from there. Raises InternalError when rules alternate without end, naming them.
    """
    redefined = shadowed(graph)
    allowed = [rule for rule in rules if not redefined or not redefined & operators_of(rule)]
    opsets, changes = tuple(graph.opsets.items()), 0
    tried: tuple[Rule, ...] = ()
    while True:
        usable = tuple(rule for rule in allowed if rule in tried or needs_of(rule) <= editor.index.operators)
        if len(usable) == len(tried):
            return changes
        run = _Run(graph, usable, _index(usable, opsets), editor, observer)
        if since is None or run.index.has_several_roots:
            run.look_everywhere()
        else:
            run.look_at(editor.index.touched(since))
        changes += run.run()
        tried = usable  # what was made may be the first call of an operator that another rule waited for


@lru_cache(maxsize=256)
def _index(rules: tuple[Rule, ...], opsets: tuple[tuple[str, int], ...]) -> RuleIndex:
    return RuleIndex(rules, dict(opsets))


@final
class _Run(Listener):
    """One run to a fixpoint: the worklist, kept current by listening to the edits."""

    def __init__(self, graph: Graph, rules: tuple[Rule, ...], index: RuleIndex, editor: Editor, observer: Observer) -> None:
        self.graph, self.index, self.editor, self.observer = graph, index, editor, observer
        self.roots = index.roots
        self.attempts = {rule: partial(self.attempt, rule) for rule in rules}
        self.queue: deque[Node] = deque()
        self.queued: set[Node] = set()
        self.applied: list[str] = []

    def run(self) -> int:
        """Empty the worklist."""
        if not self.queue:
            return 0
        outer, self.editor.listener = self.editor.listener, self
        try:
            limit = ROUNDS * (len(self.queue) + 50)
            seen = -1
            while seen != len(self.applied):
                seen = len(self.applied)
                self.drain(limit)
                if not self.index.has_several_roots or seen == len(self.applied):
                    break
                self.look_everywhere()  # a change beside one root is not traced to the others
        finally:
            self.editor.listener = outer
        return len(self.applied)

    def look_everywhere(self) -> None:
        """Put every node on the worklist that may be a first root."""
        for node in self.editor.calls(self.graph, self.roots):
            self.enqueue(node)

    def look_at(self, touched: Iterable[Node]) -> None:
        """Put the first roots on the worklist whose patterns reach one of these nodes."""
        root = self.graph
        for node in touched:
            if self.index.is_inner(node) and node.graph is not None and root.encloses(node.graph) and self.editor.holds(node):
                self.touch(node)

    def drain(self, limit: int) -> None:
        """Visit what is on the worklist, and what that puts there, until nothing is left."""
        while self.queue:
            node = self.queue.popleft()
            self.queued.discard(node)
            if self.editor.holds(node):
                self.visit(node)
            if len(self.applied) > limit:
                raise self.endless()

    def visit(self, node: Node) -> None:
        for rule, matcher in self.index.candidates(node):
            if matcher(node, self.attempts[rule]):
                return

    def attempt(self, rule: Rule, roots: tuple[Node, ...], nodes: tuple[Node, ...], bindings: dict[str, Any]) -> bool | None:
        """What the matcher calls at a complete match; None sends it on to the next alternative."""
        ready = plan(rule, roots, nodes, bindings)
        if ready is None:
            return None
        if isinstance(ready, Declined):
            self.observer.declined(rule.name, roots[0], ready.__str__)
            return None
        if not self.observer.may_apply(rule.name, roots[0]):
            return None
        self.apply(ready)
        return True

    def apply(self, ready: Plan) -> None:
        """Make the rewrite: insert, redirect, erase. Every guard has agreed before."""
        editor, anchor, graph = self.editor, ready.anchor, ready.match.graph
        results = [new for _, new in ready.pairs]
        self.inherit(ready)
        for node in ready.made:
            editor.insert(node, graph, anchor)
        for value in results:
            if value.is_detached:
                editor.adopt_constant(graph, value, anchor)
        fresh = {value for node in ready.made for value in node.outputs}
        for old, new in ready.pairs:
            if new.type is None or (old.type is not None and new in fresh):
                new.type = old.type
            if new in fresh and new.contents is None:
                new.contents = old.contents
            renames = new in fresh and not old.is_output
            editor.replace(old, new)
            if renames:
                editor.exchange_names(old, new)
        editor.erase_unread(ready.match.nodes, facts.may_drop)
        self.applied.append(ready.rule.name)
        self.observer.applied(ready.rule.name, ready.match.root, tuple(ready.made))

    def inherit(self, ready: Plan) -> None:
        """New nodes take over what was said of the nodes they replace, and remember them."""
        gone = ready.match.nodes
        metadata: dict[str, str] = {}
        for node in gone:
            for key, text in node.metadata.items():
                metadata.setdefault(key, text)
        names = tuple(dict.fromkeys(name for node in gone for name in node.stands_for))
        made_by = {new.producer: old.producer for old, new in ready.pairs}
        for node in ready.made:
            node.rule, node.replaces, node.metadata = ready.rule.name, names, dict(metadata)
            replaced = made_by.get(node)
            if replaced is not None:
                node.name, node.doc = replaced.name, replaced.doc

    def endless(self) -> InternalError:
        last = list(dict.fromkeys(self.applied[-50:]))
        return InternalError(
            f"graph {self.graph.name!r}: the rules {', '.join(last)} undo each other's work without end "
            f"({len(self.applied)} rewrites); leave one of them out (--skip) and report this"
        )

    # ---- listening: whatever may have become matchable goes back on the worklist

    def inserted(self, node: Node) -> None:
        self.touch(node)

    def rewired(self, node: Node, slot: int, old: Value | None) -> None:
        self.touch(node)

    def reattributed(self, node: Node, name: str) -> None:
        self.touch(node)

    def erased(self, node: Node) -> None:
        for value in node.inputs:
            if value is not None and len(value.users) == 1:  # its one reader left may match where two stood in the way
                self.touch(next(iter(value.users)))
            if value is not None and value.producer is not None:
                self.enqueue(value.producer)

    def enqueue(self, node: Node) -> None:
        if node.op in self.roots and node not in self.queued and node.graph is not None:
            self.queued.add(node)
            self.queue.append(node)

    def touch(self, node: Node) -> None:
        """Queue a node, and the roots of patterns that reach back to it."""
        self.enqueue(node)
        edge = [node]
        for _ in range(self.index.depth - 1):
            edge = [here for here in edge if self.index.is_inner(here)]
            if not edge:
                return
            edge = list(dict.fromkeys(reader for here in edge for value in here.outputs for reader in value.users))
            for reader in edge:
                self.enqueue(reader)
