"""Drawing leaves: a type, a shape and elements for every symbol, so that the pattern's own conditions hold."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from graphopt.ir.dtype import DType
from graphopt.ir.graph import Value
from graphopt.ir.tensor import Array, Tensor
from graphopt.ir.types import TensorType
from graphopt.match.language import AttributePattern, Leaf
from graphopt.schema import facts
from graphopt.verify.selfcheck.structure import Output, Site, Symbol
from graphopt.verify.selfcheck.validity import tensor_dtype
from graphopt.verify.selfcheck.values import ANY, Kind, constants, ordinary

if TYPE_CHECKING:
    from graphopt.verify.selfcheck.instantiate import Sampler

Sizes = tuple[int | None, ...]
ABSENT: Final = object()  # an attribute that is left out
# What a pattern leaves open is drawn from here, the first that the operator takes being the likeliest.
COMMON: Final = (
    DType.float32, DType.int64, DType.bool, DType.float64, DType.int32, DType.float16, DType.uint8, DType.int8, DType.bfloat16,
    DType.uint32, DType.int16, DType.string,
)  # fmt: skip


class Misfit(Exception):
    """What was drawn does not fit together; draw again. The words help the author of a rule that never fits."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What one drawing aims at. `relaxed` are conditions to break: (symbol, condition) or (operator, attribute)."""

    opset: int
    dtype: DType = DType.float32
    rank: int | None = None
    sizes: tuple[int, ...] = (2, 3)
    constant_share: float = 0.25  # how often a leaf that need not be a constant is one
    relaxed: frozenset[tuple[str, str]] = frozenset()


