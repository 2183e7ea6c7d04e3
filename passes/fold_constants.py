"""Nodes whose result is known now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, islice
from math import prod
from operator import and_
from typing import ClassVar, Final

import numpy as np

from graphopt.infer import CannotEvaluate, elements, result_bytes
from graphopt.ir import DType, Graph, Node, Tensor, TensorType, Value, element_count
from graphopt.passes.deferred import compute
from graphopt.pipeline.base import Context, Pass
from graphopt.pipeline.options import ByteSize
from graphopt.schema import facts

MOST_AXES: Final = 64
UNCOUNTED: Final = 256  # bytes: shapes, axes and scalars, which cost what their nodes cost, and let more be folded
SAMPLE: Final = 256  # nodes from which the size of the others is estimated
OF_SHAPE: Final = frozenset({"Shape", "Size"})  # known as soon as the dimensions are, whatever the elements
COUNTING: Final = frozenset({DType.bool, DType.int32, DType.int64})  # what arithmetic on sizes is done in


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Compute what depends on constants alone, and what arithmetic on sizes gives where these sizes are known.

    Before:  s = Shape(x); n = Gather(s, 0); y = Reshape(z, Concat(n, -1))        x: (2, M)
    After:   y = Reshape(z, c)                                                    c = [2, -1]
    Before:  y = Concat(x, c, d)                                                  c, d: constants
    After:   y = Concat(x, e)                                                     e = Concat(c, d)
    Keeps:   random, unknown and quantizing operators, control flow, calls of local functions; element types. The file grows by no
             more than the budget: what all folds put in, less the operands that nobody else reads and the nodes that are gone since the
             run began (a result of up to 256 bytes is always put in). A result becomes an initializer under the name that it had, or a
             Constant node where there can be no initializers. Big results are computed again when they are written, and not kept in
             memory. Exact: the operators' reference implementation in the operator's own element type; where that is not trusted,
             only what the operator's definition or, if it is installed, onnxruntime gives as well.
    """

    name: ClassVar[str] = "fold-constants"

    max_growth: ByteSize = field(default=ByteSize(0), metadata={"doc": "how many bytes folding may add to the file, in all"})
    max_tensor: ByteSize = field(default=ByteSize(1 << 30), metadata={"doc": "the biggest result that is computed at all"})

    def run(self, graph: Graph, context: Context) -> int:
        """Fold in this graph and the graphs inside it, operands before what reads them."""
        folder = Folder(self, context)
        for inner in graph.walk():
            for node in inner:
                folder.visit(node)
        return folder.changes


