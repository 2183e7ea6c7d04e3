"""What the engine refuses, so that no author of a rule has to think of it.

Each guard returns None when all is well, otherwise the reason in words. The matcher owns the guards that concern single values
(readers, outputs, captures, overridable constants); these here need the replacement.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphopt.infer.shapes import contradicts
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.types import SequenceType, TensorType
from graphopt.match.reasons import at_newer
from graphopt.match.rule import Rule
from graphopt.schema import facts
from graphopt.schema.history import legal_since
from graphopt.schema.rare import lacks_kernels, refuses_identity

Pair = tuple[Value, Value]


def unread_outputs(roots: Sequence[Node], replaced: Sequence[Value]) -> str | None:
    """Every output of a root that the rule does not replace must have no reader: Dropout's mask, MaxPool's Indices, training statistics."""
    for root in roots:
        for index, value in enumerate(root.outputs):
            if value.users and value not in replaced:
                known = facts.of_node(root)
                name = known.output_name(index) if known is not None else str(index)
                return f"output {name!r} of the {root.op} ({value!r}) is read, and the rule replaces only {', '.join(map(repr, replaced))}"
    return None


def visible(made: Sequence[Node], results: Sequence[Value], anchor: Node) -> str | None:
    """Whatever the replacement reads must exist where it is put: before `anchor`, in its graph or around it."""
    graph = anchor.graph
    fresh = {value for node in made for value in node.outputs}
    for value in [value for node in made for value in node.inputs] + list(results):
        if value is None or value in fresh or value.is_detached:
            continue
        scope = value.scope
        if scope is None or not scope.encloses(graph):
            return f"{value!r} is not visible in graph {graph.name if graph else '?'!r}"
        if scope is graph and value.producer is not None and value.producer is not anchor and not graph.precedes(value.producer, anchor):
            return f"{value!r} is made only after {anchor!r}, where the replacement has to stand"
    return None


def legal_operators(made: Sequence[Node], graph: Graph) -> str | None:
    """Every new node must be legal at the model's opset, with the element types that it gets."""
    for node in made:
        reason = _ill_formed(node, graph) or facts.accepts(node, graph)
        if reason is not None:
            return f"{reason}{at_newer(legal_since(node, graph))}"
    return None


def _ill_formed(node: Node, graph: Graph) -> str | None:
    """Why a node is no call of its operator as the model's opset defines it; operators of unknown domains may be called as one likes."""
    known = facts.of_node(node, graph)
    if known is None:
        return f"opset {graph.opsets.get('')} has no {node.op}" if not node.domain else None
    wrong = facts.misfit(node, known)
    return f"a {node.op} of opset {graph.opsets.get(node.domain)} {wrong}" if wrong is not None else None


def storable(made: Sequence[Node], results: Sequence[Value], graph: Graph) -> str | None:
    """The graph must be able to hold every new constant."""
    for value in (*results, *(value for node in made for value in node.inputs)):
        if value is not None and value.is_detached and (reason := facts.refuses_constant(graph, value.type)) is not None:
            return reason
    return None


def same_types(rule: Rule, pairs: Sequence[Pair]) -> str | None:
    """A replacement must have provably the type and shape of what it replaces, under symbolic dimensions too.

    Nothing is proved by a dimension that is unknown, or by broadcasting against one. A rule that declares `keeps_type` vouches for
    both: its operator returns what it got, whatever that is.
    """
    for old, new in pairs:
        if old.type == new.type and (rule.keeps_type or is_fully_known(old)):
            continue
        if rule.keeps_type and (old.type is None or new.type is None):
            continue
        if rule.keeps_type and isinstance(old.type, SequenceType) and isinstance(new.type, SequenceType):
            if contradicts(old.type, new.type):
                return f"the type would change from {old.type} to {new.type}"
            continue
        if not isinstance(old.type, TensorType) or not isinstance(new.type, TensorType):
            unknown = old if not isinstance(old.type, TensorType) else new
            return f"the type of {unknown!r} is {unknown.type or 'unknown'}: nothing proves that the replacement has the same"
        if old.type.dtype != new.type.dtype:
            return f"the element type would change from {old.type.dtype} to {new.type.dtype}"
        if not rule.keeps_type and not (is_fully_known(old) and is_fully_known(new) and old.shape == new.shape):
            return f"the shape of {old!r} is {_shape(old)}, the replacement's is {_shape(new)}: not provably the same"
        if rule.keeps_type and _contradict(old, new):
            return f"the shape of {old!r} is {_shape(old)}, the replacement's is {_shape(new)}"
    return None


def is_fully_known(value: Value) -> bool:
    """Whether every dimension of a tensor is a number or a symbolic expression."""
    shape = value.shape
    return shape is not None and None not in shape


def runnable(made: Sequence[Node], matched: Sequence[Node], pairs: Sequence[Pair], graph: Graph) -> str | None:
    """What is legal may still have no kernel: no operator comes to an element type that it was not on before."""
    for node in made:
        why = lacks_kernels(node, graph)
        if why is not None and not any(other.op == node.op and lacks_kernels(other, graph) for other in matched):
            return why
    for old, new in pairs:
        if old.is_output and not takes_name(new, old.scope) and (why := refuses_identity(graph, old.type)) is not None:
            return f"{old!r} is an output, and there can be no Identity that keeps its name: {why}"
    return None


def keeps_an_output(root: Node, pairs: Sequence[Pair]) -> str | None:
    """An Identity that only gives a graph output its name cannot go: what it reads has a name of its own to keep."""
    if root.op != "Identity":
        return None
    for old, new in pairs:
        graph = old.scope
        if old.is_output and not takes_name(new, graph):
            return f"{old!r} is an output of its graph and {new!r} has a name of its own to keep, so the Identity between them stays"
    return None


def takes_name(new: Value, graph: Graph | None) -> bool:
    """Whether a value may be renamed to stand in for a graph output."""
    if new.producer is None:
        return False
    return new.producer.graph is None or (new.producer.graph is graph and not new.is_output)


def _contradict(old: Value, new: Value) -> bool:
    if old.shape is None or new.shape is None:
        return False
    if len(old.shape) != len(new.shape):
        return True
    return any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in zip(old.shape, new.shape, strict=True))


def _shape(value: Value) -> str:
    return str(value.type).removeprefix(str(value.dtype)) or "unknown" if value.shape is not None else "unknown"
