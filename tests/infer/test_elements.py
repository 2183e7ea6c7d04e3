"""What small integer tensors hold, as far as it is known: every operator of shape arithmetic, at old and new opsets."""

from __future__ import annotations

from typing import Any

import pytest

from graphopt.infer import elements, infer_contents, infer_model, infer_node
from graphopt.infer.shapes import ceil_divide, floor_divide, maximum, minimum, multiply, subtract
from graphopt.io import parse_text
from graphopt.ir import Dim, DType, Editor, Model, Node, Size, Tensor, TensorType, Value
from graphopt.schema.spelling import CannotSpell, spell

N, M = Dim.symbol("N"), Dim.symbol("M")
N_MOD_4 = subtract(N, multiply(4, floor_divide(N, 4)))
F32, I32, I64, BOOL = DType.float32, DType.int32, DType.int64, DType.bool
NOTHING_KNOWN = Value("u", TensorType(I64, (2,)))


def f32(*shape: Size) -> Value:
    return Value("x", TensorType(F32, shape))


def held(data: Any, dtype: DType | None = None) -> Value:
    tensor = Tensor.of(data, dtype)
    return Value("c", TensorType(tensor.dtype, tensor.shape), tensor=tensor)


def vector(*sizes: Size, dtype: DType = I64) -> Value:
    """A value that is known to hold these elements."""
    value = Value("v", TensorType(dtype, (len(sizes),)))
    value.contents = sizes
    return value


class Chain:
    """Builds nodes one after another, each with its types and contents."""

    def __init__(self, opset: int = 17) -> None:
        self.graph = Model(opsets={"": opset}).graph
        self.editor = Editor(self.graph.model)

    def node(self, op: str, *inputs: Value | None, outputs: int = 1, **attributes: Any) -> Node:
        node = self.editor.insert(spell(op, inputs, attributes, self.graph, outputs=outputs), self.graph)
        for value, type in zip(node.outputs, infer_node(node), strict=True):
            value.type = type
        for value, contents in zip(node.outputs, infer_contents(node), strict=True):
            value.contents = contents
        return node

    def __call__(self, op: str, *inputs: Value | None, **attributes: Any) -> Value:
        return self.node(op, *inputs, **attributes).output


def test_shape_arithmetic_is_followed() -> None:
    """Shape -> Gather -> Mul -> Concat -> Reshape of dynamic models comes out as symbols."""
    do = Chain()
    x = f32(N, 3, M, 4)
    shape = do("Shape", x)
    assert elements(shape) == (N, 3, M, 4)
    n = do("Gather", shape, held(0))
    m = do("Gather", shape, held([2]))
    double = do("Mul", m, held([2]))
    assert elements(double) == (M * 2,)
    target = do("Concat", do("Unsqueeze", n, held([0])), held([-1]), double, axis=0)
    assert elements(target) == (N, -1, M * 2)
    assert do("Reshape", x, target).shape == (N, 6, M * 2)
    rows = do("Slice", shape, held([1]), held([3]))
    assert elements(rows) == (3, M)
    assert do("Expand", held([[1.0]], F32), rows).shape == (3, M)
    assert elements(do("ReduceProd", do("Shape", f32(N, 3)), keepdims=0)) == (N * 3,)
    assert elements(do("Sub", do("Add", n, held(5)), n)) == (5,)


def test_torch_expand_is_followed() -> None:
    """Where(Equal(shape, -1), ones, shape): a symbol is a size, hence not -1."""
    do = Chain()
    shape = do("Concat", do("Shape", f32(N)), held([-1, 4]), axis=0)
    chosen = do("Where", do("Equal", shape, held([-1])), do("ConstantOfShape", held([3]), value=Tensor.of([1])), shape)
    assert elements(chosen) == (N, 1, 4)


