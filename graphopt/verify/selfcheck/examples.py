"""Samples from a rule's own examples: for patterns that no generator can guess models for."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import onnx
from onnx import ModelProto

from graphopt.errors import SpecError
from graphopt.ir.dtype import DType
from graphopt.verify.selfcheck.instantiate import Sample
from graphopt.verify.selfcheck.values import Kind, ordinary

FREE = 3  # the size that free dimensions of an example get


def samples_of_examples(examples: Callable[[], Iterable[str]], seed: int) -> Iterator[Sample]:
    """The models that a rule gives as ONNX text, with ordinary numbers to feed. Raises SpecError for text that does not parse."""
    for text in examples():
        try:
            model: ModelProto = onnx.parser.parse_model(text)
        except onnx.parser.ParseError as error:
            raise SpecError(f"an example of the rule is no ONNX text: {error}\n{text}") from error
        numbers = np.random.default_rng(zlib.crc32(text.encode()) ^ seed)
        feeds, kinds = {}, {}
        stored = {tensor.name for tensor in model.graph.initializer}
        for port in model.graph.input:
            kinds[port.name] = Kind()
            if port.name not in stored:
                shape = tuple(dim.dim_value or FREE for dim in port.type.tensor_type.shape.dim)
                feeds[port.name] = ordinary(Kind(), DType(port.type.tensor_type.elem_type), shape, numbers)
        kinds |= {name: Kind() for name in stored}
        outputs = {port.name for port in model.graph.output}
        inner = tuple(name for node in model.graph.node for name in node.output if name and name not in outputs)
        yield Sample(model, feeds, kinds, (), inner, "an example of the rule")
