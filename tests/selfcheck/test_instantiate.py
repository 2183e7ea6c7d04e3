"""Patterns become valid models: every order, grouping, alternative and optional; several opsets; every way of writing them."""

from __future__ import annotations

import random

import numpy as np
import onnx
import pytest

from graphopt.ir.dtype import DType
from graphopt.match.language import Leaf, Operand, any_of, attr, const, each, op, opt, product, rest, tensor
from graphopt.match.rule import Rule, rule
from graphopt.match.structure import walk
from graphopt.verify.selfcheck.cases import FORMS, of_sample
from graphopt.verify.selfcheck.drawing import Setting
from graphopt.verify.selfcheck.instantiate import CannotInstantiate, Sample, instantiate
from graphopt.verify.selfcheck.near_misses import near_misses
from graphopt.verify.selfcheck.planning import opsets
from graphopt.verify.selfcheck.running import engines, open_session, run
from graphopt.verify.selfcheck.structure import structures
from graphopt.verify.selfcheck.validity import Invalid, check

x, y = tensor("x"), tensor("y")


def made(*patterns: Operand, **options: object) -> Rule:
    def pattern(m: object) -> None:
        return None

    return rule(*patterns, **options)(pattern)  # type: ignore[arg-type]  # only its patterns are looked at


def readings(rule: Rule, limit: int = 100) -> list[str]:
    return [str(found) for found in structures(rule, limit, random.Random(0))]


def test_every_choice_is_read() -> None:
    assert len(readings(made(op.Add(op.Neg(x), y)))) == 2, "two orders"
    assert len(readings(made(op.Sub(op.Neg(x), y)))) == 1, "Sub does not commute"
    assert len(readings(made(op.Clip(x, opt(const("low")), opt(const("high")))))) == 4
    assert len(readings(made(product(x, 0.5, op.Neg(y))))) == 12, "three factors: six orders in two groupings"
    assert len(readings(made(any_of(op.Relu(x), op.Neg(x))))) == 2
    assert len(readings(made(op.Concat(each(op.Relu(x)), axis=attr("axis"))))) == 3
    assert len(readings(made(op.Concat(rest("xs"), axis=attr("axis"))))) == 4


def test_too_many_readings_still_take_every_option() -> None:
    pattern = op.Neg(x)
    for name in "abcdefgh":
        pattern = op.Add(pattern, tensor(name))
    found = readings(made(pattern), limit=10)
    assert found[0] == "as written"
    assert len(found) < 30
    assert max(text.count("operands 1, 0") for text in found) > 1, "mixtures too"
    assert sum(text == "Add of operands 1, 0" for text in found) >= 1


