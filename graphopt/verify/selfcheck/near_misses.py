"""Models that a rule only just does not describe: one thing is changed. There it must not fire, or must still be right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from graphopt.ir.attribute import AttributeKind
from graphopt.ir.dtype import DType
from graphopt.ir.tensor import Array
from graphopt.match.language import Leaf
from graphopt.match.rule import Rule
from graphopt.match.structure import walk
from graphopt.schema import facts
from graphopt.verify.selfcheck.cases import Case, copy, overridable
from graphopt.verify.selfcheck.instantiate import Sample
from graphopt.verify.selfcheck.running import tensor
from graphopt.verify.selfcheck.values import Kind, ordinary


def near_misses(sample: Sample, rule: Rule, numbers: np.random.Generator) -> Iterator[Case]:
    """Every single change of one sample of a rule; some are no valid models any more, whoever takes them finds out."""
    case = Case(sample.model, sample.feeds, sample.kinds, sample.structure)
    yield from _inner_values(case, sample.inner)
    yield from _overridable(case)
    yield from _constants(case)
    yield from _extremes(case, rule)
    yield from _attributes(case)
    yield from _operands(case)
    yield from _shapes(case, numbers)
    yield from _dtypes(case)
    yield from _outputs(case)
    yield from _training(case)


def _changed(case: Case, model: ModelProto, group: str, what: str, feeds: dict[str, Array] | None = None) -> Case:
    words = f"{case.what}; {what}" if case.what else what
    return replace(case, model=model, group=group, what=words, feeds=case.feeds if feeds is None else feeds)


def _inner_values(case: Case, inner: tuple[str, ...]) -> Iterator[Case]:
    for name in inner:
        model = copy(case.model)
        model.graph.output.append(ValueInfoProto(name=name))
        yield _changed(case, model, "inner value is an output", f"{name} is an output of the graph")
        model = copy(case.model)
        model.graph.node.append(helper.make_node("Identity", [name], ["second_reader"]))
        model.graph.output.append(ValueInfoProto(name="second_reader"))
        yield _changed(case, model, "second reader", f"{name} has a second reader")
        model = copy(case.model)
        taken, other = _returning(name, "then"), _returning(name, "else")
        model.graph.node.append(helper.make_node("If", ["condition"], ["captured"], then_branch=taken, else_branch=other))
        model.graph.initializer.append(helper.make_tensor("condition", TensorProto.BOOL, [], [True]))
        model.graph.output.append(ValueInfoProto(name="captured"))
        yield _changed(case, model, "captured by a subgraph", f"{name} is read from inside an If")


def _returning(name: str, which: str) -> GraphProto:
    """A branch that gives back a value of the graph around it."""
    node = helper.make_node("Identity", [name], [f"{which}_result"])
    return GraphProto(name=which, node=[node], output=[ValueInfoProto(name=f"{which}_result")])


def _overridable(case: Case) -> Iterator[Case]:
    names = [stored.name for stored in case.model.graph.initializer]
    for name in names:
        yield replace(overridable(case, [name]), group="overridable constant", what=f"{case.what}; {name} may be overridden")


def _constants(case: Case) -> Iterator[Case]:
    for k, stored in enumerate(case.model.graph.initializer):
        array = numpy_helper.to_array(stored)
        for words, other in _altered(array, DType(stored.data_type)):
            model = copy(case.model)
            model.graph.initializer[k].CopyFrom(tensor(other.astype(array.dtype), stored.name))
            yield _changed(case, model, "another constant", f"{stored.name} {words}")


def _extremes(case: Case, rule: Rule) -> Iterator[Case]:
    """What a pattern's own constants may be at worst: zero, infinite, NaN, hardly more than zero, very large."""
    asked = {part.name for pattern in rule.patterns for part in walk(pattern) if isinstance(part, Leaf) and part.constant}
    for k, stored in enumerate(case.model.graph.initializer):
        dtype = DType(stored.data_type)
        if stored.name not in asked or not dtype.is_float:
            continue
        # What is exact may not gain or lose an overflow either; for the others products of a few must have room.
        greatest = float(dtype.info.max) ** (1 if rule.exactness == "exact" else 0.25)
        for number in (0.0, float(dtype.info.smallest_subnormal), greatest, np.inf, -np.inf, np.nan):
            model = copy(case.model)
            model.graph.initializer[k].CopyFrom(tensor(np.full(tuple(stored.dims), number).astype(dtype.numpy), stored.name))
            yield _changed(case, model, "an extreme constant", f"{stored.name} all {number:.3g}")


