"""MaxPool with storage_order makes another number of a window with a NaN in some runtimes: what drops it may not call itself exact."""

from __future__ import annotations

import numpy as np
import onnx.parser

from graphopt.passes.eliminate_pool_order import EliminatePoolOrder
from tests.passes.models import before_and_after, needs_onnxruntime

MODEL = """<ir_version: 10, opset_import: ["" : 20]>
g (float[1,1,3,3] x) => (float[1,1,2,2] y) { y = MaxPool<kernel_shape = [2, 2], storage_order = 1>(x) }"""


@needs_onnxruntime
def test_only_as_exact_as_the_runtime() -> None:
    x = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    x[0, 0, 1, 1] = np.nan
    before, after, _ = before_and_after(onnx.parser.parse_model(MODEL), {"x": x}, EliminatePoolOrder(), by_onnxruntime=True)
    assert EliminatePoolOrder.exactness == "approximate" or before[0].tobytes() == after[0].tobytes()
