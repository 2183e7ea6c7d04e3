"""Small models for the tests of the API and of the commands, as ONNX text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
from onnx import ModelProto, numpy_helper

IDENTITIES = """
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N, 3] x) => (float[N, 3] y)
<float[3] c = {1, 2, 3}, float[3] unused = {4, 5, 6}> {
   a = Identity(x)
   b = Identity(a)
   d = Add(b, c)
   y = Relu(d)
}
"""
BEFORE_IR_4 = """
<ir_version: 3, opset_import: ["" : 8]>
agraph (float[2, 3] x, float[3] c) => (float[2, 3] y)
<float[3] c = {1, 2, 3}> {
   d = Abs(c)
   y = Add(x, d)
}
"""


def model(text: str = IDENTITIES) -> ModelProto:
    """The model of a text."""
    return onnx.parser.parse_model(text)


def write(folder: Path, text: str = IDENTITIES, name: str = "model.onnx") -> Path:
    """The model of a text as a file."""
    path = folder / name
    onnx.save(model(text), path)
    return path


def write_with_weights(folder: Path) -> Path:
    """A model of 8 kB of weights in an external file, which an Identity feeds."""
    header = '<ir_version: 8, opset_import: ["" : 17]>'
    message = model(header + "g (float[N, 64] x) => (float[N, 32] y) { w2 = Identity(w) y = MatMul(x, w2) }")
    message.graph.initializer.append(numpy_helper.from_array(np.random.default_rng(0).random((64, 32), np.float32), "w"))
    path = folder / "heavy.onnx"
    onnx.save(message, path, save_as_external_data=True, location="heavy.bin", size_threshold=0)
    return path


def operators(message: ModelProto) -> list[str]:
    """The operators of the main graph, in order."""
    return [node.op_type for node in message.graph.node]
DYNAMIC = """
<ir_version: 8, opset_import: ["" : 17]>
dynamic (float[batch, seq, 8] x, float[batch, seq] mask) => (float[batch, seq, 2, 4] y, float[batch, rows] total)
<int64[1] first = {0}, int64[1] second = {1}, int64[2] heads = {2, 4}, float[batch, seq, 2, 4] shaped> {
   size = Shape(x)
   batches = Gather(size, first)
   length = Gather(size, second)
   wanted = Concat<axis = 0>(batches, length, heads)
   shaped = Reshape(x, wanted)
   y = Relu(shaped)
   total = Neg(mask)
}
"""
