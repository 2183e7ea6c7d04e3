"""All of onnx's node tests, converted to newer and older opsets: the same bits, in the same runtime."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from graphopt import io
from graphopt.errors import ModelError
from graphopt.infer import infer_model
from graphopt.ir import verify
from graphopt.observe.observer import Observer
from graphopt.passes.convert_opset import ConvertOpset
from graphopt.pipeline.base import Context
from graphopt.schema.versions import OLDEST
from tests.infer.conftest import NodeTest

try:
    import onnxruntime
except ImportError:  # an extra
    onnxruntime = None

pytestmark = pytest.mark.slow  # making onnx's node tests takes 15 s, and these models a minute; test_convert_opset.py is the sample

TARGETS = (7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20, 21, 22, 23)
# Upwards only what is older than the oldest opset cannot be converted, and an operator of which 9 and 10 said different things.
ALWAYS_REFUSED = {"test_scan_sum", "test_upsample_nearest"}
OTHER_KERNEL = "AveragePool"  # onnxruntime's for opsets below 19 adds in another order
OF_ONE_VERSION = "RoiAlign"  # onnx.reference runs all its versions as the newest

Outputs = list[npt.NDArray[Any]]  # Any: whatever the outputs are


def opset_of(model: onnx.ModelProto) -> int:
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)


def converted(model: onnx.ModelProto, to: int) -> onnx.ModelProto | None:
    """The converted model, None when it is refused; then it is as it was."""
    loaded = io.load(model)
    infer_model(loaded, Observer())
    before = dict(loaded.opsets)
    try:
        ConvertOpset(to).run(loaded.graph, Context(loaded))
    except ModelError:
        assert loaded.opsets == before
        return None
    verify(loaded)
    return io.to_proto(loaded)


def by_onnxruntime(model: onnx.ModelProto, feeds: dict[str, Any]) -> Outputs | None:
    if onnxruntime is None:
        return None
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return list(session.run(None, feeds))
    except Exception:  # onnxruntime's own errors have no common class: it has no kernel for this one
        return None


def by_reference(model: onnx.ModelProto, feeds: dict[str, Any]) -> Outputs | None:
    try:
        with np.errstate(all="ignore"):
            return list(ReferenceEvaluator(model).run(None, feeds))
    except Exception:  # the reference fails in as many ways as it has kernels
        return None


def agree(one: Outputs, other: Outputs) -> bool:
    return all(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


def is_comparable(test: NodeTest) -> bool:
    """Random operators differ from themselves; strings have no bits of their own."""
    return opset_of(test.model) >= OLDEST and "bernoulli" not in test.name and all(array.dtype != object for array in test.outputs.values())


def check(test: NodeTest) -> tuple[int, set[int]]:
    """How many conversions were compared, and the newer opsets that were refused."""
    compared, refused, source = 0, set(), opset_of(test.model)
    for to in TARGETS:
        if to == source:
            continue
        made = converted(test.model, to)
        if made is None:
            refused |= {to} if to > source else set()
            continue
        operators = {node.op_type for node in made.graph.node}
        for run in (by_onnxruntime, by_reference) if OF_ONE_VERSION not in operators else (by_onnxruntime,):
            before = run(test.model, test.inputs)
            after = None if before is None else run(made, test.inputs)
            if before is None or after is None:
                continue
            compared += 1
            if OTHER_KERNEL in operators:
                for one, other in zip(before, after, strict=True):
                    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
            else:
                assert agree(before, after), (test.name, to)
            break
    return compared, refused


def test_all_node_tests(node_tests: tuple[NodeTest, ...]) -> None:
    compared = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for test in node_tests:
            if is_comparable(test):
                count, refused = check(test)
                compared += count
                assert not refused or test.name in ALWAYS_REFUSED, (test.name, refused)
    assert compared > 10_000
