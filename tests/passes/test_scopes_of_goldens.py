"""Every pass works on its golden models in a branch and in the body of a local function as it does in the main graph."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import onnx.checker
import onnx.parser
import pytest
from onnx import FunctionProto, GraphProto, ModelProto, TensorProto, helper, shape_inference

from graphopt import io
from graphopt.io.walking import all_nodes
from graphopt.ir import verify
from graphopt.observe.statistics import Statistics
from graphopt.pipeline.base import Pass
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.runner import run_pipeline
from graphopt.testing.golden import Golden
from graphopt.verify.comparison import Options, Original
from graphopt.verify.selfcheck.cases import constant_node
from tests.golden.test_golden import FILES, name_of
from tests.runtimes import HAS_OLD_RUNTIME
from tests.sweeps.random_pipelines import exactness_of
from tests.sweeps.truth import Truth

ENOUGH: Final = 2  # models of a file that changed inside: the rest is for the golden tests
# About the inputs, outputs, functions and texts of a model, of which neither a branch nor a body has its own.
ON_MODELS: Final = frozenset({
    "add-initializers-to-inputs", "clear-metadata", "insert-qdq", "prune-unused-graph-inputs", "remove-initializers-from-inputs",
    "remove-unused-functions", "rename-io",
})  # fmt: skip
# What no engine runs as it is; tests/passes/test_quantization_imports.py compares it with numpy, inside too.
NOT_RUN: Final = {"import-qonnx": "QONNX's operators are its own", "import-tensorrt-float8": "TensorRT's operators are its own"}
# What else changes nothing there, and why.
NOT_IN: Final = {
    "branch": {**NOT_RUN, "remove-unused-opset-imports": "a branch imports nothing of its own"},
    "function": {
        **NOT_RUN,
        "inline-functions": "the body itself goes where it is called, with all that it calls",
        "lift-constants": "a function holds no initializers",
        "lift-subgraph-initializers": "a function holds no initializers",
    },
}
# Here the numbers change by more than rounding: tests/passes/test_quantize_matmul.py knows by how much.
LOSSY: Final = frozenset({"quantize-matmul-dynamically", "quantize-matmul-weights-in-blocks"})
CASES: Final = [
    pytest.param(path, where, id=f"{name_of(path)} in a {where}")
    for path in FILES
    for where, reasons in NOT_IN.items()
    if path.parent.name not in ON_MODELS | reasons.keys()
]
COVERED: Final = frozenset(path.parent.name for path in FILES) - ON_MODELS  # for tests/passes/test_scopes.py
LARGEST: Final = 100_000  # elements of an input up to which a model is run
HAS_RUNTIME: Final = find_spec("onnxruntime") is not None  # an extra; alone, onnx.reference has too few right kernels of old opsets

Scope: TypeAlias = "GraphProto | FunctionProto"


def in_branch(source: ModelProto) -> ModelProto:
    """The main graph as a branch of an If, which holds its initializers and captures its inputs; the other branch is not quite alike.

    It is the one that stands first in the message: where there is a budget for a whole run, it is spent there.
    """
    model, inside = _emptied(source), GraphProto(name="inside", node=source.graph.node, output=source.graph.output)
    inputs = {port.name for port in source.graph.input}
    inside.initializer.extend(stored for stored in source.graph.initializer if stored.name not in inputs)
    other = GraphProto(name="other")
    other.MergeFrom(inside)
    other.node.append(helper.make_node("Not", ["taken"], ["read_by_nobody"]))
    outputs = [port.name for port in model.graph.output]
    model.graph.node.append(helper.make_node("If", ["taken"], outputs, else_branch=inside, then_branch=other))
    model.graph.input.append(helper.make_tensor_value_info("taken", TensorProto.BOOL, []))
    model.ir_version = max(4, model.ir_version)  # before, each initializer had to be an input
    return model


def in_function(source: ModelProto) -> ModelProto:
    """The main graph as the body of a local function, in which Constant nodes stand for its initializers."""
    model = _emptied(source)
    inputs, outputs = ([port.name for port in ports] for ports in (source.graph.input, source.graph.output))
    nodes = [*(constant_node(stored) for stored in source.graph.initializer if stored.name not in inputs), *source.graph.node]
    model.functions.append(helper.make_function("around", "Body", inputs, outputs, nodes, source.opset_import))
    model.graph.node.append(helper.make_node("Body", inputs, [port.name for port in model.graph.output], domain="around"))
    model.opset_import.append(helper.make_opsetid("around", 1))
    model.ir_version = max(8, model.ir_version)  # the first with functions
    return model


def _emptied(source: ModelProto) -> ModelProto:
    """A model without nodes: inputs and their defaults as they were, outputs with names that are not those inside."""
    model = ModelProto()
    model.CopyFrom(source)
    inputs = {port.name for port in source.graph.input}
    del model.graph.node[:], model.graph.value_info[:], model.graph.initializer[:]
    model.graph.initializer.extend(stored for stored in source.graph.initializer if stored.name in inputs)
    for port in model.graph.output:
        port.name = f"{port.name}_around"
    return model


def branch_of(model: ModelProto) -> Scope:
    [found] = [node for node in model.graph.node if node.input[:1] == ["taken"] and node.op_type == "If"]
    return next(attribute.g for attribute in found.attribute if attribute.name == "else_branch")


def body_of(model: ModelProto) -> Scope:
    return next(function for function in model.functions if function.domain == "around")


Form: TypeAlias = "tuple[Callable[[ModelProto], ModelProto], Callable[[ModelProto], Scope]]"
FORMS: Final[dict[str, Form]] = {"branch": (in_branch, branch_of), "function": (in_function, body_of)}


def changed(before: Scope, after: Scope, *, operators: bool) -> bool:
    """Whether there are other nodes than before: other operators, or another number of them, unless only what they read may be new."""
    if not operators:
        return before.SerializeToString(deterministic=True) != after.SerializeToString(deterministic=True)
    return Counter(node.op_type for node in before.node) != Counter(node.op_type for node in after.node)


def is_valid(message: ModelProto) -> bool:
    try:
        onnx.checker.check_model(message, full_check=True)
    except (onnx.checker.ValidationError, shape_inference.InferenceError):
        return False
    return True


def after(source: ModelProto, pipeline: Pipeline) -> tuple[ModelProto, ModelProto, Statistics]:
    """A model as it is read, after the passes, and what they did."""
    model, statistics = io.load(source), Statistics()
    read = io.to_proto(model)
    run_pipeline(pipeline, model, statistics)
    verify(model)
    return read, io.to_proto(model), statistics


def difference(before: ModelProto, result: ModelProto, pipeline: Pipeline, statistics: Statistics) -> str | None:
    """What two models compute otherwise, by all runtimes that may be believed; "" if nothing, None if none is asked."""
    sizes = (math.prod(dim.dim_value or 1 for dim in port.type.tensor_type.shape.dim) for port in before.graph.input)
    if not HAS_RUNTIME or max(sizes, default=0) > LARGEST:
        return None
    approximate = any(isinstance(step, Pass) and step.exactness == "approximate" for step in pipeline.steps)
    quantizes = any(node.op_type == "QuantizeLinear" for node in all_nodes(result))  # no integer stands for NaN
    options = Options(seeds=1, special=not approximate and not quantizes, exact=exactness_of(statistics) == "exact")
    found: str | None = None
    trusted = Truth(result).runners
    for runner in (runner for runner in Truth(before).runners if runner in trusted):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # numpy warns of what special values are there to provoke
            original = Original(before, replace(options, runner=runner))
            if original.runner is None:
                continue
            comparison = original.compare(result)
        if comparison.failure and HAS_OLD_RUNTIME:
            continue  # it knows no opset as new as convert-opset makes
        if not comparison.differs:
            return ""
        found = found or str(comparison)
    return found


@pytest.mark.parametrize(("path", "where"), CASES)
def test_inside_as_in_the_main_graph(path: Path, where: str) -> None:
    golden = Golden.read(path)
    pipeline = Pipeline.parse(golden.pipeline)
    wrap, inside = FORMS[where]
    changes = runs = 0
    for text in golden.models:
        source = onnx.parser.parse_model(text)
        plain, plain_after, statistics = after(source, pipeline)
        if not any(count.changes for count in statistics.passes.values()):
            continue
        wrapped = wrap(source)
        read, result, statistics = after(wrapped, pipeline)
        assert is_valid(result) or not is_valid(wrapped), text
        if changed(inside(read), inside(result), operators=changed(plain.graph, plain_after.graph, operators=True)):
            wrong = difference(wrapped, result, pipeline, statistics)
            assert not wrong or path.parent.name in LOSSY, f"{wrong}\n{text}"
            changes, runs = changes + 1, runs + (wrong is not None)
        if changes >= ENOUGH and runs:
            break
    assert changes
    assert runs or not HAS_RUNTIME or HAS_OLD_RUNTIME, "no model of the file runs"
