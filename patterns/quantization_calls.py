"""Patterns of QuantizeLinear and DequantizeLinear, the standard ones and onnxruntime's, and the same calls of something else."""

from __future__ import annotations

from typing import Final

from graphopt.ir import Node, Value
from graphopt.match import Match, any_of, domain, op, opt, tensor
from graphopt.match.language import AnyOf, Call, Operand
from graphopt.quantization import Quantization
from graphopt.quantization.nodes import like

SOURCES: Final = (op, domain("com.microsoft"))  # onnxruntime's own pair does the same for types that the standard one gained later


def quantize(x: Operand, name: str = "q") -> AnyOf:
    """A QuantizeLinear; the rule's function gets its node under this name."""
    return any_of(*(source.QuantizeLinear(x, *_parameters(name)).named(name) for source in SOURCES))


def dequantize(x: Operand, name: str = "dq", *, is_kept: bool = False) -> AnyOf:
    """A DequantizeLinear; others may read a kept one."""
    calls: list[Call] = [source.DequantizeLinear(x, *_parameters(name)).named(name) for source in SOURCES]
    return any_of(*(call.kept() if is_kept else call for call in calls))


def _parameters(name: str) -> tuple[Operand, Operand]:
    return tensor(f"{name}_scale"), opt(tensor(f"{name}_zero"))


def called(m: Match, node: Node, x: Value, by: Quantization) -> Value:
    """The same call of another value, by some parameters."""
    made = like(node, x, by, m.graph)
    m.made.append(made)
    return made.output
