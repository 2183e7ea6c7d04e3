"""What differs between two models, whoever made them; and why, where a report or the second model itself knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, final

from graphopt.ir.attribute import Attribute
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.model import Model
from graphopt.ir.scopes import values_of
from graphopt.ir.tensor import Tensor
from graphopt.observe.inventory import Inventory, declared_text
from graphopt.observe.matching import Matching, is_readable, same_attribute, same_bytes
from graphopt.observe.provenance import Origin, Origins, origin_in_file
from graphopt.observe.trace import label

SCHEMA = 1  # raised whenever a field changes its meaning or goes
SHOWN = 8  # elements of a list or a tensor that a text shows


@dataclass(frozen=True, slots=True)
class Changed:
    """Something that has a name, and what it was and is, in words; None where it was not there before, or is not any more."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class NodeChange:
    """A node that came, went or changed. `before` and `after` are (name, operator), None where there is none.

    `attributes` are those that differ; `inputs` the names of what it reads, when it reads something else. `rules` did it. `sources` are the
    nodes of the first model that it stands for, or, for one that went, the node of the second that stands for it.
    """

    graph: str
    before: tuple[str, str] | None = None
    after: tuple[str, str] | None = None
    attributes: tuple[Changed, ...] = ()
    inputs: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    rules: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def is_consequence(self) -> bool:
        """Whether nothing was done to the node but that it reads another value, because something was done to the one before it."""
        alike = self.before is not None and self.after is not None and self.before[1] == self.after[1]
        return alike and self.inputs is not None and not self.attributes and not self.rules


@final
@dataclass(slots=True)
class Difference:
    """What differs. Not compared: doc strings, metadata, who made the file, the order of nodes.

    `inputs` and `outputs` are the model's, then, as "of NODE.ATTRIBUTE" or "of FUNCTION", all those of a graph inside that differ.
    `renamed` are nodes that differ by nothing but their name. `types` are of values that both models name and make alike. `unread`
    initializers were compared by type and shape alone, because their data is not there.
    """

    ir_version: tuple[int, int] = (0, 0)
    opsets: list[Changed] = field(default_factory=list)
    inputs: list[Changed] = field(default_factory=list)
    outputs: list[Changed] = field(default_factory=list)
    functions: list[Changed] = field(default_factory=list)
    operators: dict[str, tuple[int, int]] = field(default_factory=dict)
    nodes: tuple[int, int] = (0, 0)
    removed: list[NodeChange] = field(default_factory=list)
    added: list[NodeChange] = field(default_factory=list)
    changed: list[NodeChange] = field(default_factory=list)
    renamed: list[Changed] = field(default_factory=list)
    initializers: list[Changed] = field(default_factory=list)
    unread: int = 0
    types: list[Changed] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        lists = (self.opsets, self.inputs, self.outputs, self.functions, self.removed, self.added, self.changed, self.renamed)
        return self.ir_version[0] == self.ir_version[1] and not any(lists) and not self.initializers and not self.types

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """As plain data."""
        return {"schema": SCHEMA, "equal": self.is_empty, **asdict(self)}


def difference(before: Model, after: Model, origins: Origins | None = None) -> Difference:
    """Compare two models. `origins` says why things differ, when a run was traced that made one of the other.

    Reads the bytes of initializers and constants that are in both with the same type and shape, and of no others.
    """
    matching = Matching(before, after)
    found = Difference(
        (before.ir_version, after.ir_version),
        list(_changes(before.opsets, after.opsets)),
        list(_ports({value.name: value for value in before.graph.inputs}, {value.name: value for value in after.graph.inputs})),
        list(_ports(_outputs(before.graph), _outputs(after.graph))),
        list(_functions(before, after)),
    )
    one, other = Inventory.of(before), Inventory.of(after)
    found.nodes = one.nodes, other.nodes
    counts = {name: (one.operators.get(name, 0), other.operators.get(name, 0)) for name in sorted({*one.operators, *other.operators})}
    found.operators = {name: (left, right) for name, (left, right) in counts.items() if left != right}
    _nodes(matching, _Why(after, origins), found)
    found.initializers = list(_initializers(matching))
    found.unread = sum(
        not (is_readable(one.tensor) and is_readable(other.tensor))
        for one, other in matching.values.items()
        if one.tensor is not None and other.tensor is not None
    )
    found.types = list(_types(matching))
    _inner_ports(matching, found)
    return found