def _altered(array: Array, dtype: DType) -> Iterator[tuple[str, Array]]:
    if dtype is DType.string or not array.size or _is_huge(array):
        return
    if dtype is DType.bool:
        yield "negated", np.logical_not(array)
        return
    wide = array.astype(np.float64) if dtype.is_float else array.astype(np.int64)
    yield "plus 1", wide + 1
    if dtype.is_float:
        yield "times 1 + 1e-4", wide * (1 + 1e-4)
        yield "times 1 - 1e-6", wide * (1 - 1e-6)
        yield "all -0.0", np.full(array.shape, -0.0)
    if dtype.is_float or not dtype.name.startswith("u"):
        yield "of the other sign", -wide
        yield "minus 1", wide - 1
    if array.ndim == 1 and array.size > 1:
        yield "reversed", wide[::-1]
        yield "without its last element", wide[:-1]
    if array.size > 1:
        one = wide.copy().reshape(-1)
        one[-1:] += 1
        yield "with another last element", one.reshape(array.shape)
    if array.size == 1 and array.ndim < 2:
        yield "of one more dimension", wide.reshape((1, *array.shape))
        yield "as a column of two", np.stack([wide.reshape(()), wide.reshape(()) + 1]).reshape(2, *(1,) * array.ndim)


def _is_huge(array: Array) -> bool:
    """Whether an array says "to the end" by huge integers: arithmetic on them overflows in onnx's own inference, which may crash."""
    return array.dtype.kind in "iu" and bool((np.abs(array.astype(np.float64)) >= 2.0**62).any())


def _attributes(case: Case) -> Iterator[Case]:
    opsets = {entry.domain: entry.version for entry in case.model.opset_import}
    for k, node in enumerate(case.model.graph.node):
        for i, attribute in enumerate(node.attribute):
            for words, other in _other_values(node.op_type, attribute):
                model = copy(case.model)
                del model.graph.node[k].attribute[i]
                if other is not None:
                    model.graph.node[k].attribute.append(other)
                yield _changed(case, model, "another attribute", f"{attribute.name} of {node.output[0]} {words}")
        known = facts.of(node.domain, node.op_type, opsets.get(node.domain, 1))
        present = {attribute.name for attribute in node.attribute}
        for name, fact in known.attributes.items() if known is not None else ():
            if name in present:
                continue
            for value in _unusual(node.op_type, fact.kind, fact.default, name):
                model = copy(case.model)
                model.graph.node[k].attribute.append(helper.make_attribute(name, value))
                yield _changed(case, model, "another attribute", f"{node.output[0]} has {name} = {value}")


def _other_values(op_type: str, attribute: AttributeProto) -> Iterator[tuple[str, AttributeProto | None]]:
    value = helper.get_attribute_value(attribute)
    yield "left out", None
    others: list[Any] = []
    if isinstance(value, bool) or attribute.type == AttributeProto.INT:
        others = [value + 1, value - 1, -value]
    elif attribute.type == AttributeProto.FLOAT:
        others = [value + 1, value * 1.0001, -value]
    elif attribute.type == AttributeProto.INTS and value:
        others = [value[::-1], [*value[:-1], value[-1] + 1], [*value[1:], value[0]], value[:-1]]
    elif attribute.type == AttributeProto.STRING:
        others = list(_WORDS.get((op_type, attribute.name), ()))
    for other in others:
        if other != value and other != [] and _is_int64(other):
            yield f"is {other}", helper.make_attribute(attribute.name, other)


def _is_int64(value: Any) -> bool:  # Any: as many kinds as attributes have
    numbers = value if isinstance(value, list) else [value]
    return all(not isinstance(number, int) or -(2**63) <= number < 2**63 for number in numbers)