@dataclass
class Folder:
    """One run over one graph, and how many nodes it has folded."""

    options: FoldConstants
    context: Context
    changes: int = 0

    def visit(self, node: Node) -> None:
        """Fold a node if all agree."""
        if node.op in OF_SHAPE and (tensor := known_shape(node)) is not None and not facts.is_function_call(node):
            if (why := unstorable(node, (tensor,))) is None:
                self.put(node, (tensor,))
            else:
                self.decline(node, why)
            return
        for value in node.inputs:
            if value is not None and (value.tensor is None or value.overridable):  # nearly every node ends here
                if node.op == "Concat":
                    self.join(node)
                elif value.dtype in COUNTING:
                    self.count(node)
                return
        if not any(node.inputs) or not facts.is_foldable(node):
            return
        if node.outputs[0].dtype in COUNTING and known_numbers(node) is not None:  # inference has computed it already
            self.count(node)
            return
        limit = UNCOUNTED
        expected = result_bytes(node)
        if expected is None or expected > limit:
            limit = min(max(limit, self.budget() + freed_by(node)), int(self.options.max_tensor))
        if expected is not None and expected > limit:
            self.decline(node, f"the result would have {expected} bytes, {limit} are allowed")
            return
        try:
            results = compute(node)
        except CannotEvaluate as reason:
            self.decline(node, str(reason))
            return
        size = sum(tensor.nbytes for tensor in results)
        if size > limit:
            self.decline(node, f"the result has {size} bytes, {limit} are allowed")
        elif (why := contradiction(node, results) or unstorable(node, results) or misread(node, results)) is not None:
            self.decline(node, why)
        else:
            self.put(node, results)

    def count(self, node: Node) -> None:
        """Fold a node whose results are known numbers, though its operands are no constants."""
        if (results := known_numbers(node)) is None or not facts.is_foldable(node):
            return
        size = sum(tensor.nbytes for tensor in results)
        if size > UNCOUNTED and size > self.budget():
            self.decline(node, f"the result has {size} bytes, {max(UNCOUNTED, self.budget())} are allowed")
        elif (why := contradiction(node, results) or unstorable(node, results) or misread(node, results)) is not None:
            self.decline(node, why)
        else:
            self.put(node, results)

    def join(self, node: Node) -> None:
        """Let constants that stand side by side in a Concat be one; or all of it, when what it joins are known numbers."""
        if node.output.dtype in COUNTING and known_numbers(node) is not None:
            self.count(node)
            return
        held = [is_constant(value) for value in node.inputs]
        if not any(map(and_, held, held[1:])) or not facts.is_foldable(node):
            return
        groups = [(constant, list(group)) for constant, group in groupby(node.inputs, key=is_constant)]
        put_in = [value for constant, group in groups if constant and len(group) > 1 for value in group]
        grown = sum(value.const.nbytes for value in put_in if value is not None and value.const is not None) - freed_by(node)
        if grown > UNCOUNTED and grown > self.budget():
            self.decline(node, f"its constants would take {grown} bytes more as one, {max(UNCOUNTED, self.budget())} are allowed")
            return
        parts: list[Value | Tensor | None] = []
        for constant, group in groups:
            try:
                parts += [joined(node, group)] if constant and len(group) > 1 else group
            except CannotEvaluate as reason:
                self.decline(node, str(reason))
                return
        self.put_joined(node, parts, grown)

    def put_joined(self, node: Node, parts: Sequence[Value | Tensor | None], grown: int) -> None:
        """Let a Concat join these parts, tensors among them as new constants."""
        graph, old, editor = node.graph, node.output, self.context.editor
        tensors = [part for part in parts if isinstance(part, Tensor)]
        if graph is None or any(facts.refuses_constant(graph, TensorType(tensor.dtype, tensor.shape)) for tensor in tensors):
            return
        if not self.context.observer.may_apply(self.options.name, node):
            return
        self.context.spent[self.options] = self.context.spent.get(self.options, 0) + grown
        inputs = [editor.add_constant(graph, part, old.name, node) if isinstance(part, Tensor) else part for part in parts]
        shorter = Node(node.op_type, inputs, 1, node.attributes, domain=node.domain, name=node.name)
        shorter.doc, shorter.metadata, shorter.output.type = node.doc, dict(node.metadata), old.type
        editor.insert(shorter, graph, node)
        is_output = old.is_output
        editor.replace(old, shorter.output)
        if not is_output:
            editor.exchange_names(old, shorter.output)
        operands = dict.fromkeys(value for value in node.inputs if value is not None and value.const is not None)
        editor.erase(node)
        for value in operands:
            self.context.editor.drop_constant(value)
        self.changes += 1
        self.context.observer.applied(self.options.name, node, (shorter,))

    def put(self, node: Node, results: Sequence[Tensor]) -> None:
        """Let a node be its results, and drop the operands that only it read."""
        if not self.context.observer.may_apply(self.options.name, node):
            return
        grown = sum(tensor.nbytes for tensor in results) - freed_by(node)
        self.context.spent[self.options] = self.context.spent.get(self.options, 0) + grown
        operands = dict.fromkeys(value for value in node.inputs if value is not None and value.const is not None)
        self.context.editor.make_constant(node, results)
        for value in operands:
            self.context.editor.drop_constant(value)
        self.changes += 1
        self.context.observer.applied(self.options.name, node, ())

    def budget(self) -> int:
        """How many bytes may still be put in: the option's, less what was, plus what the nodes took that are gone since the run began."""
        gone = self.context.nodes - len(self.context.model.graph)
        return int(self.options.max_growth) - self.context.spent.get(self.options, 0) + gone * self.node_bytes

    @cached_property
    def node_bytes(self) -> int:
        """About how many bytes a node of this model takes."""
        some = list(islice(self.context.model.graph, SAMPLE))
        return sum(map(written_size, some)) // len(some) if some else 0

    def decline(self, node: Node, reason: str) -> None:
        self.context.observer.declined(self.options.name, node, reason.__str__)


def misread(node: Node, results: Sequence[Tensor]) -> str | None:
    """Why a reader of these results would stop a runtime from loading the model, were they constants: then it may be that it never runs.

    A Reshape whose shape is a constant is checked before the model runs, when the operand's shape is known too.
    """
    for value, tensor in zip(node.outputs, results, strict=True):
        for reader in value.users:
            if reader.op == "Reshape" and reader.inputs[1:] == (value,) and tensor.size <= MOST_AXES and not fits(reader, tensor):
                return f"{reader!r} cannot give this shape"
    return None


