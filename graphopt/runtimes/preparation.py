"""What runtimes do to a graph before they fuse Q and DQ, imitated on what is `Seen` of it: a target names the steps, in its order.

onnxruntime, as 1.31 does it up to the extended level; older ones ask less before they fuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from graphopt.ir import DType
from graphopt.quantization import Quantization
from graphopt.runtimes.parameters import ACTIVATIONS, absorbs, differs, per_tensor
from graphopt.runtimes.seen import Edge, Seen, Step
from graphopt.schema import facts

MOVED_BY_ONNXRUNTIME = frozenset({"MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})
UNTOLD = "which tells the new Q that it gives int8, makes uint8 of that, and fails to load"  # onnxruntime 1.27 to 1.31
WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm"})


def skip_identities(seen: Seen) -> None:
    """Identity, and Dropout whose mask nobody reads, go."""
    for step in seen:
        is_dropout = step.op == "Dropout" and facts.is_deterministic(step.origin) and not any(out.readers for out in step.outputs[1:])
        if step.op == "Identity" or is_dropout:
            edge, made = step.inputs[0], step.output
            stays = made.is_output and (made.readers or edge is None or edge.maker is None or edge.is_output or len(edge.readers) > 1)
            if edge is not None and not stays:
                seen.bypass(step, "a copy that nobody needs")


def fold_constants(seen: Seen) -> None:
    """What is computed from constants becomes one; a DQ of a constant stays."""
    for step in seen:
        given = not step.is_dequantize and step.inputs and all(edge is None or edge.is_const for edge in step.inputs)
        if given and facts.is_foldable(step.origin, quantization=True) and not any(out.is_output for out in step.outputs):
            seen.take_out(step, "a constant")
            for edge in step.outputs:
                edge.maker, edge.is_const = None, True


def merge_quantizers(seen: Seen) -> None:
    """Qs that make the same of one tensor become one, the first, if they read one zero point; equal ones are not seen to be equal.

    One whose result is an output stays, and the first such stands for those that are none. Linear in Qs, whatever reads one tensor.
    """
    alike: dict[tuple[Edge, Edge | None, Quantization], list[Step]] = {}
    for step in seen:
        edge = step.input(0) if step.is_quantize else None
        if edge is not None and isinstance(step.quantization, Quantization) and not step.output.is_captured:
            alike.setdefault((edge, step.input(2), step.quantization), []).append(step)
    for steps in alike.values():
        kept = next((step for step in steps if step.output.is_output), steps[0])
        for other in steps:
            if other is not kept and not other.output.is_output:
                seen.take_out(other, f"{kept}, which is the same")
                for reader in list(dict.fromkeys(other.output.readers)):
                    seen.read_instead(reader, other.output, kept.output)


def clone_dequantizers(seen: Seen) -> None:
    """Each reader gets a DQ of its own."""
    for step in seen:
        if not step.is_dequantize or (step.output.only_reader is not None) or not step.output.readers:
            continue
        edge = step.output
        spared = 0 if edge.is_output or edge.is_captured else 1
        for reader in edge.readers[:0:-1] if spared else edge.readers[::-1]:
            data = step.inputs[0]
            if data is not None:
                own = seen.copy(step, data, f"{step.name}/duplicated", f"the copy of {step.name!r} for {reader}", quantizes=False)
                seen.read_instead(reader, edge, own.output, places=1)


def merge_double_pairs(seen: Seen) -> None:
    """Of Q, DQ, Q, DQ the inner two go; onnxruntime finds parameters for the outer ones that serve instead of both."""
    for step in seen:
        if not step.is_dequantize or step.fused_into:
            continue
        before, after = step.source, step.output.only_reader
        last = after.output.only_reader if after is not None and after.is_quantize else None
        if before is None or not before.is_quantize or after is None or last is None or not last.is_dequantize:
            continue
        pairs = before.output.only_reader is step and not differs(before, step) and not differs(after, last)
        if pairs and before.dtype == after.dtype and after.dtype in (DType.uint8, DType.int8):
            seen.take_out(after, "the pair around it")
            seen.take_out(step, "the pair around it")
            seen.read_instead(last, after.output, before.output)
            last.quantization = before.quantization


def gemms(seen: Seen) -> None:
    """MatMul of matrices and Add become Gemm."""
    for step in seen:
        add = step.output.only_reader if step.op == "MatMul" else None
        if add is None or add.op != "Add" or None in step.inputs:
            continue
        left, right = (step.origin.input(slot) for slot in (0, 1))
        edge = next((edge for edge in add.inputs if edge is not None and edge is not step.output), None)
        bias = edge.value if edge is not None else None
        if edge is None or left is None or right is None or left.rank != 2 or right.rank != 2 or right.shape is None:
            continue
        shape = None if bias is None else bias.shape
        if bias is None and edge.maker is not None and edge.maker.is_dequantize:
            shape = edge.maker.origin.output.shape
        if shape is not None and 0 < len(shape) <= 2 and shape[-1] == right.shape[-1] and (len(shape) == 1 or shape[0] == 1):
            step.op, made = "Gemm", step.outputs[0]
            made.unread_by(add)
            add.inputs = [one for one in add.inputs if one is not made]
            seen.take_out(add, str(step))
            step.inputs.append(edge)
            edge.read_by(step)
            step.outputs, add.output.maker = [add.output], step


def move_through(operators: frozenset[str]) -> Callable[[Seen], None]:
    """Qs move above these operators, then DQs below them, as long as one scale serves the whole tensor."""

    def move(seen: Seen) -> None:
        for step in seen:
            if step.is_quantize and per_tensor(step) is not None:
                _move_up(seen, operators, step)
        for step in seen:
            reader = step.output.only_reader if step.is_dequantize and per_tensor(step) is not None else None
            if reader is not None and reader.op in operators and reader.inputs[0] is step.output:
                _move_down(seen, operators, step, reader)

    return move


def _move_up(seen: Seen, operators: frozenset[str], step: Step) -> None:
    edge = step.inputs[0]
    while edge is not None and edge.only_reader is not None and edge.maker is not None and edge.maker.op in operators:
        mover, edge = edge.maker, edge.maker.inputs[0]
        if edge is None or (edge.maker is not None and (edge.only_reader is None or edge.maker.is_dequantize)):
            return
        note = f"{step.name!r} moved above {mover}"
        quantizer = seen.copy(step, edge, f"{edge.name}_q", note, quantizes=True)
        own = seen.copy(step, quantizer.output, f"{edge.name}_dq", note, quantizes=False)
        seen.read_instead(mover, edge, own.output)


def _move_down(seen: Seen, operators: frozenset[str], step: Step, mover: Step) -> None:
    waiting = [mover]
    while waiting:
        at = waiting.pop()
        edge = at.output
        if edge.is_captured or (edge.is_output and edge.readers):
            continue
        readers = list(edge.readers)
        if any(reader.is_quantize for reader in readers) or not (readers or edge.is_output):
            continue
        note = f"{step.name!r} moved below {at}"
        quantizer = seen.copy(step, edge, f"{edge.name}_q", note, quantizes=True)
        for reader in readers:
            own = seen.copy(step, quantizer.output, f"{edge.name}_dq", note, quantizes=False)
            seen.read_instead(reader, edge, own.output, places=1)
            if reader.op in operators:
                waiting.append(reader)
        if edge.is_output:
            own = seen.copy(step, quantizer.output, f"{edge.name}_dq", note, quantizes=False)
            own.output.is_output, edge.is_output = True, False


def quantize_weights(seen: Seen) -> None:
    """onnxruntime quantizes float weights and biases itself where both the activation and the result are quantized."""
    for step in seen:
        source = step.source
        if step.op not in WEIGHTED or source is None or not source.is_dequantize or per_tensor(source) is None or not _is_quantized(step):
            continue
        weight, bias = step.input(1), step.input(2)
        made = weight.maker if weight is not None else None
        dequantizer = made if made is not None and made.is_dequantize else None
        if weight is None or (dequantizer is None and not (weight.is_const and weight.value and weight.value.dtype is DType.float32)):
            continue
        shape = bias.value.shape if bias is not None and bias.value is not None else None
        if bias is not None and not (bias.is_const and shape is not None and len(shape) == 1):
            continue
        if dequantizer is not None and (bias is None or not _fits(step, dequantizer, shape)):
            continue
        if dequantizer is None:
            dequantizer = _dequantized(seen, step, weight, "weight", _of_ones(DType.int8))
        scales = [one.quantization.scale.astype(np.float32) for one in (source, dequantizer) if isinstance(one.quantization, Quantization)]
        if bias is not None and len(scales) == 2:
            with np.errstate(over="ignore", under="ignore"):  # it computes them in float32 as well
                scale = np.asarray(scales[0] * scales[1])
            zero = np.zeros(scale.shape, np.int32)
            _dequantized(seen, step, bias, "bias", Quantization(scale, zero, DType.int32, 0 if scale.ndim else None))


def _is_quantized(step: Step) -> bool:
    """Whether one Q reads a result, maybe below Relu and Clip; that it is an output as well is not looked at."""
    readers = step.output.readers
    while len(readers) == 1 and readers[0].op in ACTIVATIONS:
        readers = readers[0].output.readers
    return len(readers) == 1 and readers[0].is_quantize


def _fits(step: Step, dequantizer: Step, bias: tuple[object, ...] | None) -> bool:
    """Whether the parameters of a weight give the bias one scale for each of its elements."""
    by = dequantizer.quantization
    if isinstance(by, str):
        return False
    transposed = step.op == "Gemm" and not step.origin.attribute("transB", 0)
    return by.axis is None or (not by.block and by.axis == int(transposed) and bias is not None and by.scale.shape == bias)


def _dequantized(seen: Seen, step: Step, edge: Edge, what: str, by: Quantization) -> Step:
    """The DQ that a constant input gets."""
    stored = Edge(f"{edge.name}_quantized")
    stored.is_const = True
    made = Step(step.origin, "DequantizeLinear", (stored,), (Edge(edge.name),), f"{step.name}_{what}_dq", f"made for the {what}")
    made.is_dequantize = made.has_zero_point = True
    made.quantization = by
    seen.steps.append(made)
    seen.read_instead(step, edge, made.output, places=1)
    return made


def dequantize_numbers(seen: Seen) -> None:
    """Where of something dequantized and a number: onnxruntime stores the number as integer of the same type, with a DQ of its own."""
    for step in seen:
        sides = step.inputs[1:3] if step.op == "Where" else []
        makers = [edge.maker if edge is not None else None for edge in sides]
        given = [maker for maker in makers if maker is not None and maker.is_dequantize]
        numbers = [edge for edge in sides if edge is not None and edge.is_const and _is_number(edge)]
        by = given[0].quantization if given else ""
        reader = step.output.only_reader if given else None
        alike = reader is not None and reader.is_quantize and isinstance(by, Quantization) and reader.dtype is by.dtype
        if len(given) == 1 and len(numbers) == 1 and alike and isinstance(by, Quantization):
            _dequantized(seen, step, numbers[0], "dummy", _of_ones(by.dtype))


def _of_ones(dtype: DType) -> Quantization:
    """Parameters whose numbers do not matter."""
    return Quantization(np.float32(1).reshape(()), np.zeros((), dtype.numpy), dtype)


def _is_number(edge: Edge) -> bool:
    value = edge.value
    return value is not None and value.dtype is DType.float32 and value.shape in ((), (1,))


def absorb_activations(seen: Seen) -> None:
    """Relu and Clip that the Q after them makes superfluous go."""
    for step in seen:
        reader = step.output.only_reader if step.op in ACTIVATIONS else None
        if reader is not None and reader.is_quantize and reader.inputs[0] is step.output and absorbs(reader, step):
            seen.bypass(step, str(reader))


def unsigned_pairs(seen: Seen) -> None:
    """int8 between a Q and its only DQ becomes uint8, if both have one zero point."""
    for step in seen:
        reader = step.output.only_reader if step.is_quantize else None
        if reader is None or not reader.is_dequantize:
            continue
        written = [per_tensor(one) for one in (step, reader) if one.has_zero_point]
        pair = [found for found in written if found is not None and found.dtype is DType.int8]
        if len(pair) == 2 and pair[0].zero_point == pair[1].zero_point:
            zero = (pair[0].zero_point.astype(np.int16) + 128).astype(np.uint8)
            step.quantization, reader.quantization = (replace(one, zero_point=zero, dtype=DType.uint8) for one in pair)
            if step.origin.op.endswith("DequantizeLinear") and (step.origin.opset or 0) >= 21 and not step.origin.domain:
                seen.breaks.setdefault(step.origin, (f"int8, and {step.note} by the runtime, {UNTOLD}", "convert-int8-to-uint8"))


def cancel(seen: Seen) -> None:
    """After the fusion: a DQ and the Q that undoes it go, and what reads the Q reads what the DQ read."""
    for step in list(cancelling(seen)):
        reader, edge = step.output.only_reader, step.inputs[0]
        if reader is not None and edge is not None:
            seen.take_out(reader, str(step))
            seen.take_out(step, str(reader))
            for other in list(reader.output.readers):
                seen.read_instead(other, reader.output, edge)
            edge.is_output |= reader.output.is_output


def cancelling(seen: Seen) -> Iterator[Step]:
    """The DQs that the Q after them undoes, when that has one reader."""
    for step in seen:
        reader = step.output.only_reader if step.is_dequantize else None
        if reader is not None and reader.is_quantize and not reader.output.is_shared and not differs(reader, step):
            yield step