@pytest.mark.parametrize("opset", [7, 11, 13, 18, 20])
@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "contents"),
    [
        ("Shape", [f32(N, 3, M)], {"start": -2, "end": 99}, (3, M)),
        ("Size", [f32(N, 3, M)], {}, (3 * N * M,)),
        ("Gather", [vector(N, 3, M), held([[-1, 0]])], {"axis": 0}, (M, N)),
        ("Gather", [vector(N, 3, M), vector(2, None)], {"axis": 0}, (M, None)),
        ("Gather", [vector(N, 3), held([5])], {"axis": 0}, None),
        ("Gather", [held([[1, 2], [3, 4]]), held(1)], {"axis": 1}, (2, 4)),
        ("GatherElements", [vector(N, 3, M), held([2, -3])], {"axis": 0}, (M, N)),
        ("GatherND", [vector(N, 3, M), held([[2], [0]])], {}, (M, N)),
        ("Slice", [vector(N, 3, M, 4), held([-3]), held([2**63 - 1])], {}, (3, M, 4)),
        ("Slice", [held([[1, 2, 3], [4, 5, 6]]), held([1, 0]), held([2, 2]), held([0, 1])], {}, (4, 5)),
        ("Slice", [vector(N, 3, M, 4), held([3]), held([-(2**63)]), held([0]), held([-2])], {}, (4, 3)),
        ("Slice", [vector(N, 3), held([-9]), held([-(2**63)]), held([0]), held([-1])], {}, None),
        ("Concat", [vector(N, 3), NOTHING_KNOWN, vector(M)], {"axis": 0}, (N, 3, None, None, M)),
        ("Squeeze", [vector(N), held([0])], {}, (N,)),
        ("Unsqueeze", [vector(N, 3), held([1])], {}, (N, 3)),
        ("Reshape", [vector(N, 3, M, 4), held([2, 2])], {}, (N, 3, M, 4)),
        ("Flatten", [vector(N, 3)], {"axis": 0}, (N, 3)),
        ("Transpose", [held([[1, 2], [3, 4]])], {}, (1, 3, 2, 4)),
        ("Cast", [vector(N, 3)], {"to": 6}, (N, 3)),
        ("Cast", [vector(N, 3, -1, 0, N + 1)], {"to": 9}, (None, 1, 1, 0, 1)),
        ("Cast", [vector(2**31, N)], {"to": 6}, (None, N)),
        ("Cast", [vector(1, 0, dtype=BOOL)], {"to": 7}, (1, 0)),
        ("CastLike", [vector(N, 0), vector(1, dtype=BOOL)], {}, (None, 0)),
        ("Add", [vector(N, 3), vector(M)], {}, (N + M, M + 3)),
        ("Sub", [vector(N, 3), vector(N, None)], {}, (0, None)),
        ("Mul", [vector(N, 3, None), vector(M, 2**62, 0)], {}, (N * M, None, 0)),
        ("Div", [vector(N, 4 * N, 7, -7, N - 1), vector(2)], {}, (floor_divide(N, 2), 2 * N, 3, -3, None)),
        ("Div", [vector(12 * N * M, N, 5), vector(N, M, 0)], {}, (12 * M, floor_divide(N, M), None)),
        ("Div", [vector(-N - 1), vector(2)], {}, (multiply(-1, floor_divide(N + 1, 2)),)),
        ("Div", [vector(-N - 1), vector(-2)], {}, (floor_divide(N + 1, 2),)),
        ("Mod", [vector(N, -7, 7, -N), vector(4, 4, -4, 3)], {}, (N_MOD_4, 1, -1, subtract(multiply(3, ceil_divide(N, 3)), N))),
        ("Mod", [vector(N, -7, 7, N * M), vector(4, 4, -4, N)], {"fmod": 1}, (N_MOD_4, -3, 3, 0)),
        ("Neg", [vector(N, None, 3)], {}, (-N, None, -3)),
        ("Abs", [vector(N, -N - 1, -3, N - 1)], {}, (N, N + 1, 3, None)),
        ("Sign", [vector(N, N + 1, -N - 1, 0, -5)], {}, (None, 1, -1, 0, -1)),
        ("Min", [vector(N, 3), vector(512), vector(M, N)], {}, (minimum(minimum(N, 512), M), minimum(N, 3))),
        ("Max", [vector(N, -2), vector(0)], {}, (N, 0)),
        ("Clip", [vector(N), held(1), held(5)], {}, (minimum(maximum(N, 1), 5),)),
        ("Where", [vector(1, 0, None, None, dtype=BOOL), vector(N, 2, M, 4), vector(9, M, M, 5)], {}, (N, M, M, None)),
        ("Equal", [vector(N, N, 2 * N, N, N), vector(N, -1, 3, M, None)], {}, (1, 0, 0, None, None)),
        ("Less", [vector(N, N, -1), vector(N + 1, 0, N)], {}, (1, 0, 1)),
        ("LessOrEqual", [vector(N, N, 0), vector(N, 0, N)], {}, (1, None, 1)),
        ("Greater", [vector(N + 1, N), vector(N, N)], {}, (1, 0)),
        ("GreaterOrEqual", [vector(N, N), vector(0, 1)], {}, (1, None)),
        ("Not", [vector(1, 0, None, dtype=BOOL)], {}, (0, 1, None)),
        ("And", [vector(1, 0, None, None, dtype=BOOL), vector(1, None, 1, 0, dtype=BOOL)], {}, (1, 0, None, 0)),
        ("Or", [vector(1, 0, None, None, dtype=BOOL), vector(None, 0, 1, 0, dtype=BOOL)], {}, (1, 0, 1, None)),
        ("Xor", [vector(1, 0, None, dtype=BOOL), vector(0, 0, 1, dtype=BOOL)], {}, (1, 0, None)),
        ("ReduceProd", [vector(N, 3, M), held([0])], {"keepdims": 0}, (3 * N * M,)),
        ("ReduceSum", [held([[1, 2], [3, 4]]), held([1])], {"keepdims": 1}, (3, 7)),
        ("ReduceMin", [vector(N, 3)], {"keepdims": 1}, (minimum(N, 3),)),
        ("ReduceMax", [vector(N, 3)], {"keepdims": 0}, (maximum(N, 3),)),
        ("Range", [held(5), held(0), held(-2)], {}, (5, 3, 1)),
        ("ConstantOfShape", [held([2])], {"value": Tensor.of([7])}, (7, 7)),
        ("Expand", [vector(N), held([2, 2])], {}, (N,) * 4),
        ("Tile", [vector(N, 3), held([2])], {}, (N, 3, N, 3)),
        ("Identity", [vector(N, None)], {}, (N, None)),
        ("Pad", [vector(N, 3), held([1, -1])], {"mode": "constant"}, (0, N)),
        ("NonZero", [vector(0, 5, N + 1, 0)], {}, (1, 2)),
        ("NonZero", [vector(0, N)], {}, None),
        ("CumSum", [vector(N, 3, M), held(0)], {}, (N, N + 3, N + M + 3)),
        ("CumSum", [vector(N, 3, M), held(0)], {"exclusive": 1, "reverse": 1}, (M + 3, M, 0)),
    ],
)
def test_operators(op: str, inputs: list[Value], attributes: dict[str, Any], contents: Any, opset: int) -> None:
    do = Chain(opset)
    try:
        made = do(op, *inputs, **attributes)
    except CannotSpell:  # there is no such operator, or no such use of it, at this opset
        assert opset < 18
        return
    assert elements(made) == contents


