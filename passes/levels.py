"""What runs at each level, and in which order: the only place that says it. A level runs again until it changes nothing."""

LEVELS: dict[int, tuple[str, ...]] = {
    1: (
        # What nobody reads goes first, so that nothing below spends time on it.
        "eliminate-dead-nodes",
        "lift-constants",
        # These two stand between operators that belong together.
        "eliminate-identity",
        "eliminate-dropout",
        # Shapes become numbers here; that a reshape, a slice or a pad does nothing is seen only then.
        "fold-constants",
        "eliminate-noop-cast",
        "eliminate-noop-transpose",
        "eliminate-noop-reshape",
        "eliminate-noop-flatten",
        "eliminate-noop-expand",
        "eliminate-noop-slice",
        "eliminate-noop-pad",
        "eliminate-noop-split",
        "eliminate-noop-concat",
        "eliminate-noop-tile",
        "eliminate-noop-resize",
        "eliminate-noop-reduce",
        "eliminate-squeeze-unsqueeze-pair",
        # Before equal weights become one: weights that two convolutions share stay as they are when they are large.
        "fuse-conv-bn",
        # Equal constants make equal nodes.
        "merge-equal-initializers",
        "eliminate-common-subexpressions",
        # After it: of two equal MatMuls one is less work than two Gemms.
        "fuse-matmul-add",
    ),
}
