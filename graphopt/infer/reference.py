"""onnx's reference kernels, and an operator's own definition run by them: one node on given tensors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from graphopt.infer.call import NotKnown
from graphopt.infer.kernels import run_plain
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node
from graphopt.ir.tensor import Array
from graphopt.schema import facts

Arrays = Sequence["Array | None"]
Kernel = Any  # an onnx.reference.ReferenceEvaluator, which is typed loosely


class NoKernel(Exception):
    """There is no kernel for a call, or it fails on these elements; the message says which."""


def run_kernel(node: Node, opset: int, arrays: Arrays) -> list[Any]:
    """What the reference kernel of a node's operator at an opset gives for these arrays; numpy alone where it can. Raises NoKernel."""
    plain = run_plain(node, arrays)
    return plain if plain is not None else _run(node, _kernel(node, opset, arrays, defined=False), arrays)


def run_definition(node: Node, opset: int, arrays: Arrays) -> list[Any]:
    """What the function that defines a node's operator gives, by the kernels of the operators in its body. Raises NoKernel without one."""
    return _run(node, _kernel(node, opset, arrays, defined=True), arrays)


def message_of(node: Node) -> Any:
    """The node as a message, without what meant nothing even in the versions of its operator that had it. Raises NoKernel."""
    from graphopt.infer.protos import to_node_proto

    try:
        message = to_node_proto(node)
    except NotKnown as error:
        raise NoKernel(f"an attribute of {node.op} is not known") from error
    idle = (*_IDLE, "axis") if "broadcast" in node.attributes else _IDLE
    for attribute in [attribute for attribute in message.attribute if attribute.name in idle]:
        message.attribute.remove(attribute)
    return message


_IDLE: Final = ("broadcast", "consumed_inputs")  # below opset 7 alone; what `broadcast` and its `axis` say is checked before
_KERNELS: dict[tuple[object, ...], Kernel] = {}
_MOST_KERNELS = 1 << 10


def _run(node: Node, kernel: Kernel, arrays: Arrays) -> list[Any]:
    feeds = {f"i{slot}": array for slot, array in enumerate(arrays) if array is not None}
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            outputs: list[Any] = kernel.run(None, feeds)
    except Exception as error:  # whatever a kernel raises on elements that it cannot take: the reason goes to the caller
        raise NoKernel(f"the kernel of {node.op} fails: {type(error).__name__}: {error}") from error
    return outputs


def _kernel(node: Node, opset: int, arrays: Arrays, *, defined: bool) -> Kernel:
    message = message_of(node)
    given = tuple((slot, DType.of(array.dtype), array.ndim) for slot, array in enumerate(arrays) if array is not None)
    key = (message.SerializeToString(deterministic=True), node.domain, opset, given, defined)
    found = _KERNELS.get(key)
    if found is None:
        try:
            found = _made(node, message, opset, given, defined)
        except NoKernel:
            raise
        except Exception as error:  # no kernel: which error says so differs between releases of onnx
            raise NoKernel(f"onnx has no kernel for {node.op}: {error}") from error
        if len(_KERNELS) >= _MOST_KERNELS:
            _KERNELS.clear()
        _KERNELS[key] = found
    return found


def _made(node: Node, message: Any, opset: int, given: Sequence[tuple[int, DType, int]], defined: bool) -> Kernel:
    import onnx
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    declared = [helper.make_tensor_value_info(f"i{slot}", int(dtype), [None] * rank) for slot, dtype, rank in given]
    results = [onnx.ValueInfoProto(name=name) for name in message.output]
    imported = [helper.make_opsetid(node.domain, opset)]
    if node.domain:
        imported.append(helper.make_opsetid("", facts.newest_opset()))
    functions = []
    if defined:
        types = {info.name: info.type for info in declared}
        functions = [_definition(node, message, opset, [types.get(name, onnx.TypeProto()) for name in message.input])]
        message.domain = functions[0].domain
        imported.append(helper.make_opsetid(message.domain, 1))
    graph = helper.make_graph([message], "one", declared, results)
    return ReferenceEvaluator(helper.make_model(graph, opset_imports=imported, functions=functions))


def _definition(node: Node, message: Any, opset: int, types: Sequence[Any]) -> Any:
    """The operator's function under a domain of its own, so that no kernel stands in for it; defaults are written into the message."""
    import onnx
    from onnx import defs, helper

    schema: Any = defs.get_schema(node.op_type, opset, node.domain)  # Any: OpSchema's stubs differ between releases of onnx
    if schema.has_function:
        text = schema.get_function_with_opset_version(schema.function_opset_versions[-1])
    elif schema.has_context_dependent_function:
        version = schema.context_dependent_function_opset_versions[-1]
        held = [given.SerializeToString() for given in types]
        text = schema.get_context_dependent_function_with_opset_version(version, message.SerializeToString(), held)
    else:
        raise NoKernel(f"{node.op} is not defined by a function")
    function = onnx.FunctionProto.FromString(text)
    function.domain = "graphopt.definition"
    del function.input[len(message.input) :]  # optional ones that this call has not; the body was made for the call
    del function.output[len(message.output) :]
    given = {attribute.name for attribute in message.attribute}
    for name in function.attribute:
        default = schema.attributes[name].default_value if name in schema.attributes else None
        if name not in given and default is not None and default.type:
            message.attribute.append(default)
    if not any(entry.domain == "" for entry in function.opset_import):
        function.opset_import.append(helper.make_opsetid("", opset))
    return function
