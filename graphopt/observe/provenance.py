"""Where each node of a result comes from: which nodes of the very first model it stands for, and which rules made it so.

During a run links travel in `Node.replaces`, which rules and passes hand on from what goes to what comes: each leads to the links and names
that were carried before it, and only `origins` follows them to their ends. In a file the names and the rules are metadata of the node,
which every runtime ignores:

graphopt.rule       the names of the rules, and of the passes that are no rules, in their order, with ", " between them
graphopt.replaced   the names of the nodes in the first model, as a list in JSON; a node without a name has that of its first output
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, final

from graphopt.errors import ModelError
from graphopt.ir.graph import EXIT, Graph, Node
from graphopt.ir.model import Model
from graphopt.ir.scopes import values_of
from graphopt.observe.observer import Observer
from graphopt.observe.trace import Link, label

RULE, REPLACED = "graphopt.rule", "graphopt.replaced"
SINCE = 10  # the IR version from which on nodes have metadata_props (onnx.proto, Version)


@dataclass(frozen=True, slots=True)
class Origin:
    """The nodes of the first model that a node stands for, and the rules that made it, in their order; none for a node as it was."""

    names: tuple[str, ...]
    rules: tuple[str, ...] = ()


@final
@dataclass(slots=True)
class Origins:
    """What a run did to the nodes of a model.

    `nodes`: each new or changed node of the result, by its label -> where it comes from, and `operators` its operator. `removed`: each node
    that nothing stands for any more -> the rule or pass that took it out, "" where that is not known. `values`: each value whose name
    is gone -> the name that it has now; None when nothing has it.
    """

    nodes: dict[str, Origin] = field(default_factory=dict)
    operators: dict[str, str] = field(default_factory=dict)
    removed: dict[str, str] = field(default_factory=dict)
    values: dict[str, str | None] = field(default_factory=dict)

    def add(self, node: Node, origin: Origin) -> None:
        """List a node; one that has a label of another node is listed with it."""
        name = label(node)
        known = self.nodes.get(name, Origin(()))
        self.nodes[name] = Origin(_once(known.names, origin.names), _once(known.rules, origin.rules))
        self.operators.setdefault(name, node.op)

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """As plain data, as `graphopt map` prints it."""
        nodes = {
            name: {"op": self.operators.get(name), "from": list(origin.names), "rules": list(origin.rules)}
            for name, origin in self.nodes.items()
        }
        return {"nodes": nodes, "removed": {name: why or None for name, why in self.removed.items()}, "values": self.values}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Origins:  # Any: JSON
        """What `as_json` gave. Raises KeyError, TypeError, ValueError or AttributeError for anything else."""
        found = cls(removed={name: why or "" for name, why in data["removed"].items()}, values=dict(data["values"]))
        for name, node in data["nodes"].items():
            found.nodes[name] = Origin(tuple(node["from"]), tuple(node["rules"]))
            found.operators[name] = node["op"]
        return found


def origin_in_file(node: Node) -> Origin | None:
    """What the metadata of a node says of where it comes from; None when it says nothing that can be understood."""
    replaced = node.metadata.get(REPLACED)
    if replaced is None:
        return None
    try:
        names = json.loads(replaced)
    except ValueError:
        return None
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        return None
    return Origin(tuple(names), tuple(filter(None, node.metadata.get(RULE, "").split(", "))))


def read_origins(path: Path) -> Origins:
    """What a report says of the nodes. Raises ModelError when the file cannot be read or is no such report."""
    try:
        return Origins.from_json(json.loads(path.read_text(encoding="utf-8"))["map"])
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        made = "`graphopt optimize --report FILE.json` writes one"
        raise ModelError(f"{path}: is no report with a map of the nodes; {made}") from error


def is_told(model: Model) -> bool:
    """Whether some node of a model says where it comes from."""
    return any(REPLACED in node.metadata for node in model.nodes())


@final
class Provenance(Observer):
    """Follows the nodes of a model through a run. Make it before the run; `origins` after it says what became of them."""

    def __init__(self, model: Model) -> None:
        self._links = 0  # how many were made
        self._blame: dict[str, str] = {}  # a name or a link -> who took its node out last, in the order in which they did
        self._gone: set[Node] = set()  # erased since the pass began, and blamed on somebody
        self._first: dict[str, int] = {}  # the names of the first model -> their place
        self._functions = len(model.functions)
        self._model = model
        self._changed: dict[Node, Origin] = {}
        self._seen: dict[Node, tuple[str, ...]] = {}  # each node that may be followed -> what it carried when it was last looked at
        self._values = {value: value.name for graph in model.graphs() for value in values_of(graph) if value.name}
        for node in model.nodes():
            self._begin(node)

    def _begin(self, node: Node) -> None:
        told = origin_in_file(node)
        carried: tuple[str, ...] = (label(node),) if told is None else told.names
        for name in carried:
            self._first.setdefault(name, len(self._first))
        if told is not None:
            rules = tuple(self._link(node, rule, ()) for rule in told.rules)
            carried = (self._link(node, "", (*carried, *rules)),)
        node.replaces = self._seen[node] = carried

    def _link(self, node: Node, rule: str, carried: tuple[str, ...]) -> Link:
        self._links += 1
        return Link(self._links, label(node), rule, carried)

    # ---- listening

    def applied(self, source: str, node: Node, replacement: tuple[Node, ...]) -> None:
        for made in replacement:
            self._change(made, made.replaces or node.replaces, source)
        if not replacement and node.graph is not None and node.op != EXIT:  # changed where it stands
            self._change(node, node.replaces, source)
        self._follow(node, source)

    def pass_ended(self, name: str, graph: Graph, changes: int, seconds: float) -> None:
        if not changes:
            return
        step = name.partition("{")[0]
        for node, carried in list(self._seen.items()):
            if node.graph is None:
                del self._seen[node]
                self._follow(node, step)
            elif node.replaces is not carried:  # it took the place of others, and nobody told
                self._change(node, node.replaces, step)
        if len(self._model.functions) < self._functions:
            self._functions = len(self._model.functions)
            self._lose_functions(step)
        self._gone.clear()

    def _change(self, node: Node, carried: tuple[str, ...], source: str) -> None:
        """Let a node say that it was made, or changed, by a rule, out of those that carried this."""
        node.replaces = self._seen[node] = (self._link(node, source, carried),)

    def _follow(self, node: Node, source: str) -> None:
        """Blame a rule for a node that is no longer in a graph, for what stood inside it, and for what only it read."""
        left = [node]
        while left:
            node = left.pop()
            if node.graph is not None or node in self._gone or node.op == EXIT:
                continue
            self._gone.add(node)
            self._lose(node, source)
            left += [value.producer for value in node.inputs if value is not None and value.producer is not None]

    def _lose(self, node: Node, source: str) -> None:
        for each in node.replaces:
            self._blame.pop(each, None)  # the last one comes last
            self._blame[each] = source
        for inner in node.subgraphs:
            for held in inner:
                self._lose(held, source)

    def _lose_functions(self, step: str) -> None:
        left = {function.graph for function in self._model.functions.values()}
        for node in self._seen:
            root = node.graph.root if node.graph is not None else None
            if root is not None and root.function is not None and root not in left:
                self._lose(node, step)

    # ---- afterwards

    def origins(self) -> Origins:
        """What became of all nodes. Afterwards `Node.replaces` holds names alone, and none where a node is as it was."""
        found, present = Origins(), set[str]()
        for node in self._model.nodes():
            origin = self._origin(node)
            present.update(origin.names)
            node.replaces = ()
            if origin != Origin((label(node),)):
                node.replaces, self._changed[node] = origin.names, origin
                found.add(node, origin)
        blame = self._blamed()
        found.removed = {name: blame.get(name, "") for name in self._first if name not in present}
        found.values = self._renamed()
        return found

    def store(self) -> None:
        """Let the metadata of each new or changed node say where it comes from, after `origins`. The IR version must allow it (`SINCE`)."""
        for node in self._model.nodes():
            origin = self._changed.get(node)
            said = {} if origin is None else {RULE: ", ".join(origin.rules), REPLACED: json.dumps(origin.names, ensure_ascii=False)}
            if {key: node.metadata[key] for key in (RULE, REPLACED) if key in node.metadata} != said:
                node.metadata = {key: text for key, text in node.metadata.items() if key not in (RULE, REPLACED)} | said
                node.changed = True

    def _origin(self, node: Node) -> Origin:
        names, links = _ends(node.replaces, set())
        rules = dict.fromkeys(link.rule for link in sorted(links, key=attrgetter("number")) if link.rule)
        known = sorted({name for name in names if name in self._first}, key=self._first.__getitem__)
        return Origin(tuple(known), tuple(rules) or ((node.rule,) if node.rule else ()))

    def _blamed(self) -> dict[str, str]:
        """Each name whose node, or another that stood for it, was taken out -> who did so last."""
        found: dict[str, str] = {}
        seen: set[Link] = set()
        for each, source in reversed(self._blame.items()):
            for name in _ends((each,), seen)[0]:
                found.setdefault(name, source)
        return found

    def _renamed(self) -> dict[str, str | None]:
        present = {value: None for graph in self._model.graphs() for value in values_of(graph) if value.name}
        names = {value.name for value in present}
        return {name: value.name if value in present else None for value, name in self._values.items() if name not in names}


def _ends(carried: tuple[str, ...], seen: set[Link]) -> tuple[list[str], list[Link]]:
    """The names that some links lead to, once or more, and the links on the way; without those already `seen`, to which these are added."""
    names: list[str] = []
    links: list[Link] = []
    left = list(carried)
    while left:
        each = left.pop()
        if not isinstance(each, Link):
            names.append(each)
        elif each not in seen:
            seen.add(each)
            links.append(each)
            left += each.carried
    return names, links


def _once(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))