def test_split_gives_each_part_its_elements() -> None:
    for opset in (7, 13, 20):
        do = Chain(opset)
        counted = {"num_outputs": 2} if opset >= 18 else {}
        assert infer_contents(do.node("Split", vector(N, 3, M, 4), outputs=2, **counted)) == ((N, 3), (M, 4))
        assert infer_contents(do.node("Split", vector(N, 3, M), held([1, 2]), outputs=2)) == ((N,), (3, M))


def test_what_is_not_known_stays_unknown() -> None:
    do = Chain()
    assert elements(None) is None
    assert elements(NOTHING_KNOWN) is None
    assert elements(held([1.5], F32)) is None
    assert elements(held([0] * 65)) is None
    assert elements(do("Shape", Value("x", TensorType(F32)))) is None
    assert elements(do("Gather", do("Shape", f32(None, 3)), held([0]))) is None
    assert elements(do("Add", vector(2**31 - 1, dtype=I32), vector(1, dtype=I32))) is None  # it would wrap around
    assert elements(do("Mul", vector(N), vector(2**40))) is None
    overridable = held([2])
    overridable.overridable = True
    assert elements(overridable) is None


def test_a_node_in_no_graph_is_looked_at_where_it_shall_stand() -> None:
    graph = Model(opsets={"": 17}).graph
    node = Node("Neg", (vector(N),))
    node.output.type = TensorType(I64, (1,))
    assert infer_contents(node) == (None,)
    assert infer_contents(node, graph) == ((-N,),)
    assert node.graph is None


