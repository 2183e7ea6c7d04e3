"""Random models of movement, order and linear operators with QuantizeLinear and DequantizeLinear between them, and numbers for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from graphopt.ir.tensor import Array
from tests.quantization.calls import Random

KINDS = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8}


@dataclass
class Edge:
    """A value: its shape, and its scale and zero point where it holds integers."""

    name: str
    shape: tuple[int, ...]
    grid: Grid | None = None


@dataclass(frozen=True)
class Grid:
    """Parameters by the names of their initializers."""

    scale: str
    zero: str
    kind: str
    axis: int | None
    count: int


@dataclass
class Maker:
    """A model in the making."""

    random: Random
    opset: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    stored: list[TensorProto] = field(default_factory=list)
    floats: list[Edge] = field(default_factory=list)
    integers: list[Edge] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)

    def store(self, array: Array) -> str:
        name = f"c{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def numbers(self, *numbers: int) -> str:
        return self.store(np.array(numbers, np.int64))

    def add(self, op: str, inputs: list[str], outputs: int = 1, **attributes: Any) -> list[str]:  # Any: what make_node takes
        made = [f"v{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, made, **attributes))
        return made

    def pick(self, edges: list[Edge]) -> Edge:
        return edges[int(self.random.integers(max(0, len(edges) - 4), len(edges)))]

    def grid(self, shape: tuple[int, ...]) -> Grid:
        """Some that exists and fits, mostly, or a new one."""
        fitting = [grid for grid in self.grids if grid.axis is None or (grid.axis < len(shape) and shape[grid.axis] == grid.count)]
        if fitting and self.random.random() < 0.75:
            return fitting[int(self.random.integers(len(fitting)))]
        axis = int(self.random.integers(len(shape))) if self.random.random() < 0.3 and shape and self.opset >= 13 else None
        size: tuple[int, ...] = () if axis is None else (shape[axis],)
        kind = str(self.random.choice(["uint8", "int8"]))
        limits = np.iinfo(kind)
        zero = self.random.choice([limits.min, 0, int(self.random.integers(limits.min, limits.max + 1))], size)
        scale = self.random.choice([0.25, 0.1, 0.0313], size).astype(np.float32)
        if self.random.random() < 0.04:
            scale = -scale
        shared = next((grid for grid in self.grids if grid.axis == axis and (axis is None or grid.count == size[0])), None)
        scale_name = shared.scale if shared is not None and self.random.random() < 0.4 else self.store(scale)
        made = Grid(scale_name, self.store(np.asarray(zero).astype(kind)), kind, axis, size[0] if size else 0)
        self.grids.append(made)
        return made

    # ---- steps

    def quantize(self) -> None:
        edge = self.pick(self.floats)
        grid = self.grid(edge.shape)
        axis = {} if grid.axis is None else {"axis": grid.axis}
        self.integers.append(Edge(self.add("QuantizeLinear", [edge.name, grid.scale, grid.zero], **axis)[0], edge.shape, grid))

    def dequantize(self) -> None:
        edge = self.pick(self.integers)
        grid = edge.grid
        assert grid is not None
        if self.random.random() < 0.1 and (other := self.grid(edge.shape)).kind == grid.kind:
            grid = other
        if grid.axis is not None and (grid.axis >= len(edge.shape) or edge.shape[grid.axis] != grid.count):
            plain = [other for other in self.grids if other.axis is None and other.kind == grid.kind]
            if not plain:
                return
            grid = plain[0]
        axis = {} if grid.axis is None else {"axis": grid.axis}
        self.floats.append(Edge(self.add("DequantizeLinear", [edge.name, grid.scale, grid.zero], **axis)[0], edge.shape))

    def compute(self) -> None:
        edge = self.pick(self.floats)
        how = int(self.random.integers(0, 3))
        if how == 0:
            self.floats.append(Edge(self.add("Add", [edge.name, self.store(np.array(0.25, np.float32))])[0], edge.shape))
        elif how == 1:
            self.floats.append(Edge(self.add("Neg", [edge.name])[0], edge.shape))
        elif edge.shape:
            weights = self.random.integers(-3, 4, (edge.shape[-1], 4)).astype(np.float32)
            if len(edge.shape) > 1:
                self.floats.append(Edge(self.add("MatMul", [edge.name, self.store(weights)])[0], (*edge.shape[:-1], 4)))

    def move(self, edges: list[Edge]) -> None:
        """An operator that moves or chooses elements."""
        edge = self.pick(edges)
        name = str(self.random.choice(STEPS))
        made = getattr(self, f"_{name}")(edge, edges)
        for one in made or ():
            one.grid = edge.grid
            edges.append(one)

    def _one(self, op: str, edge: Edge, inputs: list[str], shape: tuple[int, ...], **attributes: Any) -> list[Edge]:  # Any: the same
        return [Edge(self.add(op, [edge.name, *inputs], **attributes)[0], shape)]

    def _transpose(self, edge: Edge, edges: list[Edge]) -> list[Edge]:
        perm = [int(axis) for axis in self.random.permutation(len(edge.shape))]
        return self._one("Transpose", edge, [], tuple(edge.shape[axis] for axis in perm), perm=perm)

    def _reshape(self, edge: Edge, edges: list[Edge]) -> list[Edge] | None:
        if len(edge.shape) < 3:
            return None
        at = int(self.random.integers(0, len(edge.shape) - 1))
        shape = (*edge.shape[:at], edge.shape[at] * edge.shape[at + 1], *edge.shape[at + 2 :])
        return self._one("Reshape", edge, [self.numbers(*shape)], shape)

    def _flatten(self, edge: Edge, edges: list[Edge]) -> list[Edge]:
        axis = int(self.random.integers(0, len(edge.shape) + 1))
        shape = (int(np.prod(edge.shape[:axis], dtype=int)), int(np.prod(edge.shape[axis:], dtype=int)))
        return self._one("Flatten", edge, [], shape, axis=axis)

    def _slice(self, edge: Edge, edges: list[Edge]) -> list[Edge] | None:
        axis = self._long(edge)
        if axis is None or self.opset < 11:
            return None
        shape = _with(edge.shape, axis, edge.shape[axis] - 1)
        return self._one("Slice", edge, [self.numbers(1), self.numbers(99), self.numbers(axis)], shape)

    def _split(self, edge: Edge, edges: list[Edge]) -> list[Edge] | None:
        axis = self._long(edge)
        if axis is None or self.opset < 13:
            return None
        sizes = (1, edge.shape[axis] - 1)
        names = self.add("Split", [edge.name, self.numbers(*sizes)], 2, axis=axis)
        return [Edge(name, _with(edge.shape, axis, size)) for name, size in zip(names, sizes, strict=True)]

    def _concat(self, edge: Edge, edges: list[Edge]) -> list[Edge] | None:
        axis = int(self.random.integers(len(edge.shape))) if edge.shape else None
        others = [other for other in edges if axis is not None and _fits(other, edge, axis)]
        if axis is None or not others:
            return None
        other = others[int(self.random.integers(len(others)))]
        if edge.grid is None and self.random.random() < 0.2:
            other = Edge(self.store(numbers(self.random, edge.shape)), edge.shape)
        return self._one("Concat", edge, [other.name], _with(edge.shape, axis, edge.shape[axis] + other.shape[axis]), axis=axis)

    def _gather(self, edge: Edge, edges: list[Edge]) -> list[Edge] | None:
        axis = self._long(edge)
        if axis is None:
            return None
        return self._one("Gather", edge, [self.numbers(1, 0, 1)], _with(edge.shape, axis, 3), axis=axis)

    def _pad(self, edge: Edge, edges: list[Edge]) -> list[Edge] | None:
        if self.opset < 13:
            return None
        pads = [int(self.random.choice([0, 0, 1])) for _ in range(2 * len(edge.shape))]
        shape = tuple(size + pads[axis] + pads[axis + len(edge.shape)] for axis, size in enumerate(edge.shape))
        if int(np.prod(shape)) > 4000:
            return None
        if edge.grid is None:
            value = [self.store(np.array(self.random.choice([0.0, 0.25, 0.3, -7.0]), np.float32))] if self.random.random() < 0.6 else []
        else:
            value = [edge.grid.zero] if edge.grid.axis is None else []
        return self._one("Pad", edge, [self.numbers(*pads), *value], shape)

    def _tile(self, edge: Edge, edges: list[Edge]) -> list[Edge] | None:
        repeats = [int(self.random.choice([1, 1, 2])) for _ in edge.shape]
        shape = tuple(size * times for size, times in zip(edge.shape, repeats, strict=True))
        return None if int(np.prod(shape)) > 4000 else self._one("Tile", edge, [self.numbers(*repeats)], shape)

    def _relu(self, edge: Edge, edges: list[Edge]) -> list[Edge] | None:
        return self._one("Relu", edge, [], edge.shape) if edge.grid is None else None

    def _clip(self, edge: Edge, edges: list[Edge]) -> list[Edge] | None:
        if edge.grid is not None or self.opset < 13:
            return None
        bounds = [self.store(np.array(self.random.choice(held), np.float32)) for held in ([-2.5, -1, 0, -0.31], [0.25, 2.5, 3.03])]
        return self._one("Clip", edge, bounds, edge.shape)

    def _extreme(self, edge: Edge, edges: list[Edge]) -> list[Edge] | None:
        if self.opset < 13:
            return None
        others = [other for other in edges if other.shape == edge.shape and _kind(other) == _kind(edge)]
        other = others[int(self.random.integers(len(others)))].name
        if edge.grid is None and self.random.random() < 0.4:
            other = self.store(np.array(self.random.choice([0, 0.25, 0.11]), np.float32))
        return self._one(str(self.random.choice(["Max", "Min"])), edge, [other], edge.shape)

    def _where(self, edge: Edge, edges: list[Edge]) -> list[Edge]:
        others = [other for other in edges if other.shape == edge.shape and _kind(other) == _kind(edge)]
        other = others[int(self.random.integers(len(others)))].name
        condition = self.store(self.random.random(edge.shape) < 0.5)
        return [Edge(self.add("Where", [condition, edge.name, other])[0], edge.shape)]

    def _max_pool(self, edge: Edge, edges: list[Edge]) -> list[Edge] | None:
        if len(edge.shape) != 4 or min(edge.shape[2:]) < 2 or self.opset < 13:
            return None
        outputs = 2 if self.random.random() < 0.2 else 1
        names = self.add("MaxPool", [edge.name], outputs, kernel_shape=[2, 2], pads=[0, 0, 1, 1])
        self.others += names[1:]
        return [Edge(names[0], edge.shape)]

    def _reduce(self, edge: Edge, edges: list[Edge]) -> list[Edge] | None:
        if len(edge.shape) < 2 or self.opset < 18:
            return None
        axis = int(self.random.integers(len(edge.shape)))
        return self._one(str(self.random.choice(["ReduceMax", "ReduceMin"])), edge, [self.numbers(axis)], _with(edge.shape, axis, 1))

    def _arg_max(self, edge: Edge, edges: list[Edge]) -> None:
        if edge.shape and self.opset >= 13:
            self.others += self.add("ArgMax", [edge.name], axis=int(self.random.integers(len(edge.shape))))

    def _top_k(self, edge: Edge, edges: list[Edge]) -> list[Edge] | None:
        axis = self._long(edge)
        if axis is None or self.opset < 11:
            return None
        names = self.add("TopK", [edge.name, self.numbers(2)], 2, axis=axis)
        if self.random.random() < 0.5:
            self.others.append(names[1])
        return [Edge(names[0], _with(edge.shape, axis, 2))]

    def _shape(self, edge: Edge, edges: list[Edge]) -> None:
        self.others += self.add("Shape", [edge.name])

    def _long(self, edge: Edge) -> int | None:
        axes = [axis for axis, size in enumerate(edge.shape) if size > 1]
        return axes[int(self.random.integers(len(axes)))] if axes else None


STEPS = (
    "arg_max", "clip", "concat", "extreme", "flatten", "gather", "max_pool", "pad", "reduce", "relu", "reshape", "shape", "slice", "split",
    "tile", "top_k", "transpose", "where",
)  # fmt: skip


def _with(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    return (*shape[:axis], size, *shape[axis + 1 :])


def _kind(edge: Edge) -> str | None:
    return None if edge.grid is None else edge.grid.kind


def _fits(other: Edge, edge: Edge, axis: int) -> bool:
    return len(other.shape) == len(edge.shape) and _with(other.shape, axis, 0) == _with(edge.shape, axis, 0) and _kind(other) == _kind(edge)


def random_model(seed: int) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A model and numbers to feed it."""
    random = np.random.default_rng(seed)
    maker = Maker(random, int(random.choice([11, 13, 18, 21, 21])))
    shape = tuple(int(size) for size in random.integers(1, 5, int(random.choice([2, 3, 4, 4]))))
    maker.floats.append(Edge("x", shape))
    maker.quantize()
    for _ in range(int(random.integers(4, 14))):
        how = random.random()
        if how < 0.22:
            maker.quantize()
        elif how < 0.48:
            maker.dequantize()
        elif how < 0.55:
            maker.compute()
        elif how < 0.9:
            maker.move(maker.floats)
        else:
            maker.move(maker.integers)
    read = {name for node in maker.nodes for name in node.input}
    outputs = [edge for edge in (*maker.floats, *maker.integers) if edge.name != "x" and (edge.name not in read or random.random() < 0.08)]
    made = [onnx.ValueInfoProto(name=name) for name in dict.fromkeys((*(edge.name for edge in outputs), *maker.others))]
    sizes: list[int | str] = ["N" if axis == 0 and random.random() < 0.5 else size for axis, size in enumerate(shape)]
    graph = helper.make_graph(maker.nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)], made, maker.stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", maker.opset)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model), {"x": numbers(random, shape)}


def numbers(random: Random, shape: tuple[int, ...]) -> Array:
    """On the grid of some scale, half-way between, out of range, and both zeros."""
    scale = random.choice([0.25, 0.1, 0.0313], shape).astype(np.float32)
    steps = random.integers(-300, 300, shape) + random.choice([0, 0, 0.5, 0.5, 0.3], shape)
    x = steps.astype(np.float32) * scale
    for share, value in ((0.05, 0.0), (0.05, -0.0), (0.02, 1e5), (0.02, -1e5)):
        x = np.where(random.random(shape) < share, np.float32(value), x)
    return np.ascontiguousarray(x, np.float32).reshape(shape)
