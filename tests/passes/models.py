"""Models as text, passes run over them, and what they compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import onnx.checker
import onnx.parser
import pytest
from onnx.reference import ReferenceEvaluator

from graphopt import io
from graphopt.infer import infer_model
from graphopt.ir import Graph, Model, Node, verify
from graphopt.observe.observer import Observer
from graphopt.pipeline.base import Context, Pass

try:
    import onnxruntime
except ImportError:  # an extra
    onnxruntime = None

# Without the extra `ort` graphopt has onnx's kernels alone, which are wrong or missing for these models; the other tests hold there.
needs_onnxruntime = pytest.mark.skipif(onnxruntime is None, reason="onnx.reference has no right kernel for this; install onnxruntime")

Arrays: TypeAlias = "list[npt.NDArray[Any]]"  # Any: whatever the model's outputs are


class Told(Observer):
    """Remembers what was applied and declined, as (rule or pass, operator) and (rule or pass, reason)."""

    def __init__(self, may_apply: Callable[[str, Node], bool] = lambda source, node: True) -> None:
        self.made: list[tuple[str, str]] = []
        self.refused: list[tuple[str, str]] = []
        self.asked = may_apply

    def may_apply(self, source: str, node: Node) -> bool:
        return self.asked(source, node)

    def applied(self, source: str, node: Node, replacement: tuple[Node, ...]) -> None:
        self.made.append((source, node.op))

    def declined(self, source: str, node: Node, why: Callable[[], str]) -> None:
        self.refused.append((source, why()))


def parse(text: str) -> Model:
    """The model of a text, with its types inferred."""
    model = io.load(onnx.parser.parse_model(text))
    infer_model(model, Observer())
    return model


def run(model: Model, *passes: Pass, observer: Observer | None = None) -> int:
    """Run passes over the main graph and the functions, verifying the IR after each; returns the number of changes."""
    context, changes = Context(model, observer or Observer()), 0
    for step in passes:
        for graph in (model.graph, *(function.graph for function in model.functions.values())):
            changes += step.run(graph, context)
        verify(model)
    return changes


def ops(graph: Graph) -> list[str]:
    """The operators of a graph and of the graphs inside it, in their order."""
    return [node.op for inner in graph.walk() for node in inner]


def results(message: onnx.ModelProto, feeds: Mapping[str, npt.ArrayLike], *, by_onnxruntime: bool = False) -> Arrays:
    """What a valid model computes, by onnx.reference or by onnxruntime as the model stands."""
    onnx.checker.check_model(message, full_check=True)
    arrays = {name: np.asarray(array) for name, array in feeds.items()}
    if not by_onnxruntime:
        return list(ReferenceEvaluator(message).run(None, arrays))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(message.SerializeToString(), options, providers=["CPUExecutionProvider"])
    made: Arrays = session.run(None, arrays)
    return made


def before_and_after(
    message: onnx.ModelProto,
    feeds: Mapping[str, npt.ArrayLike],
    *passes: Pass,
    by_onnxruntime: bool = False,
    observer: Observer | None = None,
) -> tuple[Arrays, Arrays, Model]:
    """What a model computes before and after passes, and the model afterwards."""
    model = io.load(message)
    infer_model(model, Observer())
    run(model, *passes, observer=observer)
    before = results(message, feeds, by_onnxruntime=by_onnxruntime)
    return before, results(io.to_proto(model), feeds, by_onnxruntime=by_onnxruntime), model
