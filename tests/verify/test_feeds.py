"""Feeds fit the inputs: sizes of symbols, ranges of indices, special values, every kind of type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, parser

from graphopt.verify import Comparison, compare
from graphopt.verify.comparison import Options, Original
from graphopt.verify.feeds import Caution, FeedMaker, Kind, Unfeedable
from graphopt.verify.signature import Signature
from graphopt.verify.sizes import names_in, resolve, tiers
from graphopt.verify.usage import Usage, usages


def model(text: str, *, opset: int = 20) -> ModelProto:
    return parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]>\n{text}')


def maker(proto: ModelProto) -> FeedMaker:
    signature = Signature.of(proto)

    def absent(name: str) -> np.ndarray[Any, Any]:
        raise Unfeedable(name)

    return FeedMaker(signature.inputs, usages(proto, signature.inputs), absent)


def usage(text: str) -> Usage:
    proto = model(text)
    return usages(proto, Signature.of(proto).inputs)[proto.graph.input[0].name]


def test_a_symbol_has_one_size_everywhere_and_different_symbols_differ_in_one_feed() -> None:
    made = maker(model("g (float[N,M] x, float[M,K] w, float[?,N] u) => (float[N,K] y) { y = MatMul(x, w) }"))
    assert made.symbols == ("N", "M", "K", "u[0]")
    first, second, odd = tiers(made.symbols)[0]
    assert set(first.values()) == {1} and set(second.values()) == {2}
    assert len(set(odd.values())) == 4 and all(size % 2 for size in odd.values())
    values: dict[str, Any] = made.make(Kind.ORDINARY, 0, odd, Caution.DERIVED).values
    assert values["x"].shape == (3, 5) and values["w"].shape == (5, 7) and values["u"].shape == (9, 3)


def test_a_dimension_that_is_an_expression_follows_its_symbols() -> None:
    known = frozenset({"past", "seq", "past + seq", "batch.1", "a-b"})
    assert names_in("past + seq", known) == ("past", "seq")
    assert names_in("a-b", known) == ("a-b",)  # a and b are no dimensions: a name with a hyphen
    assert names_in("batch.1", known) == ("batch.1",)
    assert resolve("past + seq", {"past": 2, "seq": 3}) == 5
    assert resolve("2*past - 1", {"past": 2}) == 3
    assert resolve("past // 2", {"past": 5}) == 2
    assert resolve("seq - past", {"past": 5, "seq": 3}) is None
    assert resolve("max(past, 1)", {"past": 5}) is None


def test_the_same_arguments_give_the_same_values_and_another_seed_others() -> None:
    made = maker(model("g (float[9] x, int64[9] i) => (float[9] y) { y = Identity(x) }"))
    one, same, other = (made.make(Kind.ORDINARY, seed, {}, Caution.DERIVED).values for seed in (4, 4, 5))
    assert all(np.array_equal(one[name], same[name]) for name in one)  # type: ignore[arg-type]  # arrays
    assert not np.array_equal(one["x"], other["x"])  # type: ignore[arg-type]  # arrays


@pytest.mark.parametrize(
    ("body", "low", "high", "pattern"),
    [
        ("(int64[N] i, float[7,3] w) => (float[N,3] y) { y = Gather(w, i) }", 0, 6, "index"),
        ("(int32[N] i, float[7,3] w) => (float[7,N] y) { j = Cast<to=7>(i) k = Identity(j)  y = Gather<axis=-1>(w, k) }", 0, 2, "index"),
        ("(int64[2] i, float[3] x) => (float[N,M] y) { y = Expand(x, i) }", 1, 1, ""),
        ("(int64[2] i, float[3] x) => (float[N,M] y) { y = Reshape(x, i) }", None, None, "reshape"),
        ("(int64[2] i, float[3] x) => (float[N,M,K] y) { y = Unsqueeze(x, i) }", None, None, "axes"),
        ("(int64[1] attention_mask) => (int64[1] y) { y = Add(attention_mask, attention_mask) }", 0, 1, ""),
        ("(int64[1] i) => (int64[1] y) { y = Add(i, i) }", None, None, ""),
    ],
)
def test_ranges_are_derived_from_the_readers(body: str, low: int | None, high: int | None, pattern: str) -> None:
    found = usage(f"g {body}")
    assert (found.low, found.high, found.pattern) == (low, high, pattern)


@pytest.mark.parametrize(
    ("body", "tame"),
    [
        ("(int64[N] i, int64[N] j) => (int64[N] y) { y = Div(j, i) }", True),  # the lowest integer over -1 ends the process
        ("(float[N] x) => (float[N] y) { y = Div(x, x) }", False),
        ("(float[N] x) => (float[M] y) { i = Cast<to=7>(x)  y = ConstantOfShape(i) }", True),
        ("(float[N] x) => (float[M] y) { i = Shape(x)  y = ConstantOfShape(i) }", False),
    ],
)
def test_no_special_values_where_sizes_or_divisors_are_computed(body: str, tame: bool) -> None:
    assert usage(f"g {body}").tame is tame


def test_special_values_are_all_there() -> None:
    made = maker(model("g (float[40] x, int32[40] i) => (float[40] y) { y = Identity(x) }"))
    finite: dict[str, Any] = made.make(Kind.FINITE, 0, {}, Caution.DERIVED).values
    assert np.signbit(finite["x"][finite["x"] == 0]).any() and not np.signbit(finite["x"][finite["x"] == 0]).all()
    assert ((np.abs(finite["x"]) < np.finfo(np.float32).tiny) & (finite["x"] != 0)).any()
    assert {np.iinfo(np.int32).min, np.iinfo(np.int32).max} <= set(finite["i"].tolist())
    wild: dict[str, Any] = made.make(Kind.NONFINITE, 0, {}, Caution.DERIVED).values
    assert np.isnan(wild["x"]).any() and np.isposinf(wild["x"]).any() and np.isneginf(wild["x"]).any()
    assert np.isfinite(wild["x"]).sum() > 30


def ran(comparison: Comparison) -> bool:
    return comparison.agrees and len(comparison.feeds) >= 3


@pytest.mark.parametrize("runner", ["onnxruntime", "reference"])
@pytest.mark.parametrize(
    "body",
    [
        "(int64[N] i, float[7,3] w) => (float[N,3] y) { y = Gather(w, i) }",
        "(int64[N] i, float[M,3] w) => (float[N,3] y) { y = Gather(w, i) }",  # the extent is symbolic: smaller ranges are tried
        "(int64[N] i, int64[1] two, float[4,3] w) => (float[N,3] y) { j = Mul(i, i) k = Mod(j, two)  y = Gather(w, k) }",
        "(int64[2] s, float[3] x) => (float[N,M] y) { y = Reshape(x, s) }",
        "(int64[2] s, float[3] x) => (float[N,M] y) { y = Expand(x, s) }",
        "(int64[2] s) => (float[N,M] y) { y = ConstantOfShape(s) }",
        "(int64[2] a, float[3] x) => (float[N,M,K,L] y) { y = Unsqueeze(x, a) }",
        "(int64[1] k, float[9] x) => (float[K] v, int64[K] i) { v, i = TopK(x, k) }",
        "(bool[N] c, float[N] x) => (float[N] y) { z = Sub(x, x)  y = Where(c, x, z) }",
        "(string[N] a, string[N] b) => (bool[N] y) { y = Equal(a, b) }",
        "(string[N] a) => (float[N] y) { y = Cast<to=1>(a) }",
        "(seq(float[N,3]) s) => (float[M,3] y) { y = ConcatFromSequence<axis=0>(s) }",
        "(optional(float[N]) o) => (bool y) { y = OptionalHasElement(o) }",
        "(optional(seq(float[N])) o) => (bool y) { y = OptionalHasElement(o) }",
        "(float[] x) => (float[] y) { y = Relu(x) }",
        "(float[] x) => (float[] y) { y = Transpose<perm=[0,2,1]>(x) }",  # only rank 3 runs
        "(uint8[N] a, int8[N] b) => (float[N] y) { p = Cast<to=1>(a)  q = Cast<to=1>(b)  y = Add(p, q) }",
        "(int64[N] a, int64[N] b) => (int64[N] y) { y = Div(a, b) }",
        "(float16[N] x) => (float16[N] y) { y = Relu(x) }",
        "(double[N] x) => (double[N] y) { y = Relu(x) }",
    ],
)
def test_every_kind_of_input_is_fed(body: str, runner: str) -> None:
    proto = model(f"g {body}")
    comparison = compare(proto, proto, runner=runner)
    assert ran(comparison), comparison


def test_maps_are_fed_with_keys_that_the_model_knows() -> None:
    proto = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 15, "ai.onnx.ml" : 2]>\n'
        'g (map(string,float) x) => (float[1,N] y) { y = ai.onnx.ml.DictVectorizer<string_vocabulary=["north","south"]>(x) }'
    )
    original = Original(proto, Options())
    fed = original.cases[0].feed.values["x"]
    assert isinstance(fed, dict) and set(fed) == {"north", "south"}
    assert ran(original.compare(proto))


def test_an_input_that_cannot_be_fed_is_reported_not_guessed() -> None:
    proto = model("g (sparse_tensor(float[N]) x, float[N] u) => (float[N] y) { y = Relu(u) }")
    comparison = compare(proto, proto)
    assert not comparison.agrees
    assert "no values can be made for the type sparse float32[N]" in str(comparison)


def test_defaults_are_left_out_and_replaced() -> None:
    proto = model(
        "g (float[N,3] x, float[3] w = {1, 2, 3}, int64[2] s = {3, -1}) => (float[3,M] y) { z = Mul(x, w)  y = Reshape(z, s) }"
    )
    original = Original(proto, Options())
    fed = {str(case.feed.kind): set(case.feed.values) for case in original.cases}
    assert fed["Kind.ORDINARY"] == {"x"}
    assert "w" in fed["Kind.OVERRIDDEN"]
    assert original.compare(proto).agrees


def test_a_larger_size_is_found_for_a_model_that_needs_one() -> None:
    """Three convolutions of stride 4 without padding reject every size below 64."""
    proto = model(
        "g (float[N,1,height,width] x) => (float[N,1,H,W] y) <float[1,1,4,4] k = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}>"
        " { a = Conv<strides=[4,4]>(x, k)  b = Conv<strides=[4,4]>(a, k)  y = Conv<strides=[4,4]>(b, k) }"
    )
    comparison = compare(proto, proto, special=False)
    assert comparison.agrees
    assert "seed 0, N=1, height=224, width=224" in comparison.feeds
    assert any(line.startswith("seed 0, N=1, height=1, width=1: ") for line in comparison.skipped)
