"""Shapes and bounds that are known now, where the model computes them when it runs."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.shape_arguments import expand_to_known_shape, reshape_to_known_shape, slice_to_known_bounds
from graphopt.pipeline.base import RulePass


class MaterializeShapes(RulePass):
    """Give Reshape, Expand and Slice constants for what the model computes from the dimensions of its values.

    Before:  s = Concat(Gather(Shape(x), 0), Gather(Shape(x), 1), [12, 64]); y = Reshape(x, s)             x: (N, S, 768)
    After:   y = Reshape(x, [0, 0, 12, 64])
    Keeps:   dynamic dimensions dynamic; a Reshape with two dimensions that are neither numbers nor stand where they stood, or with one
             such beside another that may be 0. Exact for every size, 0 included.
    """

    name: ClassVar[str] = "materialize-shapes"
    rules: ClassVar[tuple[Rule, ...]] = (reshape_to_known_shape, expand_to_known_shape, slice_to_known_bounds)
