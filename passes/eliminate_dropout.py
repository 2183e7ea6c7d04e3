"""Dropout in inference."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.dropout import dropout_in_inference, dropout_of_nothing
from graphopt.pipeline.base import RulePass


class EliminateDropout(RulePass):
    """Remove Dropout where nothing is dropped: not in training, or with ratio 0.

    Before:  t = Dropout(x, 0.5); y = Relu(t)
    After:   y = Relu(x)
    Keeps:   Dropout in training, or whose mode or ratio a caller may give; one whose mask is read. Exact.
    """

    name: ClassVar[str] = "eliminate-dropout"
    rules: ClassVar[tuple[Rule, ...]] = (dropout_in_inference, dropout_of_nothing)
