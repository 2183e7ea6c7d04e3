"""simplify-shape-arithmetic and materialize-shapes: what exporters write, before and after, run for sizes of 0, 1, 2 and 5."""

from __future__ import annotations

from typing import Any

import onnx
import pytest

import graphopt
from tests.passes.all_sizes import operators, simplified
from tests.passes.models import Told

HEAD = '<ir_version: 10, opset_import: ["" : 20]> g '
OLD = '<ir_version: 7, opset_import: ["" : 11]> g '
NUMBERS = (
    "int64 i0 = {0}, int64 i1 = {1}, int64 i2 = {2}, int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}, int64[1] minus = {-1}"
)


def nodes_of(message: onnx.ModelProto, op: str) -> list[onnx.NodeProto]:
    return [node for node in message.graph.node if node.op_type == op]


def constant(message: onnx.ModelProto, name: str) -> list[int]:
    held: list[Any] = [onnx.numpy_helper.to_array(tensor).tolist() for tensor in message.graph.initializer if tensor.name == name]
    found: list[int] = held[0]
    return found


def target(message: onnx.ModelProto) -> list[int]:
    """The constant shape that the only Reshape or Expand has."""
    (node,) = (*nodes_of(message, "Reshape"), *nodes_of(message, "Expand"))
    return constant(message, node.input[1])


def size(name: str, source: str, axis: int, *, opset: int = 20) -> str:
    """What torch writes for x.size(axis), as a vector of one."""
    unsqueeze = f"Unsqueeze({name}_g, zero)" if opset >= 13 else f"Unsqueeze<axes = [0]>({name}_g)"
    return f"{name}_s = Shape({source}) {name}_g = Gather<axis = 0>({name}_s, i{axis}) {name} = {unsqueeze} "


@pytest.mark.parametrize("opset", [11, 20])
@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("n, s, twelve, rest", [0, 0, 12, 64]),
        ("n, minus, twelve, rest", [0, 0, 12, 64]),
        ("minus, s, twelve, rest", [0, 0, 12, 64]),
        ("n, s, minus, rest", [0, 0, 12, 64]),
        ("ns, rest", [-1, 64]),
        ("ns, whole", [-1, 768]),
        ("minus, s", None),
        ("n, sw", None),
        ("minus", [-1]),
    ],
)
def test_view(entries: str, expected: list[int] | None, opset: int) -> None:
    text = f"""{HEAD if opset == 20 else OLD} (float[N,S,768] x) => (float[] y)
        <{NUMBERS}, int64[1] twelve = {{12}}, int64[1] rest = {{64}}, int64[1] whole = {{768}}> {{
            {size("n", "x", 0, opset=opset)} {size("s", "x", 1, opset=opset)}
            ns = Mul(n, s) sw = Mul(s, whole)
            t = Concat<axis = 0>({entries}) y = Reshape(x, t) }}"""
    result = simplified(text)
    if expected is not None:
        assert operators(result) == ["Reshape"]
        assert target(result) == expected


def test_rows_and_back() -> None:
    """[N * S, 64] and back to [N, S, 64]: nothing is left of it but what stands between."""
    result = simplified(f"""{HEAD} (float[N,S,64] x) => (float[N,S,64] y) <{NUMBERS}, int64[1] c = {{64}}> {{
        {size("n", "x", 0)} {size("s", "x", 1)}
        ns = Mul(n, s) t = Concat<axis = 0>(ns, c) r = Reshape(x, t) a = Relu(r)
        back = Concat<axis = 0>(n, s, c) y = Reshape(a, back) }}""")
    assert operators(result) == ["Shape", "Reshape", "Relu", "Reshape"]  # two dimensions of another value: no constant says them


@pytest.mark.parametrize(("entries", "expected"), [("n, s, c", [0, 0, 4]), ("ns, c", [-1, 4]), ("n, minus", None), ("s, n, c", None)])
def test_dynamo_writes_allowzero(entries: str, expected: list[int] | None) -> None:
    """With allowzero onnxruntime makes something of -1 beside a 0, and so must the result."""
    result = simplified(f"""{HEAD} (float[N,S,4] x) => (float[] y) <{NUMBERS}, int64[1] c = {{4}}> {{
        n = Shape<start = 0, end = 1>(x) s = Shape<start = 1, end = 2>(x) ns = Mul(n, s)
        t = Concat<axis = 0>({entries}) y = Reshape<allowzero = 1>(x, t) }}""")
    if expected is None:
        assert "Concat" in operators(result)
    else:
        assert operators(result) == ["Reshape"] and target(result) == expected


