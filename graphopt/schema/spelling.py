"""Nodes as the newest opset spells them, read from and written into the spelling of any opset since 7.

>>> neutral_inputs(node)                               # doctest: +SKIP
(%x, %axes)                                            # of Squeeze(x, axes=[0]) at opset 11 and of Squeeze(x, axes) at 13
>>> spell("Squeeze", (x, axes), {}, graph)             # doctest: +SKIP
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import copysign, inf
from typing import Any, Final, final

import numpy as np

from graphopt.ir.attribute import Attribute, AttributeKind
from graphopt.ir.dtype import DType
from graphopt.ir.graph import DEFAULT_DOMAINS, Graph, Node, Value, operator
from graphopt.ir.tensor import Tensor
from graphopt.schema import facts, older
from graphopt.schema.facts import AttributeFacts, OperatorFacts
from graphopt.schema.history import since
from graphopt.schema.older import CannotSpell, constant
from graphopt.schema.versions import (
    FLOAT_MAX,
    HALF_OVERFLOWS,
    MEANT_BEFORE,
    MOVED,
    RENAMED_VALUES,
    RESLOTTED,
    VALUES_SINCE,
    Form,
    Moved,
)

__all__ = [
    "UNKNOWN",
    "CannotSpell",
    "Unknown",
    "has_neutral_form",
    "may_lack_neutral_form",
    "neutral_attribute",
    "neutral_attributes",
    "neutral_inputs",
    "respells_inputs",
    "spell",
]


@final
class Unknown:
    """The type of UNKNOWN."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()  # an attribute that a function's caller supplies: any value, not even the default may be assumed


def neutral_inputs(node: Node) -> tuple[Value | None, ...]:
    """The inputs as the newest opset spells them; meaningful when `has_neutral_form`.

    An attribute that is an input now comes as a constant that nothing owns (no producer, no graph). Equal attributes give the same
    object, until somebody makes it part of a graph.
    """
    move = MOVED.get(node.op)
    if move is None:
        return _resize_inputs(node) if node.op in RESLOTTED else node.inputs
    opset = node.opset
    if opset is None or opset >= move.since:
        return node.inputs
    inputs = list(node.inputs)
    for name, moved in move.attributes.items():
        inputs.extend([None] * (moved.slot + 1 - len(inputs)))
        inputs[moved.slot] = _moved_input(node, name, moved)
    while inputs and inputs[-1] is None:
        inputs.pop()
    return tuple(inputs)


def neutral_attribute(node: Node, name: str) -> Any:  # Any: as many kinds as attributes have
    """What an attribute means, as the newest opset spells it; meaningful when `has_neutral_form`.

    An absent attribute has the default of the node's own opset. None when there is no default, or when it is an input now. UNKNOWN when
    it refers to an attribute of the enclosing function.
    """
    op = node.op
    found = node.attributes.get(name)
    if found is None:
        return _absent_attribute(node, name)
    if (move := MOVED.get(op)) is not None and name in move.attributes:
        return None
    if found.reference:
        return UNKNOWN
    if (op, name) in RENAMED_VALUES and isinstance(found.value, str):
        return RENAMED_VALUES[op, name][1].get(found.value, found.value)
    return found.value


def neutral_attributes(node: Node, *only: str) -> dict[str, Any]:  # Any: as many kinds as attributes have
    """The attributes that a node has, or `only` those of these names that it has, as `neutral_attribute` says what each means.

    What `spell` takes to write the node anew, in the same graph or at another opset: attributes that are absent stay absent.
    """
    return {name: neutral_attribute(node, name) for name in only or node.attributes if name in node.attributes}


def has_neutral_form(node: Node) -> bool:
    """Whether the newest spelling can say what the node says; when not, the node matches no pattern call.

    False in the default domain for operators that are unknown (or newer than the installed onnx), for opsets below 7, for calls of a
    local function, and where the old operator means something else: Softmax over several axes, BatchNormalization in training or
    without `spatial`, and so on. Operators of other domains are as they are written.
    """
    if node.domain:
        return True
    found = facts.of_node(node)
    opset = node.opset
    if found is None or opset is None or found.is_deprecated:
        return False
    return older.has_form(node, opset)


