"""Single values: the same one twice, optional ones, alternatives, further inputs, outputs, names of nodes."""

from __future__ import annotations

import pytest

from graphopt.ir import Editor
from graphopt.match import any_of, attr, const, domain, each, op, opt, rest, tensor
from tests.match.graphs import complete, matches, model, rule_of

x, y, z = tensor("x"), tensor("y"), tensor("z")


def test_a_leaf_used_twice_is_the_same_value_twice() -> None:
    text = "(float[4] a, float[4] b) => (float[4] c) { s = Sigmoid(%s)  c = Mul(a, s) }"
    assert matches(op.Mul(x, op.Sigmoid(x)), model(text % "a")) == [{"x": "a"}]
    assert not matches(op.Mul(x, op.Sigmoid(x)), model(text % "b"))


def test_small_constants_with_equal_bytes_are_the_same_value() -> None:
    """Exporters give QuantizeLinear and DequantizeLinear a scale each; NaN equals itself, +0 and -0 differ."""
    text = "(float[4] a) => (float[4] c) <float s = {%s}, float t = {%s}> { d = Div(a, s)  c = Mul(d, t) }"
    pattern = op.Mul(op.Div(x, const("s")), const("s"))
    assert matches(pattern, model(text % ("0.25", "0.25")))
    assert not matches(pattern, model(text % ("0.25", "0.5")))
    assert not matches(pattern, model(text % ("0.0", "-0.0")))


def test_unnamed_leaves_are_independent() -> None:
    graph = model("(float[4] a, float[4] b) => (float[4] c) { c = Sub(a, b) }")
    any_value = tensor()
    assert matches(op.Sub(any_value, any_value), graph) == [{}]


CONV = "(float[1,3,8,8] a) => (float[1,2,8,8] c) <float[2,3,1,1] w = {1,2,3,4,5,6}, float[2] b = {1,2}> { c = Conv(a, w%s) }"


def test_optional_input_is_none_when_missing() -> None:
    pattern = op.Conv(x, const("w"), opt(const("b")))
    assert matches(pattern, model(CONV % "")) == [{"x": "a", "w": "w", "b": None}]
    assert matches(pattern, model(CONV % ", b")) == [{"x": "a", "w": "w", "b": "b"}]
    empty = model(CONV % ", b")
    Editor(empty).set_input(next(iter(empty.graph)), 2, None)
    assert matches(pattern, empty) == [{"x": "a", "w": "w", "b": None}]


def test_conditions_of_an_optional_input_hold_only_where_it_is() -> None:
    computed = model("(float[1,3,8,8] a, float[2] b) => (float[1,2,8,8] c) <float[2,3,1,1] w = {1,2,3,4,5,6}> { c = Conv(a, w, b) }")
    assert not matches(op.Conv(x, const("w"), opt(const("b"))), computed)
    assert matches(op.Conv(x, const("w"), opt(tensor("b", shape=("M",), dtype="float32"))), computed)
    assert not matches(op.Conv(x, const("w"), opt(tensor("b", dtype="float16"))), computed)
    both = op.Conv(x, const("w", shape=("M", ...)), opt(const("b", shape=("M",))))
    assert matches(both, model(CONV % ", b")) and matches(both, model(CONV % ""))
    assert not matches(op.Conv(x, const("w", shape=(None, "M", ...)), opt(const("b", shape=("M",)))), model(CONV % ", b"))


def test_optional_input_in_the_middle() -> None:
    pattern = op.Clip(x, opt(const("low")), opt(const("high")))
    text = "(float[4] a) => (float[4] c) <float lo = {0}, float hi = {6}> { c = Clip(a%s) }"
    assert matches(pattern, model(text % "")) == [{"x": "a", "low": None, "high": None}]
    assert matches(pattern, model(text % ", lo")) == [{"x": "a", "low": "lo", "high": None}]
    assert matches(pattern, model(text % ", , hi")) == [{"x": "a", "low": None, "high": "hi"}]
    assert matches(pattern, model(text % ", lo, hi")) == [{"x": "a", "low": "lo", "high": "hi"}]


def test_inputs_that_are_not_listed_must_be_absent() -> None:
    text = "(float[4] a) => (float[4] c) <float lo = {0}, float hi = {6}> { c = Clip(a%s) }"
    assert matches(op.Clip(x), model(text % ""))
    assert not matches(op.Clip(x), model(text % ", lo"))
    assert not matches(op.Clip(x, const("low")), model(text % ", , hi"))
    assert not matches(op.Clip(x, const("low"), const("high")), model(text % ", lo"))


