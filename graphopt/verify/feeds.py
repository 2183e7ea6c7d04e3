"""What the models are fed: random numbers of several sizes, special values, other values for stored defaults."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from onnx import TypeProto

from graphopt.ir.dtype import DType
from graphopt.verify.signature import Port, extents, spelled
from graphopt.verify.sizes import Sizes, names_in, resolve
from graphopt.verify.usage import Usage

Array = npt.NDArray[Any]
LARGEST: Final = 50_000_000  # elements of one input


class Unfeedable(Exception):
    """No value can be made for an input: its type, or the size that is asked for."""


class Kind(Enum):
    """What a feed is for."""

    ORDINARY = "random"
    FINITE = "zeros of both signs, denormals, extreme integers"
    NONFINITE = "NaN and Inf"
    OVERRIDDEN = "other values for the stored defaults"
    ABSENT = "optional inputs absent"
    GIVEN = "given"


class Caution(IntEnum):
    """How daring integers are; a model that rejects one step is given the next."""

    DERIVED = 0  # as the readers suggest, otherwise between -9 and 9
    SMALL = 1  # 0 and 1
    ZERO = 2
    ONE = 3


@dataclass(frozen=True, slots=True)
class Feed:
    """Values for the inputs, and how they were made."""

    kind: Kind
    seed: int
    sizes: Sizes
    values: dict[str, object]

    def __str__(self) -> str:
        numbered = {Kind.ORDINARY: f"seed {self.seed}", Kind.GIVEN: f"given feed {self.seed}"}
        parts = [numbered.get(self.kind, self.kind.value)]
        parts += [f"{name}={size}" for name, size in self.sizes.items()]
        return ", ".join(parts)


@dataclass(slots=True)
class FeedMaker:
    """Makes feeds for a model's inputs. `default(name)` reads the stored default of an overridable input.

    `frozen` are the sizes of names that the inputs had, and that other names of theirs may be made of ("past + 1").
    """

    ports: tuple[Port, ...]
    usages: Mapping[str, Usage]
    default: Callable[[str], Array]
    frozen: Mapping[str, int] = field(default_factory=dict)
    symbols: tuple[str, ...] = field(init=False)
    unranked: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        known = frozenset(extent for port in self.ports for extent in _extents(port.type) if isinstance(extent, str)) | self.frozen.keys()
        found: dict[str, None] = {}
        for port in self.ports:
            for axis, extent in enumerate(_extents(port.type)):
                if isinstance(extent, str):
                    found |= dict.fromkeys(names_in(extent, known))
                elif extent is None:
                    found[f"{port.name}[{axis}]"] = None
        self.symbols = tuple(name for name in found if name not in self.frozen)
        self.unranked = tuple(port.name for port in self.ports if not port.overridable and _unranked(port.type))

    @property
    def has_optionals(self) -> bool:
        """Whether an input may be fed nothing."""
        return any(port.type.WhichOneof("value") == "optional_type" for port in self.ports)

    @property
    def has_overridables(self) -> bool:
        """Whether an input has a stored default."""
        return any(port.overridable for port in self.ports)

    def make(self, kind: Kind, seed: int, sizes: Sizes, caution: Caution, rank: int = 2) -> Feed:
        """One feed; the same arguments give the same values. Raises Unfeedable."""
        values: dict[str, object] = {}
        everything = {**sizes, **self.frozen}
        for position, port in enumerate(self.ports):
            random = np.random.default_rng((seed, position))
            if not port.overridable:
                usage = self.usages.get(port.name, Usage())
                values[port.name] = _Drawer(port.name, usage, random, kind, seed, everything, caution, rank).value(port.type)
            elif kind is Kind.OVERRIDDEN:
                other = _other(self.default(port.name), random, caution)
                if other is not None:
                    values[port.name] = other
        return Feed(kind, seed, sizes, values)


def _extents(type: TypeProto) -> tuple[int | str | None, ...]:
    """The declared dimensions of a tensor, or of what a sequence or optional holds."""
    which = type.WhichOneof("value")
    if which in ("sequence_type", "optional_type"):
        return _extents(getattr(type, which).elem_type)
    return extents(type) or ()


def _unranked(type: TypeProto) -> bool:
    which = type.WhichOneof("value")
    if which in ("sequence_type", "optional_type"):
        return _unranked(getattr(type, which).elem_type)
    return which == "tensor_type" and extents(type) is None


@dataclass(frozen=True, slots=True)
class _Drawer:
    """Draws the value of one input."""

    name: str
    usage: Usage
    random: np.random.Generator
    kind: Kind
    seed: int
    sizes: Sizes
    caution: Caution
    rank: int

    def value(self, type: TypeProto) -> object:
        which = type.WhichOneof("value")
        if which == "tensor_type":
            return self.tensor(DType(type.tensor_type.elem_type), self.shape(type))
        if which == "sequence_type":
            return [self.value(type.sequence_type.elem_type) for _ in range(1 + self.seed % 3)]
        if which == "optional_type":
            return None if self.kind is Kind.ABSENT else self.value(type.optional_type.elem_type)
        if which == "map_type":
            return self.map(DType(type.map_type.key_type), DType(type.map_type.value_type.tensor_type.elem_type))
        raise Unfeedable(f"input {self.name}: no values can be made for the type {spelled(type)}")

    def shape(self, type: TypeProto) -> tuple[int, ...]:
        declared = extents(type)
        if declared is None:
            return (2, 3, 4, 5, 6)[: self.rank]
        shape = []
        for axis, extent in enumerate(declared):
            if isinstance(extent, str):
                size = resolve(extent, self.sizes)
                if size is None:
                    raise Unfeedable(f"input {self.name}: the size of {extent} is not known")
                shape.append(size)
            else:
                shape.append(self.sizes[f"{self.name}[{axis}]"] if extent is None else extent)
        if math.prod(shape) > LARGEST:
            raise Unfeedable(f"input {self.name}: {shape} is too large to try")
        return tuple(shape)

    def tensor(self, kind: DType, shape: tuple[int, ...]) -> Array:
        if kind is DType.undefined:
            raise Unfeedable(f"input {self.name}: its element type is not declared")
        if kind is DType.string:
            return self.strings(shape)
        if kind is DType.bool:
            return np.asarray(self.random.integers(0, 2, shape)).astype(np.bool_)
        if kind.is_integer:
            return self.integers(kind, shape)
        if not kind.is_float:
            parts = self.random.standard_normal((2, *shape))
            return np.asarray(parts[0] + 1j * parts[1]).astype(kind.numpy)
        return self.floats(kind, shape)

    def floats(self, kind: DType, shape: tuple[int, ...]) -> Array:
        numbers: Any = np.asarray(self.random.standard_normal(shape))
        if self.usage.positive or kind is DType.float8e8m0:
            numbers = np.abs(numbers) * 0.5 + 0.1
        if self.usage.low is not None and self.usage.high is not None:  # the scales of a Resize
            numbers = np.asarray(self.random.integers(self.usage.low, self.usage.high + 1, shape))
        array: Array = np.asarray(numbers.astype(kind.numpy))
        if self.kind in (Kind.FINITE, Kind.NONFINITE) and not self.usage.tame and not self.usage.positive:
            self._sprinkle(array, _special(kind, self.kind))
        return array

    def integers(self, kind: DType, shape: tuple[int, ...]) -> Array:
        info = kind.info
        if self.usage.pattern == "reshape":
            return np.asarray([-1, *[1] * (math.prod(shape) - 1)][: math.prod(shape)], kind.numpy).reshape(shape)
        if self.usage.pattern == "axes":
            return np.arange(math.prod(shape)).astype(kind.numpy).reshape(shape)
        low, high = self._bounds(kind)
        low, high = max(low, int(info.min)), min(high, int(info.max))
        array: Array = np.asarray(self.random.integers(low, high + 1, shape, dtype=np.int64)).astype(kind.numpy)
        if self.kind is Kind.FINITE and self.caution is Caution.DERIVED:
            if self.usage.pattern == "index":
                self._sprinkle(array, [high, -1, -high - 1] if info.min < 0 else [high])
            elif not self.usage.tame and self.usage.low is None:
                self._sprinkle(array, [int(info.min), int(info.max)])
        return array

    def _bounds(self, kind: DType) -> tuple[int, int]:
        if self.caution is not Caution.DERIVED:
            least = int(self.usage.divides)
            return {Caution.SMALL: (least, least + 1), Caution.ZERO: (least, least), Caution.ONE: (1, 1)}[self.caution]
        if self.usage.low is not None and self.usage.high is not None:
            return self.usage.low, max(self.usage.low, self.usage.high)
        if kind.bits <= 8 and not self.usage.divides:
            return -128, 255  # quantized numbers use the whole range
        return (1, 9) if self.usage.divides else (0, 9) if self.usage.tame else (-9, 9)

    def strings(self, shape: tuple[int, ...]) -> Array:
        words = [word for word in self.usage.words if isinstance(word, str)] + ["", "a", "Zürich 9"]
        if self.caution is not Caution.DERIVED:  # it may want to read them as numbers
            words = ["0", "1", "-2.5"]
        flat = np.empty(math.prod(shape), dtype=object)
        flat[:] = [words[choice] for choice in self.random.integers(0, len(words), flat.size)]
        return flat.reshape(shape)

    def map(self, key: DType, value: DType) -> dict[object, object]:
        words: list[str | int] = [word for word in self.usage.words if isinstance(word, str) == (key is DType.string)]
        if not words:
            words = ["a", "b", "c"] if key is DType.string else [0, 1, 2]
        drawn: list[object] = self.tensor(value, (len(words),)).tolist()
        return dict(zip(words, drawn, strict=True))

    def _sprinkle(self, array: Array, special: list[Any]) -> None:
        """Put special values in random places: each once at least where there is room, and in at most an eighth otherwise."""
        flat = array.reshape(-1)
        count = min(flat.size, max(len(special), flat.size // 8))
        if count and special:
            places = self.random.permutation(flat.size)[:count]
            flat[places] = np.resize(np.asarray(special, dtype=array.dtype), count)


def _special(kind: DType, wanted: Kind) -> list[Any]:
    if kind.name.startswith(("float8e8", "float6e", "float4e")):
        return []  # no sign, or neither NaN nor Inf
    info = kind.info
    if wanted is Kind.NONFINITE:
        return [float("nan"), float("inf"), float("-inf")]
    return [0.0, -0.0, info.smallest_subnormal, -info.smallest_subnormal, info.tiny / info.dtype.type(2)]


def _other(default: Array, random: np.random.Generator, caution: Caution) -> Array | None:
    """Other values for a stored default, of the same range and signs; None when it is not to be touched.

    Integers are shapes and axes more often than data: only a model that accepts other ones is given them (see Caution).
    """
    if default.dtype.kind in "iub" or default.dtype.name.startswith(("int", "uint")):
        if caution is not Caution.DERIVED:
            return None
        elements = np.array(default).reshape(-1)  # a copy: what is stored is read-only
        random.shuffle(elements)
        mixed = np.asarray(elements.reshape(default.shape))
        if not np.array_equal(mixed, default):
            return mixed
        return ~default if default.dtype.kind == "b" else np.asarray(default + np.ones_like(default))
    if default.dtype.kind in "OUS" or default.size == 0:
        return None
    wide = np.complex128 if default.dtype.kind == "c" else np.float64
    numbers: Any = random.permutation(default.reshape(-1)).reshape(default.shape).astype(wide)
    factors = random.uniform(0.5, 1.5, default.shape)
    return np.asarray(np.where(numbers == 0, np.abs(factors) * 0.1, numbers * factors)).astype(default.dtype)
