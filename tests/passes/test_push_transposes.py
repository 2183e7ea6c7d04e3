"""Every operator computes on permuted operands what it computed, and what is gained is counted right."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from graphopt.passes import transpose_regions
from graphopt.passes.axis_order import in_turn, inverse, is_in_order, moves_units_only, with_axes, without
from graphopt.passes.permutable_operators import WAYS
from graphopt.passes.push_transposes import PushTransposes
from graphopt.schema.traits import ELEMENTWISE_BINARY, ELEMENTWISE_UNARY, REDUCTIONS
from tests.passes.models import Told, before_and_after, needs_onnxruntime, ops, parse, run
from tests.runtimes import HAS_OLD_RUNTIME

# What makes y of t, of the shape (2, 3, 4, 5), with initializers; and an order of axes that it lets pass.
CALLS = {
    "Add": ("Add(t, k)", "float[4,1] k = {1, 2, 3, 4}", (3, 1, 0, 2)),
    "ArgMax": ("ArgMax<axis = -1, keepdims = 0>(t)", "", (3, 1, 0, 2)),
    "BatchNormalization": ("BatchNormalization(t, k, k, k, k)", "float[3] k = {1, 2, 3}", (3, 1, 0, 2)),
    "Concat": ("Concat<axis = -2>(t, t)", "", (3, 1, 0, 2)),
    "CumSum": ("CumSum(t, a)", "int64 a = {-3}", (3, 1, 0, 2)),
    "Expand": ("Expand(t, s)", "int64[5] s = {2, 1, 3, 1, 5}", (3, 1, 0, 2)),
    "Flatten": ("Flatten<axis = 3>(u)", "", (0, 2, 1, 3, 4)),
    "Gather": ("Gather<axis = 2>(t, i)", "int64[2,2] i = {3, 0, -1, 2}", (1, 0, 2, 3)),
    "GatherElements": ("GatherElements<axis = 1>(t, i)", "int64[1,1,1,2] i = {2, -1}", (3, 1, 0, 2)),
    "GlobalAveragePool": ("GlobalAveragePool(t)", "", (0, 1, 3, 2)),
    "InstanceNormalization": ("InstanceNormalization(t, k, k)", "float[3] k = {1, 2, 3}", (0, 1, 3, 2)),
    "LayerNormalization": ("LayerNormalization<axis = 2>(t, k)", "float[5] k = {1, 2, 3, 4, 5}", (1, 0, 2, 3)),
    "LpNormalization": ("LpNormalization<axis = 1>(t)", "", (3, 1, 0, 2)),
    "MatMul": ("MatMul(t, k)", "float[5,1] k = {1, 2, 3, 4, 5}", (2, 1, 0, 3)),
    "PRelu": ("PRelu(t, k)", "float[3,1,1] k = {1, 2, 3}", (3, 1, 0, 2)),
    "Pad": ('Pad<mode = "edge">(t, p, , a)', "int64[4] p = {1, 0, 2, -1}, int64[2] a = {-1, 0}", (3, 1, 0, 2)),
    "ReduceMax": ("ReduceMax<keepdims = 0>(t, a)", "int64[2] a = {-1, 1}", (3, 1, 0, 2)),
    "Reshape": ("Reshape(t, s)", "int64[3] s = {0, -1, 5}", (3, 1, 2, 0)),
    "Resize": ('Resize<mode = "nearest">(t, , f)', "float[4] f = {1, 2, 1, 3}", (3, 1, 0, 2)),
    "ScatterElements": ("ScatterElements<axis = -1>(t, i, v)", "int64[1,1,1,1] i = {2}, float[1,1,1,1] v = {7}", (3, 1, 0, 2)),
    "Slice": ("Slice(t, b, e, , c)", "int64[3] b = {1, -1, 0}, int64[3] e = {9, -9, 9}, int64[3] c = {1, -1, 2}", (3, 1, 0, 2)),
    "Softmax": ("Softmax<axis = 1>(t)", "", (3, 1, 0, 2)),
    "Squeeze": ("Squeeze(u, a)", "int64[1] a = {-4}", (3, 1, 0, 2, 4)),
    "Tile": ("Tile(t, s)", "int64[4] s = {1, 2, 3, 1}", (3, 1, 0, 2)),
    "Unsqueeze": ("Unsqueeze(t, a)", "int64[2] a = {-1, 1}", (3, 1, 0, 2)),
    "Where": ("Where(k, t, z)", "bool[3,1,5] k = {1,0,1,0,1, 0,1,0,1,0, 1,1,0,0,1}, float z = {7}", (3, 1, 0, 2)),
}


def surrounded(name: str) -> str:
    """A model that permutes x to (2, 3, 4, 5), t, or to (2, 1, 3, 4, 5), u, makes y of it and permutes that."""
    call, constants, perm = CALLS[name]
    shape = (2, 1, 3, 4, 5) if "(u" in call else (2, 3, 4, 5)
    read = "u" if "(u" in call else "t"
    back = [shape[axis] for axis in inverse(perm)]
    rank = {"ArgMax": 3, "Expand": 5, "Flatten": 2, "Gather": 5, "ReduceMax": 2, "Reshape": 3, "Squeeze": 4, "Unsqueeze": 6}.get(name, 4)
    dims = ",".join("ABCDEF"[:rank])
    kind = "int64" if name == "ArgMax" else "float"
    return f"""<ir_version: 10, opset_import: ["" : 20]>
    g (float[{",".join(map(str, back))}] x) => ({kind}[{dims}] z_out) <{constants}> {{
        {read} = Transpose<perm = [{",".join(map(str, perm))}]>(x)
        y = {call}
        z_out = Transpose<perm = [{",".join(map(str, reversed(range(rank))))}]>(y)
    }}"""


def count(model: Any) -> int:  # Any: a Model
    """How many Transposes there are."""
    return ops(model.graph).count("Transpose")


def test_every_kind_of_operator_is_called() -> None:
    """Those that are left out let an order pass in the way of one that is not."""
    same = {"ArgMin", "GlobalMaxPool", "GroupNormalization", "Hardmax", "LRN", "LogSoftmax", "RMSNormalization", "Split", "TopK"}
    left = set(WAYS) - set(CALLS) - ELEMENTWISE_UNARY - ELEMENTWISE_BINARY - REDUCTIONS
    assert left == same


@needs_onnxruntime
@pytest.mark.parametrize("name", sorted(CALLS))
def test_what_it_computes_stays(name: str) -> None:
    if HAS_OLD_RUNTIME and name == "LayerNormalization":
        pytest.skip("an older onnxruntime takes no scale of fewer axes")
    message = onnx.parser.parse_model(surrounded(name))
    shape = [size.dim_value for size in message.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(0).permutation(np.arange(np.prod(shape), dtype=np.float32)).reshape(shape) - 50
    before, after, model = before_and_after(message, {"x": x}, PushTransposes(), by_onnxruntime=True)
    np.testing.assert_allclose(after[0], before[0], rtol=1e-5)
    assert count(model) < 2
    assert run(model, PushTransposes()) == 0


@pytest.mark.parametrize("rank", range(1, 5))
def test_orders(rank: int) -> None:
    sizes = (2, 3, 4, 5)[:rank]
    x: npt.NDArray[Any] = np.arange(np.prod(sizes)).reshape(sizes)
    for first in permutations(range(x.ndim)):
        assert is_in_order(in_turn(first, inverse(first)))
        for axis in range(x.ndim):
            assert without(with_axes(without(first, (axis,)), (axis,)), (axis,)) == without(first, (axis,))
        for second in permutations(range(x.ndim)):
            np.testing.assert_array_equal(x.transpose(first).transpose(second), x.transpose(in_turn(first, second)))


def test_orders_of_unit_axes() -> None:
    assert moves_units_only((1, 0, 2), (3, 1, 4)) and moves_units_only((2, 0, 1), (3, 4, 1))
    assert not moves_units_only((1, 0, 2), (3, 2, 4)) and not moves_units_only((1, 0), None)


def test_a_large_constant_that_others_read_is_not_stored_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    text = """<ir_version: 10, opset_import: ["" : 20]>
    g (float[2,3] x, float[3,2] z) => (float[2,3] y, float[3,2] s) <float[3,2] k = {1, 2, 3, 4, 5, 6}> {
        t = Transpose(x) u = Add(t, k) y = Transpose(u) s = Mul(z, k) }"""
    monkeypatch.setattr(transpose_regions, "SMALL", 5)
    model = parse(text)
    assert run(model, PushTransposes()) == 0
    monkeypatch.setattr(transpose_regions, "SMALL", 6)
    assert run(model, PushTransposes()) == 1 and count(model) == 0


def test_an_observer_may_forbid_it() -> None:
    model, told = parse(surrounded("Add")), Told(lambda source, node: False)
    assert run(model, PushTransposes(), observer=told) == 0
    assert count(model) == 2 and not told.made


def test_what_is_made_is_told() -> None:
    model, told = parse(surrounded("Add")), Told()
    assert run(model, PushTransposes(), observer=told) == 1
    assert told.made == [("push-transposes", "Add")]


@pytest.mark.parametrize("shared", [False, True])
def test_the_cost_is_linear(shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that each need their Transposes, all reading one value or each the one before: nothing is looked at again and again."""
    seen: list[int] = []
    for blocks in (20, 80):
        looked = [0]
        known = transpose_regions.Region.moves

        def moves(region: Any, value: Any, known: Any = known, looked: list[int] = looked) -> Any:  # Any: as they are given
            looked[0] += 1
            return known(region, value)

        lines, last = "", "x"
        for number in range(blocks):
            lines += f"c{number} = Conv({last}, k) t{number} = Transpose<perm = [0, 2, 3, 1]>(c{number}) "
            lines += f"a{number} = Add(t{number}, z) m{number} = LayerNormalization(a{number}, s) "
            lines += f"b{number} = Transpose<perm = [0, 3, 1, 2]>(m{number}) r{number} = Add(b{number}, x) "
            last = "x" if shared else f"r{number}"
        text = f"""<ir_version: 10, opset_import: ["" : 20]>
        g (float[1,2,4,4] x, float[2,2,1,1] k, float[1,4,4,2] z) => (float[1,2,4,4] y) <float[2] s = {{1, 2}}> {{
            {lines} y = Sum({", ".join(f"r{number}" for number in range(blocks))}) }}"""
        model = parse(text)
        with monkeypatch.context() as patch:
            patch.setattr(transpose_regions.Region, "moves", moves)
            run(model, PushTransposes())
        seen.append(looked[0])
    assert seen[1] < 6 * seen[0]