def test_same_optional_value_in_two_calls() -> None:
    text = "(float[4] a) => (float[4] c) <float lo = {0}, float l2 = {1}> { b = Clip(a%s)  c = Clip(b%s) }"
    pattern = op.Clip(op.Clip(x, opt(const("low"))), opt(const("low")))
    assert matches(pattern, model(text % ("", "")))
    assert matches(pattern, model(text % (", lo", ", lo")))
    assert not matches(pattern, model(text % (", lo", ", l2")))
    assert not matches(pattern, model(text % (", lo", "")))
    assert not matches(pattern, model(text % ("", ", lo")))


ACTIVATION = "(float[4] a, float[4] b) => (float[4] c) { r = %s(a)  c = Sub(r, b) }"


@pytest.mark.parametrize("operator", ["Relu", "Tanh"])
def test_alternatives(operator: str) -> None:
    pattern = op.Sub(op.Relu(x) | op.Tanh(z), y)
    bound = "x" if operator == "Relu" else "z"
    assert matches(pattern, model(ACTIVATION % operator)) == [{"x": None, "z": None, "y": "b", bound: "a"}]
    assert not matches(pattern, model(ACTIVATION % "Abs"))


def test_an_alternative_that_fails_later_gives_way_to_the_next() -> None:
    """The first alternative matches its own place; that x is the other operand as well only the second one can give."""
    graph = model("(float[4] a) => (float[4] c) { r = Relu(a)  c = Sub(r, a) }")
    pattern = op.Sub(any_of(x, op.Relu(x)), x)
    assert matches(pattern, graph) == [{"x": "a"}]


def test_alternatives_are_tried_in_their_order() -> None:
    graph = model(ACTIVATION % "Relu")
    assert [found["x"] for found in matches(op.Sub(op.Relu(x) | x, y), graph)] == ["a", "r"]
    assert [found["x"] for found in matches(op.Sub(x | op.Relu(x), y), graph)] == ["r", "a"]


def test_alternatives_inside_alternatives_and_orders() -> None:
    graph = model("(float[4] a, float[4] b) => (float[4] c) { r = Relu(a)  p = Mul(b, r)  c = Sub(p, b) }")
    pattern = op.Sub(op.Add(x, y) | op.Mul(op.Tanh(x) | op.Relu(x), y), y)
    assert matches(pattern, graph) == [{"x": "a", "y": "b"}]


def test_name_bound_by_one_alternative_and_used_after() -> None:
    """x is bound by the first alternative only; where the second is taken, the later leaf binds it."""
    text = "(float[4] a, float[4] b) => (float[4] d) { r = %s(a)  d = Sub(r, %s) }"
    pattern = op.Sub(op.Relu(x) | op.Tanh(y), x)
    assert matches(pattern, model(text % ("Relu", "a"))) == [{"x": "a", "y": None}]
    assert not matches(pattern, model(text % ("Relu", "b")))
    assert matches(pattern, model(text % ("Tanh", "b"))) == [{"x": "b", "y": "a"}]


def test_what_one_try_bound_is_forgotten_in_the_next() -> None:
    """The Sub's order is fixed, the Mul's is not: the first order binds x to one value, the second must not remember it."""
    graph = model("(float[4] a, float[4] b) => (float[4] d) { t = Tanh(a)  m = Mul(a, b)  d = Sub(t, m) }")
    pattern = op.Sub(op.Relu(x) | op.Tanh(y), op.Mul(x, z))
    assert matches(pattern, graph) == [{"x": "a", "y": "a", "z": "b"}, {"x": "b", "y": "a", "z": "a"}]


def test_alternative_roots() -> None:
    pattern = op.Relu(op.Neg(x)) | op.Abs(op.Neg(x))
    for operator in ("Relu", "Abs"):
        assert matches(pattern, model(f"(float[4] a) => (float[4] c) {{ n = Neg(a)  c = {operator}(n) }}")) == [{"x": "a"}]
    assert not matches(pattern, model("(float[4] a) => (float[4] c) { n = Neg(a)  c = Tanh(n) }"))


CONCAT = "(float[2] a, float[2] b, float[2] c) => (float[N] d) { %s }"


def test_rest_is_a_tuple() -> None:
    pattern = op.Concat(rest("xs"), axis=attr("axis"))
    assert matches(pattern, model(CONCAT % "d = Concat<axis = 0>(a, b, c)")) == [{"xs": ("a", "b", "c"), "axis": 0}]
    after = op.Concat(op.Relu(x), rest("xs"))
    assert matches(after, model(CONCAT % "r = Relu(a)  d = Concat<axis = 0>(r)")) == [{"x": "a", "xs": ()}]
    assert matches(after, model(CONCAT % "r = Relu(a)  d = Concat<axis = 0>(r, b)")) == [{"x": "a", "xs": ("b",)}]
    assert not matches(op.Concat(rest("xs", dtype="int64")), model(CONCAT % "d = Concat<axis = 0>(a, b, c)"))


