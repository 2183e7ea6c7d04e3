"""onnx's own node tests: types agree with onnx's inference and with the arrays that come out; evaluation agrees with these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import pytest

import graphopt.io
from graphopt.infer import CannotEvaluate, evaluate, infer_model
from graphopt.infer.shapes import contradicts
from graphopt.io import type_from_proto
from graphopt.ir import Dim, Model, Tensor, TensorType, Type, Value

pytestmark = pytest.mark.slow  # making onnx's node tests takes 15 s


def loaded(message: onnx.ModelProto) -> Model:
    """The model without what it declares of its outputs."""
    model = graphopt.io.load(message)
    for value in model.graph.outputs:
        if value.producer is not None:
            value.type = None
    return model


def test_types_do_not_contradict_the_outputs(node_tests: Iterable[Any]) -> None:
    for case in node_tests:
        model = loaded(case.model)
        infer_model(model)
        for name, value in zip(model.graph.output_names, model.graph.outputs, strict=True):
            if name in case.outputs and case.outputs[name].dtype.kind != "O":
                real = TensorType(Tensor.of(case.outputs[name]).dtype, case.outputs[name].shape)
                assert not contradicts(value.type, real), f"{case.name}: {value.type} instead of {real}"


def test_onnx_knows_no_more_than_we_do(node_tests: Iterable[Any]) -> None:
    """Neither contradicts the other, and hardly ever does onnx know a type better."""
    behind = set()
    for case in node_tests:
        model = loaded(case.model)
        infer_model(model)
        for value, theirs in both(model, case.model):
            assert not contradicts(value.type, theirs), f"{case.name}: {value!r} is {value.type}, onnx says {theirs}"
            if known(value.type) < known(theirs) and value.producer is not None:
                behind.add(value.producer.op)
    assert behind <= {"Loop", "Scan", "ai.onnx.preview.FlexAttention"}


def both(model: Model, message: onnx.ModelProto) -> Iterable[tuple[Value, Type | None]]:
    stripped = onnx.ModelProto()
    stripped.CopyFrom(message)
    del stripped.graph.value_info[:]
    for info in stripped.graph.output:
        info.ClearField("type")
    inferred = onnx.shape_inference.infer_shapes(stripped, data_prop=True).graph
    types = {info.name: type_from_proto(info.type) for info in (*inferred.value_info, *inferred.output)}
    for node in model.graph:
        for value in node.outputs:
            yield value, types.get(value.name)


def known(type: Type | None) -> int:
    if not isinstance(type, TensorType):
        return -1 if type is None else 0
    return 0 if type.shape is None else 1 + sum(isinstance(size, (int, Dim)) for size in type.shape)


def test_evaluation_gives_what_onnx_expects(node_tests: Iterable[Any]) -> None:
    """Within the tolerance that each node test states. Whatever is refused needs no check; much must not be refused."""
    evaluated = 0
    for case in node_tests:
        if len(case.model.graph.node) != 1:
            continue
        model = graphopt.io.load(case.model)
        infer_model(model)
        node = next(iter(model.graph))
        try:
            inputs = [None if value is None else value.const or Tensor.of(case.inputs[value.name]) for value in node.inputs]
            results = evaluate(node, inputs)
        except (CannotEvaluate, TypeError):
            continue
        evaluated += 1
        for value, result in zip(node.outputs, results, strict=True):
            if value.name not in case.outputs:
                continue
            expected = case.outputs[value.name]
            assert result.shape == expected.shape, case.name
            if expected.dtype.kind in "OUS":
                assert result.numpy().tolist() == [str(item) for item in expected.tolist()], case.name
            elif expected.dtype.kind == "c":
                complex_result = result.numpy().astype(np.complex128)
                np.testing.assert_allclose(complex_result, expected, rtol=case.rtol, atol=case.atol, err_msg=case.name)
            else:
                ours, theirs = result.numpy().astype(np.float64), expected.astype(np.float64)
                np.testing.assert_allclose(ours, theirs, rtol=case.rtol, atol=case.atol, err_msg=case.name)
    assert evaluated > 850
