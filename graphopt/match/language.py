"""The pattern language: what a rule may say. A pattern is data; `compiler` makes it run, `explain` and `verify-rules` read it.

>>> x, w = tensor("x", shape=("M", "K")), tensor("w", shape=("K", "N"))
>>> print(op.Add(op.MatMul(x, w), tensor("c", into=("M", "N"))))
Add(MatMul(x, w), c)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from types import EllipsisType
from typing import Any, TypeAlias

from graphopt.errors import nearest
from graphopt.ir.dtype import DType
from graphopt.ir.graph import DEFAULT_DOMAINS, Value, operator
from graphopt.ir.tensor import Array

DimPattern: TypeAlias = "str | int | None"
ShapePattern: TypeAlias = "tuple[DimPattern | EllipsisType, ...]"
Literal: TypeAlias = "bool | int | float"
DTypes: TypeAlias = "DType | str | Iterable[DType | str]"

FLOATING = frozenset({DType.float16, DType.bfloat16, DType.float32, DType.float64})
INTEGERS = frozenset({DType.int8, DType.int16, DType.int32, DType.int64, DType.uint8, DType.uint16, DType.uint32, DType.uint64})
NUMERIC = FLOATING | INTEGERS


class Pattern:
    """What matches a value. `p | q` tries p first, then q."""

    __slots__ = ()

    def __or__(self, other: Operand) -> AnyOf:
        mine = self.alternatives if isinstance(self, AnyOf) else (self,)
        theirs = other.alternatives if isinstance(other, AnyOf) else (pattern_of(other),)
        return AnyOf((*mine, *theirs))


@dataclass(frozen=True, slots=True)
class Leaf(Pattern):
    """Any value that meets the conditions; used twice, it is the same value twice.

    Small constants with equal bytes are the same value; leaves without a name are independent of each other. `shape` names
    dimensions: a name means the same size wherever it stands in the rule, a number that size, None any size, `...` any number of
    further ones; an unknown dimension equals nothing. `into` asks that the value broadcasts into these dimensions without growing
    them (at most their rank, each dimension from the right equal or 1). `constant` excludes what a caller may override. `equals` is
    a constant with one element: whole numbers exactly, others as the constant's type rounds them (see `conditions.is_number`). The
    author's conditions are asked last, when all else matches, so that elements are not read in vain.
    """

    name: str | None = None
    dtype: frozenset[DType] | None = None
    rank: int | None = None
    shape: ShapePattern | None = None
    into: tuple[str | int, ...] | None = None
    constant: bool = False
    equals: Literal | None = None
    where: Callable[[Value], bool] | None = None
    where_array: Callable[[Array], bool] | None = None

    @property
    def has_conditions(self) -> bool:
        """Whether it asks for more than that there be a value."""
        return self != Leaf(self.name)

    def __str__(self) -> str:
        return repr(self.equals) if self.equals is not None else self.name or "_"


@dataclass(frozen=True, slots=True)
class Optional(Pattern):
    """A leaf whose input may be missing: left out, empty, or beyond the end of the list; its name is then None."""

    of: Leaf

    def __str__(self) -> str:
        return f"{self.of}?"


@dataclass(frozen=True, slots=True)
class Rest(Pattern):
    """All further inputs (none to many), bound as a tuple."""

    name: str
    dtype: frozenset[DType] | None = None

    def __str__(self) -> str:
        return f"*{self.name}"


@dataclass(frozen=True, slots=True)
class Each(Pattern):
    """All further inputs (one or more), each matching `of`; every name inside is bound as a tuple, in input order."""

    of: Pattern

    def __str__(self) -> str:
        return f"*{self.of}"


@dataclass(frozen=True, slots=True)
class AnyOf(Pattern):
    """The first alternative that leads to a match of the whole; names that an alternative does not bind are None."""

    alternatives: tuple[Pattern, ...]

    def __str__(self) -> str:
        return f"({' | '.join(map(str, self.alternatives))})"


@dataclass(frozen=True, slots=True)
class Chain(Pattern):
    """Two to six operands joined by one associative and commutative operator, in every grouping and order."""

    op: str
    operands: tuple[Pattern, ...]

    def __str__(self) -> str:
        name = {"Mul": "product", "Add": "sum_of"}.get(self.op, self.op)
        return f"{name}({', '.join(map(str, self.operands))})"


@dataclass(frozen=True, slots=True)
class AttributePattern:
    """An attribute whose value is bound to `name`; `where` must hold of it.

    An absent attribute has its schema default, None when there is none; `where` is not asked of None, which fails it. An attribute
    that the caller of a function supplies is unknown and matches nothing.
    """

    name: str
    where: Callable[[Any], bool] | None = None  # Any: an attribute may hold any kind, the condition knows which

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Call(Pattern):
    """A call of an operator, spelled as the newest opset spells it.

    `key` is the identity of the call: its copies (`.out(1)`), and the call used twice, match the same node, while two calls are two
    nodes. Inputs beyond those listed must be absent; attributes that are not listed may be anything. What an inner call makes is read
    by the match alone, as often as it stands in the pattern, unless the call is `kept()`: then it stays in the graph, and what feeds
    it stays as well.
    """

    op_type: str
    inputs: tuple[Pattern, ...]
    attributes: tuple[tuple[str, Any], ...] = ()  # Any: a literal, an AttributePattern or a predicate
    domain: str = ""
    name: str | None = None
    output: int = 0
    is_kept: bool = False
    is_ordered: bool = False
    key: object = field(default_factory=object, compare=False, repr=False)

    @property
    def op(self) -> str:
        """The operator as `Node.op` spells it."""
        return operator(self.domain, self.op_type)

    def named(self, name: str) -> Call:
        """The same call; the rule's function gets its node under this name."""
        return replace(self, name=name)

    def out(self, index: int) -> Call:
        """The same call, seen through its output `index`."""
        return replace(self, output=index)

    def kept(self) -> Call:
        """The same call, which stays in the graph: others may read what it makes."""
        return replace(self, is_kept=True)

    def __str__(self) -> str:
        attributes = [f"{key}={_said(value)}" for key, value in self.attributes]
        call = f"{self.op}({', '.join([*map(str, self.inputs), *attributes])})"
        return call + (f".out({self.output})" if self.output else "")