@pytest.mark.parametrize(
    ("x", "entries", "expected"),
    [
        ("N,1,S", "n, four, s", [1, 4, 1]),
        ("N,1,S", "minus, four, minus", [1, 4, 1]),
        ("N,1,S", "n, s, s", None),
        ("1,N,S", "four, n, minus", [4, 1, 1]),
        ("N,3,S", "n, minus, s", [1, 1, 1]),
    ],
)
@pytest.mark.parametrize("opset", [11, 20])
def test_torch_expands(x: str, entries: str, expected: list[int] | None, opset: int) -> None:
    """What stands where -1 says that a dimension stays is found by comparing with -1."""
    axes = [place for place, name in enumerate(x.split(",")) if name in "NS"]
    text = f"""{HEAD if opset == 20 else OLD} (float[{x}] x) => (float[] y) <{NUMBERS}, int64[1] four = {{4}}, int64[1] rank = {{3}}> {{
        {size("n", "x", axes[0], opset=opset)} {size("s", "x", axes[1], opset=opset)}
        t = Concat<axis = 0>({entries})
        ones = ConstantOfShape<value = int64[1] {{1}}>(rank) negative = Mul(ones, minus)
        is = Equal(t, negative) shape = Where(is, ones, t) y = Expand(x, shape) }}"""
    result = simplified(text, "fold-constants, " + "materialize-shapes, simplify-shape-arithmetic, eliminate-dead-nodes")
    if expected is not None:
        assert operators(result) == ["Expand"] and target(result) == expected
    else:
        assert "Where" not in operators(result)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("zero", "s", (0, 2**63 - 1)),  # x[:, :S]
        ("minus", "max", (-1, 2**63 - 1)),  # x[:, -1:]
        ("s1", "max", (-1, 2**63 - 1)),  # x[:, S-1:]
        ("s3", "max", None),  # x[:, S-3:]: where S is 2 it starts at -1, which is the last
        ("zero", "s1", (0, -1)),
        ("zero", "s3", None),
        ("s", "max", (2**63 - 1, 2**63 - 1)),
        ("n", "max", None),
        ("one", "s", (1, 2**63 - 1)),
        ("s1", "s", (-1, 2**63 - 1)),
    ],
)
def test_slices(start: str, end: str, expected: tuple[int, int] | None) -> None:
    result = simplified(f"""{HEAD} (float[N,S] x) => (float[] y)
        <{NUMBERS}, int64[1] three = {{3}}, int64[1] max = {{9223372036854775807}}> {{
        {size("n", "x", 0)} {size("s", "x", 1)} s1 = Sub(s, one) s3 = Sub(s, three)
        y = Slice(x, {start}, {end}, one, one) }}""")
    (node,) = nodes_of(result, "Slice")
    if expected is None:
        assert len(operators(result)) > 1
    else:
        assert operators(result) == ["Slice"]
        assert (constant(result, node.input[1]), constant(result, node.input[2])) == ([expected[0]], [expected[1]])


def test_slices_without_axes_of_int32() -> None:
    result = simplified("""<ir_version: 8, opset_import: ["" : 13]> g (float[N,S] x) => (float[] y)
        <int32[2] begin = {0, 0}, int32[2] none = {1, 1}, int32[2] axes = {0, 1}, int32[2] less = {0, 1}> {
            s = Shape(x) t = Cast<to = 6>(s) e = Sub(t, less) y = Slice(x, begin, e, axes, none) }""")
    assert operators(result) == ["Slice"]


def test_slice_of_opset_10_keeps_its_bounds() -> None:
    """onnx infers (N, S) for it between constants, and onnxruntime believes that."""
    result = simplified(f"""<ir_version: 5, opset_import: ["" : 10]> g (float[N,S] x) => (float[] y) <{NUMBERS}> {{
        {size("s", "x", 1, opset=10)} e = Sub(s, one) a = Slice(x, zero, e, one) y = Relu(a) }}""")
    assert "Shape" in operators(result)


@pytest.mark.parametrize("bounds", ["i0, s_g, i1", "i0, again, i1", "s_g, again, i1", "i0, s_g, i2", "again, s_g, i1"])
def test_ranges_of_sizes(bounds: str) -> None:
    result = simplified(f"""{HEAD} (float[N,S] x, float[N,3] z) => (int64[] y, float[N,S] k) <{NUMBERS}> {{
        {size("s", "x", 1)} {size("n", "z", 0)} {size("m", "x", 0)} ns = Mul(m_g, s_g) again = Mul(s_g, n_g)
        y = Range({bounds}) p = Concat<axis = 0>(m, s) k = ConstantOfShape(p) }}""")
    assert operators(result).count("Mul") <= 1 and operators(result).count("Concat") == 0


