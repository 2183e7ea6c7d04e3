"""A rule: patterns and the function that says what replaces them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, final, get_args

from graphopt.errors import SpecError
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Value
from graphopt.match.check import check_patterns
from graphopt.match.language import AnyOf, AttributePattern, Call, Chain, DTypes, Leaf, Pattern, Rest, dtypes
from graphopt.match.structure import walk

Exactness: TypeAlias = Literal["exact", "rounding", "approximate"]


@final
class Declined:
    """What `m.no(...)` returns: the rule looked and said no."""

    __slots__ = ("_values", "_words")

    def __init__(self, words: str, values: tuple[object, ...] = ()) -> None:
        self._words, self._values = words, values

    def __str__(self) -> str:
        return self._words.format(*self._values) if self._values else self._words


class RuleError(SpecError):
    """Code that the author of a rule wrote raised an exception; the message names the rule and where it stands."""


Outcome: TypeAlias = "Value | tuple[Value | None, ...] | Declined | None"


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Patterns, and a function from what they bind to what replaces them.

    `name` is kebab-case; `exactness` says whether the replacement computes the same bits, the same up to rounding, or less.
    `since` and `until` bound the opset of the root's domain, both included. `dtype` restricts the element type of what the first
    root makes. `keeps_type` vouches that the replacement has the type and shape of what it replaces even where neither is known,
    as Identity does. `examples` gives models as ONNX text, for `verify-rules` where it cannot guess one from the patterns. `file` and
    `line` say where the function stands.
    """

    name: str
    patterns: tuple[Call | Chain | AnyOf, ...]
    action: Callable[..., Outcome]
    exactness: Exactness = "exact"
    since: int = 1
    until: int | None = None
    dtype: frozenset[DType] | None = None
    keeps_type: bool = False
    parameters: tuple[str, ...] = ()
    doc: str = ""
    file: str = ""
    line: int = 0
    examples: Callable[[], Iterable[str]] | None = None
    compiled: dict[int | None, Any] = field(default_factory=dict, repr=False)  # Any: the compiler keeps the matchers here that it made

    def __str__(self) -> str:
        return self.name


def guarded(rule: Rule, subject: str, where: Callable[[Any], object]) -> Callable[[Any], bool]:
    """A condition of a rule's author: what it raises comes out as a RuleError that names the rule and the subject."""

    def ask(held: Any) -> bool:  # Any: a Value, an array, an attribute of any kind
        try:
            return bool(where(held))
        except Exception as error:
            raise RuleError(f"the rule {rule} ({rule.file}:{rule.line}): {subject} raised {type(error).__name__}: {error}") from error

    return ask


def _root(pattern: Pattern) -> Call | Chain | AnyOf:
    """The pattern, which must be one that a root can be."""
    if isinstance(pattern, AnyOf):
        for alternative in pattern.alternatives:
            _root(alternative)
    elif not isinstance(pattern, (Call, Chain)):
        raise TypeError(f"{pattern} cannot be the root of a rule: a root is an operator call")
    return pattern


def bound_names(pattern: Pattern) -> dict[str, None]:
    """The names that a pattern binds, outer before inner, as they stand."""
    names: dict[str, None] = {}
    for part in walk(pattern):
        if isinstance(part, (Leaf, Rest, Call)) and part.name is not None:
            names[part.name] = None
        if isinstance(part, Call):
            names |= {value.name: None for _, value in part.attributes if isinstance(value, AttributePattern)}
    return names


def rule(
    *patterns: Pattern,
    name: str | None = None,
    exactness: Exactness = "exact",
    since: int = 1,
    until: int | None = None,
    dtype: DTypes | None = None,
    keeps_type: bool = False,
    examples: Callable[[], Iterable[str]] | None = None,
) -> Callable[[Callable[..., Outcome]], Rule]:
    """Make a rule of a function: its parameters after the first are the names that the patterns bind.

    Several patterns are several roots; the function then returns one replacement for each, in their order. Raises TypeError where
    the function is defined when a parameter is bound by no pattern, or a root is no operator call.

    >>> @rule(op.Relu(op.Relu(tensor("x"))))                     # doctest: +SKIP
    ... def relu_relu(m, x):
    ...     \"\"\"Relu(Relu(x))  ->  Relu(x)\"\"\"
    ...     return m.op.Relu(x)
    """

    def make(action: Callable[..., Outcome]) -> Rule:
        if not patterns:
            raise TypeError(f"the rule {action.__name__} has no pattern")
        called = name or action.__name__.replace("_", "-")
        roots = tuple(map(_root, patterns))
        check_patterns(called, patterns)
        if exactness not in get_args(Exactness):
            raise TypeError(f"the rule {called} is {exactness!r}, which is none of {', '.join(get_args(Exactness))}")
        if until is not None and until < since:
            raise TypeError(f"the rule {called} is for no opset: since={since}, until={until}")
        bound: dict[str, None] = {}
        for pattern in patterns:
            bound |= bound_names(pattern)
        wanted = tuple(inspect.signature(action).parameters)[1:]
        missing = [parameter for parameter in wanted if parameter not in bound]
        if missing:
            raise TypeError(f"the rule {action.__name__} asks for {', '.join(missing)}; its pattern binds {', '.join(bound) or 'nothing'}")
        code = getattr(action, "__code__", None)
        return Rule(
            called,
            roots,
            action,
            exactness,
            since,
            until,
            dtypes(dtype),
            keeps_type,
            wanted,
            inspect.getdoc(action) or "",
            code.co_filename if code else "",
            code.co_firstlineno if code else 0,
            examples,
        )

    return make


