"""Running small models: the reference implementation and onnxruntime, which must agree before a rule is blamed."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from functools import cache
from typing import TypeAlias

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from graphopt.infer.trust import UNTRUSTED_KERNELS
from graphopt.io.walking import all_nodes
from graphopt.ir.dtype import DType
from graphopt.ir.tensor import Array
from graphopt.verify.runners import CannotRun, OnnxRuntime, Reference, Runner, Session
from graphopt.verify.selfcheck.validity import Invalid, check, infer
from graphopt.verify.source import Subject

Feeds: TypeAlias = "Mapping[str, Array]"
# Integer division by zero ends the process in some releases of onnxruntime (SIGFPE): such models run in the reference alone.
_TRAPS = frozenset({"Div", "Mod"})


@cache
def engines() -> tuple[Runner, ...]:
    """What is installed; the first is asked first. onnxruntime is what users run, and no slower to start on a small model."""
    return (OnnxRuntime(), Reference()) if importlib.util.find_spec("onnxruntime") is not None else (Reference(),)


def engines_for(model: ModelProto) -> tuple[Runner, ...]:
    """The engines on which a model can be run without danger, and believed."""
    trapped = _may_trap(model) and _has_integers(model)
    trusted = untrusted(model) is None
    return tuple(engine for engine in engines() if (trusted if isinstance(engine, Reference) else not trapped))


def untrusted(model: ModelProto) -> str | None:
    """The operator for which the reference cannot be taken at its word; None when there is none."""
    opset = next((entry.version for entry in model.opset_import if not entry.domain), 1)
    for node in all_nodes(model):
        if node.domain == "" and (node.op_type in UNTRUSTED_KERNELS or opset < _TRUSTED_SINCE.get(node.op_type, 0)):
            return str(node.op_type)
        if node.op_type == "ConvTranspose" and any(a.name == "group" and a.i > 1 for a in node.attribute):
            return "ConvTranspose"  # it adds the bias of the first group to all
        if node.op_type == "Split" and (len(node.input) > 1 or any(a.name == "split" for a in node.attribute)):
            return "Split"  # it takes sizes that do not add up
    return None


# Below these opsets the reference computes what the newest version means, or training.
_TRUSTED_SINCE = {"BatchNormalization": 14, "Hardmax": 13, "LogSoftmax": 13, "Softmax": 13}


_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.BOOL})


def _may_trap(model: ModelProto) -> bool:
    """Whether some quotient may be one of integers: both its operands have one type, and no float is known among them."""
    known = {value.name for value in model.graph.input if value.type.tensor_type.elem_type in _FLOATS}
    known |= {tensor.name for tensor in model.graph.initializer if tensor.data_type in _FLOATS}
    return any(node.op_type in _TRAPS and known.isdisjoint(node.input) for node in all_nodes(model))


def _ends_the_process(model: ModelProto) -> bool:
    """Whether opening or running a model would.

    onnxruntime's QLinearWhere looks for constant parameters where there are none, its InstanceNormalization for numbers of no elements.
    """
    if any(node.op_type == "InstanceNormalization" for node in all_nodes(model)) and _has_none(model):
        return True
    fed = {port.name for port in model.graph.input}
    held = {tensor.name for tensor in model.graph.initializer} - fed
    wheres = [list(node.input) for node in all_nodes(model) if node.op_type == "QLinearWhere"]
    return any(len(inputs) != 9 or not held.issuperset((*inputs[2:4], *inputs[5:])) for inputs in wheres)


def _has_none(model: ModelProto) -> bool:
    """Whether something that is fed or stored has no elements, whatever is fed."""
    fed = (dim for port in model.graph.input for dim in port.type.tensor_type.shape.dim)
    stored = any(0 in tensor.dims for tensor in model.graph.initializer)
    return stored or any(dim.HasField("dim_value") and dim.dim_value == 0 for dim in fed)


def _has_integers(model: ModelProto) -> bool:
    kinds = [value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)]
    return any(kind not in _FLOATS for kind in [*kinds, *(tensor.data_type for tensor in model.graph.initializer)])


def open_session(engine: Runner, model: ModelProto) -> Session:
    """Load a model. Raises CannotRun."""
    if not isinstance(engine, Reference) and _ends_the_process(model):
        raise CannotRun("onnxruntime would end the process")
    return engine.open(Subject("model", message=model))


def run(session: Session, feeds: Feeds) -> dict[str, Array]:
    """The outputs by name. Raises CannotRun, also when an output is no tensor."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns of what special values are there to provoke
        found = session.run(feeds)
    for name, value in found.items():
        if not isinstance(value, (np.ndarray, np.generic)):
            raise CannotRun(f"output {name} is no tensor")
    return {name: np.asarray(value) for name, value in found.items()}


