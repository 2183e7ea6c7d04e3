"""numpy's own operators against onnx's reference kernels: the same bits, element types and shapes, at every version of each operator."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from graphopt.infer.kernels import _KERNELS, run_plain
from graphopt.infer.reference import NoKernel, _kernel, _run
from graphopt.ir import Editor, Model, Tensor
from graphopt.schema import facts
from graphopt.schema.spelling import CannotSpell, spell
from graphopt.schema.versions import OLDEST
from tests.infer.kernel_cases import Call, calls

SEEDS = (0, 1)
CALLS = [(seed, one) for seed in SEEDS for one in calls(seed) if one.op in _KERNELS]


def opsets_of(op: str) -> list[int]:
    """One opset for each version of an operator."""
    known = ((opset, facts.of("", op, opset)) for opset in range(OLDEST, facts.newest_opset() + 1))
    return [next(group)[0] for found, group in itertools.groupby(known, key=lambda pair: pair[1]) if found is not None]


def compared(one: Call, opset: int) -> bool:
    """Whether numpy takes the call at an opset; if so, the results are the same."""
    model = Model(opsets={"": opset})
    editor = Editor(model)
    given = [None if x is None else editor.add_constant(model.graph, Tensor.of(x)) for x in one.inputs]
    try:
        node = spell(one.op, given, one.attributes, model.graph, outputs=one.outputs)
    except CannotSpell:
        return False
    for value in node.inputs:
        if value is not None and value.graph is None:
            editor.adopt_initializer(model.graph, value)
    editor.insert(node, model.graph)
    arrays = [None if value is None or value.const is None else value.const.numpy() for value in node.inputs]
    ours = run_plain(node, arrays)
    if ours is None:
        return False
    try:
        theirs = _run(node, _kernel(node, opset, arrays, defined=False), arrays)
    except NoKernel as reason:
        pytest.fail(f"numpy takes {node} at opset {opset}, where onnx says: {reason}")
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, map(np.asarray, theirs), strict=True):
        assert (mine.dtype, mine.shape) == (other.dtype, other.shape), (node, opset)
        assert mine.tobytes() == other.tobytes(), (node, opset)
    return True


@pytest.mark.parametrize("op", sorted(_KERNELS))
def test_same_bits(op: str) -> None:
    taken = sum(compared(one, opset) for _, one in CALLS if one.op == op for opset in opsets_of(op))
    assert taken, f"no call of {op} is taken: the test compares nothing"