def may_lack_neutral_form(op: str) -> bool:
    """Whether `has_neutral_form` has to be asked for nodes of this operator, where the graph's opset is 7 or newer and known."""
    return older.may_lack_form(op)


def respells_inputs(op: str) -> bool:
    """Whether `neutral_inputs` may differ from `node.inputs` for this operator."""
    return op in MOVED or op in RESLOTTED


def spell(
    op_type: str,
    inputs: Sequence[Value | None],
    attributes: Mapping[str, Any],  # Any: plain Python values, Attributes, Tensors, Graphs
    graph: Graph,
    *,
    domain: str = "",
    outputs: int = 1,
) -> Node:
    """A new node in no graph, given as the newest opset spells it, written as the opset of `graph` does.

    Attributes are plain Python values: numbers become what the schema says, None leaves one out. Inputs that become attributes must be
    constant; constants that become inputs are new values that nothing owns. Raises CannotSpell when there is no such form: the operator
    is missing, deprecated or not imported, an attribute, a value or a number of inputs is not possible there.
    """
    domain = "" if domain in DEFAULT_DOMAINS else domain
    opset = graph.opsets.get(domain)
    if opset is None:
        raise CannotSpell(f"the model does not import {domain or 'the default domain'}")
    plan = _PLANS.get((domain, op_type, opset)) or _plan(domain, op_type, opset)
    if graph.model.functions and (domain, op_type, "") in graph.model.functions:
        raise CannotSpell(f"the model defines its own {operator(domain, op_type)}")
    if plan.facts is None:
        return _as_given(op_type, inputs, attributes, domain, outputs)
    if plan.is_lowered:
        changed, wanted = list(inputs), {name: value for name, value in attributes.items() if value is not None}
        older.lower(op_type, opset, changed, wanted, outputs)
        inputs, attributes = changed, wanted
    count = len(inputs)
    while count and inputs[count - 1] is None:
        count -= 1
    known = plan.facts
    if not known.min_inputs <= count <= known.max_inputs or None in inputs[:count]:
        _check_inputs(known, inputs[:count], opset)
    if outputs > known.max_outputs or outputs < known.min_outputs:
        why = f"{op_type} of opset {opset} has {known.min_outputs} to {known.max_outputs} outputs, not {outputs}"
        raise CannotSpell(why, since(domain, op_type, opset, lambda newer: newer.min_outputs <= outputs <= newer.max_outputs))
    if not attributes and not plan.required:
        return Node(op_type, inputs[:count], outputs, None, domain=domain)
    return Node(op_type, inputs[:count], outputs, _attributes(plan, attributes, opset), domain=domain)


@final
@dataclass(frozen=True, slots=True)
class _Plan:
    """What spelling an operator at one opset needs. `facts` is None when its domain is unknown to onnx."""

    facts: OperatorFacts | None
    newest: OperatorFacts | None
    is_lowered: bool
    required: frozenset[str]


_PLANS: dict[tuple[str, str, int], _Plan] = {}
_CONSTANTS = threading.local()  # a constant that one thread makes part of its model must not turn up in another's
_MOST_CONSTANTS = 1 << 14


def _plan(domain: str, op_type: str, opset: int) -> _Plan:
    found = facts.of(domain, op_type, opset)
    if found is None and (not domain or facts.newest_opset(domain)):
        raise CannotSpell(f"{operator(domain, op_type)} does not exist at opset {opset}", since(domain, op_type, opset))
    if found is not None and found.is_deprecated:
        raise CannotSpell(f"{op_type} is deprecated at opset {opset}", since(domain, op_type, opset))
    required = frozenset() if found is None else frozenset(name for name, attribute in found.attributes.items() if attribute.is_required)
    plan = _Plan(found, facts.newest(domain, op_type), not domain and older.needs_lowering(op_type), required)
    _PLANS[domain, op_type, opset] = plan
    return plan


