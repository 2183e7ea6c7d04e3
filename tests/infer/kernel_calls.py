"""Nodes that make the calls, at the opsets where an operator changes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from graphopt.ir import Editor, Model, Node, Tensor
from graphopt.schema import facts
from graphopt.schema.spelling import CannotSpell, spell
from graphopt.schema.versions import OLDEST
from tests.infer.kernel_cases import Call


def versions_of(op: str, newest: int | None = None) -> Iterator[int]:
    """One opset for each version of an operator."""
    known = ((opset, facts.of("", op, opset)) for opset in range(OLDEST, (newest or facts.newest_opset()) + 1))
    for found, group in itertools.groupby(known, key=lambda pair: pair[1]):
        if found is not None:
            yield next(group)[0]


def node_of(one: Call, opset: int) -> Node | None:
    """A node that makes the call, in a model of its own; None when the operator cannot say it at this opset."""
    model = Model(opsets={"": opset})
    editor = Editor(model)
    given = [None if x is None else editor.add_constant(model.graph, Tensor.of(x)) for x in one.inputs]
    try:
        node = spell(one.op, given, one.attributes, model.graph, outputs=one.outputs)
    except CannotSpell:
        return None
    for value in node.inputs:
        if value is not None and value.graph is None:
            editor.adopt_initializer(model.graph, value)
    editor.insert(node, model.graph)
    return node
