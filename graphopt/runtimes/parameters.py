"""What runtimes ask of the parameters of a Q or DQ: one constant scale, a written zero point, an activation that it makes superfluous."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphopt.quantization import Quantization, limits
from graphopt.runtimes.seen import Step
from graphopt.schema.spelling import UNKNOWN, neutral_attribute, neutral_inputs

ACTIVATIONS = frozenset({"Relu", "Clip"})


def per_tensor(step: Step) -> Quantization | None:
    """The parameters of a Q or DQ, when they are constant and serve the whole tensor."""
    found = step.quantization
    return found if isinstance(found, Quantization) and found.axis is None else None


def differs(one: Step, other: Step) -> str:
    """Why a Q and a DQ do not undo each other, as far as a runtime looks; empty when they do."""
    for step in (one, other):
        found = step.quantization
        if isinstance(found, str):
            return f"of {step} {found}"
        if found.axis is not None:
            return f"{step} has parameters per axis"
        if not step.has_zero_point:
            return f"{step} has no zero point input"
    first, second = one.quantization, other.quantization
    return "" if first == second else f"{one} has {first}, {other} has {second}"


def absorbs(quantizer: Step, activation: Step) -> bool:
    """Whether a Q gives the same without the Relu or Clip before it: it saturates there, or before."""
    by = per_tensor(quantizer)
    if by is None or not by.is_increasing or not by.dtype.is_integer or by.dtype.bits not in (8, 16):
        return False
    least, most = limits(by.dtype)
    zero, scale = float(by.zero_point), by.scale.astype(np.float32)
    if activation.op == "Relu":
        return zero == least
    bounds = clip_bounds(activation)
    if bounds is None:
        return False
    with np.errstate(over="ignore"):  # the greatest float is a common upper bound, and an infinity saturates as well
        lower, upper = (np.rint(bound / scale) + zero for bound in bounds)
    return bool(lower <= least and upper >= most)


def clip_bounds(clip: Step) -> tuple[Any, Any] | None:  # Any: float32 of numpy
    """The bounds of a Clip; None when they are not constant, or not one number each."""
    found = [-np.inf, np.inf]
    for slot, value in enumerate(neutral_inputs(clip.origin)[1:3]):
        if value is not None:
            if value.const is None or value.const.size != 1:
                return None
            found[slot] = value.const.numpy().astype(np.float64).item()
    with np.errstate(over="ignore"):
        return np.float32(found[0]), np.float32(found[1])


def attribute(step: Step, name: str) -> Any:  # Any: as many kinds as attributes have
    """What an attribute of a step means; None when it cannot be known."""
    found = neutral_attribute(step.origin, name)
    return None if found is UNKNOWN else found