def run_node(node: NodeProto, opsets: Mapping[str, int], inputs: Mapping[str, Array]) -> list[Array]:
    """What one node makes of given arrays. Raises CannotRun when no engine knows it or all refuse.

    Where inference knows the shape and the elements will not be sizes or axes, they are not computed: an array of zeros stands for them.
    """
    ports = [helper.make_tensor_value_info(name, int(DType.of(array.dtype)), array.shape) for name, array in inputs.items()]
    names = [name for name in node.output if name]
    small = [tensor(array, name) for name, array in inputs.items() if array.dtype == np.int64 and array.ndim < 2]
    stored = {made.name for made in small}
    fed = [port for port in ports if port.name not in stored]
    graph = helper.make_graph([node], "node", fed, [ValueInfoProto(name=name) for name in names], small)
    model = make_model(graph, opsets)
    inferred = _typed(model)
    if all(is_static(port) and port.type.tensor_type.elem_type != TensorProto.INT64 for port in inferred.graph.output):
        return [_stand_in(port) for port in inferred.graph.output]
    engine = checked_first(model)
    try:
        found = run(open_session(engine, model), inputs)
    except CannotRun:
        if not isinstance(engine, Reference) or len(engines()) == 1:
            raise
        found = run(open_session(engines()[0], inferred), inputs)  # the reference lacks some kernels of old opsets
    return [found[name] for name in names]


def is_static(port: ValueInfoProto) -> bool:
    """Whether a value is a tensor of known type and size."""
    type_ = port.type.tensor_type
    dims = type_.shape.dim
    return bool(type_.elem_type) and type_.HasField("shape") and all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in dims)


def _stand_in(port: ValueInfoProto) -> Array:
    shape = tuple(dim.dim_value for dim in port.type.tensor_type.shape.dim)
    return np.zeros(shape, DType(port.type.tensor_type.elem_type).numpy)


def _typed(model: ModelProto) -> ModelProto:
    """The model with the types of its outputs, valid as far as can be told without running it. Raises CannotRun."""
    local = {(function.domain, function.name) for function in model.functions}
    if any(node.domain and (node.domain, node.op_type) not in local for node in all_nodes(model)):
        return model  # nobody but an engine knows what it makes
    try:
        inferred = infer(model)
        check(inferred)
    except Invalid as error:
        raise CannotRun(str(error)) from error
    return inferred


def checked_first(model: ModelProto) -> Runner:
    """The engine for a model that nobody has checked yet: the reference, which no model can bring down.

    onnxruntime aborts on some invalid models (Split with more outputs than `num_outputs`), so it only gets operators that the
    reference does not know, those of other domains.
    """
    local = {(function.domain, function.name) for function in model.functions}
    known = all(node.domain == "" or (node.domain, node.op_type) in local for node in all_nodes(model))
    return next((engine for engine in engines() if known == isinstance(engine, Reference)), Reference())


def make_model(graph: GraphProto, opsets: Mapping[str, int]) -> ModelProto:
    """A model around a graph, of the lowest IR version that its opsets allow (at least 8)."""
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    model: ModelProto = helper.make_model(graph, opset_imports=imports, producer_name="graphopt verify-rules")
    model.ir_version = max(8, min_ir_version(opsets.get("", 1)))
    return model


@cache
def min_ir_version(opset: int) -> int:
    """The lowest IR version that goes with an opset of the default domain."""
    return int(helper.find_min_ir_version_for([helper.make_opsetid("", opset)], ignore_unknown=True))


def tensor(array: Array, name: str) -> TensorProto:
    """An array as an initializer."""
    made: TensorProto = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
    return made
