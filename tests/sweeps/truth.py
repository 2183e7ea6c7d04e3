"""Whether a model still computes what another one does: what onnxruntime says, and before an accusation the reference as well."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, checker

from graphopt.errors import GraphoptError
from graphopt.io.walking import all_nodes
from graphopt.verify.comparison import Options, Original
from graphopt.verify.runners import CannotRun, Reference
from graphopt.verify.selfcheck.running import engines_for
from graphopt.verify.source import Subject

DIVISORS = {"Div": slice(1, 2), "Pow": slice(0, 1), "Reciprocal": slice(0, 1)}  # the input of which a zero gives an infinity
AGAIN = 8  # times that an original is run to see whether it contradicts itself: the memory may hold the same twice
SUMS = frozenset({"CumSum", "ReduceL1", "ReduceMean", "ReduceProd", "ReduceSum", "ReduceSumSquare"})


@dataclass
class Truth:
    """A model that is right by definition.

    `exact` demands the same bits; `sizes` of free dimensions are the usual ones where not given; `special` feeds NaN and its like too.
    """

    proto: ModelProto
    exact: bool = False
    sizes: tuple[Mapping[str, int], ...] | None = None
    seeds: int = 2
    special: bool = True

    @cached_property
    def runners(self) -> list[str]:
        """The runtimes that may run it: not one that computes a node wrongly, or that a division by zero would end."""
        return [name for name in self._engines if name not in _faulty_on(self.proto, self.exact)]

    @cached_property
    def _engines(self) -> list[str]:
        """The runtimes that a division by zero does not end."""
        return ["reference" if isinstance(engine, Reference) else "onnxruntime" for engine in engines_for(self.proto)]

    @cached_property
    def originals(self) -> dict[str, Original]:
        """As each of them runs it, those left out that do not."""
        options = Options(self.seeds, self.sizes, exact=self.exact, special=self.special)
        made = {runner: Original(self.proto, replace(options, runner=runner)) for runner in self.runners}
        return {runner: original for runner, original in made.items() if original.runner is not None and _is_as_declared(original)}

    @property
    def runs(self) -> bool:
        """Whether any runtime runs it."""
        return bool(self.originals)

    @property
    def meets_nan(self) -> bool:
        """Whether the model makes NaN of a feed somewhere inside: a square root of what is below zero, say."""
        return any(_has(np.isnan, value) for values in self.inside for value in values.values())

    @property
    def divides_by_zero(self) -> bool:
        """Whether the model divides by a zero somewhere."""
        divisors = {name for node in self.proto.graph.node for name in node.input[DIVISORS.get(node.op_type, slice(0))]}
        return any(_has(np.logical_not, values.get(name)) for values in self.inside for name in divisors)

    @cached_property
    def inside(self) -> list[Mapping[str, object]]:
        """All that the model is fed and makes, for each feed, as far as that can be told."""
        exposed = Subject("the model with all that it computes", message=_with_all_outputs(self.proto))
        found: list[Mapping[str, object]] = []
        for original in self.originals.values():
            with suppress(CannotRun):
                session = original.runner.open(exposed) if original.runner is not None else None
                stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in self.proto.graph.initializer}
                found += [] if session is None else [stored | case.feed.values | session.run(case.feed.values) for case in original.cases]
        return found

    def wrong(self, after: ModelProto) -> str:
        """What is wrong with a result; nothing when it is right, or when one runtime sees a difference and another one none."""
        invalid = self.invalid(after)
        if not self.runs:
            return "" if "ShapeInferenceError" in invalid else invalid  # a model that contradicts itself in every run: now it shows
        if invalid:
            return invalid
        able = [original for runner, original in self.originals.items() if runner not in _faulty_on(after, self.exact)]
        found = able[0].compare(after) if able else None
        if found is None or not found.differs or any(other.compare(after).agrees for other in able[1:]):
            return ""
        if found.failure and self._runs_elsewhere(after):
            return ""  # it is the runtime that fails: the reference has no BatchNormalization of opset 7 that works
        if any(able[0].compare(self.proto).differs for _ in range(AGAIN)):
            return ""  # nor is it ever twice the same: onnxruntime leaves memory as it is where a Concat has nothing for it
        if self.special and any(_bends_nan(model) or (not self.exact and _is_free_at_the_edge(model)) for model in (self.proto, after)):
            return replace(self, special=False).wrong(after)
        if any(map(_bends_nan, (self.proto, after))) and self.meets_nan:
            return ""
        return "" if not self.exact and self.divides_by_zero else str(found)  # rounding leaves the sign of that zero free

    def _runs_elsewhere(self, after: ModelProto) -> bool:
        """Whether a runtime that was not asked, as it computes something wrongly, runs both models on all feeds."""
        others = [name for name in self._engines if name not in self.originals]
        made = [Original(self.proto, Options(self.seeds, self.sizes, special=self.special, runner=name)) for name in others]
        return any(other.runner is not None and not other.compare(after).failure for other in made)

    def invalid(self, after: ModelProto) -> str:
        """Why a result is no valid model, where the original is one; empty when it is."""
        try:
            checker.check_model(after, full_check=True)
        except (checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            try:
                checker.check_model(self.proto, full_check=True)
            except (checker.ValidationError, onnx.shape_inference.InferenceError):
                return ""  # the original is not valid either
            if "op_type:ConvTranspose" in str(error) and any(map(_pads_itself_and_more, all_nodes(self.proto))):
                return ""  # nor is this one: once its sizes are known, onnx adds output_padding to what SAME_UPPER says they are
            if "Invalid dimension value" in str(error):
                return ""  # nor is this one: numpy takes any negative size of a Reshape for what is left
            if "reference" in self.runners and "reference" not in self.originals:
                return ""  # nor is this one, which only onnxruntime runs: it joins what is empty with anything
            return f"the result is no valid model: {error}"
        return ""


def _with_all_outputs(model: ModelProto) -> ModelProto:
    """A model that gives what its nodes give, as far as the types of that are known."""
    exposed = onnx.shape_inference.infer_shapes(model)
    given = {port.name for port in model.graph.output}
    made = {name for node in model.graph.node for name in node.output} - given
    exposed.graph.output.extend(port for port in exposed.graph.value_info if port.name in made)
    return exposed


def _has(test: np.ufunc, value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and bool(test(value).any())


def _is_as_declared(original: Original) -> bool:
    """Whether outputs have the sizes that the model declares; where not, it is no model that anything can be said of."""
    for port in original.signature.outputs:
        for case in original.cases:
            shape = getattr(case.expected[port.name], "shape", None)
            if shape is None or port.extents is None:
                continue
            numbers = [extent if isinstance(extent, int) else actual for extent, actual in zip(port.extents, shape, strict=False)]
            if len(port.extents) != len(shape) or numbers != list(shape):
                return False
    return True


def _faulty_on(model: ModelProto, exact: bool) -> set[str]:
    """The runtimes that compute a node of a model wrongly, or never twice the same, and so may not be asked."""
    nodes = all_nodes(model)
    found = {name for node in nodes for name in _faulty(node)}
    if any(node.op_type in SUMS for node in nodes) and _holds(model, onnx.TensorProto.INT64):
        found.add("onnxruntime")  # which sums int64 in doubles, and saturates
        found |= {"reference"} if any(node.op_type == "ReduceMean" for node in nodes) else set()  # it divides in doubles
    if exact and (_holds(model, onnx.TensorProto.FLOAT16) or _makes_half(model)):
        found.add("onnxruntime")  # which goes on in float32 from one operator to the next, if nothing is between them
    if exact and any(node.op_type in ("Pow", "Sum") for node in nodes):
        found.add("reference")  # whose x to the power of 1 is not always x, and whose sums begin with +0
    return found


def _holds(model: ModelProto, kind: int) -> bool:
    """Whether data of a model may be of a type: more than what its constants say."""
    ports = (*model.graph.input, *model.graph.output, *model.graph.value_info)
    return any(port.type.tensor_type.elem_type == kind for port in ports)


def _makes_half(model: ModelProto) -> bool:
    """Whether something inside a model is float16 by a Cast or a constant, whatever its inputs and outputs are."""
    stored = (*model.graph.initializer, *(attribute.t for node in all_nodes(model) for attribute in node.attribute))
    casts = (attribute.i for node in all_nodes(model) for attribute in node.attribute if attribute.name in ("to", "dtype"))
    return any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in stored) or onnx.TensorProto.FLOAT16 in casts


def _is_free_at_the_edge(model: ModelProto) -> bool:
    """Whether rounding leaves free which infinity comes out, or whether one does.

    By the sign of a zero that something is divided by, or since onnxruntime computes float16 in float32, where nothing overflows.
    """
    return _holds(model, onnx.TensorProto.FLOAT16) or _makes_half(model) or any(node.op_type in DIVISORS for node in all_nodes(model))


def _pads_itself_and_more(node: NodeProto) -> bool:
    """Whether the size of a ConvTranspose is given twice: by auto_pad, and by output_padding."""
    given = {attribute.name: attribute for attribute in node.attribute}
    is_same = "auto_pad" in given and given["auto_pad"].s.startswith(b"SAME")
    return is_same and "output_padding" in given and any(given["output_padding"].ints)


def _bends_nan(model: ModelProto) -> bool:
    """Whether a model does with NaN what no specification says: integers of it, or a maximum."""
    return any(
        (node.op_type.startswith(("Quantize", "QLinear", "DynamicQuantize"))
        or (node.op_type == "MaxPool" and any(attribute.name == "storage_order" and attribute.i for attribute in node.attribute)))
        for node in all_nodes(model)
    )  # fmt: skip


def _faulty(node: NodeProto) -> tuple[str, ...]:
    if node.op_type.startswith(("Random", "Multinomial", "Bernoulli")):
        return ("onnxruntime", "reference")
    if node.op_type in ("AveragePool", "GlobalAveragePool", "MaxPool", "OptionalHasElement"):
        return ("reference",)  # it leaves NaN out of a mean, pools no empty batch, knows few pads, and finds an element in every optional
    if node.op_type == "Unsqueeze" and any(list(attribute.ints) != sorted(attribute.ints) for attribute in node.attribute):
        return ("reference",)  # which inserts them one after the other, in the order in which they are written
    if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
        return ("onnxruntime", "reference")  # where it is told to train, it is random
    bodies = [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
    if any(len({port.name for port in body.output}) < len(body.output) for body in bodies):
        return ("onnxruntime",)  # which gives zeros where a branch or body returns one value twice
    if node.op_type == "Loop":
        body = next(attribute.g for attribute in node.attribute if attribute.name == "body")
        passed_on = {port.name for port in body.output} & {port.name for port in body.input}
        if body.input and body.input[0].name in passed_on:
            return ("onnxruntime", "reference")  # they hand out the counter itself, and then count on
        return ("reference",) if passed_on else ()  # it mixes up states that change places
    return ()


def said(error: GraphoptError) -> str:
    """An error of graphopt, as a finding."""
    return f"{type(error).__name__}: {error}"
