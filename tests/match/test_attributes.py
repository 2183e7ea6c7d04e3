"""Attributes: literals, names, predicates; defaults, other spellings, and what a function's caller gives."""

from __future__ import annotations

import pytest

from graphopt.io import parse_text
from graphopt.match import RuleError, attr, domain, op, opt, tensor
from tests.match.graphs import complete, matches, model

x, y = tensor("x"), tensor("y")
TRANSPOSE = "(float[2,3] a) => (float[M,N] c) { c = Transpose%s(a) }"


def test_list_of_ints() -> None:
    assert matches(op.Transpose(x, perm=[1, 0]), model(TRANSPOSE % "<perm = [1, 0]>"))
    assert not matches(op.Transpose(x, perm=[1, 0]), model(TRANSPOSE % "<perm = [0, 1]>"))
    assert not matches(op.Transpose(x, perm=[1, 0]), model(TRANSPOSE % ""))  # absent, and the schema has no default


def test_none_wants_an_absent_attribute_without_default() -> None:
    assert matches(op.Transpose(x, perm=None), model(TRANSPOSE % ""))
    assert not matches(op.Transpose(x, perm=None), model(TRANSPOSE % "<perm = [1, 0]>"))


def test_what_is_not_listed_may_be_anything() -> None:
    assert matches(op.Transpose(x), model(TRANSPOSE % "<perm = [1, 0]>")) and matches(op.Transpose(x), model(TRANSPOSE % ""))


LEAKY = "(float[4] a) => (float[4] c) { c = LeakyRelu%s(a) }"


def test_absent_attribute_has_its_default() -> None:
    for spelled in ("", "<alpha = 0.01>"):
        assert matches(op.LeakyRelu(x, alpha=0.01), model(LEAKY % spelled))
        assert complete(op.LeakyRelu(x, alpha=attr("alpha")), model(LEAKY % spelled))[0][2]["alpha"] == pytest.approx(0.01, rel=1e-6)
    assert not matches(op.LeakyRelu(x, alpha=0.01), model(LEAKY % "<alpha = 0.02>"))


@pytest.mark.parametrize(
    ("literal", "held", "equal"),
    [
        (0.1, "0.1", True),
        (0.1, "0.1000001", True),  # within 1e-6 of it
        (0.1, "0.10001", False),
        (1.0, "1.0", True),
        (1, "1.0", True),
        (1.0, "1.0000001", False),  # a whole number is exact
        (0.0, "0.0", True),
        (0.0, "0.0000001", False),
    ],
)
def test_floats(literal: float, held: str, equal: bool) -> None:
    assert bool(matches(op.LeakyRelu(x, alpha=literal), model(LEAKY % f"<alpha = {held}>"))) is equal


def test_strings() -> None:
    text = "(float[4] a) => (float[4] c) { c = Gelu%s(a) }"
    assert matches(op.Gelu(x, approximate="none"), model(text % ""))
    assert matches(op.Gelu(x, approximate="tanh"), model(text % '<approximate = "tanh">'))
    assert not matches(op.Gelu(x, approximate="none"), model(text % '<approximate = "tanh">'))


def test_lists_of_floats() -> None:
    ms = domain("com.microsoft")
    graph = model("(float[4] a) => (float[4] c) { c = com.microsoft.Odd<scales = [0.1, 2.0]>(a) }")
    assert matches(ms.Odd(x, scales=[0.1, 2.0]), graph)
    assert not matches(ms.Odd(x, scales=[0.1, 2.1]), graph)
    assert not matches(ms.Odd(x, scales=[0.1]), graph)


def test_predicates() -> None:
    pattern = op.Softmax(x, axis=lambda axis: axis in (-1, 1))
    text = "(float[2,3] a) => (float[2,3] c) { c = Softmax<axis = %s>(a) }"
    assert matches(pattern, model(text % "1")) and not matches(pattern, model(text % "0"))
    named = op.Softmax(x, axis=attr("axis", where=lambda axis: axis > 0))
    assert matches(named, model(text % "1")) == [{"x": "a", "axis": 1}]
    assert not matches(named, model(text % "0"))


