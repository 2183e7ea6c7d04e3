"""How far the original itself moves when nothing but rounding changes: the yardstick for outputs that jump.

A detector that sorts and suppresses boxes, or an ArgMax over nearly equal scores, turns the last bit of a sum into another box. No
tolerance on numbers can judge that. So, before a result is accused, the original is run with weights and inputs that are off by about
one unit in the last place, as folding weights rounds them, and with onnxruntime's own optimizations, which reorder its sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, TensorProto, numpy_helper

from graphopt.io.walking import all_nodes
from graphopt.ir.dtype import DType
from graphopt.verify.result import Difference, Verdict
from graphopt.verify.runners import CannotRun, OnnxRuntime, Runner, Session
from graphopt.verify.source import Subject

# How the names of operators begin that round to integers or read what was: all of QLinear... and ...Integer, of com.microsoft as well.
QUANTIZERS: Final = ("ConvInteger", "Dequantize", "DynamicQuantize", "MatMulInteger", "QAttention", "QGemm", "QLinear", "Quantize")
SHAKES: Final = 4  # how many times weights and inputs are moved
LARGEST: Final = 1 << 28  # elements of weights up to which they are moved: it takes a copy of the model


@dataclass(slots=True)
class Yardstick:
    """The original, moved by rounding. Nothing is loaded before it is asked."""

    subject: Subject
    runner: Runner
    _sessions: dict[int, Session | None] = field(default_factory=dict)

    def runs(self, feed: Mapping[str, object]) -> Iterator[dict[str, object]]:
        """What the original gives on a feed but for rounding: several times, as far as it runs."""
        for number in range(1 + SHAKES):
            if number not in self._sessions:
                self._sessions[number] = self._open(number)
            session = self._sessions[number]
            if session is None:
                continue
            random = np.random.default_rng(number)
            moved = {name: _shaken_value(value, random) for name, value in feed.items()} if number else feed
            try:
                values = session.run(moved)
            except CannotRun:
                continue  # it rejects what it accepts a bit away: nothing to learn from that
            yield values

    def _open(self, number: int) -> Session | None:
        try:
            if number == 0:
                return OnnxRuntime(optimized=True).open(self.subject) if isinstance(self.runner, OnnxRuntime) else None
            return self.runner.open(_shaken_model(self.subject, np.random.default_rng(number)))
        except CannotRun:
            return None


def as_far(found: Difference, own: Difference) -> bool:
    """Whether the original by itself moves about as far: at least half as many elements, floats by at least a tenth."""
    if own.verdict is not Verdict.DIFFERENT:
        return False
    if found.outside is None or own.outside is None:
        return own.outside is None  # another shape, or other places of NaN: the original must show that too
    near = found.max_ulp is None or (found.max_abs or 0) <= 10 * (own.max_abs or 0)  # how far apart two labels are means nothing
    return near and found.outside <= 2 * own.outside


def _shaken_model(subject: Subject, random: np.random.Generator) -> Subject:
    """The model with every stored float matrix moved, and the scales of quantization: they are multiplied in another order.

    Other vectors may be sizes, where the last bit changes a shape.
    """
    slim = subject.proto()
    if sum(math.prod(tensor.dims) for tensor in _moved(slim)) > LARGEST:
        return subject
    if subject.path is not None:
        model = onnx.load(subject.path)
    else:
        model = ModelProto()
        model.CopyFrom(slim)
    for tensor in _moved(model):
        if tensor.data_location != TensorProto.EXTERNAL:
            tensor.CopyFrom(numpy_helper.from_array(_shaken(numpy_helper.to_array(tensor), random), tensor.name))
    return Subject(subject.name, message=model)


def _moved(model: ModelProto) -> list[TensorProto]:
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.HasField("t"):
                stored[node.output[0]] = attribute.t
    scales = {name for node in all_nodes(model) if node.op_type.startswith(QUANTIZERS) for name in node.input}
    return [tensor for name, tensor in stored.items() if tensor.data_type in _FLOATS and (len(tensor.dims) > 1 or name in scales)]


_FLOATS: Final = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16})


def _shaken_value(value: object, random: np.random.Generator) -> object:
    if isinstance(value, list):
        return [_shaken_value(item, random) for item in value]
    if isinstance(value, np.ndarray) and int(DType.of(value.dtype)) in _FLOATS:
        return _shaken(value, random)
    return value


def _shaken(array: npt.NDArray[Any], random: np.random.Generator) -> npt.NDArray[Any]:
    factors = 1 + random.choice((-1.0, 0.0, 1.0), array.shape) * float(DType.of(array.dtype).info.eps)
    with np.errstate(all="ignore"):
        return np.asarray(array.astype(np.float64) * factors).astype(array.dtype)
