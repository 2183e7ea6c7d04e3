"""The source of a matcher is meant to be read: a test is `continue`, a choice is a `for`, success is `return`."""

from __future__ import annotations

from graphopt.ir import Value
from graphopt.match import FLOATING, Match, const, op, opt, rule, tensor
from graphopt.match.compiler import compile_rule, source_of
from tests.match.graphs import model, rule_of

x, w = tensor("x", shape=("M", "K")), tensor("w", shape=("K", "N"))


@rule(op.Add(op.MatMul(x, w), tensor("c", into=("M", "N"))), dtype=FLOATING)
def matmul_add_to_gemm(m: Match, x: Value, w: Value, c: Value) -> Value:
    """Add(MatMul(x, w), c)  ->  Gemm(x, w, c)"""
    raise AssertionError("never called here")


MATMUL_ADD = """\
def match_matmul_add_to_gemm(node, attempt):
    # Add(MatMul(x, w), c)
    for _ in ONCE:
        if node.op != 'Add': continue
        graph = node.graph
        inputs1 = node.inputs
        if len(inputs1) != 2 and not has_count(inputs1, 2, 2): continue
        for v1, c in ((inputs1[0], inputs1[1]), (inputs1[1], inputs1[0])):
            if v1 is None or c is None: continue
            n1 = v1.producer
            if n1 is None or n1.op != 'MatMul' or v1.index != 0: continue
            if not is_private(v1, graph): continue
            inputs2 = n1.inputs
            if len(inputs2) != 2 and not has_count(inputs2, 2, 2): continue
            x = inputs2[0]
            if x is None: continue
            w = inputs2[1]
            if w is None: continue
            shape1 = x.shape
            if shape1 is None or len(shape1) != 2: continue
            M = shape1[0]
            if M is None: continue
            K = shape1[1]
            if K is None: continue
            shape2 = w.shape
            if shape2 is None or len(shape2) != 2: continue
            if shape2[0] != K: continue
            N = shape2[1]
            if N is None: continue
            if not broadcasts_into(c.shape, (M, N)): continue
            if node.outputs[0].dtype not in DTYPES1: continue
            result = attempt((node,), (node, n1), {'x': x, 'w': w, 'c': c})
            if result is not None: return result
    return None
"""


def test_source() -> None:
    assert source_of(matmul_add_to_gemm) == MATMUL_ADD


def test_source_of_alternatives_and_an_optional_input() -> None:
    pattern = op.Relu(op.Neg(tensor("y")) | op.Clip(tensor("y"), opt(const("low"))))
    assert source_of(rule_of(pattern)) == """\
def either1(v1, graph):
    # Neg(y)
    for _ in ONCE:
        n1 = v1.producer
        if n1 is None or n1.op != 'Neg' or v1.index != 0: continue
        if not is_private(v1, graph): continue
        inputs2 = n1.inputs
        if len(inputs2) != 1 and not has_count(inputs2, 1, 1): continue
        y = inputs2[0]
        if y is None: continue
        yield (n1, y, None, UNBOUND)
    # Clip(y, low?)
    for _ in ONCE:
        n2 = v1.producer
        if n2 is None or n2.op != 'Clip' or v1.index != 0: continue
        if not is_private(v1, graph): continue
        if not has_neutral_form(n2): continue
        inputs3 = neutral_inputs(n2)
        if not has_count(inputs3, 1, 2): continue
        y = inputs3[0]
        if y is None: continue
        low = inputs3[1] if len(inputs3) > 1 else None
        if low is not None:
            if low.const is None: continue
        yield (None, y, n2, low)


def match_the_rule(node, attempt):
    # Relu((Neg(y) | Clip(y, low?)))
    for _ in ONCE:
        if node.op != 'Relu': continue
        graph = node.graph
        inputs1 = node.inputs
        if len(inputs1) != 1 and not has_count(inputs1, 1, 1): continue
        v1 = inputs1[0]
        if v1 is None: continue
        for (n1, y, n2, low) in either1(v1, graph):
            result = attempt((node,), tuple(filter(None, (node, n1, n2))), {'y': y, 'low': None if low is UNBOUND else low})
            if result is not None: return result
    return None
"""


def test_names_that_would_hide_our_own() -> None:
    """A leaf may be called like anything that the source uses, or like a dimension."""
    names = ["node", "attempt", "graph", "v1", "inputs1", "n1", "result", "is_private", "ONCE", "N"]
    pattern = op.Sum(op.Relu(tensor(names[0], shape=("N",))), *(tensor(name) for name in names[1:]))
    inputs = ", ".join(f"float[4] i{i}" for i in range(10))
    graph = model(f"({inputs}) => (float[4] c) {{ r = Relu(i0)  c = Sum(r, {', '.join(f'i{i}' for i in range(1, 10))}) }}")
    bound = compile_rule(rule_of(pattern))(list(graph.graph)[-1], lambda roots, nodes, bindings: bindings)
    assert bound is not None and {name: bound[name].name for name in names} == {name: f"i{i}" for i, name in enumerate(names)}


def test_first_result_that_is_not_none_ends_the_search() -> None:
    graph = model("(float[4] a, float[4] b) => (float[4] c) { c = Add(a, b) }")
    matcher = compile_rule(rule_of(op.Add(tensor("x"), tensor("y"))))
    tried: list[tuple[list[str | None], str | None, list[str]]] = [
        (["first"], "first", ["a"]),
        ([None, "second"], "second", ["a", "b"]),
        ([None, None], None, ["a", "b"]),
    ]
    for answers, result, orders in tried:
        seen: list[str] = []

        def attempt(
            roots: object, nodes: object, bindings: dict[str, Value], seen: list[str] = seen, answers: list[str | None] = answers
        ) -> str | None:
            seen.append(bindings["x"].name)
            return answers.pop(0)

        assert matcher(next(iter(graph.graph)), attempt) == result and seen == orders