def test_predicate_is_not_asked_of_an_absent_attribute() -> None:
    assert not matches(op.Transpose(x, perm=lambda perm: perm[0] == 1), model(TRANSPOSE % ""))  # None[0] would raise
    assert matches(op.Transpose(x, perm=lambda perm: perm[0] == 1), model(TRANSPOSE % "<perm = [1, 0]>"))


def test_predicate_that_raises_is_the_authors_error() -> None:
    pattern = op.Softmax(x, axis=lambda axis: axis.upper())
    with pytest.raises(RuleError, match=r"the rule the-rule .*axis of Softmax raised AttributeError") as caught:
        matches(pattern, model("(float[2,3] a) => (float[2,3] c) { c = Softmax<axis = 1>(a) }"))
    assert isinstance(caught.value.__cause__, AttributeError)


def test_one_name_for_two_attributes_wants_equal_ones() -> None:
    pattern = op.Softmax(op.Softmax(x, axis=attr("axis")), axis=attr("axis"))
    text = "(float[2,3] a) => (float[2,3] c) { b = Softmax<axis = %s>(a)  c = Softmax%s(b) }"
    assert matches(pattern, model(text % ("0", "<axis = 0>"))) == [{"x": "a", "axis": 0}]
    assert matches(pattern, model(text % ("-1", ""))) == [{"x": "a", "axis": -1}]
    assert not matches(pattern, model(text % ("0", "<axis = 1>")))


FUNCTION = """
<ir_version: 10, opset_import: ["" : 20, "local" : 1]>
g (float[2,3] a) => (float[2,3] c) { c = local.f<axis = 1>(a) }
<domain: "local", opset_import: ["" : 20]>
f <axis> (a) => (c) { c = Softmax<axis: int = @axis>(a) }
"""


def test_attribute_that_a_functions_caller_gives_is_unknown() -> None:
    graph = parse_text(FUNCTION)
    assert matches(op.Softmax(x), graph) == [{"x": "a"}]
    assert not matches(op.Softmax(x, axis=-1), graph)
    assert not matches(op.Softmax(x, axis=1), graph)
    assert not matches(op.Softmax(x, axis=attr("axis")), graph)
    assert not matches(op.Softmax(x, axis=lambda axis: True), graph)
    assert not matches(op.Softmax(x, axis=None), graph)


SQUEEZE_11 = "(float[2,1] a) => (float[2] c) { c = Squeeze<axes = [1]>(a) }"
SQUEEZE_13 = "(float[2,1] a) => (float[2] c) <int64[1] axes = {1}> { c = Squeeze(a, axes) }"


def test_attribute_that_became_an_input_is_matched_as_the_input() -> None:
    pattern = op.Squeeze(x, opt(tensor("axes", dtype="int64", shape=("N",))))
    assert matches(pattern, model(SQUEEZE_11, opset=11)) == [{"x": "a", "axes": (1,)}]
    assert matches(pattern, model(SQUEEZE_13, opset=13)) == [{"x": "a", "axes": "axes"}]
    assert matches(pattern, model("(float[2,1] a) => (float[2] c) { c = Squeeze(a) }", opset=11)) == [{"x": "a", "axes": None}]


def test_inputs_from_attributes_are_constants() -> None:
    clip = op.Clip(op.Relu(x), 0, 6)
    assert matches(clip, model("(float[4] a) => (float[4] c) { r = Relu(a)  c = Clip<min = 0.0, max = 6.0>(r) }", opset=10))
    assert not matches(clip, model("(float[4] a) => (float[4] c) { r = Relu(a)  c = Clip<min = 0.0, max = 5.0>(r) }", opset=10))


def test_old_operator_with_another_meaning_matches_nothing() -> None:
    """Softmax flattened its input below opset 13: over two axes at once that cannot be said any more."""
    text = "(float[2,3,4] a) => (float[2,3,4] c) { c = Softmax<axis = %s>(a) }"
    assert not matches(op.Softmax(x), model(text % "1", opset=11))
    assert matches(op.Softmax(x), model(text % "2", opset=11))
    assert matches(op.Softmax(x), model(text % "1", opset=13))
