"""Operator facts from onnx.defs: what each version of each operator takes, gives, defaults to and accepts.

onnx is imported when the first fact is asked for; every answer is kept, so that asking again is a dictionary lookup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, final

from graphopt.ir.attribute import AttributeKind
from graphopt.ir.graph import DEFAULT_DOMAINS, Graph, Node, Value
from graphopt.ir.model import Function
from graphopt.ir.types import Type
from graphopt.schema.traits import CONTROL_FLOW, MARKED_BUT_DETERMINISTIC, QUANTIZATION, RANDOM
from graphopt.schema.type_names import type_name


@final
@dataclass(frozen=True, slots=True)
class ParameterFacts:
    """One formal input or output. `constraint` names the type variable ("T") or the one type that it has; `types` are all it may have.

    `is_homogeneous` says whether all actual values of a variadic parameter have the same type.
    """

    name: str
    constraint: str
    types: frozenset[str]
    is_optional: bool = False
    is_variadic: bool = False
    is_homogeneous: bool = True


@final
@dataclass(frozen=True, slots=True)
class AttributeFacts:
    """One attribute. `default` is plain Python (str, tuples), None when there is none."""

    name: str
    kind: AttributeKind
    is_required: bool = False
    default: Any = None  # Any: as many kinds as attributes have


@final
@dataclass(frozen=True, slots=True, eq=False)
class OperatorFacts:
    """One version of one operator, as its schema states it.

    `max_inputs` and `max_outputs` are huge where a parameter is variadic. `is_deterministic` is what can be said without the node:
    see `is_deterministic(node)` for control flow and training modes.
    """

    domain: str
    op_type: str
    since_version: int
    inputs: tuple[ParameterFacts, ...] = ()
    outputs: tuple[ParameterFacts, ...] = ()
    min_inputs: int = 0
    max_inputs: int = 0
    min_outputs: int = 1
    max_outputs: int = 1
    attributes: Mapping[str, AttributeFacts] = field(default_factory=dict)
    is_deprecated: bool = False
    is_deterministic: bool = True
    has_function: bool = False

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the formal inputs."""
        return tuple(parameter.name for parameter in self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the formal outputs."""
        return tuple(parameter.name for parameter in self.outputs)

    def input(self, slot: int) -> ParameterFacts | None:
        """The formal input that an input slot belongs to; None beyond the last."""
        return _parameter(self.inputs, slot)

    def output(self, index: int) -> ParameterFacts | None:
        """The formal output that an output belongs to; None beyond the last."""
        return _parameter(self.outputs, index)

    def output_name(self, index: int) -> str:
        """What the schema calls an output; its number beyond the last."""
        formal = self.output(index)
        return str(index) if formal is None else formal.name

    def default(self, name: str) -> Any:  # Any: as many kinds as attributes have
        """The default of an attribute; None when it has none or does not exist in this version."""
        found = self.attributes.get(name)
        return None if found is None else found.default


def of(domain: str, op_type: str, opset: int) -> OperatorFacts | None:
    """The version of an operator that governs it at an opset of its domain; None when onnx does not know it.

    That is: an unknown domain or operator, one that is newer than the opset, or an opset newer than the installed onnx knows, under
    which an operator may mean anything. An operator that is deprecated at that opset is given as such.
    """
    key = (domain, op_type, opset)
    try:
        return _KNOWN[key]
    except KeyError:
        found = _KNOWN[key] = _look_up("" if domain in DEFAULT_DOMAINS else domain, op_type, opset)
        return found


def of_node(node: Node, graph: Graph | None = None) -> OperatorFacts | None:
    """The facts of a node's operator; None when it is unknown, calls a local function, or its domain is not imported.

    `graph` says where a node that is in no graph yet shall stand.
    """
    graph = node.graph if node.graph is not None else graph
    if graph is None:
        return None
    if graph.model.functions and _function(node, graph) is not None:
        return None
    opset = graph.opsets.get(node.domain)
    return None if opset is None else of(node.domain, node.op_type, opset)


def newest(domain: str, op_type: str) -> OperatorFacts | None:
    """The newest version of an operator that is not deprecated; None when onnx does not know it."""
    key = (domain, op_type)
    try:
        return _NEWEST[key]
    except KeyError:
        found = of(domain, op_type, newest_opset(domain))
        if found is not None and found.is_deprecated:
            found = of(domain, op_type, found.since_version - 1)
        _NEWEST[key] = found
        return found


@cache
def newest_opset(domain: str = "") -> int:
    """The newest opset of a domain that the installed onnx (or a plug-in's `register`) knows; 0 for an unknown domain."""
    from onnx import defs, helper

    domain = "" if domain in DEFAULT_DOMAINS else domain
    if domain == "":
        return defs.onnx_opset_version()
    stated = [row[3] for row in helper.VERSION_TABLE] if domain == "ai.onnx.ml" else []
    known = [schema.since_version for schema in defs.get_all_schemas_with_history() if schema.domain == domain]
    added = [facts.since_version for facts in _REGISTERED if facts.domain == domain]
    return max([0, *stated, *known, *added])


def register(facts: OperatorFacts) -> None:
    """Add an operator of a domain that onnx does not know (a plug-in's own). Raises ValueError for one that onnx defines."""
    if _schema(facts.domain, facts.op_type, facts.since_version) is not None:
        raise ValueError(f"onnx defines {facts.domain or 'ai.onnx'}.{facts.op_type} itself")
    if facts in _REGISTERED:
        return
    _REGISTERED.append(facts)
    newest_opset.cache_clear()
    _KNOWN.clear()
    _NEWEST.clear()


def function_of(node: Node) -> Function | None:
    """The local function that a node calls; None when it calls none."""
    graph = node.graph
    return None if graph is None or not graph.model.functions else _function(node, graph)


def is_function_call(node: Node) -> bool:
    """Whether a node calls a function that the model itself defines; such a function goes before an operator of the same name."""
    return function_of(node) is not None


def is_deterministic(node: Node) -> bool:
    """Whether a node provably gives the same result each time it gets the same inputs.

    False for random and for unknown operators, for Dropout and BatchNormalization in training, and for control flow and calls of
    local functions in which such a node stands.
    """
    return _is_deterministic(node, ())


def is_foldable(node: Node, *, quantization: bool = False) -> bool:
    """Whether a node may be replaced by its result when all its inputs are constants; whether that can be computed, `infer.evaluate` says.

    False for what `is_deterministic` refuses, for control flow and calls, for a Constant (it is its result already), for attributes
    that a function's caller supplies, and, unless `quantization`, for QuantizeLinear and its like, whose structure runtimes look for.
    """
    if node.op == "Constant" or node.op in CONTROL_FLOW or (node.op in QUANTIZATION and not quantization):
        return False
    if any(attribute.reference for attribute in node.attributes.values()):
        return False
    return of_node(node) is not None and is_deterministic(node)


def is_mergeable(node: Node) -> bool:
    """Whether two such nodes with equal inputs and attributes may become one.

    False for what `is_deterministic` refuses, for control flow (whose bodies would have to be compared), and for quantization: runtimes
    expect a DequantizeLinear of its own for each reader.
    """
    return node.op not in CONTROL_FLOW and node.op not in QUANTIZATION and is_deterministic(node)


def may_drop(node: Node) -> bool:
    """Whether a node may be removed when nobody reads its outputs: it calls what is known to have no effect.

    True for every operator that onnx defines (random ones too) when all that its subgraphs hold may be dropped, and for calls of local
    functions of which the same is true. An unknown operator is opaque: never dropped.
    """
    return _may_drop(node, ())


def accepts(node: Node, graph: Graph | None = None) -> str | None:
    """Why the operator does not take or give the types that are known of a node's inputs and outputs; None when it does, or is unknown.

    `graph` says where a node that is in no graph yet shall stand.
    """
    facts = of_node(node, graph)
    return None if facts is None else refusal(node, facts)


def misfit(node: Node, facts: OperatorFacts) -> str | None:
    """Why a node has inputs or attributes that a version of its operator does not have; None when it fits."""
    if not facts.min_inputs <= len(node.inputs) <= facts.max_inputs:
        return f"takes no {len(node.inputs)} inputs"
    wrong = next((name for name in node.attributes if name not in facts.attributes), None)
    return f"has no attribute {wrong!r}" if wrong is not None else None


def refusal(node: Node, facts: OperatorFacts) -> str | None:
    """Why a version of its operator does not take or give the types that are known of a node's inputs and outputs."""
    key = (facts, tuple(map(_type_name, node.inputs)), tuple(map(_type_name, node.outputs)))
    try:
        return _ACCEPTED[key]
    except KeyError:
        why = _ACCEPTED[key] = _refusal(*key)
        return why


def refuses_constant(graph: Graph, type: Type | None, *, is_output: bool = False) -> str | None:
    """Why a graph cannot hold a new constant of this type; None when it can. `is_output`: the graph returns it.

    As an initializer it always can. Where there can be none, or a subgraph returns it, a Constant node must: below opset 9 that holds
    floats alone.
    """
    if graph.holds_initializers and not (is_output and graph.owner is not None):
        return None
    return accepts(Node("Constant", (), (Value("", type),)), graph)


_ACCEPTED: dict[tuple[OperatorFacts, tuple[str, ...], tuple[str, ...]], str | None] = {}
_KNOWN: dict[tuple[str, str, int], OperatorFacts | None] = {}
_NEWEST: dict[tuple[str, str], OperatorFacts | None] = {}
_REGISTERED: Final[list[OperatorFacts]] = []


def _function(node: Node, graph: Graph) -> Function | None:
    functions = graph.model.functions
    found = functions.get((node.domain, node.op_type, node.overload))
    return functions.get(("ai.onnx", node.op_type, node.overload)) if found is None and not node.domain else found


def _parameter(parameters: tuple[ParameterFacts, ...], index: int) -> ParameterFacts | None:
    if index < len(parameters):
        return parameters[index]
    return parameters[-1] if parameters and parameters[-1].is_variadic else None


def _look_up(domain: str, op_type: str, opset: int) -> OperatorFacts | None:
    added = [facts for facts in _REGISTERED if (facts.domain, facts.op_type) == (domain, op_type) and facts.since_version <= opset]
    if added:
        return max(added, key=lambda facts: facts.since_version)
    if not 0 < opset <= newest_opset(domain):
        return None
    schema = _schema(domain, op_type, opset)
    return None if schema is None else _of_schema(domain, op_type, schema.since_version)


def _schema(domain: str, op_type: str, opset: int) -> Any:  # Any: OpSchema's stubs differ between releases of onnx
    from onnx import defs

    try:
        return defs.get_schema(op_type, opset, domain)
    except defs.SchemaError:
        return None


@cache
def _of_schema(domain: str, op_type: str, since: int) -> OperatorFacts:
    schema = _schema(domain, op_type, since)
    marked = getattr(getattr(schema, "node_determinism", None), "name", "")
    return OperatorFacts(
        domain,
        op_type,
        since,
        tuple(map(_of_parameter, schema.inputs)),
        tuple(map(_of_parameter, schema.outputs)),
        schema.min_input,
        schema.max_input,
        schema.min_output,
        schema.max_output,
        {name: _of_attribute(attribute) for name, attribute in sorted(schema.attributes.items())},
        schema.deprecated,
        marked != "NonDeterministic" or op_type in MARKED_BUT_DETERMINISTIC,
        schema.has_function or schema.has_context_dependent_function,
    )


def _of_parameter(formal: Any) -> ParameterFacts:  # Any: OpSchema.FormalParameter
    option = formal.option.name
    return ParameterFacts(
        formal.name, formal.type_str, frozenset(formal.types), option == "Optional", option == "Variadic", formal.is_homogeneous
    )


def _of_attribute(attribute: Any) -> AttributeFacts:  # Any: OpSchema.Attribute
    from onnx import helper

    kind = AttributeKind[attribute.type.name.lower().replace("type_proto", "type")]
    default: Any = None
    if attribute.default_value.type:
        default = helper.get_attribute_value(attribute.default_value)
        if isinstance(default, bytes):
            default = default.decode()
        elif not isinstance(default, (int, float)):
            default = tuple(item.decode() if isinstance(item, bytes) else item for item in default)
    return AttributeFacts(attribute.name, kind, attribute.required, default)


def _is_deterministic(node: Node, within: tuple[Function, ...]) -> bool:
    if node.op in RANDOM:
        return False
    called = function_of(node)
    if called is not None:
        return called not in within and _all_deterministic(called.graph, (*within, called))
    facts = of_node(node)
    if facts is None or not facts.is_deterministic:
        return False
    if node.op == "Dropout":
        return _is_inference_dropout(node, facts)
    if node.op == "BatchNormalization":
        return _is_inference_normalization(node, facts)
    return all(_all_deterministic(inner, within) for inner in node.subgraphs)


def _all_deterministic(graph: Graph, within: tuple[Function, ...]) -> bool:
    return all(_is_deterministic(node, within) for node in graph)


def _is_inference_dropout(node: Node, facts: OperatorFacts) -> bool:
    if facts.since_version < 7:
        return node.attribute("is_test") == 1
    training = node.input(2)
    return training is None or (training.const is not None and training.const.size == 1 and not training.const.item())


def _is_inference_normalization(node: Node, facts: OperatorFacts) -> bool:
    if facts.since_version >= 14:
        training = node.attributes.get("training_mode")
        return training is None or training.value == 0
    if facts.since_version < 7 and node.attribute("is_test") != 1:
        return False
    return len(node.outputs) == 1  # below 14 the number of outputs says that it trains


def _may_drop(node: Node, within: tuple[Function, ...]) -> bool:
    called = function_of(node)
    if called is not None:
        return called not in within and all(_may_drop(inner, (*within, called)) for inner in called.graph)
    if of_node(node) is None:
        return False
    return all(_may_drop(inner, within) for graph in node.subgraphs for inner in graph)


def _refusal(facts: OperatorFacts, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> str | None:
    bound: dict[str, str] = {}
    for what, names, parameter in (("input", inputs, facts.input), ("output", outputs, facts.output)):
        for index, name in enumerate(names):
            formal = parameter(index)
            if not name or formal is None:
                continue
            call = f"{facts.op_type}-{facts.since_version}"
            if name not in formal.types:
                return f"{call} {'takes' if what == 'input' else 'gives'} no {name} as {formal.name}"
            if formal.is_homogeneous and bound.setdefault(formal.constraint, name) != name:
                return f"{call} has the same type for all of its {formal.constraint}, here {bound[formal.constraint]} and {name}"
    return None


def _type_name(value: Value | None) -> str:
    return "" if value is None else type_name(value.type)
