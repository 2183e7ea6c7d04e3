"""Whether a model keeps the laws of the IR."""

from __future__ import annotations

from graphopt.errors import InternalError
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.model import Model


def verify(model: Model) -> None:
    """Check order, scopes, use counts, names and types of a whole model; cost is linear in its nodes.

    Raises InternalError at the first thing that is not so, naming graph, node and value.
    """
    counted: dict[Value, dict[Node, int]] = {}
    for root in (model.graph, *(function.graph for function in model.functions.values())):
        _verify_graph(root, set(), counted)
    for value, users in counted.items():
        if value.users != users:
            raise InternalError(f"{value!r} counts the readers {list(value.users)}, it has {list(users)}")


def _verify_graph(graph: Graph, visible: set[Value], counted: dict[Value, dict[Node, int]]) -> None:
    made = set(visible)
    for value in (*graph.inputs, *graph.initializers.values()):
        if value.graph is not graph or value.producer is not None:
            raise _broken(graph, f"{value!r} is listed as its input or initializer but belongs elsewhere")
        made.add(value)
        counted.setdefault(value, {})
    for name, value in graph.initializers.items():
        if value.name != name:
            raise _broken(graph, f"the initializer {value!r} is filed under {name!r}")
    names = {value.name for value in made if value.scope is graph}
    position = 0
    for node in (*graph, graph.exit):
        if node is not graph.exit:
            if node.position <= position:
                raise _broken(graph, f"{node!r} has position {node.position} after {position}")
            position = node.position
        for slot, value in enumerate(node.inputs):
            if value is None:
                continue
            if value not in made:
                raise _broken(graph, f"{node!r} reads {value!r} in slot {slot} before it is made, or out of its scope")
            users = counted.setdefault(value, {})
            users[node] = users.get(node, 0) + 1
        for inner in node.subgraphs:
            if inner.owner is not node:
                raise _broken(graph, f"the subgraph {inner.name!r} of {node!r} has another owner")
            _verify_graph(inner, made, counted)
        for index, value in enumerate(node.outputs):
            if value.producer is not node or value.index != index:
                raise _broken(graph, f"output {index} of {node!r} says that {value.producer!r} makes it")
            if value.name:
                if value.name in names:
                    raise _broken(graph, f"the name {value.name!r} is made twice, the second time by {node!r}")
                names.add(value.name)
            elif value.users:
                raise _broken(graph, f"output {index} of {node!r} is read but has no name")
            made.add(value)
            counted.setdefault(value, {})
    returned = tuple(value.name for value in graph.outputs)
    if returned != graph.output_names:
        raise _broken(graph, f"its outputs are called {returned}, they must be called {graph.output_names}")


def _broken(graph: Graph, what: str) -> InternalError:
    return InternalError(f"graph {graph.name!r}: {what}")
