"""What rules that round floats may change of integers that floats are rounded to: one step, and nothing else."""

from __future__ import annotations

import numpy as np
import onnx.parser
import pytest

from graphopt.ir.tensor import Array
from graphopt.match.rule import Exactness
from graphopt.verify.selfcheck.judging import difference

QUANTIZED = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (uint8[2] y) <float s = {0.5}> { y = QuantizeLinear(x, s) }'
CAST = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (uint8[2] y) { y = Cast<to = 2>(x) }'


@pytest.mark.parametrize(
    ("text", "exactness", "found", "is_allowed"),
    [
        (QUANTIZED, "rounding", [8, 255], True),
        (QUANTIZED, "approximate", [6, 254], True),
        (QUANTIZED, "rounding", [9, 255], False),
        (QUANTIZED, "rounding", [7, 0], False),
        (QUANTIZED, "exact", [8, 255], False),
        (CAST, "rounding", [8, 255], False),
    ],
)
def test_one_step(text: str, exactness: Exactness, found: list[int], is_allowed: bool) -> None:
    expected: dict[str, Array] = {"y": np.asarray([7, 255], np.uint8)}
    actual: dict[str, Array] = {"y": np.asarray(found, np.uint8)}
    assert (difference(expected, actual, {}, onnx.parser.parse_model(text), exactness) is None) == is_allowed


def test_one_step_everywhere_is_no_rounding() -> None:
    model = onnx.parser.parse_model(QUANTIZED.replace("[2]", "[100]"))
    values = np.arange(100, dtype=np.uint8)
    for count, is_allowed in ((50, True), (51, False), (100, False)):
        expected: dict[str, Array] = {"y": values}
        actual: dict[str, Array] = {"y": np.concatenate([values[:count] + 1, values[count:]]).astype(np.uint8)}
        assert (difference(expected, actual, {}, model, "rounding") is None) == is_allowed
