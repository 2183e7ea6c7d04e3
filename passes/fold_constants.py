"""Nodes whose result is known now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import ClassVar, Final

from graphopt.infer import CannotEvaluate, evaluate, infer_node, result_bytes
from graphopt.ir import DType, Function, Graph, Node, Tensor, TensorType, Value, element_count
from graphopt.passes.deferred import LARGE, Deferred, Transposed, release, without_cache
from graphopt.pipeline.base import Context, Pass
from graphopt.pipeline.options import ByteSize
from graphopt.schema import facts

UNCOUNTED: Final = 256  # bytes: shapes, axes and scalars, which cost what their nodes cost, and let more be folded
SAMPLE: Final = 256  # nodes from which the size of the others is estimated
SAME_BYTES: Final = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})  # the result is the operand, seen otherwise
OF_SHAPE: Final = frozenset({"Shape", "Size"})  # known as soon as the dimensions are, whatever the elements


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Compute what depends on constants alone, and the Shape and Size of what has a known shape.

    Before:  s = Shape(x); n = Gather(s, 0); y = Reshape(z, Concat(n, -1))        x: (2, 3)
    After:   y = Reshape(z, c)                                                    c = [2, -1]
    Keeps:   random, unknown and quantizing operators, control flow, calls of local functions; element types. The file grows by no
             more than the budget: what all folds put in, less the operands that nobody else reads and the nodes that are gone since the
             run began (a result of up to 256 bytes is always put in). A result becomes an initializer under the name that it had, or a
             Constant node where there can be no initializers. Big results are computed again when they are written, and not kept in
             memory. Exact: the operators' reference implementation in the operator's own element type.
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
                return
        if not any(node.inputs) or not facts.is_foldable(node):
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
        elif (why := contradiction(node, results) or unstorable(node, results)) is not None:
            self.decline(node, why)
        else:
            self.put(node, results)

    def put(self, node: Node, results: Sequence[Tensor]) -> None:
        """Let a node be its results, and drop the operands that only it read."""
        if not self.context.observer.may_apply(self.options.name, node):
            return
        grown = sum(tensor.nbytes for tensor in results) - freed_by(node)
        self.context.spent[self.options] = self.context.spent.get(self.options, 0) + grown
        operands = dict.fromkeys(value for value in node.inputs if value is not None and value.const is not None)
        self.context.editor.make_constant(node, results)
        for value in operands:
            if value.producer is not None and not value.users:
                self.context.editor.erase(value.producer)
            elif value.producer is None and self.context.editor.may_drop_initializer(value):
                self.context.editor.drop_initializer(value)
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


def compute(node: Node) -> tuple[Tensor, ...]:
    """The results of a node on its constant inputs; big ones computed again when asked for. Raises CannotEvaluate."""
    operands = [None if value is None else value.const for value in node.inputs]
    first = operands[0]
    if first is not None and first.nbytes >= LARGE:
        if node.op in SAME_BYTES and (seen := seen_otherwise(node, first)) is not None:
            return (seen,)
        if node.op == "Transpose" and first.dtype.bits >= 8:
            return (transposed(node, first),)
    copy = detached(node)
    results = evaluated(copy)
    if all(tensor.nbytes < LARGE for tensor in results):
        return results
    return tuple(deferred(copy, index, tensor) for index, tensor in enumerate(results))


def seen_otherwise(node: Node, operand: Tensor) -> Tensor | None:
    """The operand's own bytes under the result's shape; None when that is not known."""
    type = infer_node(node)[0]
    if not isinstance(type, TensorType) or element_count(type.shape) != operand.size or type.dtype != operand.dtype:
        return None
    return Tensor(operand.dtype, tuple(size for size in type.shape or () if isinstance(size, int)), operand.storage)


def transposed(node: Node, operand: Tensor) -> Tensor:
    """The operand with its axes in another order, computed when asked for."""
    perm = node.attribute("perm", tuple(reversed(range(len(operand.shape)))))
    order = tuple(axis for axis in perm if isinstance(axis, int)) if isinstance(perm, tuple) else ()
    if sorted(order) != list(range(len(operand.shape))):
        raise CannotEvaluate(f"perm {perm!r} does not order the axes of a {operand!r}")
    return Tensor(operand.dtype, tuple(operand.shape[axis] for axis in order), Transposed(operand, order))


def detached(node: Node) -> Node:
    """A copy of a node that can be evaluated whatever becomes of the graph: it keeps its operands and the opsets that govern it."""
    graph = node.graph
    if graph is None:
        raise CannotEvaluate(f"{node!r} is in no graph")
    scope = Function(node.domain, node.op_type, node.overload, graph.model)
    scope.opsets = dict(graph.opsets)
    copy = Node(
        node.op_type,
        [None if value is None else Value(value.name, value.type, tensor=value.const) for value in node.inputs],
        [Value(value.name, value.type) for value in node.outputs],
        node.attributes,
        domain=node.domain,
        overload=node.overload,
    )
    copy.graph = scope.graph
    return copy


def evaluated(copy: Node) -> tuple[Tensor, ...]:
    """The results of a detached node; what it read and decoded does not stay in memory."""
    tensors = [None if value is None or value.tensor is None else value.tensor for value in copy.inputs]
    results = evaluate(copy, [None if tensor is None else without_cache(tensor) for tensor in tensors])
    for tensor in tensors:
        if tensor is not None:
            release(tensor.storage)
    return results


def deferred(copy: Node, index: int, result: Tensor) -> Tensor:
    """The result of a detached node, computed anew whenever somebody asks for its bytes."""
    return Tensor(result.dtype, result.shape, Deferred(result.nbytes, lambda: evaluated(copy)[index]))
