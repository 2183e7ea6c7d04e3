"""A graph of shape arithmetic in the making: what there is so far, and how nodes are added to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from random import Random
from typing import Any

import numpy as np

from graphopt.ir import Dim, DType, Editor, Model, Shape, Size, Tensor, TensorType, Value
from graphopt.schema.spelling import spell

OPSETS = (7, 8, 10, 11, 12, 13, 14, 16, 18, 20, 21)
SYMBOLS = ("N", "M", "S")
MOST = 24  # elements of a vector
INTS = (DType.int64, DType.int32)


class Impossible(Exception):
    """No such node can be made of what there is; another one may."""


@dataclass(frozen=True)
class Piece:
    """A value with what the maker of the graph knows of it: its shape, or for data at least its rank."""

    value: Value
    dtype: DType
    shape: tuple[int, ...]
    is_data: bool = False
    is_small: bool = False  # its elements lie between 0 and 5


class Draft:
    """A graph that computes with the shapes of its inputs. `divides` says that it divides by a symbol, which then must not be 0."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.opset = self.random.choice(OPSETS)
        self.model = Model(f"seed_{seed}", ir_version=8, opsets={"": self.opset})
        self.graph = self.model.graph
        self.editor = Editor(self.model)
        self.pieces: list[Piece] = []
        self.declared: dict[str, Shape] = {}
        self.divides = False
        for index in range(self.random.randint(1, 3)):
            self._input(f"x{index}")

    def _input(self, name: str) -> None:
        names = [*map(Dim.symbol, SYMBOLS)]
        choices: list[Size] = [*names, *names, 1, 2, 3, 4, None]
        shape = tuple(self.random.choice(choices) for _ in range(self.random.randint(1, 4)))
        value = Value(name, TensorType(DType.float32, shape))
        value.graph = self.graph
        self.declared[name] = shape
        self.graph.inputs.append(value)
        self.model.names.add(name)
        self.pieces.append(Piece(value, DType.float32, (-1,) * len(shape), is_data=True))

    def pick(
        self, *, dtypes: Sequence[DType] = INTS, rank: int | None = None, where: Callable[[Piece], bool] = lambda piece: True
    ) -> Piece:
        """A piece of shape arithmetic. Raises Impossible."""
        found = [
            piece
            for piece in self.pieces
            if not piece.is_data and piece.dtype in dtypes and (rank is None or len(piece.shape) == rank) and where(piece)
        ]
        if not found:
            raise Impossible
        return self.random.choice(found[-12:])

    def data(self) -> Piece:
        """An input, or what was made of one."""
        return self.random.choice([piece for piece in self.pieces if piece.is_data])

    def held(self, data: Any, dtype: DType = DType.int64) -> Value:
        """A constant."""
        return self.editor.add_constant(self.graph, Tensor.of(np.array(data, dtype.numpy)), "c")

    def constant(self, shape: tuple[int, ...], dtype: DType = DType.int64, low: int = -3, high: int = 6) -> Piece:
        """A constant piece."""
        count = prod(shape)
        great = [2**31 - 1, 2**30] if dtype is not DType.bool else [1]
        numbers = [self.random.choice(great) if self.random.random() < 0.03 else self.random.randint(low, high) for _ in range(count)]
        return Piece(self.held(np.array(numbers).reshape(shape), dtype), dtype, shape)

    def node(self, op: str, *inputs: Value | None, outputs: int = 1, **attributes: Any) -> tuple[Value, ...]:
        """Insert a node; raises CannotSpell where this opset has none."""
        node = self.editor.insert(spell(op, inputs, attributes, self.graph, outputs=outputs), self.graph)
        return node.outputs

    def add(self, value: Value, dtype: DType, shape: tuple[int, ...], *, is_small: bool = False, is_data: bool = False) -> None:
        """Remember what a node gave."""
        self.pieces.append(Piece(value, dtype, shape, is_data, is_small))

    def partner(self, piece: Piece, dtypes: Sequence[DType] | None = None) -> Piece:
        """A piece that can be broadcast against another one."""

        def fits(other: Piece) -> bool:
            try:
                return prod(np.broadcast_shapes(piece.shape, other.shape)) <= MOST
            except ValueError:
                return False

        if self.random.random() < 0.4:
            shape = self.random.choice([(), (1,), piece.shape, piece.shape[-1:]])
            return self.constant(shape, piece.dtype) if piece.dtype is not DType.bool else self.constant(shape, DType.bool, 0, 1)
        return self.pick(dtypes=dtypes or (piece.dtype,), where=fits)
