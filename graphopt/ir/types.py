"""Types of values: tensors, and the containers that ONNX puts around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from graphopt.ir.dim import Shape
from graphopt.ir.dtype import DType


@dataclass(frozen=True, slots=True)
class TensorType:
    """A dense tensor; `shape` is None when not even the rank is known."""

    dtype: DType
    shape: Shape | None = None

    def __str__(self) -> str:
        if self.shape is None:
            return self.dtype.name
        return f"{self.dtype.name}[{', '.join('?' if size is None else str(size) for size in self.shape)}]"


@dataclass(frozen=True, slots=True)
class SparseTensorType:
    """A sparse tensor of the given dense shape."""

    dtype: DType
    shape: Shape | None = None

    def __str__(self) -> str:
        return f"sparse_{TensorType(self.dtype, self.shape)}"


@dataclass(frozen=True, slots=True)
class SequenceType:
    """A sequence of `element`; None when the element's type is not declared."""

    element: Type | None

    def __str__(self) -> str:
        return f"seq({self.element or '?'})"


@dataclass(frozen=True, slots=True)
class OptionalType:
    """An `element` that may be missing."""

    element: Type | None

    def __str__(self) -> str:
        return f"optional({self.element or '?'})"


@dataclass(frozen=True, slots=True)
class MapType:
    """A map from integers or strings to `value`."""

    key: DType
    value: Type | None

    def __str__(self) -> str:
        return f"map({self.key.name}, {self.value or '?'})"


@dataclass(frozen=True, slots=True)
class OpaqueType:
    """A type that only its domain understands."""

    domain: str
    name: str

    def __str__(self) -> str:
        return f"opaque({self.domain}.{self.name})"


Type: TypeAlias = TensorType | SparseTensorType | SequenceType | OptionalType | MapType | OpaqueType
