"""Conditions of units, each small and named; a target's units list them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from graphopt.ir import DType
from graphopt.quantization import Quantization
from graphopt.runtimes.parameters import attribute, differs
from graphopt.runtimes.seen import Step
from graphopt.runtimes.wants import Condition, Group, Why

TO_UNSIGNED = "convert-int8-to-uint8"


def _data(group: Group) -> Step | None:
    return next(iter(group.dequantizers), None)


def _helps(dtypes: Iterable[DType | None]) -> str:
    return TO_UNSIGNED if set(dtypes) == {DType.int8, DType.uint8} else ""


def types(admitted: Collection[DType]) -> Condition:
    """The quantized numbers of all inputs but a bias have one of these element types."""
    words = ", ".join(sorted(dtype.name for dtype in admitted))

    def why(group: Group) -> Why | None:
        for slot, step in enumerate(group.before):
            if step is not None and step.dtype is not DType.int32 and step.dtype not in admitted:
                return Why(f"its input {slot} is {_name(step.dtype)}, not {words}")
        return None

    return Condition(f"input types {words}", why)


def _same_types(group: Group) -> Why | None:
    found = [step.dtype for step in (*group.dequantizers, *group.after)]
    if len(set(found)) <= 1:
        return None
    return Why(f"its inputs and results are {', '.join(map(_name, found))}, not one type", _helps(found))


def _result_type(group: Group) -> Why | None:
    source = _data(group)
    if source is None or not group.after or group.after[0].dtype == source.dtype:
        return None
    found = (source.dtype, group.after[0].dtype)
    return Why(f"its first input is {_name(found[0])}, its result {_name(found[1])}", _helps(found))


def _signed_with_signed(group: Group) -> Why | None:
    source, weight = group.dequantizer(0), group.dequantizer(1)
    if source is None or weight is None or source.dtype is not DType.int8 or weight.dtype is DType.int8:
        return None
    return Why(f"its first input is int8 and its weight {_name(weight.dtype)}", TO_UNSIGNED)


def _unsigned_input(group: Group) -> Why | None:
    source = group.dequantizer(0)
    if source is None or source.dtype is not DType.int8:
        return None
    return Why("its first input is int8, which runs on integers as uint8 only", TO_UNSIGNED)


def _bias_is_int32(group: Group) -> Why | None:
    bias = group.dequantizer(2)
    if bias is None:
        return None
    if bias.dtype is not DType.int32:
        return Why(f"its bias is {_name(bias.dtype)}, not int32")
    by = bias.quantization
    return None if isinstance(by, str) or by.is_symmetric else Why("the zero point of its bias is not 0")


def _bias_scale(group: Group) -> Why | None:
    """onnxruntime asks since https://github.com/microsoft/onnxruntime/pull/28229, with these tolerances."""
    return _off(group, 1e-6)


def _true_bias(group: Group) -> Why | None:
    why = _off(group, 0.0)
    return None if why is None else Why(f"{why.text}; it is fused all the same and computes something else", why.helps)


def _off(group: Group, absolute: float) -> Why | None:
    if any(group.dequantizer(slot) is None for slot in range(3)):
        return None
    found = [step.quantization for step in group.before[:3] if step is not None]
    source, weight, bias = (one.scale.reshape(-1).astype(np.float64) if isinstance(one, Quantization) else None for one in found)
    if source is None or weight is None or bias is None:
        return Why("a scale of its input, weight or bias is not constant")
    if source.size != 1:  # each sum is over all of them, whatever the numbers: onnxruntime leaves equal ones as well
        return Why("its input has parameters per axis, and its bias no scale that goes with all of them")
    wanted = source * weight
    if bias.size in (1, wanted.size) and np.isclose(bias, wanted, rtol=1e-2, atol=absolute).all():
        return None
    return Why("the scale of its bias is not the product of those of its input and its weight", "dequantize-mismatched-bias")


def _float32(group: Group) -> Why | None:
    value = group.step.origin.outputs[0]
    if value.dtype in (DType.float32, None):
        return None
    return Why(f"it is computed in {_name(value.dtype)}, not float32")


def _equal_parameters(group: Group) -> Why | None:
    source = _data(group)
    for quantizer in group.after if source is not None else ():
        if (text := differs(quantizer, source)) if source is not None else "":
            return Why(text, _would_equal(text, quantizer, source))
    return None


def _would_equal(text: str, quantizer: Step, source: Step | None) -> str:
    """The pass that gives a DQ and a Q what a runtime asks, or needs neither."""
    if "zero point input" in text:
        return "normalize-quantization"
    both = [step.quantization for step in (quantizer, source) if step is not None and isinstance(step.quantization, Quantization)]
    return "drop-quantization-around-movement" if any(found.axis is not None for found in both) and len(both) == 2 else ""


def _relied_on(group: Group) -> Why | None:
    for step in group.dequantizers:
        found = step.quantization
        if isinstance(found, str):
            return Why(f"of {step} {found}")
        if found.axis is not None:
            return Why(f"{step} has parameters per axis")
        if not step.has_zero_point:
            return Why(f"{step} has no zero point input", "normalize-quantization")
    return None


def _zero_points(group: Group) -> Why | None:
    for step in group.before[:2]:
        if step is not None and not step.has_zero_point:
            return Why(f"{step} has no zero point input", "normalize-quantization")
    return None


