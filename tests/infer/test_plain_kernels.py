"""numpy's own operators against onnx's reference kernels: the same bits, element types and shapes, at every version of each operator."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.infer.kernels import _KERNELS, run_plain
from graphopt.infer.reference import NoKernel, _kernel, _run
from tests.infer.kernel_calls import node_of, versions_of
from tests.infer.kernel_cases import Call, calls

SEEDS = (0, 1)
CALLS = [(seed, one) for seed in SEEDS for one in calls(seed) if one.op in _KERNELS]


def compared(one: Call, opset: int) -> bool:
    """Whether numpy takes the call at an opset; if so, the results are the same."""
    node = node_of(one, opset)
    if node is None:
        return False
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
    taken = sum(compared(one, opset) for _, one in CALLS if one.op == op for opset in versions_of(op))
    assert taken, f"no call of {op} is taken: the test compares nothing"
