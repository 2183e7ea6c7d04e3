"""onnxruntime as a second evaluator of one node, where it is installed; imported when the first node needs it."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from graphopt.infer.reference import NoKernel, message_of
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node
from graphopt.ir.tensor import Tensor
from graphopt.schema import facts

BAKED: Final = 1 << 12  # bytes: smaller inputs are initializers, since some of its kernels want shapes and axes to be constant
IR_VERSION: Final = 8  # the newest that is needed to state a node: every release reads it

# What its Python interface passes as plain arrays.
PASSED: Final = frozenset({
    DType.bool, DType.float16, DType.float32, DType.float64, DType.int8, DType.int16, DType.int32, DType.int64, DType.uint8, DType.uint16,
    DType.uint32, DType.uint64, DType.string,
})  # fmt: skip


@cache
def is_installed() -> bool:
    """Whether onnxruntime can be asked; does not import it."""
    return importlib.util.find_spec("onnxruntime") is not None


def run_runtime(node: Node, opset: int, inputs: Sequence[Tensor | None]) -> list[Any]:
    """What onnxruntime gives for these inputs: one node, optimizations off, one thread, on the CPU. Raises NoKernel.

    The node is stated at the opset in which its version of the operator appeared: the operator is the same, and a runtime that is older
    than the model's opset still knows it.
    """
    if not is_installed():
        raise NoKernel("onnxruntime is not installed")
    for tensor in inputs:
        if tensor is not None and tensor.dtype not in PASSED:
            raise NoKernel(f"onnxruntime's interface cannot pass {tensor.dtype}")
    import onnxruntime

    baked = {slot: tensor for slot, tensor in enumerate(inputs) if tensor is not None and tensor.nbytes <= BAKED}
    feeds = {f"i{slot}": tensor.numpy() for slot, tensor in enumerate(inputs) if tensor is not None and slot not in baked}
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    model = _model(node, opset, inputs, baked)
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        results: list[Any] = session.run(None, feeds)
    except Exception as error:  # its errors have no common base below Exception; without a kernel it has no say
        raise NoKernel(f"onnxruntime does not run {node.op}: {' '.join(str(error).split())[:200]}") from error
    return results


def _model(node: Node, opset: int, inputs: Sequence[Tensor | None], baked: dict[int, Tensor]) -> bytes:
    import onnx
    from onnx import helper

    from graphopt.infer.protos import to_tensor_proto

    message = message_of(node)
    declared = [
        helper.make_tensor_value_info(f"i{slot}", int(tensor.dtype), tensor.shape)
        for slot, tensor in enumerate(inputs)
        if tensor is not None and slot not in baked
    ]
    held = [to_tensor_proto(tensor, f"i{slot}") for slot, tensor in baked.items()]
    results = [onnx.ValueInfoProto(name=name) for name in message.output]
    known = facts.of(node.domain, node.op_type, opset)
    since = opset if known is None else known.since_version
    stated = max(since, min(opset, _PLAIN.get(node.domain, since)))
    imported = [helper.make_opsetid(node.domain, stated)]
    if node.domain:
        imported.append(helper.make_opsetid("", _PLAIN[""]))
    graph = helper.make_graph([message], "one", declared, results, held)
    text: bytes = helper.make_model(graph, opset_imports=imported, ir_version=IR_VERSION).SerializeToString()
    return text


# Opsets that every supported release knows: preferred to older ones where the operator is the same.
_PLAIN: Final = {"": 17, "ai.onnx.ml": 3}