def test_branches_capture_outer_sizes() -> None:
    result = simplified(f"""{HEAD} (float[N,S,4] x, float[N,3] z, bool c) => (float[] y) <{NUMBERS}, int64[1] four = {{4}}> {{
        {size("n", "x", 0)}
        w = If(c) <
            then_branch = a () => (float[] u) {{
                {size("s", "x", 1)} ns = Mul(n, s) t = Concat<axis = 0>(ns, four) u = Reshape(x, t)
            }},
            else_branch = b () => (float[] v) {{
                {size("m", "z", 0)} q = Concat<axis = 0>(m, four) v = ConstantOfShape(q)
            }}
        >
        q2 = Concat<axis = 0>(n, four) r = Cast<to = 1>(q2) i = ReduceSum<keepdims = 0>(r) y = Add(w, i) }}""")
    assert operators(result).count("Shape") == 1 and operators(result).count("Concat") <= 2


def test_loops_capture_outer_sizes() -> None:
    result = simplified(f"""{HEAD} (float[N,S] x, float[N,3] z) => (float[N,S] y) <{NUMBERS}, int64 rounds = {{3}}, bool go = {{1}}> {{
        {size("n", "x", 0)} {size("s", "x", 1)}
        y = Loop(rounds, go, x) <
            body = body (int64 i, bool d, float[N,S] h) => (bool e, float[N,S] o) {{
                {size("m", "z", 0)} ms = Mul(m, s) f = Reshape(h, ms) back = Concat<axis = 0>(m, s) o1 = Reshape(f, back)
                o = Add(o1, o1) e = Identity(d)
            }}
        > }}""")
    assert "Mul" not in operators(result) and operators(result).count("Shape") == 1


def test_a_loop_goes_with_what_read_it() -> None:
    """The shape that a Loop's result gave is known; the Loop goes while the driver still has the Reshapes of its body to visit."""
    result = simplified(f"""{HEAD} (float[N,4] x, int64 k) => (float[N,2,2] y) <{NUMBERS}, int64[2] pair = {{2, 2}}, bool go = {{1}}> {{
        h = Loop(k, go, x) <
            body = body (int64 i, bool d, float[N,4] h0) => (bool e, float[N,4] o) {{
                {size("n", "x", 0)} flat = Mul(n, two) t = Concat<axis = 0>(n, minus) r = Reshape(h0, t) o = Add(r, x) e = Identity(d)
            }}
        >
        s = Shape(h) m = Gather(s, zero) t2 = Concat<axis = 0>(m, pair) y = Reshape(x, t2) }}""")
    assert operators(result) == ["Reshape"]


def test_in_local_functions() -> None:
    result = simplified("""<ir_version: 8, opset_import: ["" : 18, "own" : 1]>
        g (float[N,S,6] x) => (float[N,S,2,3] y, float[N,S,2,3] z) { a = Relu(x) y = own.heads(x) z = own.heads(a) }
        <opset_import: ["" : 18], domain: "own"> heads (x) => (y) {
            i = Constant<value = int64 {0}>() j = Constant<value = int64 {1}>() zero = Constant<value = int64[1] {0}>()
            k = Constant<value = int64[2] {2, 3}>()
            s = Shape(x) n = Gather(s, i) n1 = Unsqueeze(n, zero) s2 = Shape(x) m = Gather(s2, j) m1 = Unsqueeze(m, zero)
            t = Concat<axis = 0>(n1, m1, k) y = Reshape(x, t) }""")
    assert operators(result).count("Reshape") == 1 and "Concat" not in operators(result)


def test_before_ir_version_4() -> None:
    """No initializers can be added: constants are nodes."""
    result = simplified("""<ir_version: 3, opset_import: ["" : 11]> g (float[N,S,6] x) => (float[] y, float[] z) {
        i = Constant<value = int64 {0}>() j = Constant<value = int64 {1}>() k = Constant<value = int64[2] {2, 3}>()
        s = Shape(x) n = Gather(s, i) n1 = Unsqueeze<axes = [0]>(n) s2 = Shape(x) m = Gather(s2, j) m1 = Unsqueeze<axes = [0]>(m)
        t = Concat<axis = 0>(n1, m1, k) y = Reshape(x, t) u = Concat<axis = 0>(m1, n1) z = ConstantOfShape(u) }""")
    assert operators(result) == ["Reshape", "Shape", "Gather", "ConstantOfShape"]
    assert not result.graph.initializer


