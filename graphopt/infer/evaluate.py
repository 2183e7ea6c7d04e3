"""The result of one node on constants, as the operator defines it at the node's own opset, in the operator's own element types.

The law: a result is that of onnx's reference kernel, where the kernel is trusted. Where it is not (`trust.UNTRUSTED_KERNELS`), or these
elements are in doubt (`hazards.doubt`), a witness must agree: the function that defines the operator, or onnxruntime where it is
installed. Bit for bit, when the outputs are integers, truth values or texts; within a few units in the last place, when they are floats.
Otherwise the node is left alone. Where there is no reference kernel, onnxruntime's word counts for the operators of
`trust.RUNTIME_ALONE`; and it is asked first for large operands of kernels that are slow and known to agree (`trust.SLOW_KERNELS`). In
float16 and bfloat16 what would be rounded more than once is computed in float32 and rounded once, where the kernel in the type itself
agrees. Without onnxruntime fewer nodes have a result; no result depends on it but to a last place where it is asked first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphopt.infer import runtime
from graphopt.infer.agreement import disagreement
from graphopt.infer.hazards import doubt, hazard
from graphopt.infer.node import infer_node
from graphopt.infer.reference import NoKernel, run_definition, run_kernel
from graphopt.infer.shapes import contradicts
from graphopt.infer.trust import HALF, ORDINARY, RUNTIME_ALONE, SLOW, SLOW_KERNELS, UNTRUSTED_KERNELS, UNTRUSTED_RUNTIME, is_exact, meaning
from graphopt.ir.dim import element_count
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node
from graphopt.ir.tensor import Array, Tensor
from graphopt.ir.types import TensorType, Type
from graphopt.schema import facts


class CannotEvaluate(Exception):
    """The result of a node is not to be had here; the message says why."""


def result_bytes(node: Node) -> int | None:
    """How many bytes the outputs of a node take together, from the types that are known of them; None when a size is not."""
    total = 0
    for value, inferred in zip(node.outputs, infer_node(node), strict=True):
        if not value.name and node.graph is not None:
            continue
        type = value.type if isinstance(value.type, TensorType) and element_count(value.type.shape) is not None else inferred
        if not isinstance(type, TensorType) or (count := element_count(type.shape)) is None:
            return None
        total += count * 8 if type.dtype is DType.string else (count * type.dtype.bits + 7) // 8
    return total


def evaluate(node: Node, inputs: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    """The outputs of a node of some graph when its inputs are these tensors; None for an absent one.

    Raises CannotEvaluate when the operator is unknown, random, holds graphs, or calls a function; when there is no kernel, the kernel
    fails, or is not trusted and nothing agrees with it; when the result is no tensor or not of the inferred type; and when the operator
    does not define the result on these elements (integers divided by 0, floats beyond the integer type they are cast to, shifts too
    wide ...).
    """
    _check_call(node, inputs)
    if reason := hazard(node, inputs):
        raise CannotEvaluate(f"{node.op}: {reason}")
    wanted = infer_node(node)
    try:
        outputs = _outputs(node, inputs, wanted)
    except NoKernel as error:
        raise CannotEvaluate(str(error)) from error
    if len(outputs) < len(node.outputs):
        raise CannotEvaluate(f"the kernel of {node.op} gives {len(outputs)} outputs of {len(node.outputs)}")
    return tuple(_checked(node, index, outputs[index], wanted[index]) for index in range(len(node.outputs)))


def _check_call(node: Node, inputs: Sequence[Tensor | None]) -> None:
    known = facts.of_node(node)
    if known is None:
        raise CannotEvaluate(f"{node.op} is unknown, or a local function")
    if node.subgraphs or not facts.is_deterministic(node):
        raise CannotEvaluate(f"{node.op} holds graphs or gives another result each time")
    if known.is_deprecated:
        raise CannotEvaluate(f"{node.op} is deprecated at opset {node.opset}")
    if len(inputs) != len(node.inputs):
        raise CannotEvaluate(f"{node.op} reads {len(node.inputs)} inputs, {len(inputs)} were given")


def _outputs(node: Node, inputs: Sequence[Tensor | None], wanted: Sequence[Type | None]) -> list[Any]:
    opset = meaning(node)
    if opset is None or node.op == "Scatter":
        return _by_runtime_alone(node, inputs)
    dtypes = _dtypes(node, inputs, wanted)
    exact = is_exact(node.op, dtypes)
    if not exact and not dtypes <= ORDINARY | HALF:
        odd = min(dtypes - ORDINARY - HALF)
        raise CannotEvaluate(f"{node.op} of {odd} may be rounded in more than one way, or is not supported")
    if node.op in SLOW_KERNELS and dtypes <= ORDINARY and runtime.is_installed() and sum(t.nbytes for t in inputs if t is not None) >= SLOW:
        try:
            return runtime.run_runtime(node, opset, inputs)
        except NoKernel:
            pass  # then the kernel, which takes longer
    arrays = [None if tensor is None else tensor.numpy() for tensor in inputs]
    outputs = run_kernel(node, opset, arrays)
    why = f"the reference kernel of {node.op} is not trusted: {UNTRUSTED_KERNELS[node.op]}" if node.op in UNTRUSTED_KERNELS else None
    why = why or doubt(node, inputs)
    if not exact:
        outputs = _rounded_once(node, opset, arrays, outputs, wanted)
    if why is not None:
        _ask_witness(node, opset, inputs, outputs, why)
    return outputs


def _by_runtime_alone(node: Node, inputs: Sequence[Tensor | None]) -> list[Any]:
    if node.op not in RUNTIME_ALONE or node.opset is None:
        raise CannotEvaluate(f"{node.op} of opset {node.opset} means something else than the kernel computes")
    if not _dtypes(node, inputs, ()) <= ORDINARY:
        raise CannotEvaluate(f"{node.op} of opset {node.opset} is evaluated in plain types alone")
    return runtime.run_runtime(node, node.opset, inputs)


def _dtypes(node: Node, inputs: Sequence[Tensor | None], wanted: Sequence[Type | None]) -> frozenset[DType]:
    made = {value.dtype for value in node.outputs if value.dtype is not None}
    made |= {type.dtype for type in wanted if isinstance(type, TensorType)}
    return frozenset(made | {tensor.dtype for tensor in inputs if tensor is not None})


def _rounded_once(
    node: Node, opset: int, arrays: Sequence[Array | None], outputs: Sequence[Any], wanted: Sequence[Type | None]
) -> list[Any]:
    """The outputs in half precision, computed in float32 and rounded once. Raises CannotEvaluate when the type itself gives others."""
    widened = run_kernel(node, opset, _widened(arrays))
    rounded = [_narrowed(array, type) for array, type in zip(widened, wanted, strict=False)]
    if why := disagreement(outputs, rounded):
        raise CannotEvaluate(f"{node.op} in half precision may be rounded in more than one way: {why}")
    return rounded


def _widened(arrays: Sequence[Array | None]) -> list[Array | None]:
    return [array.astype(np.float32) if array is not None and DType.of(array.dtype) in HALF else array for array in arrays]


def _narrowed(array: Any, type: Type | None) -> Any:
    if not isinstance(type, TensorType) or type.dtype not in HALF or not isinstance(array, (np.ndarray, np.generic)):
        return array
    with np.errstate(over="ignore"):
        return array.astype(type.dtype.numpy)


def _ask_witness(node: Node, opset: int, inputs: Sequence[Tensor | None], outputs: Sequence[Any], why: str) -> None:
    """Raises CannotEvaluate unless the operator's definition or onnxruntime gives these outputs too. The definition needs no import."""
    arrays = [None if tensor is None else tensor.numpy() for tensor in inputs]
    said = []
    for witness in (run_definition, runtime.run_runtime):
        if witness is runtime.run_runtime and node.op in UNTRUSTED_RUNTIME:
            continue
        try:
            theirs = run_definition(node, opset, arrays) if witness is run_definition else runtime.run_runtime(node, opset, inputs)
        except NoKernel as error:
            said.append(str(error))
            continue
        differs = disagreement(outputs, theirs)
        if differs is None:
            return
        said.append(f"{'its definition' if witness is run_definition else 'onnxruntime'} differs: {differs}")
    raise CannotEvaluate(f"{why}; {'; '.join(said)}")


def _checked(node: Node, index: int, output: Any, wanted: Type | None) -> Tensor:
    if not isinstance(output, (np.ndarray, np.generic, bool, int, float)):
        raise CannotEvaluate(f"{node.op} gives no tensor")
    array: Array = np.asarray(output)
    type = wanted if isinstance(wanted, TensorType) else node.outputs[index].type
    if not isinstance(type, TensorType):
        raise CannotEvaluate(f"the type of output {index} of {node.op} is not known")
    try:
        dtype = DType.of(array.dtype)
    except TypeError as error:
        raise CannotEvaluate(f"the kernel of {node.op} gives {array.dtype}, which ONNX lacks") from error
    if dtype != type.dtype or contradicts(type, TensorType(dtype, array.shape)):
        raise CannotEvaluate(f"the kernel of {node.op} gives {TensorType(dtype, array.shape)}, it should be {type}")
    if dtype is not DType.string and array.base is None:
        array.flags.writeable = False  # the kernel made it for us: no copy
    return Tensor.of(array, dtype)
