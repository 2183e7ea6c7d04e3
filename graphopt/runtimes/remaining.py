"""Which QuantizeLinear and DequantizeLinear a runtime leaves after its own fusion, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from graphopt.ir import Graph, Model, Node
from graphopt.quantization import COMMUTING
from graphopt.runtimes.parameters import ACTIVATIONS, absorbs, differs
from graphopt.runtimes.preparation import cancel
from graphopt.runtimes.seen import Edge, Seen, Step, scope_of
from graphopt.runtimes.units import group_of, refusal, taken_by, unmet
from graphopt.runtimes.wants import Wants, Why

# Where Q and DQ are to stand around every operator nothing moves: what else brings them where they are missing.
_SANDWICHED = dict.fromkeys(("propagate-dequantize-down", "propagate-quantize-up"), "materialize-node-units")


@final
@dataclass(frozen=True, slots=True)
class Remaining:
    """A Q or DQ that is left. `node` is that of the model, `where` says in words where it or its copy stands when it is not there.

    `culprit` is the node that is not computed on integers, if one is, and `why` says why that is so. `is_boundary`: floats come in here, as
    an input or a constant, or go out, as an output, so that one must be.
    """

    node: Node
    name: str
    is_quantize: bool
    reason: str
    helps: str = ""
    culprit: Node | None = None
    why: str = ""
    where: str = ""
    is_boundary: bool = False

    def __str__(self) -> str:
        where = f" ({self.where})" if self.where else ""
        advice = f"; {self.helps} would help" if self.helps else ""
        return f"{'QuantizeLinear' if self.is_quantize else 'DequantizeLinear'} {self.name!r}{where}: {self.reason}{advice}"


@final
@dataclass(slots=True)
class Outlook:
    """What a runtime makes of a model: the Qs and DQs that it leaves; by node what it fuses and then fails on, or computes wrong."""

    remaining: list[Remaining] = field(default_factory=list)
    breaks: dict[Node, Why] = field(default_factory=dict)
    wrong: dict[Node, Why] = field(default_factory=dict)


def outlook(model: Model, wants: Wants) -> Outlook:
    """Imitate a runtime on a model, subgraphs and all. Types must have been inferred; nothing is changed. Linear in nodes."""
    found = Outlook()
    for graph in model.graphs():
        _Fusion(graph, wants).into(found)
    return found


@final
class _Fusion:
    """A runtime's fusion of one graph."""

    def __init__(self, graph: Graph, wants: Wants) -> None:
        self.seen, self.wants = Seen(graph), wants
        self.refused: dict[Step, Why] = {}  # what is not fused -> the reason

    def into(self, found: Outlook) -> None:
        """Imitate it; what is left comes in the order of the nodes that it stems from."""
        if not any(True for _ in self.seen.quantizers):
            return
        for prepare in self.wants.prepares:
            prepare(self.seen)
        for step in self.seen:
            if not step.is_quantize and not step.is_dequantize:
                self.fuse(step, found)
        if self.wants.cancels:
            cancel(self.seen)
        for node, (text, helps) in self.seen.breaks.items():
            found.breaks.setdefault(node, Why(text, helps))
        order = {node: place for place, node in enumerate(self.seen.graph)}
        left = sorted(self.seen.quantizers, key=lambda step: order[step.origin])
        found.remaining += [self.of_quantizer(step) if step.is_quantize else self.of_dequantizer(step) for step in left]

    def fuse(self, step: Step, found: Outlook) -> None:
        """Take the Qs and DQs around a step into the first unit that fits."""
        units = self.wants.units_of(step.op)
        group = group_of(step) if units else None
        if group is None or not (group.dequantizers or group.after):
            return
        reasons = []
        for unit in units:
            why = refusal(unit, group)
            if why is None:
                for taken in taken_by(unit, group):
                    self.seen.merge(taken, unit.becomes or step.op)
                for conditions, reasons_of in ((unit.breaks, found.breaks), (unit.overlooks, found.wrong)):
                    if (why := unmet(conditions, group)) is not None:
                        reasons_of[step.origin] = why
                return
            reasons.append(why)
        self.refused[step] = reasons[0]

    def of_quantizer(self, step: Step) -> Remaining:
        edge = step.inputs[0]
        maker = edge.maker if edge is not None else None
        if edge is None or maker is None:
            words, is_input = _from_outside(step, edge)
            return self.left(step, f"{words}, in floats", boundary=is_input)
        if maker.is_dequantize:
            why = self.apart(maker, step)
            return self.left(step, f"it quantizes what {maker} dequantized: {why.text}", why.helps)
        if maker.op in ACTIVATIONS and maker not in self.refused:
            return self.of_activation(step, maker)
        return self.because_of(step, maker, "it quantizes what {} computes on floats")

    def of_activation(self, step: Step, maker: Step) -> Remaining:
        """A Q below a Relu or Clip that it does not absorb, or that stands below something else."""
        if not absorbs(step, maker):
            by = step.quantization
            words = by if isinstance(by, str) else f"{by}"
            helps = "move-relu-after-quantize" if maker.op == "Relu" else "move-clip-after-quantize"
            return self.left(step, f"{maker} before it changes what it gives ({words}), and is computed on floats", helps, maker)
        behind = maker.source
        if behind is None:
            words, _ = _from_outside(step, maker.input(0))
            return self.left(step, f"it quantizes what {maker} computes on floats: {words}", "absorb-relu-into-quantize", maker)
        culprit = maker if behind.is_dequantize else behind
        return self.because_of(step, culprit, "it quantizes what {} computes on floats")

    def of_dequantizer(self, step: Step) -> Remaining:
        edge = step.output
        readers = list(dict.fromkeys(edge.readers))
        if not readers and edge.is_output:
            return self.left(step, f"%{edge.name} is an output of {scope_of(step)}, in floats", boundary=True)
        if not readers and edge.is_captured:
            return self.left(step, f"%{edge.name} is read inside a subgraph, in floats")
        if not readers:
            return self.left(step, f"nobody reads %{edge.name}", "eliminate-dead-nodes")
        for reader in readers:
            if not reader.is_quantize:
                return self.because_of(step, reader, "{} reads it in floats")
        why = self.apart(step, readers[0])
        return self.left(step, f"{readers[0]} quantizes it again: {why.text}", why.helps)

    def apart(self, dequantizer: Step, quantizer: Step) -> Why:
        """Why a DQ and the Q after it do not cancel."""
        if text := differs(dequantizer, quantizer):
            return Why(text, "normalize-quantization" if "zero point input" in text else "")
        shared = [edge for edge in (dequantizer.output, quantizer.output) if edge.is_shared]
        hindrance = _sharing(shared[0]) if shared and self.wants.cancels else "the runtime leaves such pairs"
        return Why(f"they undo each other, but {hindrance}", "cancel-dequantize-quantize")

    def because_of(self, step: Step, culprit: Step, said: str) -> Remaining:
        """What is left since another step is not fused."""
        moving = "propagate-quantize-up" if step.is_quantize else "propagate-dequantize-down"
        helps = self.wants.helps.get(culprit.op, moving if culprit.op in COMMUTING else "")
        unfused = f"fuses no {culprit.op}" if culprit.op in COMMUTING else f"has no {culprit.op} on integers"
        why = self.refused.get(culprit) or Why(f"the runtime {unfused}", helps)
        return self.left(step, f"{said.format(culprit)}: {why.text}", why.helps, culprit, why.text)

    def left(
        self, step: Step, reason: str, helps: str = "", culprit: Step | None = None, why: str = "", *, boundary: bool = False
    ) -> Remaining:
        found = None if culprit is None else culprit.origin
        helps = _SANDWICHED.get(helps, helps) if self.wants.placement == "sandwiched" else helps
        return Remaining(step.origin, step.name, step.is_quantize, reason, helps, found, why, step.note, boundary)


def _from_outside(step: Step, edge: Edge | None) -> tuple[str, bool]:
    """What an edge is that no step of the graph makes, for a step that depends on it, and whether floats have to come in by it."""
    name = "" if edge is None else edge.name
    if edge is not None and edge.is_const:
        return f"%{name} is a constant", True
    if edge is None or not edge.is_outer:
        return f"%{name} is an input of {scope_of(step)}", True
    if edge.value is not None and edge.value.is_input:
        return f"%{name} is an input of a graph around this subgraph", True
    return f"%{name} is made outside this subgraph", False


def _sharing(edge: Edge) -> str:
    """Who reads a shared edge, in words."""
    if edge.is_captured:
        return f"%{edge.name} is read inside a subgraph"
    if edge.is_output and edge.maker is not None:
        return f"%{edge.name} is an output of {scope_of(edge.maker)} as well"
    return f"%{edge.name} has several readers" if edge.readers else f"nobody reads %{edge.name}"
