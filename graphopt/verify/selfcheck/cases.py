"""Models to judge a rule by: what a model is fed, and how the same computation is written in other ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from graphopt.io.walking import all_nodes
from graphopt.ir.dtype import DType
from graphopt.ir.tensor import Array
from graphopt.verify.runners import CannotRun
from graphopt.verify.selfcheck.instantiate import Sample
from graphopt.verify.selfcheck.running import checked_first, is_static, open_session, run
from graphopt.verify.selfcheck.validity import Invalid, infer
from graphopt.verify.selfcheck.values import Kind, ordinary, special

FORMS = (
    "plain", "own symbols", "read on", "unknown", "symbolic", "constant nodes", "own symbols", "branch", "batch", "function", "unknown",
    "IR 3",
)  # fmt: skip


@dataclass(slots=True)
class Case:
    """One model, what kind of test it is, and how it came about in words. Must the rule fire? Never; but when it fires it must be right."""

    model: ModelProto
    feeds: dict[str, Array]
    kinds: dict[str, Kind]
    what: str
    group: str = "variant"


def of_sample(sample: Sample, form: str, what: str) -> Case:
    """A sample written in one of FORMS."""
    case = Case(sample.model, dict(sample.feeds), dict(sample.kinds), what)
    write = {
        "symbolic": lambda: loosened(case, "symbolic"),
        "own symbols": lambda: loosened(case, "own symbols"),
        "batch": lambda: loosened(case, "batch"),
        "unknown": lambda: loosened(case, "unknown"),
        "constant nodes": lambda: with_constant_nodes(case),
        "branch": lambda: in_branch(case),
        "function": lambda: in_function(case),
        "IR 3": lambda: overridable(case, [t.name for t in case.model.graph.initializer], ir_version=3),
        "read on": lambda: read_on(case),
    }.get(form)
    return replace(write(), what=f"{what}; {form}") if write is not None else case


def copy(model: ModelProto) -> ModelProto:
    """A model that may be changed."""
    made = ModelProto()
    made.CopyFrom(model)
    return made


# ---- the same computation, written otherwise


def loosened(case: Case, how: str) -> Case:
    """Dimensions of inputs as symbols (one for each size, or each its own), unknown, or only the first one of the first input."""
    model = copy(case.model)
    for i, port in enumerate(model.graph.input):
        if case.kinds.get(port.name, Kind()).family == "exact":
            continue
        for k, dim in enumerate(port.type.tensor_type.shape.dim):
            if how == "unknown":
                dim.Clear()
            elif how == "own symbols":
                dim.dim_param = f"{port.name}_{k}"
            elif how == "symbolic":
                dim.dim_param = f"d{dim.dim_value}"
            elif i == 0 and k == 0:
                dim.dim_param = "N"
    for port in model.graph.output:
        for dim in port.type.tensor_type.shape.dim:
            dim.Clear()
    return replace(case, model=model)


def with_constant_nodes(case: Case) -> Case:
    """Initializers as Constant nodes, but for those that a caller may override."""
    model = copy(case.model)
    fed = {port.name for port in model.graph.input}
    stored = list(model.graph.initializer)
    nodes = [*(constant_node(tensor) for tensor in stored if tensor.name not in fed), *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(tensor for tensor in stored if tensor.name in fed)
    model.graph.node.extend(nodes)
    return replace(case, model=model)


def constant_node(stored: TensorProto) -> NodeProto:
    """A Constant node that makes what an initializer holds."""
    made: NodeProto = helper.make_node("Constant", [], [stored.name], value=stored)
    return made


def overridable(case: Case, names: list[str], ir_version: int | None = None) -> Case:
    """Initializers that are inputs as well, so that a caller may feed something else."""
    model = copy(case.model)
    for stored in model.graph.initializer:
        if stored.name in names:
            model.graph.input.append(helper.make_tensor_value_info(stored.name, stored.data_type, list(stored.dims)))
    if ir_version is not None:
        model.ir_version = ir_version
    return replace(case, model=model)


def read_on(case: Case) -> Case:
    """Results that are read by further nodes instead of being outputs."""
    model = copy(case.model)
    for port in list(model.graph.output):
        inner = f"{port.name}_read"
        model.graph.node.append(_reader(model, port, inner))
        port.name = inner
    return replace(case, model=model)


def _reader(model: ModelProto, port: ValueInfoProto, name: str) -> NodeProto:
    """A node that any rule leaves alone: it reads a value of any type and keeps its type and shape."""
    kind = DType(port.type.tensor_type.elem_type)
    used = {node.op_type for node in model.graph.node}
    op_type = "Not" if kind is DType.bool else "Sign" if kind.is_float and "Sign" not in used else "Identity"
    if op_type == "Sign" and next(o.version for o in model.opset_import if not o.domain) < 9:
        op_type = "Abs"
    made: NodeProto = helper.make_node(op_type, [port.name], [name])
    return made


def in_branch(case: Case) -> Case:
    """The whole graph in both branches of an If, which capture the inputs and constants."""
    model = copy(case.model)
    graph = model.graph
    branches = []
    for suffix in ("then", "else"):
        branch = GraphProto(name=suffix)
        made = {name for node in graph.node for name in node.output if name}
        for node in graph.node:
            inner = branch.node.add()
            inner.CopyFrom(node)
            for names in (inner.input, inner.output):
                names[:] = [f"{name}_{suffix}" if name in made else name for name in names]
        for port in graph.output:
            inner_port = branch.output.add()
            inner_port.CopyFrom(port)
            inner_port.name = f"{port.name}_{suffix}"
        branches.append(branch)
    outer = helper.make_node("If", ["condition"], [p.name for p in graph.output], then_branch=branches[0], else_branch=branches[1])
    del graph.node[:]
    graph.node.append(outer)
    graph.input.append(helper.make_tensor_value_info("condition", TensorProto.BOOL, []))
    feeds = {**case.feeds, "condition": np.array(True)}
    return replace(case, model=model, feeds=feeds, kinds={**case.kinds, "condition": Kind()})


def in_function(case: Case) -> Case:
    """The whole graph as the body of a local function, with Constant nodes for its initializers."""
    model = with_constant_nodes(case).model
    graph = model.graph
    inputs, outputs = [p.name for p in graph.input], [p.name for p in graph.output]
    function = helper.make_function("local", "Pattern", inputs, outputs, list(graph.node), list(model.opset_import))
    model.functions.append(function)
    del graph.node[:]
    graph.node.append(helper.make_node("Pattern", inputs, outputs, domain="local"))
    model.opset_import.append(helper.make_opsetid("local", 1))
    return replace(case, model=model)


# ---- what a model is fed


def feedings(case: Case, numbers: np.random.Generator, *, wide: bool) -> Iterator[tuple[str, dict[str, Array]]]:
    """Feeds for a model: as drawn, other numbers, special values, other sizes of free dimensions, other contents of what may be overridden.

    `wide` asks for the largest numbers too. Some sizes may not fit the model: whoever runs it finds out.
    """
    yield "as drawn", case.feeds
    finite, limit = _tamed(case.model)
    ports = list(case.model.graph.input)
    if any(p.name not in case.feeds for p in ports):
        yield "overridden", {p.name: _refill(p.name, case, case.feeds.get(p.name), numbers, p) for p in ports}
    else:
        yield "other numbers", {p.name: _refill(p.name, case, case.feeds.get(p.name), numbers, p) for p in ports}
    for i in range(2):
        made = {}
        for port in ports:
            old = case.feeds.get(port.name)
            if old is None or case.kinds.get(port.name, Kind()).family == "exact":
                made[port.name] = _refill(port.name, case, old, numbers, port)
                continue
            kind = case.kinds.get(port.name, Kind())
            made[port.name] = special(kind, DType.of(old.dtype), old.shape, numbers, finite=finite, wide=wide and not limit)
            if limit and made[port.name].dtype.kind in "iuf":
                made[port.name] = np.clip(made[port.name], -limit if made[port.name].dtype.kind != "u" else 0, limit)
        yield f"special values {i}", made
    yield from _resized(case, ports, numbers)


def _refill(name: str, case: Case, old: Array | None, numbers: np.random.Generator, port: ValueInfoProto) -> Array:
    """Other ordinary elements for an input; of an overridable one, other than its default."""
    kind = case.kinds.get(name, Kind())
    if old is None:
        stored = next(t for t in case.model.graph.initializer if t.name == name)
        if kind.family == "exact":
            return numpy_helper.to_array(stored)
        return ordinary(kind, DType(port.type.tensor_type.elem_type), tuple(stored.dims), numbers)
    if kind.family == "exact":
        return old
    return ordinary(kind, DType.of(old.dtype), old.shape, numbers)


def _tamed(model: ModelProto) -> tuple[bool, int]:
    """Whether floats must be finite, and the largest number that a cast to an integer is defined for (0: no such cast)."""
    casts = [a.i for node in all_nodes(model) if node.op_type == "Cast" for a in node.attribute if a.name == "to"]
    integers = [kind for number in casts if (kind := DType(number)).is_integer]
    floats = any(DType(p.type.tensor_type.elem_type).is_float for p in model.graph.input)
    if not integers or not floats:
        return any(node.op_type == "QuantizeLinear" for node in all_nodes(model)), 0  # no integer stands for NaN
    return True, int(min(2 ** (kind.bits - 1) - 1 for kind in integers))


def _resized(case: Case, ports: list[ValueInfoProto], numbers: np.random.Generator) -> Iterator[tuple[str, dict[str, Array]]]:
    free: dict[str, int] = {}
    places: dict[str, list[str | None]] = {}
    for port in ports:
        dims = []
        for k, dim in enumerate(port.type.tensor_type.shape.dim):
            symbol = dim.dim_param or (None if dim.HasField("dim_value") else f"{port.name}?{k}")
            dims.append(symbol)
            if symbol is not None and port.name in case.feeds:
                free.setdefault(symbol, case.feeds[port.name].shape[k])
        places[port.name] = dims
    if not free:
        return
    tried = [dict.fromkeys(free, 1), dict.fromkeys(free, 4)]
    tried += [{**free, symbol: size} for symbol in free for size in (1, free[symbol] + 2) if size != free[symbol]]
    tried += [{**dict.fromkeys(free, 1), symbol: 3} for symbol in free]
    for sizes in tried:
        made = {}
        for port in ports:
            if port.name not in case.feeds:
                continue  # an overridable constant keeps its default
            old = case.feeds[port.name]
            shape = tuple(size if symbol is None else sizes[symbol] for symbol, size in zip(places[port.name], old.shape, strict=True))
            kind = case.kinds.get(port.name, Kind())
            made[port.name] = old if shape == old.shape else ordinary(kind, DType.of(old.dtype), shape, numbers)
        words = ", ".join(f"{symbol}={size}" for symbol, size in sizes.items())
        yield f"sizes {words}", made


def settle(case: Case) -> Case | None:
    """Give a changed model the output types that it really has: as inferred, else as they come out; None when it is not valid."""
    model = copy(case.model)
    for port in model.graph.output:
        if not port.type.tensor_type.elem_type:
            port.ClearField("type")
        else:
            port.type.tensor_type.ClearField("shape")
    try:
        inferred = infer(model)
    except Invalid:
        return None
    if all(is_static(port) for port in inferred.graph.output):
        del inferred.graph.value_info[:]
        return replace(case, model=inferred)
    try:
        found = run(open_session(checked_first(model), model), case.feeds)
    except CannotRun:
        return None
    for port in model.graph.output:
        array = found[port.name]
        port.CopyFrom(helper.make_tensor_value_info(port.name, int(DType.of(array.dtype)), array.shape))
    return replace(case, model=model)