def test_a_chain_that_is_an_output() -> None:
    result = simplified(f"""{HEAD} (float[N,S] x) => (int64[2] shape, int64[1] twice, float[] y) <{NUMBERS}> {{
        {size("n", "x", 0)} {size("s", "x", 1)} shape = Concat<axis = 0>(n, s)
        a = Add(n, n) b = Mul(a, two) twice = Div(b, two) y = ConstantOfShape(shape) }}""")
    assert [output.name for output in result.graph.output] == ["shape", "twice", "y"]
    assert len(operators(result)) < 8


def test_equal_values_that_are_all_outputs() -> None:
    """Each keeps its name, whoever of them is made first."""
    result = simplified(f"""{HEAD} (float[N,S] x, float[N,3] z) => (int64[1] n, int64[1] m, int64[1] k) <{NUMBERS}> {{
        {size("n", "x", 0)} {size("m", "z", 0)} a = Mul(m, two) k = Div(a, two) }}""")
    assert [output.name for output in result.graph.output] == ["n", "m", "k"]


def test_an_unknown_operator_reads_a_size() -> None:
    """Whatever it makes of it, it gets the same number."""
    result = simplified(f"""<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
        g (float[N,S] x, float[N,3] z) => (float[] y, float[] w) <{NUMBERS}, int32 axis = {{0}}> {{
            {size("n", "x", 0)} {size("m", "z", 0)} a = Mul(m, two) b = Div(a, two)
            f = Cast<to = 1>(b) y = com.microsoft.ExpandDims(f, axis) w = ConstantOfShape(n) }}""")
    assert "Div" not in operators(result) and operators(result).count("Shape") == 1


def test_in_32_bits() -> None:
    """Equal values are merged; no chain of them is built anew."""
    result = simplified(f"""{HEAD} (float[N,S] x, float[N,3] z) => (float[] y, float[] w, int32[1] k) <{NUMBERS}, int32[1] three = {{3}}> {{
        {size("n", "x", 0)} {size("m", "z", 0)} n32 = Cast<to = 6>(n) m32 = Cast<to = 6>(m)
        a = Mul(n32, three) b = Mul(m32, three) k = Add(a, b)
        c = Cast<to = 7>(a) d = Cast<to = 7>(b) y = ConstantOfShape(c) w = ConstantOfShape(d) }}""")
    assert operators(result).count("Shape") == 1 and operators(result).count("ConstantOfShape") == 2


def test_pieces_are_made_once() -> None:
    """Each size is computed once, for all that need it and within one expression."""
    text = f"""{HEAD} (float[N,S] x, float[N,S] z) => (float[] a, float[] b, float[] c) <{NUMBERS}> {{
        {size("n", "x", 0)} {size("n2", "z", 0)} {size("n3", "x", 0)} {size("n4", "z", 0)} {size("s", "x", 1)} {size("s2", "z", 1)}
        nn = Mul(n, n2) a = ConstantOfShape(nn)
        u = Concat<axis = 0>(n3, s) b = ConstantOfShape(u)
        v = Concat<axis = 0>(n4, s2) c = ConstantOfShape(v) }}"""
    result = simplified(text)
    assert sorted(operators(result)) == [*["ConstantOfShape"] * 3, "Mul", "Shape", "Shape"]


def test_a_square_takes_its_root_once() -> None:
    result = simplified(f"""{HEAD} (float[S,N] x) => (float[] a) <{NUMBERS}, int64[1] four = {{4}}> {{
        {size("n", "x", 1)} {size("m", "x", 1)}
        k = Mul(n, two) l = Mul(m, two) kl = Mul(k, l) nn = Div(kl, four) a = ConstantOfShape(nn) }}""")
    assert operators(result) == ["Shape", "Mul", "ConstantOfShape"]


def test_the_second_run_changes_nothing() -> None:
    text = f"""{HEAD} (float[N,S] x, float[N,3] z) => (float[] y, float[] w) <{NUMBERS}> {{
        {size("n", "x", 0)} {size("m", "z", 0)} {size("s", "x", 1)} t = Concat<axis = 0>(s, n) y = ConstantOfShape(t)
        u = Concat<axis = 0>(m, s, one) w = ConstantOfShape(u) }}"""
    once = simplified(text)
    told = Told()
    graphopt.optimize(once, pipeline="simplify-shape-arithmetic, materialize-shapes", observer=told)
    assert not told.made