def of(text: str, name: str) -> Any:
    """What a model's value holds once the model is inferred."""
    model = parse_text(text)
    infer_model(model)
    for graph in model.graphs():
        for value in [*graph.inputs, *(value for node in graph for value in node.outputs)]:
            if value.name == name:
                return elements(value)
    raise AssertionError(name)


IF = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N, M] x, int64[1] z) => (int64[1] y) {
    zero = Constant <value = int64[1] {0}> ()
    one = Constant <value = int64[1] {1}> ()
    shape = Shape(x)
    n = Gather <axis = 0> (shape, zero)
    CONDITION
    y = If (c) <
        then_branch = g1 () => (int64[1] a) { a = Add(n, one) },
        else_branch = g2 () => (int64[1] b) { OTHER }
    >
}
"""


@pytest.mark.parametrize(
    ("condition", "other", "contents"),
    [
        ("c = GreaterOrEqual(n, zero)", "b = Neg(one)", (N + 1,)),
        ("c = Less(n, zero)", "b = Neg(one)", (-1,)),
        ("c = Less(n, one)", "b = Neg(one)", None),
        ("c = Less(n, one)", "m = Neg(one) b = Sub(n, m)", (N + 1,)),
    ],
)
def test_if_gives_what_the_branch_gives_that_is_taken(condition: str, other: str, contents: Any) -> None:
    found = of(IF.replace("CONDITION", condition).replace("OTHER", other), "y")
    assert found == contents


def test_loop_carried_contents_are_unknown_and_captured_ones_are_not() -> None:
    text = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N] x, int64 count, bool go) => (int64[1] y, int64[K, 1] z) {
    n = Shape(x)
    y, z = Loop(count, go, n) <body = b (int64 i, bool c, int64[1] v) => (bool d, int64[1] w, int64[1] s) {
        d = Identity(c)
        w = Add(v, n)
        s = Add(n, n)
    }>
}
"""
    assert of(text, "v") is None
    assert of(text, "w") is None
    assert of(text, "s") == (2 * N,)
    assert of(text, "y") is None


FUNCTION = """
<ir_version: 10, opset_import: ["" : 18, "local" : 1]>
g (float[N, M] x, float[M, 3] z) => (int64[1] p, int64[1] q, int64[2] r) {
    a = Shape(x)
    b = Shape(z)
    two = Constant <value = int64[1] {2}> ()
    p = local.scaled(a, two)
    q = local.scaled(b, two)
    r = local.Shape(x)
}
<domain: "local", opset_import: ["" : 18]>
scaled (shape, factor) => (y) {
    last = Constant <value = int64[1] {1}> ()
    size = Gather <axis = 0> (shape, last)
    t = Identity(factor)
    y = Mul(size, factor)
}
<domain: "local", opset_import: ["" : 18]>
Shape (x) => (y) {
    s = Shape(x)
    y = Neg(s)
}
"""


def test_inside_functions_contents_are_what_all_callers_agree_on() -> None:
    assert of(FUNCTION, "p") == (2 * M,)
    assert of(FUNCTION, "q") == (6,)
    assert of(FUNCTION, "r") == (-N, -M)
    assert of(FUNCTION, "factor") == of(FUNCTION, "t") == (2,)
    assert of(FUNCTION, "size") == (None,)


def test_a_function_in_the_place_of_an_operator_is_what_its_body_says() -> None:
    text = FUNCTION.replace('"local"', '""').replace("local.", "").replace(', "" : 1', "").replace("a = Shape(x)", "a = Size(x)")
    assert of(text, "r") is None or of(text, "r") == (-N, -M)


def test_known_contents_survive_a_second_look() -> None:
    model = parse_text(IF.replace("CONDITION", "c = Less(n, zero)").replace("OTHER", "b = Neg(one)"))
    infer_model(model)
    infer_model(model, again=True)
    assert elements(model.graph.outputs[0]) == (-1,)
