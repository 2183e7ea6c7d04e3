"""Whether a unit takes an operator with the Qs and DQs around it, and if not, why."""

from __future__ import annotations

from collections.abc import Iterable

from graphopt.quantization import COMMUTING
from graphopt.runtimes.parameters import ACTIVATIONS, absorbs
from graphopt.runtimes.seen import Edge, Step, scope_of
from graphopt.runtimes.wants import Condition, Group, Unit, Why


def group_of(step: Step) -> Group:
    """A step with the DQs and Qs around it."""
    before = tuple(edge.maker if edge is not None and edge.maker is not None and edge.maker.is_dequantize else None for edge in step.inputs)
    reader = step.output.only_reader if len(step.outputs) == 1 else None
    if reader is not None and reader.op in ACTIVATIONS and reader.output.only_reader is not None and reader.inputs[0] is step.output:
        return Group(step, before, quantizers(reader.output), reader)
    return Group(step, before, tuple(one for edge in step.outputs for one in quantizers(edge)))


def quantizers(edge: Edge) -> tuple[Step, ...]:
    """The Qs that read an edge."""
    return tuple(reader for reader in dict.fromkeys(edge.readers) if reader.is_quantize and reader.inputs[0] is edge)


def refusal(unit: Unit, group: Group) -> Why | None:
    """Why a unit does not take a group; None when it does."""
    opset = group.step.origin.opset
    if opset is not None and opset < unit.since and not group.step.origin.domain:
        return Why(f"at opset {opset}; it runs on integers from {unit.since} on", "convert-opset")
    for find in (_inputs, _activation, _outputs):
        if (why := find(unit, group)) is not None:
            return why
    return unmet(unit.conditions, group)


def unmet(conditions: Iterable[Condition], group: Group) -> Why | None:
    """Why the first condition that does not hold of a group does not; None when all hold."""
    return next((why for condition in conditions if (why := condition.why(group)) is not None), None)


def taken_by(unit: Unit, group: Group) -> tuple[Step, ...]:
    """The Qs and DQs that go into a unit."""
    slots = unit.dequantized
    taken = [step for slot, step in enumerate(group.before) if step is not None and (slots is None or slot in (*slots, *unit.optional))]
    return (*dict.fromkeys(taken), *(group.after if unit.quantized != "never" else ()))


def _inputs(unit: Unit, group: Group) -> Why | None:
    step = group.step
    wanted = unit.dequantized
    for slot, edge in enumerate(step.inputs):
        found = group.before[slot]
        must = edge is not None and (wanted is None or slot in wanted) and slot not in unit.optional
        if must and found is None and edge is not None:
            return Why(f"its input {slot} (%{edge.name}) is {_undequantized(edge)}", _would_dequantize(unit, group, slot))
        if found is not None and not must and slot not in (*unit.optional, *unit.kept):
            return Why(f"its input {slot} (%{found.output.name}) is dequantized too")
        if found is not None and found.output.only_reader is not step:
            edge = found.output
            several = f"read in {len(edge.readers)} places"
            who = f"an output of {scope_of(step)}" if edge.is_output else "read inside a subgraph" if edge.is_captured else several
            return Why(f"%{edge.name}, its input {slot}, is {who}", "make-dequantize-unique")
    return None


def _undequantized(edge: Edge) -> str:
    """What an edge is that no DQ of the graph makes; one of a graph around it may."""
    if edge.is_const:
        return "a float constant, not dequantized"
    if edge.maker is not None:
        return "computed in floats, not dequantized"
    return "made outside this subgraph, not dequantized in it" if edge.is_outer else "a float input, not dequantized"


def _would_dequantize(unit: Unit, group: Group, slot: int) -> str:
    """The pass that brings a DQ to an input, if one may."""
    edge = group.step.inputs[slot]
    if edge is not None and edge.is_const:
        return "quantize-bias" if slot == 2 and unit.becomes else ""
    maker = edge.maker if edge is not None else None
    if maker is not None and maker.op in COMMUTING and maker.source is not None and maker.source.is_dequantize:
        return "propagate-dequantize-down"
    return "propagate-quantize-up" if group.after and not unit.becomes else ""


def _activation(unit: Unit, group: Group) -> Why | None:
    between = group.activation
    if between is None or unit.activation == "fused":
        return None
    helps = "move-relu-after-quantize" if between.op == "Relu" else "move-clip-after-quantize"
    if unit.activation == "none":
        return Why(f"{between} stands between it and what quantizes it", helps)
    if not group.after:
        return Why(f"{between} reads its result in floats")
    if not absorbs(group.after[0], between):
        return Why(f"{between} after it changes what {group.after[0]} gives", helps)
    return None


def _outputs(unit: Unit, group: Group) -> Why | None:
    if unit.quantized == "never":
        return Why("its result is quantized") if group.after else None
    if unit.quantized == "optional" and not group.after:
        return None
    last = group.activation or group.step
    for edge in last.outputs:
        own = quantizers(edge)
        if edge.name and not own:
            return _not_quantized(unit, last, edge)
        if len(own) > 1:
            return Why(f"its result %{edge.name} is quantized in {len(own)} ways", "share-quantization")
        if own and (edge.is_output or edge.is_captured or len(edge.readers) > 1):
            elsewhere = "read inside a subgraph" if edge.is_captured else "read in floats"
            also = f"an output of {scope_of(last)}" if edge.is_output else elsewhere
            return Why(f"its result %{edge.name} is quantized and {also} as well")
    return None


def _not_quantized(unit: Unit, maker: Step, edge: Edge) -> Why:
    down = "" if unit.becomes else "propagate-dequantize-down"  # a DQ may stand after what runs on integers itself
    if edge.is_output and not edge.readers:
        return Why(f"its result %{edge.name} is an output of {scope_of(maker)}, in floats", down)
    reader = edge.only_reader
    if reader is None:
        return Why(f"its result %{edge.name} is not quantized", down)
    up = "propagate-quantize-up" if reader.op in COMMUTING and any(quantizers(out) for out in reader.outputs) else ""
    return Why(f"its result goes to {reader} in floats", down or up)
