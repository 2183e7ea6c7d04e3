"""Constants that are stored twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import ClassVar, Final

from graphopt.io.tensors import InMessage
from graphopt.ir import LARGE, FileSlice, Graph, InMemory, Node, Strings, Tensor, Value, release
from graphopt.ir.graph import EXIT
from graphopt.passes.deferred import hash_of
from graphopt.passes.eliminate_common_subexpressions import CAPTURING
from graphopt.patterns.weight_products import WeightProduct
from graphopt.pipeline.base import Context, Pass
from graphopt.schema import facts

SMALL: Final = 256  # bytes that are compared as they are
SAMPLE: Final = 64  # bytes looked at in the front, the middle and the back of more


class MergeEqualInitializers(Pass):
    """Store each constant once: initializers, and Constant nodes where there are no initializers, that are equal byte by byte.

    Before:  y = Add(Mul(x, a), b)          with the initializers a = 2.0, b = 2.0
    After:   y = Add(Mul(x, a), a)
    Keeps:   initializers that are inputs or outputs of a graph, or statistics of a BatchNormalization that trains. Equal means the
             same element type, shape and bytes: +0 and -0 differ. A constant of a subgraph gives way to an equal one around it. Of
             weights only a sample is read, unless a sample is found twice; constants that are computed only when written are left
             alone, but for weights with the same factors. Exact.
    """

    name: ClassVar[str] = "merge-equal-initializers"

    def run(self, graph: Graph, context: Context) -> int:
        """Merge equal constants of this graph and the graphs inside it."""
        keys = {value: kind_of(value.tensor) for value in constants(graph) if value.tensor is not None and can_merge(value)}
        for refine in (sample_of, content_of):  # each reads more than the one before, of fewer tensors
            keys = refined(keys, refine)
        return merge(graph, keys, {}, self.name, context)


def constants(graph: Graph) -> Iterator[Value]:
    """Initializers and outputs of Constant nodes, here and inside."""
    for inner in graph.walk():
        yield from inner.initializers.values()
        for node in inner:
            if node.op == "Constant":
                yield node.output


def can_merge(value: Value) -> bool:
    """Whether a constant may give way, or be given way to, and its bytes are there to be looked at."""
    tensor = value.const
    if tensor is None or not value.users or any(node.op == EXIT or keeps_state(node) for node in value.users):
        return False
    return tensor.nbytes < LARGE or isinstance(looked_at(tensor).storage, (FileSlice, InMemory, InMessage, Strings))


def keeps_state(node: Node) -> bool:
    """Whether a node may write its results over its operands: onnxruntime does with the statistics of a BatchNormalization that trains."""
    return node.op == "BatchNormalization" and not facts.is_deterministic(node)


def kind_of(tensor: Tensor) -> Hashable:
    """What equal tensors have in common, without reading them."""
    storage = tensor.storage
    computed = (storage.source.shape, storage.factor.tobytes(), storage.groups) if isinstance(storage, WeightProduct) else None
    return int(tensor.dtype), tensor.shape, tensor.nbytes, computed


def looked_at(tensor: Tensor) -> Tensor:
    """What is read of a tensor: weights, where it is their product with factors that are no weights."""
    return tensor.storage.source if isinstance(tensor.storage, WeightProduct) else tensor


def sample_of(tensor: Tensor) -> bytes:
    """All bytes of a small tensor, some of a big one."""
    view = tensor.storage.view()
    if len(view) <= SMALL:
        return bytes(view)
    middle = len(view) // 2
    sample = b"".join((view[:SAMPLE], view[middle : middle + SAMPLE], view[-SAMPLE:]))
    release(tensor.storage)
    return sample


def content_of(tensor: Tensor) -> bytes:
    """A hash of all bytes; nothing for a small tensor, whose sample was all."""
    return b"" if len(tensor.storage.view()) <= SMALL else hash_of(tensor.storage)


def refined(keys: dict[Value, Hashable], refine: Callable[[Tensor], bytes]) -> dict[Value, Hashable]:
    """Only the values whose key others share, with more in the key."""
    shared = Counter(keys.values())
    return {value: (key, refine(looked_at(value.tensor))) for value, key in keys.items() if shared[key] > 1 and value.tensor is not None}


def merge(graph: Graph, keys: dict[Value, Hashable], seen: dict[Hashable, Value], source: str, context: Context) -> int:
    """Let each constant of a graph give way to an equal one that comes before it, here or around; `seen` is left as it was."""
    changes = 0
    added: list[Hashable] = []

    def visit(value: Value) -> bool:
        key = keys.get(value)
        if key is None:
            return False
        first = seen.get(key)
        if first is None:
            seen[key] = value
            added.append(key)
            return False
        return replace(first, value, graph, source, context)

    for value in list(graph.initializers.values()):
        changes += visit(value)
    for node in graph:
        if node.op == "Constant":
            changes += visit(node.output)
        elif node.attributes and (inside := node.subgraphs):
            is_capturing = node.op in CAPTURING and not facts.is_function_call(node)
            for inner in inside:
                changes += merge(inner, keys, seen if is_capturing else {}, source, context)
    for key in added:
        del seen[key]
    return changes


def replace(first: Value, second: Value, graph: Graph, source: str, context: Context) -> bool:
    """Let the readers of `second` read `first`, and drop it."""
    node = second.producer
    if not context.observer.may_apply(source, graph.exit if node is None else node):
        return False
    context.editor.redirect(second, first)
    context.editor.drop_constant(second)
    context.observer.applied(source, graph.exit if node is None else node, ())
    return True