def fits(reshape: Node, shape: Tensor) -> bool:
    """Whether a Reshape to a constant shape may be legal."""
    entries = [int(entry) for entry in shape.numpy().reshape(-1)]
    operand = reshape.inputs[0]
    if reshape.attribute("allowzero", 0):
        if 0 in entries and -1 in entries:  # ONNX Reshape-14 forbids both in one shape
            return False
    elif operand is not None and operand.shape is not None:
        given = operand.shape
        if any(entry == 0 and axis >= len(given) for axis, entry in enumerate(entries)):
            return False
        copied = [given[axis] if entry == 0 else entry for axis, entry in enumerate(entries)]
        entries = [size for size in copied if isinstance(size, int)]
        if len(entries) < len(copied):
            return True
    count = None if operand is None else element_count(operand.shape)
    if count is None or min(entries, default=0) < -1:
        return count is None
    known = prod(entry for entry in entries if entry != -1)
    return known == count if -1 not in entries else known > 0 and count % known == 0


def known_shape(node: Node) -> Tensor | None:
    """What Shape or Size gives, when the dimensions that it asks for are numbers."""
    operand = node.input(0)
    if operand is None or operand.shape is None:
        return None
    if node.op == "Size":
        count = element_count(operand.shape)
        return None if count is None else Tensor.of(count, DType.int64)
    if any(attribute.reference for attribute in node.attributes.values()):
        return None
    start, end = node.attribute("start", 0), node.attribute("end", len(operand.shape))
    if not isinstance(start, int) or not isinstance(end, int):
        return None
    sizes = [size for size in operand.shape[start:end] if isinstance(size, int)]  # ONNX Shape-15: clamped and counted as in Python
    return Tensor.of(sizes, DType.int64) if len(sizes) == len(operand.shape[start:end]) else None


def known_numbers(node: Node) -> tuple[Tensor, ...] | None:
    """The results of arithmetic on sizes, when every element of every output is a number."""
    results: list[Tensor] = []
    for value in node.outputs:
        type = value.type
        if not isinstance(type, TensorType) or type.dtype not in COUNTING or (count := element_count(type.shape)) is None:
            return None
        held = elements(value)
        if held is None or len(held) != count:
            return None
        numbers = [element for element in held if isinstance(element, int)]
        if len(numbers) != count:
            return None
        shape = tuple(size for size in type.shape or () if isinstance(size, int))
        results.append(Tensor.of(np.array(numbers, type.dtype.numpy).reshape(shape)))
    return tuple(results)


def is_constant(value: Value | None) -> bool:
    """Whether this operand is a constant."""
    return value is not None and value.const is not None


def joined(node: Node, group: Sequence[Value | None]) -> Tensor:
    """What a Concat would give for these operands alone. Raises CannotEvaluate."""
    (tensor,) = compute(Node(node.op_type, group, 1, node.attributes, domain=node.domain), node.graph)
    return tensor


def freed_by(node: Node) -> int:
    """How many bytes of constants nobody reads any more when this node is gone."""
    operands = dict.fromkeys(value for value in node.inputs if value is not None)
    return sum(value.const.nbytes for value in operands if value.const is not None and list(value.users) == [node])


def written_size(node: Node) -> int:
    """About how many bytes the node itself takes in a file: names, operator, attributes, metadata, two for each to say what it is."""
    texts = [node.name, node.op_type, node.doc, *node.attributes, *node.metadata, *node.metadata.values()]
    texts += [value.name for value in (*node.inputs, *node.outputs) if value is not None]
    return sum(len(text) + 2 for text in texts)


def contradiction(node: Node, results: Sequence[Tensor]) -> str | None:
    """Where the results are not what is known of the outputs; None when they agree."""
    for value, tensor in zip(node.outputs, results, strict=True):
        known = value.type
        if known is None:
            continue
        if not isinstance(known, TensorType) or known.dtype != tensor.dtype:
            return f"the result is a {tensor!r}, where {value!r} is declared {known}"
        if known.shape is not None and (
            len(known.shape) != len(tensor.shape)
            or any(isinstance(size, int) and size != extent for size, extent in zip(known.shape, tensor.shape, strict=True))
        ):
            return f"the result is a {tensor!r}, where {value!r} is declared {known}"
    return None


def unstorable(node: Node, results: Sequence[Tensor]) -> str | None:
    """Why the node's graph cannot hold the results; None when it can."""
    if node.graph is None:
        return "the node is in no graph"
    refusals = (
        facts.refuses_constant(node.graph, TensorType(tensor.dtype, tensor.shape), is_output=value.is_output)
        for value, tensor in zip(node.outputs, results, strict=True)
    )
    return next((why for why in refusals if why is not None), None)
