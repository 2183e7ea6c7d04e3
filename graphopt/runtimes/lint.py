"""What a runtime will refuse of a quantized model, and what it will leave in floats: a finding for each node, with the pass that helps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, final

from graphopt.ir import DType, Graph, Model, Node
from graphopt.quantization import Quantization, is_dequantize, is_quantize
from graphopt.runtimes.refusals import computes_on_integers
from graphopt.runtimes.remaining import Outlook, outlook
from graphopt.runtimes.seen import Seen, Step, label
from graphopt.runtimes.wants import Wants, Why

Kind: TypeAlias = Literal["refused", "wrong", "float"]
KINDS: Final[tuple[Kind, ...]] = ("refused", "wrong", "float")  # the worst first
NARROW = frozenset(dtype for dtype in DType if dtype.is_integer and dtype.bits <= 16) | frozenset(
    dtype for dtype in DType if dtype.is_float and dtype.bits <= 8
)

SYMMETRIC: Final = ", with int8 and zero point 0"
_NAME: Final = re.compile(r"'[^']*'|%[^\s:;,()]+")  # of a node or a value, in a reason


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """One node that a runtime refuses or fails on ("refused"), takes for something else ("wrong"), or computes in floats or leaves unfused
    ("float"). `helps` is a pass, or empty.
    """

    node: Node
    kind: Kind
    reason: str
    helps: str = ""

    @property
    def name(self) -> str:
        """What the node is called, or what it makes."""
        return label(self.node)

    def __str__(self) -> str:
        advice = f"; {self.helps} would help" if self.helps else ""
        return f"{self.kind}: {self.node.op} {self.name!r}: {self.reason}{advice}"


def findings(model: Model, wants: Wants, found: Outlook | None = None) -> list[Finding]:
    """What a runtime will refuse, compute wrong or leave in floats, in this order; each the first reason alone. Types must be inferred.

    `found`: the outlook, if the caller has it already.
    """
    graphs = list(model.graphs())
    found = found if found is not None else outlook(model, wants)
    refused = [*found.breaks.items(), *(each for graph in graphs for each in _refusals(graph, wants))]
    floats = [*(each for graph in graphs for each in _outside(graph, wants)), *_left(found)]
    first: dict[Node, Finding] = {}
    for kind, reasons in zip(KINDS, (refused, found.wrong.items(), floats), strict=True):
        for node, why in reasons:
            first.setdefault(node, Finding(node, kind, why.text, why.helps))
    order = {node: place for place, node in enumerate(model.nodes())}
    return sorted(first.values(), key=lambda one: (KINDS.index(one.kind), order[one.node]))


def is_quantized(model: Model) -> bool:
    """Whether any node of a model quantizes, dequantizes or computes with quantized numbers."""
    return any(is_quantize(node) or is_dequantize(node) or computes_on_integers(node) for node in model.nodes())


def nameless(reason: str) -> str:
    """A reason without the names in it.

    >>> nameless("its result %a.1 goes to Add 'u' in floats")
    "its result %... goes to Add '...' in floats"
    """
    return _NAME.sub(lambda name: "'...'" if name[0].startswith("'") else "%...", reason)


def _left(found: Outlook) -> list[tuple[Node, Why]]:
    """The nodes because of which Q and DQ are left; that floats come in and go out is no finding."""
    inner = [one for one in found.remaining if not one.is_boundary]
    return [(one.culprit or one.node, Why(one.why or one.reason, one.helps)) for one in inner]


def _refusals(graph: Graph, wants: Wants) -> list[tuple[Node, Why]]:
    """What a runtime does not load."""
    found: list[tuple[Node, Why]] = []
    for step in Seen(graph):
        why = next((why for refusal in wants.refuses if (why := refusal.why(step)) is not None), None)
        if why is None:
            why = _unadmitted(step, wants) if step.is_quantize or step.is_dequantize else _without_kernel(step, wants)
        if why is not None:
            found.append((step.origin, why))
    return found


def _unadmitted(step: Step, wants: Wants) -> Why | None:
    """Why a Q or DQ has parameters that a runtime does not take."""
    dtype, edge = step.dtype, step.input(0)
    from_constant = edge is not None and (edge.is_const or _quantizes_constant(edge.maker))
    admitted = wants.weights if from_constant else wants.activations
    if admitted and dtype is not None and dtype not in admitted:
        shifted = _shifted(step, wants)
        what = "a constant" if from_constant else "an activation"
        again = "" if shifted or not dtype.is_integer else f"; quantize the model anew{SYMMETRIC if wants.zero_points == 'zero' else ''}"
        return Why(f"it holds {what} in {dtype.name}, not {' or '.join(sorted(one.name for one in admitted))}{again}", shifted)
    by = step.quantization
    if isinstance(by, str):
        return Why(by) if wants.zero_points == "zero" else None
    if wants.zero_points == "zero" and not by.is_symmetric:
        shifted = _shifted(step, wants)
        return Why("its zero point is not 0" if shifted else f"its zero point is not 0; quantize the model anew{SYMMETRIC}", shifted)
    if not wants.activation_axes and not from_constant and by.axis is not None:
        return Why("an activation has parameters per axis")
    return None


def _quantizes_constant(step: Step | None) -> bool:
    return step is not None and step.is_quantize and (edge := step.input(0)) is not None and edge.is_const


def _shifted(step: Step, wants: Wants) -> str:
    """The pass that makes int8 with zero point 0 of it, if one can: of uint8 around 128."""
    by = step.quantization
    around = isinstance(by, Quantization) and by.dtype is DType.uint8 and bool((by.zero_point == 128).all())
    return "convert-uint8-to-int8" if around and wants.zero_points == "zero" else ""


def _without_kernel(step: Step, wants: Wants) -> Why | None:
    edge = step.input(0)
    dtype = edge.value.dtype if edge is not None and edge.value is not None else None
    if dtype is None or dtype not in wants.lacks.get(step.op, ()):
        return None
    return Why(f"the runtime has no {step.op} of {dtype.name}", "materialize-node-units")


def _outside(graph: Graph, wants: Wants) -> list[tuple[Node, Why]]:
    """What reads quantized numbers though the runtime wants Q and DQ around it."""
    if wants.integers is None:
        return []
    found: list[tuple[Node, Why]] = []
    for step in Seen(graph):
        edge = step.input(0)
        dtype = edge.value.dtype if edge is not None and edge.value is not None and not edge.is_const else None
        if dtype in NARROW and not step.is_quantize and not step.is_dequantize and step.op not in wants.integers:
            found.append((step.origin, Why(f"it reads {dtype.name} and has no Q and DQ around it", "materialize-node-units")))
    return found
