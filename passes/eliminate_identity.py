"""Identity."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.identity import identity
from graphopt.pipeline.base import RulePass


class EliminateIdentity(RulePass):
    """Remove Identity nodes.

    Before:  t = Identity(x); y = Relu(t)
    After:   y = Relu(x)
    Keeps:   an Identity that gives a graph output its name, where x has a name of its own to keep (an input, an initializer, another
             output, a value of an enclosing graph). Exact; sequences and optionals too.
    """

    name: ClassVar[str] = "eliminate-identity"
    rules: ClassVar[tuple[Rule, ...]] = (identity,)
