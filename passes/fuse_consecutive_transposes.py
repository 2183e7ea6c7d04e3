"""Transposes of transposes."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.transpose import transpose_back, transpose_transpose
from graphopt.pipeline.base import RulePass


class FuseConsecutiveTransposes(RulePass):
    """Make one Transpose of two, or none where the second undoes the first.

    Before:  t = Transpose<perm = [0, 2, 1, 3]>(x); y = Transpose<perm = [0, 1, 3, 2]>(t)
    After:   y = Transpose<perm = [0, 2, 3, 1]>(x)
    Keeps:   a first Transpose that others read, unless the second undoes it: then it stays for the others. Exact.
    """

    name: ClassVar[str] = "fuse-consecutive-transposes"
    rules: ClassVar[tuple[Rule, ...]] = (transpose_back, transpose_transpose)
