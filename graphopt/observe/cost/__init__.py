"""What a model costs to store and to run: parameters, multiply-accumulates, memory of activations."""

from graphopt.observe.cost.model import ModelCost, NodeCost, Total, cost_of
from graphopt.observe.cost.weights import Weights

__all__ = ["ModelCost", "NodeCost", "Total", "Weights", "cost_of"]