@dataclass(slots=True)
class Leaves:
    """What has been drawn for the symbols so far; `sizes` are the dimensions that the rule names."""

    setting: Setting
    chance: random.Random
    numbers: np.random.Generator
    values: dict[Symbol, Value] = field(default_factory=dict)
    arrays: dict[Value, Array] = field(default_factory=dict)
    kinds: dict[Value, Kind] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def copy(self) -> Leaves:
        """The same, to come back to when what follows does not fit."""
        return replace(
            self, values=dict(self.values), arrays=dict(self.arrays), kinds=dict(self.kinds), sizes=dict(self.sizes), notes=list(self.notes)
        )

    def size(self) -> int:
        """A size that nothing prescribes."""
        return self.chance.choice(self.setting.sizes)

    def is_relaxed(self, symbol: Symbol, condition: str) -> bool:
        """Whether this drawing shall not heed a condition of a leaf."""
        return (symbol.name, condition) in self.setting.relaxed

    def demanded_rank(self, symbol: Symbol) -> int | None:
        """The rank that the leaf's conditions fix."""
        for leaf in symbol.conditions:
            if leaf.rank is not None and not self.is_relaxed(symbol, "rank"):
                return leaf.rank
            if leaf.shape is not None and ... not in leaf.shape and not self.is_relaxed(symbol, "shape"):
                return len(leaf.shape)
            if leaf.equals is not None:
                return 0
        return None

    def shape(self, symbol: Symbol, wanted: Sizes | None, free_rank: int) -> tuple[int, ...]:
        """A shape that meets every condition of the symbol; `wanted` is what the operator asks for, None for any size."""
        demanded = self.demanded_rank(symbol)
        shape = wanted
        if demanded is not None and wanted is not None and demanded != len(wanted):
            raise Misfit(f"{symbol.name} should have rank {demanded}, the operator takes rank {len(wanted)} here")
        for leaf in symbol.conditions:
            if leaf.shape is not None and not self.is_relaxed(symbol, "shape"):
                shape = self._unify(symbol, leaf.shape, shape, free_rank)
        for leaf in symbol.conditions:
            if leaf.into is not None and not self.is_relaxed(symbol, "into"):
                shape = self._broadcast(symbol, leaf, shape)
        if shape is None:
            shape = (None,) * (demanded if demanded is not None else free_rank)
        return tuple(self.size() if size is None else size for size in shape)

    def _unify(self, symbol: Symbol, pattern: tuple[str | int | EllipsisType | None, ...], shape: Sizes | None, free_rank: int) -> Sizes:
        fixed = len(pattern) - (1 if ... in pattern else 0)
        if shape is None:
            shape = (None,) * (fixed if ... not in pattern else max(fixed, free_rank))
        if ... in pattern:
            at = pattern.index(...)
            if len(shape) < fixed:
                raise Misfit(f"{symbol.name} should have at least rank {fixed}")
            pattern = (*pattern[:at], *(None,) * (len(shape) - fixed), *pattern[at + 1 :])
        if len(pattern) != len(shape):
            raise Misfit(f"{symbol.name} should have rank {len(pattern)}, the operator takes rank {len(shape)} here")
        return tuple(self._dimension(symbol, name, size) for name, size in zip(pattern, shape, strict=True))

    def _dimension(self, symbol: Symbol, name: object, size: int | None) -> int | None:
        if name is None:
            return size
        if isinstance(name, int):
            known: int | None = name
        else:
            known = self.sizes.get(str(name))
            if known is None:
                known = self.sizes[str(name)] = self.size() if size is None else size
        if size is not None and size != known:
            raise Misfit(f"dimension {name} of {symbol.name} is {known}, the operator takes {size} here")
        return known

    def _broadcast(self, symbol: Symbol, leaf: Leaf, shape: Sizes | None) -> Sizes:
        target = [self._dimension(symbol, name, None) for name in leaf.into or ()]
        if shape is None:
            demanded = self.demanded_rank(symbol)
            rank = self.chance.randint(0, len(target)) if demanded is None else demanded
            into = target[len(target) - rank :]
            shape = tuple(1 if self.chance.random() < 0.25 else size for size in into)
        for size, limit in zip(reversed(shape), reversed(target), strict=False):
            if size is not None and size not in (1, limit):
                raise Misfit(f"{symbol.name} should broadcast into {leaf.into}")
        if len(shape) > len(target):
            raise Misfit(f"{symbol.name} should broadcast into {leaf.into}")
        return shape

    def make(self, symbol: Symbol, dtype: DType, shape: tuple[int, ...], kind: Kind, data: Array | None) -> Value:
        """The value of a symbol, once type and shape are settled: a constant where the leaf asks for one."""
        is_constant = symbol.is_constant and not self.is_relaxed(symbol, "constant")
        share = 0.75 if data is not None else self.setting.constant_share
        is_constant = is_constant or (not symbol.is_constant and self.chance.random() < share)
        value = Value(symbol.name.replace(".", "_"), TensorType(dtype, shape))
        for candidate, words in self._contents(symbol, dtype, shape, kind, data):
            value.tensor = Tensor.of(candidate, dtype) if is_constant else None
            if all(leaf.where is None or self.is_relaxed(symbol, "where") or _holds(leaf.where, value) for leaf in symbol.conditions):
                self.values[symbol], self.arrays[value] = value, candidate
                self.kinds[value] = kind if data is None else Kind("exact")
                if words:
                    self.notes.append(f"{symbol.name} is {words}")
                return value
        raise Misfit(f"no value that was tried for {symbol.name} ({dtype}{list(shape)}) meets its where=")

    def _contents(
        self, symbol: Symbol, dtype: DType, shape: tuple[int, ...], kind: Kind, data: Array | None
    ) -> list[tuple[Array, str]]:
        """Elements to try, in the order in which to try them."""
        equals = [leaf.equals for leaf in symbol.conditions if leaf.equals is not None]
        if equals and not self.is_relaxed(symbol, "equals"):
            return [(np.full(shape, equals[0]).astype(dtype.numpy), "")]
        if data is not None:
            tried = [("", data)]
        else:
            tried = [("", ordinary(kind, dtype, shape, self.numbers))]
            is_free = all(leaf.where is None and leaf.where_array is None for leaf in symbol.conditions)
            if not is_free or (symbol.is_constant and self.chance.random() < 0.4):
                others = constants(kind, dtype, shape, self.numbers)
                self.chance.shuffle(others)
                tried = [*others, *tried] if self.chance.random() < 0.5 or is_free else [*tried, *others]
        conditions = [leaf.where_array for leaf in symbol.conditions if leaf.where_array is not None]
        if self.is_relaxed(symbol, "where"):
            conditions = []
        return [(array, words) for words, array in tried if all(_holds(where, array) for where in conditions)]


def _holds(condition: Any, subject: object) -> bool:  # Any: a predicate of a rule, over values, arrays or attributes
    """Whether a rule's own predicate holds; one that cannot cope with what was drawn does not."""
    try:
        return bool(condition(subject))
    except Exception:  # a stranger's code: whatever it raises here means "not this one"
        return False


