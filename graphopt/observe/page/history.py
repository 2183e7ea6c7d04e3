"""What became of each node of a run, node by node: which rewrite took it out, which put it in, and where a rule said no."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, final

from graphopt.ir.graph import EXIT, Graph, Node
from graphopt.ir.model import Model
from graphopt.observe.matching import Matching
from graphopt.observe.observer import Observer
from graphopt.observe.page.drawing import Drawing, Json, Texts
from graphopt.observe.page.near import NearMisses
from graphopt.observe.trace import label

if TYPE_CHECKING:
    from graphopt.match.rule import Rule

NO_RULES: Final[Mapping[str, Rule]] = MappingProxyType({})
_NAMES = re.compile(r"'[^']*'|%\S+|\"[^\"]*\"")


@dataclass(slots=True)
class Step:
    """One rewrite. `gone` are the nodes it took out, `made` those it put in, `touched` those it changed where they stand.

    `number` is the one that `Trace` and `Bisect` count; 0 stands for what a pass took out besides.
    """

    number: int
    rule: str
    pass_name: str
    at: str
    gone: list[Node] = field(default_factory=list)
    made: tuple[Node, ...] = ()
    touched: tuple[Node, ...] = ()


@final
class History(Observer):
    """Remembers the nodes of a run. It draws the model when the first pass begins, with all types inferred, and again at `finish`."""

    def __init__(self) -> None:
        self.texts = Texts()
        self.before: Drawing | None = None
        self.after: Drawing | None = None
        self.steps: list[Step] = []
        self.near = NearMisses()
        self._twins: dict[Node, Node] | None = None  # node of `after` -> node of `before`; None: the same object
        self._pairs: dict[Graph, Graph] | None = None  # graph of `before` -> graph of `after`; None: the same object
        self._pass, self._count = "", 0
        self._claimed: set[Node] = set()  # erased, and listed with the rewrite that did it
        self._watched: dict[Node, None] = {}  # in a graph when last looked at
        self._functions: list[Graph] = []  # the bodies that there were then

    @classmethod
    def between(cls, before: Model, after: Model | None = None) -> History:
        """Of two models that nobody saw become each other, by names and structure; or of one alone."""
        history = cls()
        history.before = Drawing(before, history.texts)
        history.after = None if after is None else Drawing(after, history.texts)
        if after is not None:
            matching = Matching(before, after)
            history._twins, history._pairs = matching.back, dict(matching.graphs)
        return history

    def pass_began(self, name: str, graph: Graph) -> None:
        if self.before is None:
            self.before = Drawing(graph.model, self.texts)
            self._watched = dict.fromkeys(self.before.nodes)
            self._functions = [each.graph for each in graph.model.functions.values()]
        self._pass = name

    def declined(self, source: str, node: Node, why: Callable[[], str]) -> None:
        self.near.add(source, node, why)

    def applied(self, source: str, node: Node, replacement: tuple[Node, ...]) -> None:
        self._count += 1
        self.near.forget(source, node)
        step = Step(self._count, source, self._pass, "" if node.op == EXIT else label(node), made=replacement)
        self._watched |= dict.fromkeys(replacement)
        self._claim(node, step)
        if not step.gone and not replacement and node.graph is not None and node.op != EXIT:
            step.touched = (node,)
        self.steps.append(step)

    def _claim(self, node: Node, step: Step) -> None:
        """List a node that is in no graph any more with the rewrite, and those that only it read."""
        left = [node]
        while left:
            node = left.pop()
            if node.graph is not None or node in self._claimed or node not in self._watched:
                continue
            self._claimed.add(node)
            step.gone.append(node)
            left += [value.producer for value in node.inputs if value is not None and value.producer is not None]

    def pass_ended(self, name: str, graph: Graph, changes: int, seconds: float) -> None:
        """What went and is listed nowhere went with the last rewrite of the pass, or with the pass itself."""
        if not changes:
            return
        left = [each.graph for each in graph.model.functions.values()]
        dropped = [each for each in self._functions if each not in left]
        self._functions = left
        gone = [node for node in self._watched if node.graph is None]
        for node in gone:
            del self._watched[node]
        gone += [node for each in dropped for inner in each.walk() for node in inner]
        rest = [node for node in gone if node not in self._claimed]
        if rest:
            self._claimed.update(rest)
            self.steps.append(Step(0, name.partition("{")[0], name, "", rest))

    def finish(self, model: Model) -> None:
        """The run is over: draw what came out."""
        self.after = Drawing(model, self.texts)
        if self.before is None:  # no pass ran
            self.before = self.after

    # ---- as data

    def as_json(self, rules: Mapping[str, Rule] = NO_RULES) -> Json:
        """The drawings and what links them, by the places of nodes. `rules` says of those that refused how far they look."""
        sides = [drawing.as_json() for drawing in (self.before, self.after) if drawing is not None]
        found: Json = {"sides": sides}
        if self.before is not None and self.after is not None:
            found |= self._links(self.before, self.after)
            found["near"] = self._near(self.after, rules)
        return found | {"texts": self.texts.all()}

    def _links(self, before: Drawing, after: Drawing) -> Json:
        twins = [before.places.get(node if self._twins is None else self._twins.get(node, node), -1) for node in after.nodes]
        changed = [place for place, twin in enumerate(twins) if twin >= 0 and after.described[place] != before.described[twin]]
        self._claim_inner(before, after)
        maker = {node: number for number, step in enumerate(self.steps) for node in step.made if node not in before.places}
        text = self.texts
        rewrites = [
            [
                step.number,
                text(step.rule),
                text(step.pass_name),
                text(step.at),
                [before.places[node] for node in step.gone if node in before.places],
                [after.places[node] for node in (*step.made, *step.touched) if node in after.places],
                sorted({maker[node] for node in step.gone if node in maker}),
            ]
            for step in self.steps
        ]
        pairs = self._pairs if self._pairs is not None else {graph: graph for graph in before.graphs if graph in after.graphs}
        graphs = [[before.graphs[one], after.graphs[other]] for one, other in pairs.items()]
        return {"twins": twins, "changed": changed, "rewrites": rewrites, "graphs": graphs, "stands": self._stands(before, after)}

    def _stands(self, before: Drawing, after: Drawing) -> list[list[int]]:
        """Each node of the result that stands for others by what it says itself (a merged one has no rewrite of its own), and those."""
        homes: dict[str, int] = {}
        for place, name in enumerate(before.labels):
            homes[name] = -1 if name in homes else place
        found = []
        for place, node in enumerate(after.nodes):
            places = [homes.get(name, -1) for name in node.replaces]
            if kept := [old for old in places if old >= 0 and before.nodes[old] not in after.places]:
                found.append([place, *kept])
        return found

    def _claim_inner(self, before: Drawing, after: Drawing) -> None:
        """List what stood in the graphs of a node that went with the rewrite that took it out."""
        homes = {node: step for step in self.steps for node in step.gone}
        for node in before.nodes:
            if node in after.places or node in self._claimed:
                continue
            owner = node.graph.owner if node.graph is not None else None
            if owner in homes:
                homes[node] = homes[owner]
                homes[node].gone.append(node)
                self._claimed.add(node)

    def _near(self, after: Drawing, rules: Mapping[str, Rule]) -> Json:
        """Near misses that still stand at nodes that are still there, by rule and reason with the names left out."""
        groups: dict[tuple[str, str], list[list[int]]] = {}
        passed = 0
        for rule, node, reason, stands in self.near.standing(rules):
            place = after.places.get(node)
            if place is None or not stands:
                passed += 1
                continue
            groups.setdefault((rule, _NAMES.sub("…", reason)), []).append([place, self.texts(reason)])
        ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
        return {
            "groups": [[self.texts(rule), self.texts(reason), nodes] for (rule, reason), nodes in ordered],
            "passed": passed,
            "unlisted": self.near.unlisted,
        }
