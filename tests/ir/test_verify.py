"""`verify` notices every broken law of the IR, and names graph, node and value."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graphopt.errors import InternalError
from graphopt.ir import Model, Value, verify
from tests.ir.graphs import relu_chain, with_branch


def wrong_count(model: Model) -> None:
    model.graph.inputs[0].users.clear()


def wrong_order(model: Model) -> None:
    first, second = model.graph
    first.position, second.position = second.position, first.position


def wrong_name(model: Model) -> None:
    first, second = model.graph
    second.output.name = first.output.name


def lost_output_name(model: Model) -> None:
    *_, last = model.graph
    last.output.name = "other"


def wrong_producer(model: Model) -> None:
    *_, last = model.graph
    last.output.producer = None


def unnamed_but_read(model: Model) -> None:
    first, _ = model.graph
    first.output.name = ""


def misfiled_initializer(model: Model) -> None:
    value = Value("w")
    value.graph = model.graph
    model.graph.initializers["v"] = value


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (wrong_count, "counts the readers"),
        (wrong_order, "has position"),
        (wrong_name, "made twice"),
        (lost_output_name, "must be called"),
        (wrong_producer, "makes it"),
        (unnamed_but_read, "has no name"),
        (misfiled_initializer, "filed under"),
    ],
)
def test_a_broken_law_is_named(spoil: Callable[[Model], None], words: str) -> None:
    model, _, _ = relu_chain(2)
    verify(model)
    spoil(model)
    with pytest.raises(InternalError, match=words):
        verify(model)


def test_a_subgraph_belongs_to_the_node_that_holds_it() -> None:
    model, _, _, branch = with_branch()
    branch.owner = None
    with pytest.raises(InternalError, match="has another owner"):
        verify(model)


def test_the_outside_cannot_read_the_inside() -> None:
    model, editor, relu, branch = with_branch()
    (inner,) = branch
    editor.set_input(branch.owner, 0, inner.output)  # type: ignore[arg-type]  # the branch has an owner
    with pytest.raises(InternalError, match="out of its scope"):
        verify(model)
    assert relu.graph is model.graph