def _as_given(op_type: str, inputs: Sequence[Value | None], attributes: Mapping[str, Any], domain: str, outputs: int) -> Node:
    given: dict[str, Attribute] = {}
    for name, value in attributes.items():
        if value is UNKNOWN:
            raise CannotSpell(f"{name} of {op_type} is supplied by the caller of the function")
        if value is not None:
            try:
                given[name] = Attribute.of(value)
            except TypeError as error:
                raise CannotSpell(f"{name} of {op_type}: {error}") from error
    return Node(op_type, inputs, outputs, given, domain=domain)


def _check_inputs(known: OperatorFacts, inputs: Sequence[Value | None], opset: int) -> None:
    if not known.min_inputs <= len(inputs) <= known.max_inputs:
        most = known.max_inputs if known.max_inputs < 1 << 16 else "any number of"
        why = f"{known.op_type} of opset {opset} has {known.min_inputs} to {most} inputs, not {len(inputs)}"
        raise CannotSpell(why, since(known.domain, known.op_type, opset, lambda newer: newer.min_inputs <= len(inputs) <= newer.max_inputs))
    for slot, value in enumerate(inputs):
        formal = known.input(slot)
        if value is None and formal is not None and not formal.is_optional:
            raise CannotSpell(f"{known.op_type} of opset {opset} needs its input {formal.name}")


def _attributes(plan: _Plan, given: Mapping[str, Any], opset: int) -> dict[str, Attribute]:
    known = plan.facts
    assert known is not None  # the caller looked
    made: dict[str, Attribute] = {}
    for name, value in given.items():
        if value is None:
            continue
        if value is UNKNOWN:
            raise CannotSpell(f"{name} of {known.op_type} is supplied by the caller of the function")
        formal = known.attributes.get(name)
        key = (known.op_type, name)
        if formal is None:
            if not _says_nothing(plan, name, value):
                why = f"{known.op_type} of opset {opset} has no attribute {name} (here {value!r})"
                raise CannotSpell(why, _attribute_since(known, name, opset))
            continue
        if key in RENAMED_VALUES and opset < RENAMED_VALUES[key][0]:
            value = {new: old for old, new in RENAMED_VALUES[key][1].items()}.get(str(value), value)
        if key in VALUES_SINCE and VALUES_SINCE[key].get(value, 0) > opset:
            raise CannotSpell(f"{known.op_type} of opset {opset} has no {name}={value!r}", VALUES_SINCE[key][value])
        made[name] = _attribute(formal, value, known.op_type)
    missing = plan.required.difference(made)
    if missing:
        raise CannotSpell(f"{known.op_type} of opset {opset} needs its attribute {min(missing)}")
    return made


def _attribute_since(known: OperatorFacts, name: str, opset: int) -> int | None:
    return since(known.domain, known.op_type, opset, lambda newer: name in newer.attributes)


def _says_nothing(plan: _Plan, name: str, value: Any) -> bool:
    """Whether an attribute that came later has the value that its absence means."""
    known = plan.newest
    formal = None if known is None else known.attributes.get(name)
    if known is None or formal is None:
        return False
    held: Any = value.value if isinstance(value, Attribute) else value
    if isinstance(held, list):
        held = tuple(held)
    if (known.op_type, name) in MEANT_BEFORE:
        return bool(held == MEANT_BEFORE[known.op_type, name])
    if formal.default is None:
        return name in _ONES and isinstance(held, tuple) and all(item == 1 for item in held)
    if formal.kind is AttributeKind.float:
        return bool(np.float32(held) == np.float32(formal.default))
    return bool(held == formal.default)


_ONES = frozenset({"dilations"})  # no default in the schema, 1 along each axis by its text