def _said(attribute: object) -> str:
    """What a pattern wants of an attribute; a predicate by its name, if it has one."""
    if not callable(attribute):
        return str(attribute)
    name = str(getattr(attribute, "__name__", ""))
    return name if name.isidentifier() else "..."


Operand: TypeAlias = "Pattern | Literal"


def pattern_of(operand: Operand) -> Pattern:
    """A pattern as it is; a number as the scalar constant it stands for. Raises TypeError for anything else."""
    if isinstance(operand, Pattern):
        return operand
    if isinstance(operand, (bool, int, float)):
        return Leaf(constant=True, equals=operand)
    raise TypeError(f"{operand!r} is no pattern: give a leaf, an operator call or a number")


class Operators:
    """`op.Add(x, y)`: one attribute per operator of a domain, spelled as the newest opset spells it."""

    __slots__ = ("_domain",)

    def __init__(self, domain: str = "") -> None:
        self._domain = "" if domain in DEFAULT_DOMAINS else domain

    def __getattr__(self, op_type: str) -> Callable[..., Call]:
        if op_type.startswith("__"):
            raise AttributeError(op_type)

        def call(*inputs: Operand, **attributes: Any) -> Call:  # Any: literals, AttributePatterns and predicates
            given = tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in attributes.items())
            return Call(op_type, tuple(map(pattern_of, inputs)), given, self._domain)

        return call

    def __getitem__(self, op_type: str) -> Callable[..., Call]:
        """The same by a name that is computed: `op["Add"](x, y)`."""
        found: Callable[..., Call] = getattr(self, op_type)
        return found


op = Operators()


def domain(name: str) -> Operators:
    """The operators of another domain: `ms = domain("com.microsoft")`, then `ms.Gelu(x)`."""
    return Operators(name)


def tensor(
    name: str | None = None,
    *,
    dtype: DTypes | None = None,
    rank: int | None = None,
    shape: ShapePattern | None = None,
    into: tuple[str | int, ...] | None = None,
    where: Callable[[Value], bool] | None = None,
) -> Leaf:
    """Any value, constant or not; see `Leaf` for the conditions. `where` gets the Value."""
    return Leaf(name, dtypes(dtype), rank, shape, into, where=where)


def const(
    name: str | None = None,
    *,
    equals: Literal | None = None,
    dtype: DTypes | None = None,
    rank: int | None = None,
    shape: ShapePattern | None = None,
    into: tuple[str | int, ...] | None = None,
    where: Callable[[Array], bool] | None = None,
) -> Leaf:
    """A constant (an initializer that no caller overrides, or a Constant); `where` gets its elements as an array, which reads them."""
    return Leaf(name, dtypes(dtype), rank, shape, into, constant=True, equals=equals, where_array=where)


def opt(leaf: Leaf) -> Optional:
    """An optional input: the leaf's name is None when it is missing."""
    if leaf.name is None:
        raise TypeError("opt(...) needs a leaf with a name, so that the rule can ask whether it is there")
    return Optional(leaf)


def rest(name: str, *, dtype: DTypes | None = None) -> Rest:
    """All further inputs as a tuple; an absent one among them is no match."""
    return Rest(name, dtypes(dtype))


def each(pattern: Operand) -> Each:
    """All further inputs, at least one, each of which matches `pattern`."""
    return Each(pattern_of(pattern))


def any_of(*patterns: Operand) -> AnyOf:
    """The first alternative that leads to a match of the whole."""
    return AnyOf(tuple(map(pattern_of, patterns)))


def attr(name: str, where: Callable[[Any], bool] | None = None) -> AttributePattern:
    """Binds an attribute's value: `axis=attr("axis")`; `where` must hold of it."""
    return AttributePattern(name, where)


def ordered(call: Call) -> Call:
    """The call with its operands in this order only, though the operator commutes."""
    return replace(call, is_ordered=True)


def product(*operands: Operand) -> Chain:
    """A product of these factors, however it is grouped and ordered."""
    return Chain("Mul", tuple(map(pattern_of, operands)))


def sum_of(*operands: Operand) -> Chain:
    """A sum of these terms, however it is grouped and ordered."""
    return Chain("Add", tuple(map(pattern_of, operands)))


_IN_TEXT = {"half": "float16", "float": "float32", "double": "float64"}  # what ONNX's texts call them


def dtypes(spec: DTypes | None) -> frozenset[DType] | None:
    """A set of element types from one, several, or their names. Raises TypeError for an unknown name."""
    if spec is None:
        return None
    names = [spec] if isinstance(spec, (DType, str)) else list(spec)
    for name in names:
        if isinstance(name, str) and name not in DType.__members__:  # numpy's "float" has 64 bits, ONNX's 32
            raise TypeError(f"{name!r} is no element type{nearest(_IN_TEXT.get(name, name), DType.__members__)}")
    return frozenset(map(DType.of, names))
