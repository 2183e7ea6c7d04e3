"""The result of one node on constants, as the operator defines it at the node's own opset, in the operator's own element types."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphopt.infer.call import NotKnown
from graphopt.infer.hazards import TRUSTED_IN_HALF, UNTRUSTED_KERNELS, hazard
from graphopt.infer.node import infer_node
from graphopt.infer.shapes import contradicts
from graphopt.ir.dim import element_count
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node
from graphopt.ir.tensor import Array, Tensor
from graphopt.ir.types import TensorType
from graphopt.schema import facts
from graphopt.schema.spelling import has_neutral_form
from graphopt.schema.traits import MOVEMENT


class CannotEvaluate(Exception):
    """The result of a node is not to be had here; the message says why."""


ORDINARY = frozenset({
    DType.bool, DType.float32, DType.float64, DType.int8, DType.int16, DType.int32, DType.int64, DType.uint8, DType.uint16, DType.uint32,
    DType.uint64,
})  # fmt: skip
HALF = frozenset({DType.float16, DType.bfloat16})


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

    Runs onnx's reference kernel. Raises CannotEvaluate when the operator is unknown, random, holds graphs, or calls a function; when the
    kernel is missing, known to be wrong, or fails; when the result is no tensor or not of the inferred type; when the operator does
    not define the result on these elements (integers divided by 0, floats beyond the integer type they are cast to, shifts too
    wide ...); and in float16 and bfloat16 where more than one rounding would do.
    """
    opset = _opset(node)
    _check_types(node, inputs)
    if reason := hazard(node, inputs):
        raise CannotEvaluate(f"{node.op}: {reason}")
    outputs = _run(node, opset, inputs)
    wanted = infer_node(node)
    if len(outputs) < len(node.outputs):
        raise CannotEvaluate(f"the kernel of {node.op} gives {len(outputs)} outputs of {len(node.outputs)}")
    return tuple(_checked(node, index, outputs[index], wanted[index]) for index in range(len(node.outputs)))


def _opset(node: Node) -> int:
    opset = node.opset
    known = facts.of_node(node)
    if known is None or opset is None:
        raise CannotEvaluate(f"{node.op} is unknown, or a local function")
    if node.subgraphs or not facts.is_deterministic(node):
        raise CannotEvaluate(f"{node.op} holds graphs or gives another result each time")
    if known.is_deprecated:
        raise CannotEvaluate(f"{node.op} is deprecated at opset {opset}")
    if not has_neutral_form(node):
        raise CannotEvaluate(f"{node.op} of opset {opset} means something else than the kernel computes")
    if node.op in UNTRUSTED_KERNELS:
        raise CannotEvaluate(f"the reference kernel of {node.op} is not trusted: {UNTRUSTED_KERNELS[node.op]}")
    return opset


def _check_types(node: Node, inputs: Sequence[Tensor | None]) -> None:
    if len(inputs) != len(node.inputs):
        raise CannotEvaluate(f"{node.op} reads {len(node.inputs)} inputs, {len(inputs)} were given")
    made = {value.dtype for value in node.outputs if value.dtype is not None}
    made |= {type.dtype for type in infer_node(node) if isinstance(type, TensorType)}
    for dtype in {tensor.dtype for tensor in inputs if tensor is not None} | made:
        if dtype in ORDINARY or node.op in MOVEMENT or node.op in ("Constant", "ConstantOfShape", "Shape", "Size"):
            continue
        if dtype in HALF and node.op in TRUSTED_IN_HALF:
            continue
        raise CannotEvaluate(f"{node.op} of {dtype} may be rounded in more than one way, or is not supported")


def _run(node: Node, opset: int, inputs: Sequence[Tensor | None]) -> list[Any]:
    runner = _runner(node, opset, inputs)
    feeds = {f"i{slot}": tensor.numpy() for slot, tensor in enumerate(inputs) if tensor is not None}
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            outputs: list[Any] = runner.run(None, feeds)
    except Exception as error:  # whatever a kernel raises on elements that it cannot take: the reason goes to the caller
        raise CannotEvaluate(f"the kernel of {node.op} fails: {type(error).__name__}: {error}") from error
    return outputs


_RUNNERS: dict[tuple[bytes, str, int, tuple[object, ...]], Any] = {}
_MOST_RUNNERS = 1 << 10


def _runner(node: Node, opset: int, inputs: Sequence[Tensor | None]) -> Any:  # Any: onnx.reference.ReferenceEvaluator
    import onnx
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    from graphopt.infer.protos import to_node_proto

    try:
        message = to_node_proto(node)
    except NotKnown as error:
        raise CannotEvaluate(f"an attribute of {node.op} is not known") from error
    given = tuple((slot, tensor.dtype, len(tensor.shape)) for slot, tensor in enumerate(inputs) if tensor is not None)
    key = (message.SerializeToString(deterministic=True), node.domain, opset, given)
    found = _RUNNERS.get(key)
    if found is not None:
        return found
    declared = [helper.make_tensor_value_info(f"i{slot}", int(dtype), [None] * rank) for slot, dtype, rank in given]
    results = [onnx.ValueInfoProto(name=name) for name in message.output]
    imported = [helper.make_opsetid(node.domain, opset)]
    if node.domain:
        imported.append(helper.make_opsetid("", facts.newest_opset()))
    try:
        model = helper.make_model(helper.make_graph([message], "one", declared, results), opset_imports=imported)
        found = ReferenceEvaluator(model)
    except Exception as error:  # no kernel: which error says so differs between releases of onnx
        raise CannotEvaluate(f"onnx has no kernel for {node.op}: {error}") from error
    if len(_RUNNERS) >= _MOST_RUNNERS:
        _RUNNERS.clear()
    _RUNNERS[key] = found
    return found


def _checked(node: Node, index: int, output: Any, wanted: object) -> Tensor:
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
