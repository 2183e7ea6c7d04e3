"""onnx's own node tests, as models, for the tests that compare with them; made once."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest


class NodeTest(NamedTuple):
    """One of onnx's node tests: a model, its inputs by name and its outputs by name."""

    name: str
    model: onnx.ModelProto
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    rtol: float
    atol: float


@cache
def _node_tests() -> tuple[NodeTest, ...]:
    from onnx.backend.test.loader import load_node_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = load_node_model_tests()
    found = []
    for case in cases:
        if case.model is None:
            continue
        for given, wanted in case.data_sets or [([], [])]:
            if all(isinstance(array, np.ndarray) for array in (*given, *wanted)):
                inputs = dict(zip([info.name for info in case.model.graph.input], given, strict=False))
                outputs = dict(zip([info.name for info in case.model.graph.output], wanted, strict=False))
                found.append(NodeTest(case.name, case.model, inputs, outputs, case.rtol, case.atol))
    return tuple(found)


@pytest.fixture(scope="session")
def node_tests() -> tuple[NodeTest, ...]:
    """All of onnx's node tests whose values are tensors."""
    return _node_tests()
