"""What a runtime wants of a quantized graph, as data: element types, the units that it fuses, what it does itself, what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, final

from graphopt.ir import DType
from graphopt.runtimes.seen import Seen, Step


@final
@dataclass(frozen=True, slots=True)
class Why:
    """Why something is not as a runtime wants it: the reason in words, and the pass of ours that would help, if there is one."""

    text: str
    helps: str = ""


@final
@dataclass(frozen=True, slots=True)
class Group:
    """An operator with the DQs that feed it and the Qs that read it: what a unit is matched against.

    `before` has for each input the DQ that makes it, None where none does. `after` are the Qs of all outputs. `activation` is the one Relu
    or Clip between the operator and its Q.
    """

    step: Step
    before: tuple[Step | None, ...]
    after: tuple[Step, ...]
    activation: Step | None = None

    @property
    def dequantizers(self) -> tuple[Step, ...]:
        """The DQs, in the order of the inputs."""
        return tuple(step for step in self.before if step is not None)

    def dequantizer(self, slot: int) -> Step | None:
        """The DQ that makes an input; None when none does, or the input is absent."""
        return self.before[slot] if slot < len(self.before) else None


@final
@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of a group beyond which inputs and outputs are quantized; `why` tells why it does not, None when it does."""

    name: str
    why: Callable[[Group], Why | None]


Quantized: TypeAlias = Literal["always", "optional", "never"]
Activation: TypeAlias = Literal["absorbed", "fused", "none"]


@final
@dataclass(frozen=True, slots=True)
class Unit:
    """Operators that a runtime computes on integers together with the DQs before and the Qs after them.

    `becomes`: the operator that runs then; "" for the operator itself, on integers. `dequantized`: the inputs that a DQ must feed; None
    for all that are there. Further ones only in the slots of `optional`, and of `kept`, where they stay. `quantized`: whether Qs must read
    all outputs. `activation`: how a Relu or Clip may stand before the Q: if the Q makes it superfluous, as part of the unit, or not at
    all. `since`: the first opset.
    `conditions` are what the runtime asks, in their order; `breaks` is what it does not ask before it fuses, and then fails on;
    `overlooks` is what it does not ask at all, and computes something else when it does not hold.
    """

    operators: tuple[str, ...]
    becomes: str = ""
    dequantized: tuple[int, ...] | None = None
    optional: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    quantized: Quantized = "always"
    activation: Activation = "absorbed"
    since: int = 1
    conditions: tuple[Condition, ...] = ()
    breaks: tuple[Condition, ...] = ()
    overlooks: tuple[Condition, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Refusal:
    """What a runtime does not load, or fails on: `why` tells why it refuses a step, None when it does not."""

    name: str
    why: Callable[[Step], Why | None]


Preparation: TypeAlias = Callable[[Seen], None]
Placement: TypeAlias = Literal["propagated", "sandwiched"]
Sharing: TypeAlias = Literal["unique", "shared"]


@final
@dataclass(frozen=True, slots=True)
class Wants:
    """What a runtime wants of QuantizeLinear and DequantizeLinear.

    `activations`, `weights`: element types of quantized numbers that it admits. `zero_points`: any, or 0 only. `activation_axes`: whether
    activations may have parameters per axis. `units`: what it fuses. `lacks`: for an operator the types of quantized numbers that it has no
    kernel for. `integers`: the operators that may read quantized numbers without Q and DQ around them; None for all. `placement`: whether Q
    and DQ are best moved as far as they go, or stand around every operator. `sharing`: whether each reader wants a DQ of its own.
    `prepares`: what it does itself before it fuses, in this order. `cancels`: DQ and Q in a row with equal parameters go after the fusion.
    `refuses`: what else it does not load. `helps`: the pass that brings an operator of no unit to integers.
    """

    activations: frozenset[DType] = frozenset()
    weights: frozenset[DType] = frozenset()
    zero_points: Literal["any", "zero"] = "any"
    activation_axes: bool = True
    units: tuple[Unit, ...] = ()
    lacks: Mapping[str, frozenset[DType]] = field(default_factory=dict)
    integers: frozenset[str] | None = None
    placement: Placement = "propagated"
    sharing: Sharing = "unique"
    prepares: tuple[Preparation, ...] = ()
    cancels: bool = False
    refuses: tuple[Refusal, ...] = ()
    helps: Mapping[str, str] = field(default_factory=dict)

    def units_of(self, op: str) -> tuple[Unit, ...]:
        """The units of an operator, the first choice first."""
        return tuple(unit for unit in self.units if op in unit.operators)
