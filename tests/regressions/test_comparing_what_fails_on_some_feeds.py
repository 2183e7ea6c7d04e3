"""A model that runs on some feeds only is compared on those; looking for others ends."""

from __future__ import annotations

import onnx

from graphopt.verify import compare

MODEL = """<ir_version: 10, opset_import: ["" : 20]>
agraph (float[1] x) => (float[1] y) <float[2] t = {1, 2}, float[1] zero = {0}, int64[1] far = {7}, int64[1] near = {1}> {
   b = Greater(x, zero)
   i = Where(b, near, far)
   y = Gather(t, i)
}"""


def test_it_ends_and_says_how_many_feeds_ran() -> None:
    model = onnx.parser.parse_model(MODEL)
    comparison = compare(model, model, runner="reference", seeds=12)
    assert comparison.agrees
    assert 0 < len(comparison.feeds) < 12
    other = onnx.parser.parse_model(MODEL.replace("t = {1, 2}", "t = {1, 3}"))
    assert compare(model, other, runner="reference", seeds=12).differs
