"""Constants whose bytes are read in pieces, or computed only when somebody asks for them: big ones never stay in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, final

import numpy as np

from graphopt.infer import CannotEvaluate, evaluate, infer_node
from graphopt.ir import LARGE, Function, Graph, Node, Storage, Tensor, TensorType, Value, element_count, release
from graphopt.ir.tensor import Array

PIECE: Final = 4 << 20
PART: Final = 2 << 20  # bytes of a result that are computed at once: the cache holds them
TILE: Final = 128  # columns of a matrix that are filled at once: what is read of them stays in the cache
MOST_MAPPED: Final = 1 << 26  # bytes of a file that may stay in memory while parts of them are transposed
SAME_BYTES: Final = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})  # the result is the operand, seen otherwise


@final
class Deferred:
    """The bytes of a computed constant: computed anew each time they are asked for, and not kept.

    `compute` must always give the same tensor, and must have worked once.
    """

    __slots__ = ("_compute", "nbytes")

    def __init__(self, nbytes: int, compute: Callable[[], Tensor]) -> None:
        self.nbytes, self._compute = nbytes, compute

    def view(self) -> memoryview:
        """The bytes; they live as long as the view."""
        return self._compute().storage.view()


@final
class Transposed:
    """The bytes of a transposed tensor, computed when asked for: all of them, or some rows of the result at a time."""

    __slots__ = ("_perm", "_source", "nbytes")

    def __init__(self, source: Tensor, perm: tuple[int, ...]) -> None:
        self.nbytes, self._source, self._perm = source.nbytes, source, perm

    def view(self) -> memoryview:
        """The bytes; they live as long as the view."""
        wanted = self._wanted()
        result = np.empty(wanted.shape, wanted.dtype)
        for rows in self._rows(wanted):
            self._fill(result[rows], wanted[rows])
        self.finish()
        return _bytes_of(result)

    def parts(self) -> Iterator[tuple[int, Callable[[], memoryview]]]:
        """Rows of the result, a few at a time."""
        wanted = self._wanted()
        stride = self.nbytes // max(1, len(wanted))
        return ((rows.start * stride, partial(self._part, wanted[rows])) for rows in self._rows(wanted))

    def finish(self) -> None:
        """Let go of what the parts were computed from."""
        release(self._source.storage)

    def _wanted(self) -> Array:
        """The source, seen as the result."""
        source = self._source
        width = source.dtype.bits // 8
        words = np.dtype(f"u{width}" if width <= 8 else f"V{width}")  # elements only move; numpy moves integers without the global lock
        result: Array = np.frombuffer(source.storage.view(), words).reshape(source.shape).transpose(self._perm)
        return result

    def _rows(self, wanted: Array) -> Iterator[slice]:
        stride = max(1, self.nbytes // max(1, len(wanted)))
        step = max(1, PART // stride)
        return (slice(start, start + step) for start in range(0, len(wanted), step))

    def _part(self, wanted: Array) -> memoryview:
        part = np.empty(wanted.shape, wanted.dtype)
        self._fill(part, wanted)
        return _bytes_of(part)

    def _fill(self, target: Array, wanted: Array) -> None:
        width = TILE if target.ndim == 2 else target.shape[-1]
        for start in range(0, target.shape[-1], width):
            target[..., start : start + width] = wanted[..., start : start + width]
        if self.nbytes > MOST_MAPPED:
            release(self._source.storage)


def _bytes_of(array: Array) -> memoryview:
    return array.reshape(-1).view(np.uint8).data.toreadonly()


def pieces(storage: Storage) -> Iterator[memoryview]:
    """The bytes of a tensor piece by piece; the pages of a file are given back after each."""
    view = storage.view()
    for start in range(0, len(view), PIECE):
        piece = view[start : start + PIECE]
        yield piece
        release(storage, start, len(piece))


def hash_of(storage: Storage) -> bytes:
    """A hash of the bytes that leaves none of a file's pages in memory."""
    state = hashlib.blake2b(digest_size=16)
    for piece in pieces(storage):
        state.update(piece)
    return state.digest()


def without_cache(tensor: Tensor) -> Tensor:
    """The same tensor as a new object: what its reader decodes goes with the reader."""
    return Tensor(tensor.dtype, tensor.shape, tensor.storage)


def compute(node: Node, graph: Graph | None = None) -> tuple[Tensor, ...]:
    """The results of a node on its constant inputs; big ones computed again when asked for. Raises CannotEvaluate.

    `graph` says where a node that is in no graph would stand.
    """
    operands = [None if value is None else value.const for value in node.inputs]
    first = operands[0]
    if first is not None and first.nbytes >= LARGE:
        if node.op in SAME_BYTES and (seen := seen_otherwise(node, first)) is not None:
            return (seen,)
        if node.op == "Transpose" and first.dtype.bits >= 8:
            return (transposed(node, first),)
    copy = detached(node, graph)
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


def detached(node: Node, graph: Graph | None = None) -> Node:
    """A copy of a node that can be evaluated whatever becomes of the graph: it keeps its operands and the opsets that govern it."""
    graph = node.graph if graph is None else graph
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
