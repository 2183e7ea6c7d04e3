"""What runs at each level, and in which order: the only place that says it. A level runs again until it changes nothing."""

LEVELS: dict[int, tuple[str, ...]] = {
    1: (
        # What nobody reads goes first, so that nothing below spends time on it.
        "eliminate-dead-nodes",
        "lift-constants",
        # These two stand between operators that belong together.
        "eliminate-identity",
        "eliminate-dropout",
        # What is decided before the model runs leaves plain nodes, of which more is known than of what it was.
        "inline-if",
        "inline-loop",
        "capture-loop-invariants",
        "eliminate-sequence",
        "eliminate-optional",
        # Shapes become numbers here; that a reshape, a slice or a pad does nothing is seen only then.
        "simplify-casts",
        "fold-constants",
        "materialize-shapes",
        "simplify-shape-arithmetic",
        "eliminate-noop-cast",
        "fuse-consecutive-transposes",
        "eliminate-noop-transpose",
        "fuse-consecutive-reshapes",
        "eliminate-noop-reshape",
        "eliminate-noop-flatten",
        "eliminate-noop-expand",
        "eliminate-noop-slice",
        "eliminate-noop-pad",
        "eliminate-noop-split",
        "fuse-consecutive-concats",
        "eliminate-noop-concat",
        "eliminate-noop-tile",
        "eliminate-noop-resize",
        "eliminate-noop-reduce",
        "eliminate-squeeze-unsqueeze-pair",
        "fuse-gather-unsqueeze",
        "eliminate-neutral-operand",
        "merge-constant-operands",
        "fuse-div-mul",
        # Before equal weights become one: weights that two convolutions share stay as they are when they are large.
        "fuse-conv-bn",
        "fuse-conv-scale",
        # Equal constants make equal nodes.
        "merge-equal-initializers",
        "eliminate-common-subexpressions",
        # Equal Slices are one by now.
        "convert-slices-to-split",
        # After it: of two equal MatMuls one is less work than two Gemms.
        "fuse-matmul-add",
    ),
}

# What belongs to no level and runs when a pipeline names it: good for some runtimes, in the way of others.
ON_REQUEST: tuple[str, ...] = (
    # A runtime that fuses attention looks for the scale where the exporter wrote it.
    "fold-scale-into-weights",
)
