"""A model that holds training algorithms is carried through: they refer to its values by name."""

from __future__ import annotations

import onnx
from onnx import parser

import graphopt
from graphopt.observe.observer import Observer
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.runner import run_pipeline


def test_a_model_with_training_info_stays_as_it_is() -> None:
    model = parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 20]>
        g (float[2] x) => (float[2] y) {
            a = Identity(x)
            y = Relu(a)
        }""")
    assert len(graphopt.optimize(model).graph.node) == 1  # without the algorithm the Identity goes
    binding = model.training_info.add().update_binding.add()
    binding.key, binding.value = "a", "b"
    optimized = graphopt.optimize(model)
    assert optimized == model
    assert isinstance(optimized, onnx.ModelProto)


def test_that_is_said() -> None:
    class Told(Observer):
        def __init__(self) -> None:
            self.messages: list[str] = []

        def warned(self, source: str, message: str) -> None:
            self.messages.append(message)

    model = graphopt.Model("g", opsets={"": 20})
    model.trains = True
    told = Told()
    run_pipeline(Pipeline.parse("level1"), model, told)
    assert any("training_info" in message for message in told.messages)
