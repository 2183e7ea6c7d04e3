"""From a rule's pattern to a model that it should match: a valid one, that runs."""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, NodeProto, helper

from graphopt.ir.attribute import Attribute, AttributeKind
from graphopt.ir.dtype import DType
from graphopt.ir.edit import Editor
from graphopt.ir.graph import Node, Value
from graphopt.ir.model import Model
from graphopt.ir.tensor import Array, Tensor
from graphopt.ir.types import TensorType
from graphopt.match.rule import Rule
from graphopt.schema.spelling import CannotSpell, spell
from graphopt.verify.runners import CannotRun
from graphopt.verify.selfcheck import proposals_movement, proposals_neural
from graphopt.verify.selfcheck.drawing import Draw, Leaves, Misfit, Setting
from graphopt.verify.selfcheck.proposals import propose
from graphopt.verify.selfcheck.running import engines_for, make_model, open_session, run, run_node, tensor, untrusted
from graphopt.verify.selfcheck.structure import Site, Structure
from graphopt.verify.selfcheck.validity import Invalid, check
from graphopt.verify.selfcheck.values import Kind

REGISTERED = (proposals_movement, proposals_neural)  # importing them is what registers their proposals
TRIES = 60  # drawings until a structure counts as one that cannot be instantiated in a setting
INSTALL = "install onnxruntime"  # what helps when only the reference is there and its kernel is wrong
HOPELESS = 5  # drawings that fail for one and the same reason, after which further ones would too
SITE_TRIES = 8  # drawings of one site before the whole is drawn anew


@dataclass(slots=True)
class Sample:
    """A model that the pattern describes, and what to feed it. `kinds` says what the elements of each input must be like."""

    model: ModelProto
    feeds: dict[str, Array]
    kinds: dict[str, Kind]
    notes: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()  # values between the pattern's calls
    structure: str = ""


class CannotInstantiate(Exception):
    """No drawing led to a valid model; the message says what went wrong most often."""


