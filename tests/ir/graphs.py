"""Small graphs for the tests of the IR, built by hand with the editor alone."""

from __future__ import annotations

from graphopt.ir import Attribute, AttributeKind, Dim, DType, Editor, Graph, Listener, Model, Node, TensorType, Value


class Journal(Listener):
    """Remembers every event, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def inserted(self, node: Node) -> None:
        self.events.append(f"inserted {node.op}")

    def erased(self, node: Node) -> None:
        self.events.append(f"erased {node.op}")

    def rewired(self, node: Node, slot: int, old: Value | None) -> None:
        self.events.append(f"rewired {node.op}[{slot}]")

    def reattributed(self, node: Node, name: str) -> None:
        self.events.append(f"reattributed {node.op}.{name}")

    def renamed(self, value: Value, old: str) -> None:
        self.events.append(f"renamed {old} to {value.name}")

    def retyped(self, value: Value) -> None:
        self.events.append(f"retyped {value.name}")


def add_input(graph: Graph, name: str) -> Value:
    """A float input of shape (N, 4)."""
    value = Value(name, TensorType(DType.float32, (Dim.symbol("N"), 4)))
    value.graph = graph
    graph.inputs.append(value)
    graph.model.names.add(name)
    return value


def relu_chain(length: int) -> tuple[Model, Editor, list[Node]]:
    """x -> Relu -> ... -> Relu -> output, and its nodes."""
    model = Model("chain", opsets={"": 17})
    editor = Editor(model)
    value, nodes = add_input(model.graph, "x"), []
    for _ in range(length):
        node = editor.insert(Node("Relu", (value,)), model.graph)
        value = node.output
        nodes.append(node)
    editor.set_outputs(model.graph, [value])
    return model, editor, nodes


def with_branch() -> tuple[Model, Editor, Node, Graph]:
    """x -> Relu -> If whose then-branch captures the Relu's output; the If's output is the graph's."""
    model, editor, (relu,) = relu_chain(1)
    condition = add_input(model.graph, "condition")
    branch = Graph("then", model)
    owner = Node("If", (condition,), 1, {"then_branch": Attribute(AttributeKind.graph, branch)})
    branch.owner = owner
    editor.insert(owner, model.graph)
    inner = editor.insert(Node("Neg", (relu.output,)), branch)
    editor.set_outputs(branch, [inner.output])
    editor.set_outputs(model.graph, [owner.output])
    return model, editor, relu, branch