@final
class _Why:
    """Which rule did what to a node, from a report, or from what the second model says of its own nodes."""

    def __init__(self, after: Model, origins: Origins | None) -> None:
        self._origins = origins
        self._homes: dict[str, str] = {}
        for node in after.nodes():
            for name in self.of(node).names:
                self._homes.setdefault(name, label(node))
        self._nodes = {label(node): node for node in after.nodes()}

    def of(self, node: Node) -> Origin:
        """Where a node of the second model comes from."""
        if self._origins is not None:
            return self._origins.nodes.get(label(node), Origin(()))
        return origin_in_file(node) or Origin(())

    def gone(self, name: str) -> Origin:
        """What stands for a node of the first model, and what made it so."""
        home = self._homes.get(name)
        if home is not None and home in self._nodes:
            return Origin((home,), self.of(self._nodes[home]).rules)
        rule = self._origins.removed.get(name) if self._origins is not None else None
        return Origin((), (rule,) if rule else ())


def _nodes(matching: Matching, why: _Why, found: Difference) -> None:
    for node, place in _placed(matching.before):
        same = matching.nodes.get(node)
        if same is None:
            told = why.gone(label(node))
            found.removed.append(NodeChange(place, before=(label(node), node.op), rules=told.rules, sources=told.names))
            continue
        attributes = tuple(_attributes(node.attributes, same.attributes))
        inputs = _inputs(node, same, matching)
        if node.op != same.op or attributes or inputs or node.overload != same.overload:
            told = why.of(same)
            pair = (label(node), node.op), (label(same), same.op)
            found.changed.append(NodeChange(place, *pair, attributes, inputs, told.rules, told.names))
        elif label(node) != label(same):
            found.renamed.append(Changed(place, label(node), label(same)))
    for node, place in _placed(matching.after):
        if node not in matching.back:
            told = why.of(node)
            found.added.append(NodeChange(place, after=(label(node), node.op), rules=told.rules, sources=told.names))


def _placed(model: Model) -> Iterator[tuple[Node, str]]:
    """Every node, and the graph that it stands in: "" for the main graph."""
    for graph in model.graphs():
        place = _place(graph)
        for node in graph:
            yield node, place


def _place(graph: Graph) -> str:
    if graph.owner is not None:
        holding = next((name for name, held in graph.owner.attributes.items() if graph in held.graphs()), "")
        return f"{label(graph.owner)}.{holding}"
    return ".".join(filter(None, graph.function.key)) if graph.function is not None else ""


def _attributes(before: Mapping[str, Attribute], after: Mapping[str, Attribute]) -> Iterator[Changed]:
    for name in dict.fromkeys((*before, *after)):
        one, other = before.get(name), after.get(name)
        if one is None or other is None or not same_attribute(one, other):
            yield Changed(name, None if one is None else shown(one), None if other is None else shown(other))


def _inputs(node: Node, same: Node, matching: Matching) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """What both read, by name, where that is not the same. What has the same name and is made otherwise is told where it is made."""
    if _are_same(node.inputs, same.inputs, matching):
        return None
    return tuple(map(_called, node.inputs)), tuple(map(_called, same.inputs))


def _are_same(ones: Sequence[Value | None], others: Sequence[Value | None], matching: Matching) -> bool:
    return len(ones) == len(others) and all(_is_same(one, other, matching) for one, other in zip(ones, others, strict=True))


def _is_same(one: Value | None, other: Value | None, matching: Matching) -> bool:
    if one is None or other is None:
        return one is other
    known = matching.values.get(one)
    return known is other or (known is None and one.name == other.name)


def _called(value: Value | None) -> str:
    return "" if value is None else value.name


def _made_by(value: Value) -> str:
    return value.name if value.producer is None else f"made by {label(value.producer)}"


def _initializers(matching: Matching) -> Iterator[Changed]:
    back = {theirs: ours for ours, theirs in matching.values.items()}
    for graph in matching.before.graphs():
        for value in graph.initializers.values():
            theirs = matching.values.get(value)
            if theirs is None or not theirs.is_initializer:
                yield Changed(value.name, _described(value), None)
            elif value.tensor is None or theirs.tensor is None:  # sparse, which is not looked into
                continue
            elif not same_bytes(value.tensor, theirs.tensor):
                other = _described(theirs)
                yield Changed(value.name, _described(value), f"{other}, other elements" if other == _described(value) else other)
            elif value.name != theirs.name:
                yield Changed(value.name, _described(value), f"is called {theirs.name}")
    for graph in matching.after.graphs():
        for value in graph.initializers.values():
            ours = back.get(value)
            if ours is None or not ours.is_initializer:
                yield Changed(value.name, None, _described(value))


