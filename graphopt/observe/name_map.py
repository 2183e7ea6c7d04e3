"""Names before and after, for whoever measured one model and has the other: profilers, debuggers, accuracy tools.

The JSON has, in this order:

schema    the number of this description; it grows when a field changes its meaning or goes
nodes     for each node of the result, by name: op, from (the nodes of the first model that it stands for), rules (what made it so, in
          their order; none for a node as it was). One without a name has that of its first named output. Nodes of one name (which only
          different graphs of a model can have) are listed as one
removed   node of the first model that nothing stands for -> the rule or pass that took it out, null where that is not known
values    value of the first model whose name is gone -> its name now, null when nothing has it any more
"""

from __future__ import annotations

from typing import Any

from graphopt.ir.graph import Node
from graphopt.ir.model import Model
from graphopt.ir.scopes import values_of
from graphopt.observe.matching import Matching
from graphopt.observe.provenance import Origin, Origins, origin_in_file
from graphopt.observe.trace import label

SCHEMA = 1  # raised whenever a field changes its meaning or goes


def as_json(origins: Origins) -> dict[str, Any]:  # Any: JSON
    """The JSON that this file describes."""
    return {"schema": SCHEMA, **origins.as_json()}


def completed(origins: Origins, result: Model) -> Origins:
    """The same, with the nodes of the result that are as they were."""
    found = Origins(removed=origins.removed, values=origins.values)
    for node in result.nodes():
        name = label(node)
        found.add(node, origins.nodes.get(name) or Origin((name,)))
    return found


def between(before: Model, after: Model) -> Origins:
    """What became of the nodes of one model in another: as the other says itself (`Provenance.store`), then as the two can be matched."""
    matching = Matching(before, after)
    first = {label(node): None for node in before.nodes()}
    homes = _homes(before)
    found = Origins()
    for node in after.nodes():
        found.add(node, _origin(node, matching, homes))
    present = {name for origin in found.nodes.values() for name in origin.names}
    found.removed = {name: "" for name in first if name not in present}
    names = {value.name for graph in after.graphs() for value in values_of(graph)}
    for graph in before.graphs():
        for value in values_of(graph):
            if value.name and value.name not in names:
                same = matching.values.get(value)
                found.values[value.name] = same.name if same is not None and same.name else None
    return found


def _homes(before: Model) -> dict[str, str]:
    """What stood for a node when the first of two models was already the result of another run."""
    told = [(node, origin) for node in before.nodes() if (origin := origin_in_file(node)) is not None]
    return {name: label(node) for node, origin in told for name in origin.names}


def _origin(node: Node, matching: Matching, homes: dict[str, str]) -> Origin:
    said = origin_in_file(node)
    if said is None:
        same = matching.back.get(node)
        return Origin((label(same),)) if same is not None else Origin(())
    return Origin(tuple(dict.fromkeys(homes.get(name, name) for name in said.names)), said.rules)
