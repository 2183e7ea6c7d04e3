"""Sums of two, and of one."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.variadic import sum_to_add, variadic_of_one
from graphopt.pipeline.base import RulePass


class ConvertSumToAdd(RulePass):
    """Say the Sum of two as Add; remove Sum, Mean, Max and Min of one.

    Before:  y = Sum(a, b)                              or y = Max(a)
    After:   y = Add(a, b)                              or y = a
    Keeps:   sums of three and more, which runtimes add in one go. Rounding: of a
             -0 that is summed alone some runtimes make +0; otherwise exact.
    """

    name: ClassVar[str] = "convert-sum-to-add"
    rules: ClassVar[tuple[Rule, ...]] = (sum_to_add, variadic_of_one)
