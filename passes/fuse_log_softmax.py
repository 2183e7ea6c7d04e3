"""Logarithms of shares."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.softmax import log_softmax
from graphopt.pipeline.base import RulePass


class FuseLogSoftmax(RulePass):
    """Say Log(Softmax(x)) as LogSoftmax.

    Before:  t = Softmax<axis = 1>(x); y = Log(t)
    After:   y = LogSoftmax<axis = 1>(x)
    Keeps:   a Softmax that others read too. Approximate: where a share is too small for the type,
             its logarithm is finite instead of -inf.
    """

    name: ClassVar[str] = "fuse-log-softmax"
    rules: ClassVar[tuple[Rule, ...]] = (log_softmax,)
