"""What is known before a model runs: types, shapes, symbolic sizes, small contents; and the result of one node on constants."""

from graphopt.infer.contents import infer_contents
from graphopt.infer.elements import elements
from graphopt.infer.evaluate import CannotEvaluate, evaluate, result_bytes
from graphopt.infer.model import infer_model
from graphopt.infer.node import infer_node, typed
from graphopt.infer.shapes import broadcast, broadcasts_into, same_shape

__all__ = [
    "CannotEvaluate",
    "broadcast",
    "broadcasts_into",
    "elements",
    "evaluate",
    "infer_contents",
    "infer_model",
    "infer_node",
    "result_bytes",
    "same_shape",
    "typed",
]