# What an operator may say there; a word that it does not know makes no model worth judging.
_WORDS = {
    ("Pad", "mode"): ("constant", "reflect", "edge"),
    ("Resize", "mode"): ("nearest", "linear"),
    ("Upsample", "mode"): ("nearest", "linear"),
    ("DepthToSpace", "mode"): ("DCR", "CRD"),
    ("Gelu", "approximate"): ("none", "tanh"),
    ("BitShift", "direction"): ("LEFT", "RIGHT"),
    ("Resize", "coordinate_transformation_mode"): ("half_pixel", "asymmetric", "align_corners"),
    ("Resize", "nearest_mode"): ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"),
    **{(op, "auto_pad"): ("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET") for op in ("Conv", "ConvTranspose", "MaxPool", "AveragePool")},
}


def _unusual(op_type: str, kind: AttributeKind, default: Any, name: str) -> Iterator[Any]:  # Any: as many kinds as attributes have
    if kind is AttributeKind.int:
        yield from (value for value in (0, 1, 2, -1) if value != default)
    elif kind is AttributeKind.float and default is not None:
        yield float(default) + 0.5
    elif kind is AttributeKind.ints:
        lists = ([2], [0], [1], [1, 0], [2, 2], [1, 1, 1, 1], [1, 0, 0, 1])
        yield from lists[:4] if name == "axes" else lists  # twice the same axis is no model worth judging
    elif kind is AttributeKind.string:
        yield from _WORDS.get((op_type, name), ())


def _operands(case: Case) -> Iterator[Case]:
    """Two operands exchanged; one value in two slots; two values where there was one."""
    arrays = {**case.feeds, **{stored.name: numpy_helper.to_array(stored) for stored in case.model.graph.initializer}}
    huge = {name for name, array in arrays.items() if _is_huge(array)}
    for k, node in enumerate(case.model.graph.node):
        for i in range(len(node.input)):
            for j in range(i + 1, len(node.input)):
                if {node.input[i], node.input[j]} & huge:
                    continue
                if node.input[i] == node.input[j]:
                    yield from _told_apart(case, k, j)
                    continue
                model = copy(case.model)
                names = model.graph.node[k].input
                names[i], names[j] = names[j], names[i]
                yield _changed(case, model, "operands exchanged", f"operands {i} and {j} of {node.output[0]} exchanged")
                model = copy(case.model)
                model.graph.node[k].input[j] = node.input[i]
                yield _changed(case, model, "one value twice", f"{node.input[i]} in slots {i} and {j} of {node.output[0]}")
    seen: set[str] = set()
    for k, node in enumerate(case.model.graph.node):
        for slot, name in enumerate(node.input):
            if name in seen:
                yield from _told_apart(case, k, slot)
        seen.update(node.input)


def _told_apart(case: Case, k: int, slot: int) -> Iterator[Case]:
    """A value that was read in several places is another value in one of them."""
    name = case.model.graph.node[k].input[slot]
    port = next((port for port in case.model.graph.input if port.name == name), None)
    if port is None:
        return
    model = copy(case.model)
    model.graph.node[k].input[slot] = f"{name}_other"
    added = model.graph.input.add()
    added.CopyFrom(port)
    added.name = f"{name}_other"
    old, kind = case.feeds[name], case.kinds[name]
    other = old if kind.family == "exact" else ordinary(kind, DType.of(old.dtype), old.shape, np.random.default_rng(1))
    what = f"{case.model.graph.node[k].output[0]} reads another {name}"
    made = _changed(case, model, "two values for one", what, {**case.feeds, added.name: other})
    yield replace(made, kinds={**case.kinds, added.name: kind})


def _shapes(case: Case, numbers: np.random.Generator) -> Iterator[Case]:
    """Another rank or size of one operand: wider where it broadcast, one dimension more or less."""
    stored = {t.name: numpy_helper.to_array(t) for t in case.model.graph.initializer}
    for name, array in {**case.feeds, **stored}.items():
        kind = case.kinds.get(name, Kind())
        if kind.family == "exact":
            continue
        shapes = [(3, *array.shape), (1, *array.shape), array.shape[1:], ()]
        for i, size in enumerate(array.shape):
            shapes += [(*array.shape[:i], other, *array.shape[i + 1 :]) for other in (1, 3) if other != size]
        for shape in dict.fromkeys(shapes):
            if shape != array.shape:
                other = ordinary(kind, DType.of(array.dtype), shape, numbers)
                yield _with_array(case, name, other, "another shape", f"{name} has shape {list(shape)}")


