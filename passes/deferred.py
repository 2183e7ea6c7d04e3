"""Constants whose bytes are read in pieces, or computed only when somebody asks for them: big ones never stay in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Final, NamedTuple, final

import numpy as np

from graphopt.infer import CannotEvaluate, evaluate, infer_node
from graphopt.ir import LARGE, Function, Graph, Node, Storage, Tensor, TensorType, Value, element_count, release
from graphopt.ir.tensor import Array, raw

PIECE: Final = 4 << 20
PART: Final = 2 << 20  # bytes of a result that are computed at once: the cache holds them
TILE: Final = 128  # rows and columns that are transposed at once: both sides fit into the cache
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


class Matrices(NamedTuple):
    """A tensor whose rows and columns change places: so many matrices, each element of which is a run of elements that stay together."""

    stack: int
    rows: int
    columns: int
    run: int


@final
class Transposed:
    """The bytes of a transposed tensor, computed when asked for: all of them, or a few columns of a matrix at a time."""

    __slots__ = ("_perm", "_source", "nbytes")

    def __init__(self, source: Tensor, perm: tuple[int, ...]) -> None:
        self.nbytes, self._source, self._perm = source.nbytes, source, perm

    def view(self) -> memoryview:
        """The bytes; they live as long as the view. Of a source in a file only a few pages are in memory at once."""
        array, source = self._words(), self._source
        result = np.empty([source.shape[axis] for axis in self._perm], array.dtype)
        target = result.transpose(np.argsort(self._perm))  # looks like the source
        rows = source.shape[0]
        stride = source.nbytes // rows
        step = TILE if len(self._perm) == 2 else max(1, PIECE // max(1, stride))
        for start in range(0, rows, step):
            fill(target[start : start + step], array[start : start + step])
            release(source.storage, start * stride, min(step, rows - start) * stride)
        return raw(result)

    def parts(self) -> Iterator[tuple[int, Callable[[], memoryview]]]:
        """Some columns of a matrix after the other, which are rows of the result; all at once where no matrix is transposed."""
        form = as_matrices(self._source.shape, self._perm)
        if form is None:
            yield 0, self.view
            return
        array = self._words().reshape(form)
        width = self.nbytes // (form.stack * form.columns)  # bytes of a column
        step = max(1, PART // width)
        for number in range(form.stack):
            for start in range(0, form.columns, step):
                yield (number * form.columns + start) * width, partial(self._part, array[number, :, start : start + step])

    def finish(self) -> None:
        """Let go of what the parts were computed from."""
        release(self._source.storage)

    def _words(self) -> Array:
        """The elements; they only move, so their type does not matter, but integers numpy moves without its global lock."""
        source = self._source
        width = source.dtype.bits // 8
        return np.frombuffer(source.storage.view(), f"u{width}" if width <= 8 else f"V{width}").reshape(source.shape)

    def _part(self, columns: Array) -> memoryview:
        wanted = columns.swapaxes(0, 1)
        part = np.empty(wanted.shape, wanted.dtype)
        for start in range(0, part.shape[1], TILE):
            part[:, start : start + TILE] = wanted[:, start : start + TILE]
        if self.nbytes > MOST_MAPPED:
            self.finish()
        return raw(part)


def as_matrices(shape: tuple[int, ...], perm: tuple[int, ...]) -> Matrices | None:
    """A transposition as one of matrices: what stays in front, two groups of axes that change places, what stays behind."""
    moved = [axis for axis in perm if shape[axis] != 1]
    groups: list[list[int]] = []
    for axis in moved:
        behind = groups[-1][-1] if groups else None
        if behind is not None and all(shape[between] == 1 for between in range(behind + 1, axis)) and behind < axis:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    order = sorted(groups)
    sizes = [prod(shape[axis] for axis in group) for group in order]
    stack = sizes.pop(0) if groups and groups[0] == order[0] else 1
    run = sizes.pop() if len(sizes) > 1 and groups[-1] == order[-1] else 1
    return Matrices(stack, sizes[0], sizes[1], run) if len(sizes) == 2 else None


def fill(target: Array, source: Array) -> None:
    """Assign, of matrices a few columns at a time."""
    width = TILE if source.ndim == 2 else source.shape[-1]
    for start in range(0, source.shape[-1], width):
        target[..., start : start + width] = source[..., start : start + width]


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
