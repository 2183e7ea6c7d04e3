"""QuantizeLinear and DequantizeLinear nodes: which compute as their parameters alone say, and new ones like others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphopt.ir import DType, Graph, Node, Tensor, TensorType, Value
from graphopt.quantization.parameters import Quantization, is_dequantize, is_quantize, quantization_of
from graphopt.schema import facts
from graphopt.schema.older import CannotSpell, constant
from graphopt.schema.spelling import neutral_attribute, neutral_attributes, spell


def plain_quantization(node: Node) -> Quantization | str:
    """The parameters of a node that computes in the type of its scale, as `arithmetic` does; in words, why it does not.

    Since opset 23 the floats may have another type than the scale, and `precision` may name a third.
    """
    found = quantization_of(node)
    if isinstance(found, str):
        return found
    floats = node.inputs[0] if is_quantize(node) else node.output
    if floats is None or not (floats.dtype is found.scale_dtype or (floats.dtype is None and _has_one_type(node))):
        return f"the type of {floats!r} is not known to be that of the scale"
    if is_quantize(node) and neutral_attribute(node, "precision") not in (None, 0, int(found.scale_dtype)):
        return "it divides in another type than that of the scale"
    if not found.dtype.is_integer and found.zero_point.astype("float32").any():
        return "its zero point is a float that is not 0"
    return found


def _has_one_type(node: Node) -> bool:
    """Whether its floats can have no other type than the scale: what is not known of them does not matter then."""
    if node.domain:
        return is_dequantize(node)
    known = facts.of_node(node)
    if known is None:
        return False
    formal, scale = known.output(0) if is_dequantize(node) else known.input(0), known.input(1)
    return formal is not None and scale is not None and formal.constraint == scale.constraint


def like(node: Node, operand: Value, by: Quantization, graph: Graph) -> Node:
    """A node that does as another QuantizeLinear or DequantizeLinear does, to another operand, by some parameters.

    In no graph yet. Equal parameters are read from the same initializers. Raises CannotSpell when the opset has no such form.
    """
    attributes = neutral_attributes(node)
    parameters: Sequence[Value | None] = node.inputs[1:]
    if any(value is not None and value.producer is not None for value in parameters) or by != quantization_of(node):
        parameters = ()
        if is_quantize(node):
            attributes.pop("output_dtype", None)  # the zero point says it
    dtype = by.dtype if is_quantize(node) else node.output.dtype or by.scale_dtype
    return quantization_node(node.op_type, operand, by, graph, dtype, parameters, attributes, domain=node.domain)


def quantization_node(
    op_type: str,
    operand: Value,
    by: Quantization,
    graph: Graph,
    dtype: DType | None,
    parameters: Sequence[Value | None] = (),
    attributes: Mapping[str, Any] | None = None,  # Any: as many kinds as there are
    *,
    domain: str = "",
) -> Node:
    """A QuantizeLinear or DequantizeLinear that makes elements of `dtype`, with `parameters` if they are values already.

    In no graph yet. Raises CannotSpell when the opset has no such form.
    """
    if not parameters:
        parameters = [constant(Tensor.of(part), name) for part, name in ((by.scale, "scale"), (by.zero_point, "zero_point"))]
    wanted = {name: value for name, value in (attributes or {}).items() if name not in ("axis", "block_size")}
    if by.axis is not None:
        wanted["axis"] = by.axis
    if by.block:
        if domain:
            raise CannotSpell(f"{domain}.{op_type} knows no blocks")
        wanted["block_size"] = by.block
    made = spell(op_type, (operand, *parameters), wanted, graph, domain=domain)
    made.output.type = None if dtype is None else TensorType(dtype, operand.shape)
    for value in made.inputs:
        if value is not None and value.is_detached and (why := facts.refuses_constant(graph, value.type)) is not None:
            raise CannotSpell(why)
    if (why := facts.accepts(made, graph)) is not None:
        raise CannotSpell(why)
    return made
