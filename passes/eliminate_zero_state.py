"""First states of zero."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.zero import lstm_from_zero, recurrence_from_zero
from graphopt.pipeline.base import RulePass


class EliminateZeroState(RulePass):
    """Leave out the first states of LSTM, GRU and RNN when they are 0: so they begin without.

    Before:  s = Shape(x); ...; h = ConstantOfShape(t); y = LSTM(x, w, r, b, , h, h)
    After:   y = LSTM(x, w, r, b)
    Keeps:   states that are not zero for certain, or for another number of sequences. Exact.
    """

    name: ClassVar[str] = "eliminate-zero-state"
    rules: ClassVar[tuple[Rule, ...]] = (lstm_from_zero, recurrence_from_zero)
