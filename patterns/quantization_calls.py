"""Patterns of QuantizeLinear and DequantizeLinear, the standard ones and onnxruntime's, and the same calls of something else."""

from __future__ import annotations

from typing import Final

from graphopt.ir import Node, Value
from graphopt.match import AnyOf, Match, Operand, any_of, domain, op, opt, tensor
from graphopt.quantization import Quantization
from graphopt.quantization.nodes import like

SOURCES: Final = (op, domain("com.microsoft"))  # onnxruntime's own pair does the same for types that the standard one gained later


def quantize(x: Operand, *parameters: Operand, name: str = "q") -> AnyOf:
    """A QuantizeLinear with these parameters, or with any; the rule's function gets its node under this name."""
    return any_of(*(source.QuantizeLinear(x, *(parameters or _any_parameters(name))).named(name) for source in SOURCES))


def dequantize(x: Operand, *parameters: Operand, name: str = "dq", is_kept: bool = False) -> AnyOf:
    """A DequantizeLinear with these parameters, or with any; others may read a kept one."""
    calls = [source.DequantizeLinear(x, *(parameters or _any_parameters(name))).named(name) for source in SOURCES]
    return any_of(*(call.kept() if is_kept else call for call in calls))


def _any_parameters(name: str) -> tuple[Operand, Operand]:
    return tensor(f"{name}_scale"), opt(tensor(f"{name}_zero"))


def called(m: Match, node: Node, x: Value, by: Quantization) -> Value:
    """The same call of another value, by some parameters."""
    made = like(node, x, by, m.graph)
    m.made.append(made)
    return made.output