SCALE, SHIFT, MEAN, VAR = const("scale"), const("shift"), const("mean"), const("var")
DEVIATION = op.Sub(x, op.ReduceMean(x, const("axes"), keepdims=1))
EXAMPLES = {
    "matmul": op.Add(op.MatMul(tensor("x", shape=("M", "K")), tensor("w", shape=("K", "N"))), tensor("c", into=("M", "N"))),
    "convolution": op.BatchNormalization(op.Conv(x, const("w"), opt(const("b"))), SCALE, SHIFT, MEAN, VAR),
    "transposed": op.BatchNormalization(op.ConvTranspose(x, const("w"), opt(const("b"))), SCALE, SHIFT, MEAN, VAR),
    "gelu": product(x, 0.5, op.Add(op.Erf(op.Div(x, 1.4142135)), 1.0)),
    "slices": op.Slice(op.Slice(x, const("s"), const("e"), const("a"), opt(const("t"))), const("s2"), const("e2"), const("a2")),
    "layer norm": op.Div(DEVIATION, op.Sqrt(op.Add(op.ReduceMean(op.Mul(DEVIATION, DEVIATION), const("axes2"), keepdims=1), const("eps")))),
    "pad": op.Conv(op.Pad(x, const("p"), mode="constant"), const("w"), opt(const("b"))),
    "gemm": op.Gemm(op.Transpose(tensor("a"), perm=[1, 0]), tensor("b"), opt(tensor("c"))),
    "quantized": op.DequantizeLinear(op.QuantizeLinear(x, const("s"), const("z")), const("s2"), const("z2")),
    "gather": op.Gather(op.Shape(x), const("i")),
    "where": op.Where(op.Not(tensor("c")), x, y),
    "reshapes": op.Reshape(op.Reshape(x, const("a")), const("b")),
    "squeeze": op.Squeeze(op.Unsqueeze(x, const("a")), const("b")),
    "casts": op.Cast(op.Cast(x, to=attr("a")), to=attr("b")),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_valid_models_at_every_opset(name: str) -> None:
    rule = made(EXAMPLES[name])
    for structure in structures(rule, 4, random.Random(0)):
        built = 0
        versions = opsets(rule, structure)
        for opset in versions:
            try:
                sample = instantiate(rule, structure, Setting(opset), 0, 30)
            except CannotInstantiate:
                continue
            built += 1
            check(sample.model)
            onnx.checker.check_model(sample.model, full_check=True)
        assert built >= len(versions) - 2, f"{structure}: {built} of {versions}"


def sample_of(pattern: Operand, **setting: object) -> Sample:
    rule = made(pattern)
    return instantiate(rule, structures(rule, 1, random.Random(0))[0], Setting(17, **setting), 0)  # type: ignore[arg-type]  # the tests give what fits


@pytest.mark.parametrize("form", sorted(set(FORMS)))
def test_every_form_computes_the_same(form: str) -> None:
    sample = sample_of(EXAMPLES["convolution"])
    written = of_sample(sample, form, "")
    check(written.model)
    before = run(open_session(engines()[0], sample.model), sample.feeds)
    after = run(open_session(engines()[0], written.model), written.feeds)
    if form != "read on":  # which adds a node behind
        for one, other in zip(before.values(), after.values(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_wishes_are_heeded() -> None:
    sample = sample_of(op.Add(op.Neg(x), y), dtype=DType.int32, rank=3, sizes=(4,), constant_share=0.0)
    (first, *_) = sample.model.graph.input
    assert first.type.tensor_type.elem_type == int(DType.int32)
    assert [dim.dim_value for dim in first.type.tensor_type.shape.dim] == [4, 4, 4]


def test_dimension_names_agree() -> None:
    sample = sample_of(EXAMPLES["matmul"], constant_share=0.0)
    shapes = {port.name: [dim.dim_value for dim in port.type.tensor_type.shape.dim] for port in sample.model.graph.input}
    assert shapes["x"][1] == shapes["w"][0]
    assert len(shapes["c"]) <= 2


def test_broken_condition_breaks_it() -> None:
    """A drawing that shall break `into` is free to: some seed gives a bias of rank 3."""
    rule = made(EXAMPLES["matmul"])
    structure = structures(rule, 1, random.Random(0))[0]
    setting = Setting(17, constant_share=0.0, relaxed=frozenset({("c", "into")}))
    ranks = set()
    for seed in range(30):
        sample = instantiate(rule, structure, setting, seed)
        ranks |= {len(port.type.tensor_type.shape.dim) for port in sample.model.graph.input if port.name == "c"}
    assert max(ranks) > 2


def test_near_misses_of_all_kinds() -> None:
    asked = made(EXAMPLES["convolution"])
    cases = list(near_misses(sample_of(EXAMPLES["convolution"]), asked, np.random.default_rng(0)))
    groups = {case.group for case in cases}
    assert {"inner value is an output", "second reader", "captured by a subgraph", "overridable constant", "another constant"} <= groups
    assert {"another attribute", "operands exchanged", "one value twice", "another shape", "another element type", "training"} <= groups
    asked_to_be_constant = {part.name for pattern in asked.patterns for part in walk(pattern) if isinstance(part, Leaf) and part.constant}
    extremes = {case.what.split("; ")[-1] for case in cases if case.group == "an extreme constant"}
    assert {f"{name} all {number}" for name in asked_to_be_constant for number in ("0", "inf", "nan")} <= extremes


def test_element_types_are_checked() -> None:
    """Neither the checker nor inference minds a Gemm of booleans."""
    model = onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 17]> g (bool[2,2] a) => (bool[2,2] y) { y = Gemm(a, a) }')
    with pytest.raises(Invalid, match=r"bool|elem"):
        check(model)