def test_each_binds_tuples() -> None:
    pattern = op.Concat(each(op.Relu(x).named("relu")))
    graph = model(CONCAT % "r = Relu(a)  s = Relu(b)  d = Concat<axis = 0>(r, s)")
    assert matches(pattern, graph) == [{"relu": ("Relu->r", "Relu->s"), "x": ("a", "b")}]
    assert sorted(node.op for node in complete(pattern, graph)[0][1]) == ["Concat", "Relu", "Relu"]
    assert not matches(pattern, model(CONCAT % "r = Relu(a)  d = Concat<axis = 0>(r, b)"))


def test_each_wants_at_least_one_and_each_may_differ() -> None:
    pattern = op.Concat(x, each(op.Relu(y) | op.Neg(z)))
    assert not matches(pattern, model(CONCAT % "d = Concat<axis = 0>(a)"))
    graph = model(CONCAT % "r = Relu(b)  n = Neg(c)  d = Concat<axis = 0>(a, r, n)")
    assert matches(pattern, graph) == [{"x": "a", "y": ("b", None), "z": (None, "c")}]


def test_dimensions_inside_each_unify_over_all_inputs() -> None:
    pattern = op.Concat(each(tensor("x", shape=("M", "N"))), axis=0)
    text = "(float[%s] a, float[%s] b) => (float[P,Q] d) { d = Concat<axis = 0>(a, b) }"
    assert matches(pattern, model(text % ("2,3", "2,3")))
    assert not matches(pattern, model(text % ("2,3", "4,3")))
    only_n = op.Concat(each(tensor("x", shape=(None, "N"))), axis=0)
    assert matches(only_n, model(text % ("2,3", "4,3")))


def test_other_outputs() -> None:
    split = op.Split(x, const("sizes"), axis=0)
    text = "(float[4] a) => (float[2] d) <int64[2] sizes = {2, 2}> { p, q = Split<axis = 0>(a, sizes)  d = Sub(%s) }"
    assert matches(op.Sub(split.out(0), split.out(1)), model(text % "p, q"))
    assert not matches(op.Sub(split.out(0), split.out(1)), model(text % "q, p"))
    assert not matches(op.Sub(split, op.Relu(y)), model(text % "p, q"))


def test_another_output_that_is_read_stops_an_inner_call() -> None:
    text = "(float[4] a) => (float[2] d, float[2] e) <int64[2] sizes = {2, 2}> { p, q = Split<axis = 0>(a, sizes)  d = Relu(p)  e = %s }"
    pattern = op.Relu(op.Split(x, const("sizes"), axis=0))
    assert not matches(pattern, model(text % "Neg(q)"))
    assert matches(pattern, model(text % "Neg(d)"))


def test_named_binds_the_node() -> None:
    graph = model("(float[4] a) => (float[4] c) { n = Neg(a)  c = Relu(n) }")
    assert matches(op.Relu(op.Neg(x).named("inner")).named("outer"), graph) == [{"outer": "Relu->c", "inner": "Neg->n", "x": "a"}]


def test_same_call_twice_is_the_same_node_twice() -> None:
    relu = op.Relu(x)
    text = "(float[4] a) => (float[4] d) { r = Relu(a)  s = Relu(a)  n = Neg(%s)  d = Sub(r, n) }"
    assert matches(op.Sub(relu, op.Neg(relu)), model(text % "r"))
    assert not matches(op.Sub(relu, op.Neg(relu)), model(text % "s"))
    two = op.Sub(op.Relu(x), op.Neg(op.Relu(y)))
    assert matches(two, model(text % "s")) and not matches(two, model(text % "r"))


def test_call_in_one_alternative_and_outside() -> None:
    relu = op.Relu(x)
    pattern = op.Sub(op.Neg(relu) | op.Abs(y), relu)
    text = "(float[4] a, float[4] b) => (float[4] d) { r = Relu(a)  s = Relu(b)  n = %s  d = Sub(n, %s) }"
    assert matches(pattern, model(text % ("Neg(r)", "r"))) == [{"x": "a", "y": None}]
    assert not matches(pattern, model(text % ("Neg(r)", "s")))
    assert matches(pattern, model(text % ("Abs(a)", "s"))) == [{"x": "b", "y": "a"}]


def test_other_domains() -> None:
    ms = domain("com.microsoft")
    graph = model("(float[4] a) => (float[4] c) { g = com.microsoft.Gelu(a)  c = Relu(g) }")
    assert matches(op.Relu(ms.Gelu(x)), graph) == [{"x": "a"}]
    assert not matches(op.Relu(op.Gelu(x)), graph)
    assert matches(rule_of(ms.Gelu(x)), graph) == [{"x": "a"}]