def _positive_scale(group: Group) -> Why | None:
    for step in (*group.dequantizers, *group.after):
        if not isinstance(step.quantization, Quantization) or not step.quantization.is_increasing:
            return Why(f"the scale of {step} is not positive, and order matters")
    return None


def _one_scale(group: Group) -> Why | None:
    source = _data(group)
    steps = (*((source,) if source is not None else ()), *group.after)
    for step in steps:
        if isinstance(step.quantization, Quantization) and step.quantization.axis is not None:
            return Why(f"{step} has parameters per axis, of an activation")
    return None


def _all_one_scale(group: Group) -> Why | None:
    steps = (*group.dequantizers, *group.after)
    if all(step.quantization == steps[0].quantization for step in steps):
        return None
    for step in steps:
        if isinstance(step.quantization, Quantization) and step.quantization.axis is not None:
            return Why(f"{step} has parameters per axis, and {group.step.op} on integers takes one scale")
    return None


def weight_axis(plain: int, transposed: int | None = None) -> Condition:
    """The parameters of the weight are one for the tensor, or differ along this axis (where `transB` is set, the other)."""

    def why(group: Group) -> Why | None:
        weight = group.dequantizer(1)
        if weight is None or isinstance(weight.quantization, str) or weight.quantization.axis is None:
            return None
        by = weight.quantization
        wanted = transposed if transposed is not None and attribute(group.step, "transB") else plain
        rank = weight.origin.outputs[0].rank
        wanted = wanted + rank if wanted < 0 and rank is not None else wanted
        if by.block:
            return Why("its weight is quantized in blocks")
        return None if by.axis == wanted else Why(f"its weight has parameters along axis {by.axis}, not {wanted}")

    return Condition(f"weight parameters along axis {plain}", why)


def _plain_product(group: Group) -> Why | None:
    if group.dequantizer(2) is None:
        return None
    alpha, beta = attribute(group.step, "alpha"), attribute(group.step, "beta")  # None of a MatMul and Add that became a Gemm
    if alpha in (None, 1) and beta in (None, 1):
        return None
    return Why(f"with a bias, alpha is {alpha} and beta {beta}, not 1 and 1")


def _nearest_mode(group: Group) -> Why | None:
    mode = attribute(group.step, "mode")
    return None if mode in (None, "nearest", b"nearest") else Why(f"its mode is {mode}, which makes new values")


def _stored_weight(group: Group) -> Why | None:
    """onnxruntime's MatMulNBits: a constant matrix of 2, 4 or 8 bits; one scale, one for each column, or blocks of 16, 32, ... rows."""
    weight = group.dequantizer(1)
    source = weight.input(0) if weight is not None else None
    if weight is None or source is None:
        return None
    by = weight.quantization
    if isinstance(by, str):
        return Why(f"of {weight} {by}")
    if not source.is_const or weight.origin.outputs[0].rank != 2:
        return Why("its weight is no constant matrix")
    if not by.dtype.is_integer or by.dtype.bits > 8 or by.scale_dtype not in (DType.float32, DType.float16):
        return Why(f"its weight is {by.dtype.name} with a scale in {by.scale_dtype.name}")
    if by.block and (by.axis != 0 or by.block < 16 or by.block & (by.block - 1)):
        return Why("its weight has no blocks of 16, 32, ... along axis 0")
    return None if by.block or by.axis in (None, 1) else Why(f"its weight has parameters along axis {by.axis}, not 1")


def _like_matmul(group: Group) -> Why | None:
    """A Gemm that multiplies and adds, and no more."""
    if attribute(group.step, "transA") or attribute(group.step, "transB") or attribute(group.step, "alpha") not in (None, 1):
        return Why("its transA, transB or alpha is set")
    bias = group.step.input(2)
    shape = bias.value.shape if bias is not None and bias.value is not None else None
    if bias is not None and (attribute(group.step, "beta") not in (None, 1) or shape is None or len(shape) != 1):
        return Why("its beta is set, or its bias is no vector")
    return None


def _name(dtype: DType | None) -> str:
    return "of unknown type" if dtype is None else dtype.name


SAME_TYPES = Condition("one type for all", _same_types)
RESULT_TYPE = Condition("the result has the type of the input", _result_type)
SIGNED_WITH_SIGNED = Condition("int8 with int8 only", _signed_with_signed)
UNSIGNED_INPUT = Condition("no int8 activation", _unsigned_input)
BIAS_IS_INT32 = Condition("bias is int32", _bias_is_int32)
TRUE_BIAS = Condition("the bias has the scale that it is used with", _true_bias)
ALL_ONE_SCALE = Condition("one scale each", _all_one_scale)
BIAS_SCALE = Condition("the bias has the scale of the products", _bias_scale)
FLOAT32 = Condition("computed in float32", _float32)
EQUAL_PARAMETERS = Condition("equal parameters, one scale, with zero points", _equal_parameters)
RELIED_ON = Condition("one constant scale, with zero point", _relied_on)
ZERO_POINTS = Condition("zero points written", _zero_points)
POSITIVE_SCALE = Condition("positive scale", _positive_scale)
ONE_SCALE = Condition("activations have one scale", _one_scale)
PLAIN_PRODUCT = Condition("alpha and beta are 1 with a bias", _plain_product)
NEAREST = Condition("mode nearest", _nearest_mode)
STORED_WEIGHT = Condition("constant weight of 8 bits or less", _stored_weight)
LIKE_MATMUL = Condition("no transposes, no factors", _like_matmul)