class Draw:
    """One site while its operands and attributes are settled: what an operator's proposal talks to."""

    def __init__(self, sampler: Sampler, site: Site) -> None:
        self.sampler, self.site = sampler, site
        self.leaves = sampler.leaves
        self.chance = self.leaves.chance
        self.op_type = site.call.op_type
        self.facts = facts.newest(site.call.domain, site.call.op_type)
        self.attributes: dict[str, Any] = {}  # Any: as many kinds as attributes have
        self.asked: set[str] = set()

    # ---- operands

    @property
    def count(self) -> int:
        """How many operands the site has, absent ones among them."""
        return len(self.site.operands)

    def has(self, slot: int) -> bool:
        """Whether there is an operand in a slot."""
        return slot < self.count and self.site.operands[slot] is not None

    def value(self, slot: int) -> Value | None:
        """The value in a slot, None while it is still to be drawn (or absent)."""
        operand = self.site.operands[slot] if slot < self.count else None
        if isinstance(operand, Symbol):
            return self.leaves.values.get(operand)
        return self.sampler.outputs[operand.site][operand.index] if isinstance(operand, Output) else None

    def array(self, slot: int) -> Array | None:
        """What the operand holds in this drawing."""
        value = self.value(slot)
        return None if value is None else self.leaves.arrays[value]

    def shape(self, slot: int) -> tuple[int, ...] | None:
        """The shape of an operand, None while it is to be drawn."""
        array = self.array(slot)
        return None if array is None else array.shape

    def is_open(self, slot: int) -> bool:
        """Whether an operand is there and still to be drawn."""
        return self.has(slot) and self.value(slot) is None

    def rank(self, slot: int, *allowed: int) -> int:
        """The rank of an operand: as it is, as its leaf demands, else one of `allowed`. Raises Misfit when these disagree."""
        shape = self.shape(slot)
        symbol = self.site.operands[slot] if slot < self.count else None
        known = len(shape) if shape is not None else self.leaves.demanded_rank(symbol) if isinstance(symbol, Symbol) else None
        if known is None:
            wanted = self.leaves.setting.rank
            known = wanted if wanted is not None and (not allowed or wanted in allowed) else self.chance.choice(allowed or (2, 3, 1))
        if allowed and known not in allowed:
            raise Misfit(f"{self.op_type} takes no operand of rank {known} in slot {slot}")
        return known

    def size(self) -> int:
        """A size that nothing prescribes."""
        return self.leaves.size()

    def give(
        self, slot: int, shape: Sizes | None = None, *, dtype: DType | None = None, data: Array | list[int] | None = None, kind: Kind = ANY
    ) -> tuple[int, ...]:
        """Draw an operand, unless it is absent or known already, and return its shape (empty when absent).

        `shape` is what the operator asks for; None for what the pattern says, or anything. `data` fixes the elements.
        """
        symbol = self.site.operands[slot] if slot < self.count else None
        if not isinstance(symbol, Symbol) or symbol in self.leaves.values:
            return self.shape(slot) or ()
        if data is not None:
            dtype = dtype or DType.int64
            data = np.asarray(data, dtype=dtype.numpy)
            shape = data.shape
        dtype = self.dtype(slot, symbol, dtype)
        if shape is None:
            shape = self._as_before(symbol)
        free_rank = self.leaves.setting.rank
        settled = self.leaves.shape(symbol, shape, self.chance.choice((2, 3, 1, 2)) if free_rank is None else free_rank)
        self.leaves.make(symbol, dtype, settled, kind, data)
        return settled

    def _as_before(self, symbol: Symbol) -> Sizes | None:
        """Repetitions of one pattern mostly have one shape, else nothing would join them."""
        stem = symbol.name.partition(".")[0]
        if stem == symbol.name or self.chance.random() < 0.2:
            return None
        shape = next((value.shape for other, value in self.leaves.values.items() if other.name.startswith(f"{stem}.")), None)
        return None if shape is None else tuple(size for size in shape if isinstance(size, int))

    def dtype(self, slot: int, symbol: Symbol, wanted: DType | None) -> DType:
        """The element type of an operand still to be drawn: as its type variable is bound, else as the drawing prefers."""
        possible = self.possible(slot)
        for leaf in symbol.conditions:
            if leaf.dtype is not None and not self.leaves.is_relaxed(symbol, "dtype"):
                possible = [dtype for dtype in possible if dtype in leaf.dtype]
        if symbol.dtypes is not None:
            possible = [dtype for dtype in possible if dtype in symbol.dtypes]
        if wanted is not None:
            possible = [dtype for dtype in possible if dtype is wanted]
        bound = self.bound_dtype(slot)
        if bound is not None and wanted is None:
            possible = [dtype for dtype in possible if dtype is bound]
        if not possible:
            raise Misfit(f"no element type is left for {symbol.name} in slot {slot} of {self.op_type}")
        preferred, asked = self.leaves.setting.dtype, self.sampler.rule.dtype
        if preferred in possible:
            return preferred
        if asked is not None and not self.sampler.relaxed("dtype"):
            possible = [dtype for dtype in possible if dtype in asked] or possible
        return possible[0] if self.chance.random() < 0.7 else self.chance.choice(possible)

    def possible(self, slot: int) -> list[DType]:
        """The element types that the operator takes in a slot, common ones first."""
        formal = self.facts.input(slot) if self.facts is not None else None
        if formal is None:
            return [dtype for dtype in COMMON if dtype is not DType.string]
        known = {dtype for text in formal.types if (dtype := tensor_dtype(text)) is not None}
        if not known:
            raise Misfit(f"{self.op_type} takes no tensor in slot {slot}: give the rule examples=")
        return [dtype for dtype in COMMON if dtype in known] + sorted(known - set(COMMON))

    def bound_dtype(self, slot: int) -> DType | None:
        """What the type variable of a slot is bound to by the operands that are known."""
        formal = self.facts.input(slot) if self.facts is not None else None
        for other in range(self.count):
            value = self.value(other)
            if other == slot or value is None or value.dtype is None:
                continue
            theirs = self.facts.input(other) if self.facts is not None else None
            if formal is None or (theirs is not None and theirs.constraint == formal.constraint and formal.is_homogeneous):
                return value.dtype
        return None

    # ---- attributes

    def attribute(self, name: str, *candidates: Any) -> Any:  # Any: as many kinds as attributes have
        """Settle an attribute: one of the candidates (ABSENT leaves it out) that the pattern admits; returns what it then means.

        Later questions get the same answer. Raises Misfit when the pattern admits none.
        """
        if name in self.asked:
            return self.attributes.get(name, self.default(name))
        self.asked.add(name)
        pattern = dict(self.site.call.attributes).get(name)
        relaxed = (self.site.call.op, name) in self.leaves.setting.relaxed
        admitted = self._admitted(name, pattern, list(candidates), relaxed)
        if not admitted:
            raise Misfit(f"no value that was tried for the attribute {name} of {self.op_type} is what the pattern asks for")
        picked = self.chance.choice(admitted)
        if picked is not ABSENT:
            self.attributes[name] = picked
        return self.attributes.get(name, self.default(name))

    def _admitted(self, name: str, pattern: Any, candidates: list[Any], relaxed: bool) -> list[Any]:
        if pattern is None:
            return candidates or [ABSENT]
        where = pattern.where if isinstance(pattern, AttributePattern) else pattern if callable(pattern) else None
        if not candidates or relaxed:
            candidates = [*candidates, *self.guesses(name)]
        if where is not None or isinstance(pattern, AttributePattern):
            holds = [c for c in candidates if where is None or _holds(where, self.default(name) if c is ABSENT else c)]
            return [c for c in candidates if c not in holds] if relaxed and where is not None else holds
        if relaxed:
            return [c for c in candidates if c is not ABSENT and c != pattern]
        return [pattern, pattern, ABSENT] if self.default(name) == pattern else [pattern]

    def default(self, name: str) -> Any:
        """What an absent attribute means."""
        return None if self.facts is None else self.facts.default(name)

    def guesses(self, name: str) -> list[Any]:
        """Values for an attribute of which nothing is known but its kind."""
        known = self.facts.attributes.get(name) if self.facts is not None else None
        kind = known.kind.name if known is not None else "int"
        default = [] if known is None or known.default is None else [known.default, ABSENT]
        tried: dict[str, list[Any]] = {
            "float": [0.5, 1.0, 2.0, 0.01],
            "int": [0, 1, -1, 2],
            "ints": [(0,), (1,), (0, 1), (1, 0), (1, 1)],
            "floats": [(0.5,), (1.0, 2.0)],
        }
        return default + tried.get(kind, []) + ([] if known is None or known.is_required or default else [ABSENT])

