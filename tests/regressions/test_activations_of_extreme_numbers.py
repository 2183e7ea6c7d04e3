"""Attributes of activations are float32 numbers: a quotient that is none stopped the whole run, or made NaN of numbers."""

from __future__ import annotations

import pytest

from graphopt.passes.fuse_activation import FuseActivation
from graphopt.passes.fuse_prelu import FusePrelu
from graphopt.pipeline.base import Pass
from tests.passes.models import Told, ops, parse, run

HEAD = '<ir_version: 10, opset_import: ["" : 20]> g (float[N, 2] x) => (float[N, 2] y)'
HARD = "<float c = {%s}, float b = {%s}, float zero = {0}, float one = {1}> { t = Div(x, c) u = Add(t, b) y = Clip(u, zero, one) }"
SCALED = "<float c = {%s}, float b = {%s}, float zero = {0}> { u = Add(x, b) t = Clip(u, zero, c) y = Div(t, c) }"
PRELU = "<float s = {%s}> { r = Relu(x) n = Neg(x) q = Relu(n) t = Mul(q, s) y = Sub(r, t) }"


@pytest.mark.parametrize(
    ("text", "step", "reason"),
    [
        (HARD % ("0", "0.5"), FuseActivation(), "1.0 / 0.0 or 0.5 is not among the normal numbers of float32"),
        (HARD % ("1e-40", "0.5"), FuseActivation(), "or 0.5 is not among the normal numbers of float32"),
        (SCALED % ("1e-40", "3"), FuseActivation(), "is not among the normal numbers of float32"),
        (SCALED % ("1e-30", "1e20"), FuseActivation(), "is not among the normal numbers of float32"),
    ],
)
def test_hard_sigmoid_needs_numbers_that_it_can_hold(text: str, step: Pass, reason: str) -> None:
    model, told = parse(f"{HEAD} {text}"), Told()
    assert run(model, step, observer=told) == 0
    assert any(reason in why for _, why in told.refused)


@pytest.mark.parametrize(("text", "step"), [(HARD % ("2", "0.5"), FuseActivation()), (SCALED % ("6", "3"), FuseActivation())])
def test_of_others_it_is_made(text: str, step: Pass) -> None:
    model = parse(f"{HEAD} {text}")
    assert run(model, step) == 1
    assert ops(model.graph) == ["HardSigmoid"]


@pytest.mark.parametrize(("slope", "expected"), [("inf", 5), ("nan", 5), ("0.5", 1)])
def test_an_infinite_slope_makes_nan_of_what_is_not_below_zero(slope: str, expected: int) -> None:
    model = parse(f"{HEAD} {PRELU % slope}")
    assert run(model, FusePrelu()) == (expected == 1)
    assert len(ops(model.graph)) == expected