def _dtypes(case: Case) -> Iterator[Case]:
    """Every tensor of the commonest element type gets another one."""
    kinds = [DType(port.type.tensor_type.elem_type) for port in case.model.graph.input]
    kinds += [DType(stored.data_type) for stored in case.model.graph.initializer]
    kinds = [kind for kind in kinds if kind.is_float] or kinds
    if not kinds:
        return
    old = kinds[0]
    for new in (DType.float32, DType.float64, DType.float16, DType.bfloat16, DType.int32, DType.int64, DType.uint8):
        if new is old:
            continue
        made = case
        stored = {t.name: numpy_helper.to_array(t) for t in case.model.graph.initializer}
        for name, array in {**case.feeds, **stored}.items():
            if DType.of(array.dtype) is old:
                with np.errstate(all="ignore"):
                    made = _with_array(made, name, array.astype(new.numpy), "another element type", "")
        yield replace(made, what=f"{case.what}; {new} instead of {old}".removeprefix("; "))


def _with_array(case: Case, name: str, array: Array, group: str, what: str) -> Case:
    model = copy(case.model)
    feeds = dict(case.feeds)
    for stored in model.graph.initializer:
        if stored.name == name:
            stored.CopyFrom(tensor(array, name))
    for port in model.graph.input:
        if port.name == name:
            port.CopyFrom(helper.make_tensor_value_info(name, int(DType.of(array.dtype)), array.shape))
            feeds[name] = array
    for port in model.graph.output:
        port.ClearField("type")
    return _changed(case, model, group, what, feeds)


def _outputs(case: Case) -> Iterator[Case]:
    """Another output of a node is read: a mask, indices, statistics."""
    opsets = {entry.domain: entry.version for entry in case.model.opset_import}
    for k, node in enumerate(case.model.graph.node):
        known = facts.of(node.domain, node.op_type, opsets.get(node.domain, 1))
        if known is None:
            continue
        for index in range(1, min(known.max_outputs, 5)):
            model = copy(case.model)
            names = model.graph.node[k].output
            while len(names) <= index:
                names.append("")
            names[index] = names[index] or f"{node.output[0]}_output_{index}"
            if names[index] in {port.name for port in model.graph.output}:
                continue
            model.graph.output.append(ValueInfoProto(name=names[index]))
            yield _changed(case, model, "another output is read", f"output {index} of {node.op_type} is an output of the graph")


def _training(case: Case) -> Iterator[Case]:
    """Dropout with training_mode = true, and everything that BatchNormalization gives in training."""
    for k, node in enumerate(case.model.graph.node):
        if node.op_type == "Dropout":
            model = copy(case.model)
            names = model.graph.node[k].input
            while len(names) < 3:
                names.append("")
            names[1], names[2] = names[1] or "training_ratio", "training_mode"
            if names[1] == "training_ratio":
                model.graph.initializer.append(helper.make_tensor("training_ratio", TensorProto.FLOAT, [], [0.5]))
            model.graph.initializer.append(helper.make_tensor("training_mode", TensorProto.BOOL, [], [True]))
            yield _changed(case, model, "training", f"{node.output[0]} is in training")
        if node.op_type == "BatchNormalization":
            yield from _training_statistics(case, k, node)


def _training_statistics(case: Case, k: int, node: NodeProto) -> Iterator[Case]:
    for reads in (False, True):
        model = copy(case.model)
        changed = model.graph.node[k]
        for i in reversed([i for i, a in enumerate(changed.attribute) if a.name == "training_mode"]):
            del changed.attribute[i]
        changed.attribute.append(helper.make_attribute("training_mode", 1))
        extra = [f"{node.output[0]}_running_mean", f"{node.output[0]}_running_var"]
        changed.output.extend(extra[len(node.output) - 1 :])
        if reads:
            model.graph.output.extend(ValueInfoProto(name=name) for name in extra)
        yield _changed(case, model, "training", f"{node.output[0]} is in training" + (", its statistics are read" if reads else ""))