def _attribute(formal: AttributeFacts, value: Any, op_type: str) -> Attribute:
    if isinstance(value, Attribute):
        if value.kind is not formal.kind:
            raise CannotSpell(f"{formal.name} of {op_type} is {formal.kind.name}, not {value.kind.name}")
        return value
    kind = formal.kind
    try:
        if kind is AttributeKind.int:
            return Attribute(kind, value.__index__())
        if kind is AttributeKind.float:
            return Attribute(kind, float(value))
        if kind is AttributeKind.ints:
            return Attribute(kind, tuple(item.__index__() for item in value))
        if kind is AttributeKind.floats:
            return Attribute(kind, tuple(map(float, value)))
        made = Attribute(kind, tuple(value)) if kind is AttributeKind.strings else Attribute.of(value)
    except (TypeError, ValueError, AttributeError) as error:
        raise CannotSpell(f"{formal.name} of {op_type} is {kind.name}, not {value!r}") from error
    if made.kind is not kind:
        raise CannotSpell(f"{formal.name} of {op_type} is {kind.name}, not {value!r}")
    return made


def _absent_attribute(node: Node, name: str) -> Any:
    op = node.op
    found = facts.of_node(node)
    if found is None:
        return None
    formal = found.attributes.get(name)
    if formal is not None:
        if op in MOVED and name in MOVED[op].attributes:
            return None
        return RENAMED_VALUES[op, name][1].get(str(formal.default), formal.default) if (op, name) in RENAMED_VALUES else formal.default
    if (op, name) in MEANT_BEFORE:
        return MEANT_BEFORE[op, name]
    if op == "Split" and name == "num_outputs":
        return None if node.input(1) is not None or "split" in node.attributes else len(node.outputs)
    newest = facts.newest(node.domain, node.op_type)
    return None if newest is None else newest.default(name)


def _moved_input(node: Node, name: str, moved: Moved) -> Value | None:
    found = node.attributes.get(name)
    held: Any = moved.absent if found is None else found.value
    if held is None:
        return None
    if moved.form is Form.like_data:
        data = node.input(0)
        dtype = None if data is None else data.dtype
        if dtype is None or (node.op == "Clip" and _is_absent_bound(held, dtype)):
            return None
        if dtype is DType.float16 and abs(held) >= HALF_OVERFLOWS:
            held = copysign(inf, held)
        return _shared(dtype, (), (held,))
    if moved.form in (Form.ints, Form.floats):
        return _shared(DType.int64 if moved.form is Form.ints else DType.float32, (len(held),), held)
    if moved.form is Form.int_vector:
        return _shared(DType.int64, (1,), (held,))
    return _shared(DType.int64 if moved.form is Form.int_scalar else DType.float32, (), (held,))


def _is_absent_bound(bound: float, dtype: DType) -> bool:
    """Whether a bound of Clip is the one that an absent input stands for: the least or the greatest number of float32."""
    return dtype is DType.float32 and abs(bound) == FLOAT_MAX


def _shared(dtype: DType, shape: tuple[int, ...], elements: tuple[Any, ...]) -> Value:
    """The constant of this content: the same one each time, as long as no graph has taken it."""
    held: dict[object, Value] = _CONSTANTS.__dict__.setdefault("held", {})
    key = (dtype, shape, elements, tuple(map(_sign, elements)) if dtype.is_float else ())
    found = held.get(key)
    if found is not None and found.graph is None and not found.users and not found.name:
        return found
    if len(held) >= _MOST_CONSTANTS:
        held.clear()
    with np.errstate(over="ignore"):
        array = np.array(elements, dtype=dtype.numpy).reshape(shape)
    found = held[key] = constant(Tensor.of(array, dtype))
    return found


def _sign(element: float) -> bool:
    return str(element).startswith("-")  # +0 and -0 are equal keys and different constants


def _resize_inputs(node: Node) -> tuple[Value | None, ...]:
    opset = node.opset
    inputs: tuple[Value | None, ...] = (node.input(0), None, node.input(1))
    if opset != 10:
        is_cropping = neutral_attribute(node, "coordinate_transformation_mode") == "tf_crop_and_resize"
        roi = node.input(1) if is_cropping else None  # read by that mode alone
        inputs = (node.input(0), _filled(roi), _filled(node.input(2)), _filled(node.input(3)))
    while inputs[-1] is None:
        inputs = inputs[:-1]
    return inputs


def _filled(value: Value | None) -> Value | None:
    """An empty constant says no more than nothing."""
    return None if value is None or (value.const is not None and value.const.size == 0) else value