def _described(value: Value) -> str:
    return declared_text(value.type) if value.tensor is None else f"{value.tensor.dtype.name}{list(value.tensor.shape)}"


def _types(matching: Matching) -> Iterator[Changed]:
    """Values of one name that are made alike, and whose declared types differ."""
    ports = {*matching.before.graph.inputs, *matching.before.graph.outputs}
    for graph in matching.before.graphs():
        for value in values_of(graph):
            theirs = matching.values.get(value)
            if theirs is None or value in ports or value.is_initializer or theirs.is_initializer:
                continue
            one, other = declared_text(value.type), declared_text(theirs.type)
            if one != other and "?" not in (one, other):
                yield Changed(value.name, one, other)


def _ports(before: dict[str, Value], after: dict[str, Value]) -> Iterator[Changed]:
    ones, others = ({name: declared_text(value.type) for name, value in ports.items()} for ports in (before, after))
    found = list(_changes(ones, others))
    if not found and list(before) != list(after):
        found.append(Changed("their order", ", ".join(before), ", ".join(after)))
    yield from found


def _outputs(graph: Graph) -> dict[str, Value]:
    return dict(zip(graph.output_names, graph.outputs, strict=True))


def _inner_ports(matching: Matching, found: Difference) -> None:
    """What graphs inside nodes and functions take and give, by place; and outputs of the model that have kept their names alone."""
    main = matching.before.graph
    others = _outputs(matching.after.graph)
    for name, value in _outputs(main).items():
        known = matching.values.get(value)
        if name in others and known is not None and known is not others[name]:
            found.outputs.append(Changed(name, _made_by(value), _made_by(others[name])))
    for one, other in matching.graphs:
        if one is main:
            continue
        for changes, ours, theirs in ((found.inputs, one.inputs, other.inputs), (found.outputs, one.outputs, other.outputs)):
            if not _are_same(ours, theirs, matching):
                before, after = (", ".join(map(_called, values)) for values in (ours, theirs))
                changes.append(Changed(f"of {_place(one)}", before, f"{after}, made otherwise" if before == after else after))


def _functions(before: Model, after: Model) -> Iterator[Changed]:
    """Functions that came or went, and what is declared of those that stayed; their bodies are compared as graphs are."""
    for key in dict.fromkeys((*before.functions, *after.functions)):
        name = ".".join(filter(None, key))
        one, other = before.functions.get(key), after.functions.get(key)
        if one is None or other is None:
            yield Changed(name, *(None if each is None else f"{len(each.graph)} nodes" for each in (one, other)))
            continue
        both = (one, other)
        yield from _changes(*({f"{name} opset {domain}".rstrip(): version for domain, version in each.opsets.items()} for each in both))
        yield from _changes(*({f"{name} attribute {given}": "required" for given in each.attributes} for each in both))
        for change in _attributes(one.defaults, other.defaults):
            yield Changed(f"{name} default of {change.name}", change.before, change.after)


def _changes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Changed]:  # Any: str or int
    for name in dict.fromkeys((*before, *after)):
        one, other = before.get(name), after.get(name)
        if one != other:
            yield Changed(name, None if one is None else str(one), None if other is None else str(other))


def shown(attribute: Attribute) -> str:
    """What an attribute holds, for people: of long lists the first elements."""
    if attribute.reference:
        return f"@{attribute.reference}"
    value = attribute.value
    if attribute.graphs():
        return f"a graph of {' and '.join(str(len(graph)) for graph in attribute.graphs())} nodes"
    if isinstance(value, Tensor):
        kind = f"{value.dtype.name}{list(value.shape)}"
        return f"{kind} {_listed(value.numpy().reshape(-1).tolist())}" if value.size <= SHOWN and is_readable(value) else kind
    if isinstance(value, tuple):
        return _listed(value)
    return repr(value) if isinstance(value, (str, bytes)) else str(value)


def _listed(elements: Iterable[object]) -> str:
    held = list(elements)
    more = f", ... {len(held)} in all" if len(held) > SHOWN else ""
    return f"[{', '.join(map(str, held[:SHOWN]))}{more}]"


def by_rule(changes: Iterable[NodeChange]) -> dict[str, int]:
    """How many of some changes each rule made, those of the most first; "" for those that nobody explains."""
    return dict(Counter(rule for change in changes for rule in (change.rules[-1:] or ("",))).most_common())