@dataclass(slots=True)
class Sampler:
    """One drawing of one structure."""

    structure: Structure
    leaves: Leaves
    opsets: Mapping[str, int]
    rule: Rule
    model: Model = field(init=False)
    outputs: dict[Site, tuple[Value, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.model = Model("pattern", 8, dict(self.opsets))

    def draw(self) -> Sample:
        """Build the model site by site, each evaluated as soon as it stands. Raises Misfit."""
        editor = Editor(self.model)
        for site in self.structure.sites:
            self.place(site, editor)
        results = dict.fromkeys(self.outputs[root.site][root.index] for root in self.structure.roots)
        if self.rule.dtype is not None and next(iter(results)).dtype not in self.rule.dtype and not self.relaxed("dtype"):
            raise Misfit(f"the result has element type {next(iter(results)).dtype}, the rule asks for others")
        editor.set_outputs(self.model.graph, list(results))
        return self.sample(list(results))

    def relaxed(self, condition: str) -> bool:
        """Whether a condition on the whole rule is to be broken."""
        return ("", condition) in self.leaves.setting.relaxed

    def place(self, site: Site, editor: Editor) -> None:
        """Draw one site until it fits what stands already, and put its node into the graph."""
        kept = self.leaves
        for attempt in range(SITE_TRIES):
            self.leaves = kept.copy()
            try:
                draw = Draw(self, site)
                propose(draw)
                node = self.node(site, draw)
                arrays = self.evaluate(node)
            except Misfit:
                if attempt == SITE_TRIES - 1:
                    raise
                continue
            for value in node.inputs:
                self.adopt(value, editor)
            editor.insert(node, self.model.graph)
            for value, array in zip(node.outputs, arrays, strict=True):
                value.type = TensorType(DType.of(array.dtype), array.shape)
                self.leaves.arrays[value] = array
            self.outputs[site] = node.outputs
            return

    def node(self, site: Site, draw: Draw) -> Node:
        inputs = [draw.value(slot) for slot in range(draw.count)]
        while inputs and inputs[-1] is None:
            inputs.pop()
        outputs = max(site.outputs, draw.facts.min_outputs if draw.facts is not None else 1)
        try:
            node = spell(
                site.call.op_type, inputs, draw.attributes, self.model.graph, domain=site.call.domain, outputs=outputs
            )
        except CannotSpell as reason:
            raise Misfit(str(reason)) from reason
        for index, value in enumerate(node.outputs):
            value.name = f"{site.call.op_type.lower()}_{len(self.outputs)}" + (f"_{index}" if index else "")
            self.model.names.add(value.name)
        return node

    def evaluate(self, node: Node) -> list[Array]:
        """What the node makes of the drawn elements; that it runs at all is the first test of validity."""
        arrays = [(value, self.array(value)) for value in node.inputs if value is not None]
        inputs = {value.name: array for value, array in arrays}  # only now has each its name
        try:
            return run_node(node_proto(node), self.opsets, inputs)
        except CannotRun as reason:
            raise Misfit(f"{node.op_type} does not run: {reason}") from reason

    def array(self, value: Value) -> Array:
        known = self.leaves.arrays.get(value)
        if known is not None:
            return known
        if value.tensor is None:
            raise Misfit(f"{value!r} has no elements")
        value.name = value.name or self.model.fresh_name("constant")  # a constant that the older spelling needs
        return value.tensor.numpy()

    def adopt(self, value: Value | None, editor: Editor) -> None:
        """Make a drawn leaf an input or an initializer, once it is read."""
        if value is None or value.scope is not None:
            return
        self.model.names.add(value.name)
        if value.tensor is not None:
            editor.adopt_initializer(self.model.graph, value)
        else:
            value.graph = self.model.graph
            self.model.graph.inputs.append(value)

    def sample(self, results: list[Value]) -> Sample:
        graph, arrays = self.model.graph, self.leaves.arrays
        ports = [helper.make_tensor_value_info(v.name, int(DType.of(arrays[v].dtype)), arrays[v].shape) for v in graph.inputs]
        made = [helper.make_tensor_value_info(v.name, int(DType.of(arrays[v].dtype)), arrays[v].shape) for v in results]
        stored = [tensor(self.array(v), v.name) for v in graph.initializers.values()]
        proto = make_model(helper.make_graph([node_proto(n) for n in graph], "pattern", ports, made, stored), self.opsets)
        inner = tuple(value.name for node in graph for value in node.outputs if value not in results and value.users)
        kinds = {value.name: self.leaves.kinds.get(value, Kind("exact")) for value in [*graph.inputs, *graph.initializers.values()]}
        return Sample(proto, {v.name: arrays[v] for v in graph.inputs}, kinds, tuple(self.leaves.notes), inner, str(self.structure))


def instantiate(rule: Rule, structure: Structure, setting: Setting, seed: int, tries: int = TRIES) -> Sample:
    """A valid model of one structure in one setting. Raises CannotInstantiate when `tries` drawings gave none."""
    opsets = opsets_of(rule, setting.opset)
    refusals: dict[str, int] = {}
    for attempt in range(tries):
        key = zlib.crc32(f"{seed} {rule.name} {structure} {setting} {attempt}".encode())
        leaves = Leaves(setting, random.Random(key), np.random.default_rng(key))
        try:
            sample = Sampler(structure, leaves, opsets, rule).draw()
            check(sample.model)
            run_once(sample)
        except (Misfit, Invalid, CannotRun) as reason:
            refusals[str(reason)] = refusals.get(str(reason), 0) + 1
            if attempt >= HOPELESS and len(refusals) == 1:
                break
            continue
        return sample
    words = "; ".join(f"{reason} ({count} times)" for reason, count in sorted(refusals.items(), key=lambda item: -item[1])[:3])
    raise CannotInstantiate(words)


def run_once(sample: Sample) -> None:
    """Run a sample on the first engine that takes it. Raises CannotRun when none does."""
    op_type = untrusted(sample.model)
    advice = f": the reference kernel of {op_type} is not trusted, {INSTALL}" if op_type else ""
    refusal = CannotRun(f"no engine may run this model{advice}")
    for engine in engines_for(sample.model):
        try:
            run(open_session(engine, sample.model), sample.feeds)
        except CannotRun as reason:
            refusal = reason
            continue
        return
    raise refusal


def opsets_of(rule: Rule, opset: int) -> dict[str, int]:
    """What the model imports: the default domain, and version 1 of every other domain that the patterns name (or what onnx knows)."""
    from graphopt.match.structure import calls
    from graphopt.schema import facts

    found = {"": opset}
    for pattern in rule.patterns:
        for call in calls(pattern):
            if call.domain:
                found[call.domain] = facts.newest_opset(call.domain) or 1
    return found


def node_proto(node: Node) -> NodeProto:
    """A node as its message."""
    made: NodeProto = helper.make_node(
        node.op_type,
        ["" if value is None else value.name for value in node.inputs],
        [value.name for value in node.outputs],
        domain=node.domain or None,
    )
    made.attribute.extend(_attribute(name, attribute) for name, attribute in node.attributes.items())
    return made


_NUMBERED = {kind: int(kind) for kind in AttributeKind}


def _attribute(name: str, attribute: Attribute) -> AttributeProto:
    held = attribute.value
    value = onnx.numpy_helper.from_array(held.numpy()) if isinstance(held, Tensor) else held
    made: AttributeProto = helper.make_attribute(name, value, attr_type=_NUMBERED[attribute.kind])
    return made
