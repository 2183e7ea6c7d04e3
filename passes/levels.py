"""What runs at each level, and in which order: the only place that says it. A level runs again until it changes nothing."""

LEVELS: dict[int, tuple[str, ...]] = {
    1: (
        # What nobody reads goes first, so that nothing below spends time on it.
        "eliminate-dead-nodes",
        # Nothing below sees into a call.
        "inline-functions",
        "remove-unused-functions",
        "remove-unused-node-outputs",
        "lift-constants",
        # These two stand between operators that belong together.
        "eliminate-identity",
        "eliminate-dropout",
        # What is decided before the model runs leaves plain nodes, of which more is known than of what it was.
        "inline-if",
        "inline-loop",
        "capture-loop-invariants",
        "remove-unused-body-outputs",
        "eliminate-sequence",
        "eliminate-optional",
        # Before constants are folded: of weights the steps are there to be seen only until then.
        "import-qonnx",
        "import-tensorrt-float8",
        "import-fake-quantization",
        # Shapes become numbers here; that a reshape, a slice or a pad does nothing is seen only then.
        "simplify-casts",
        "fold-constants",
        "materialize-shapes",
        "simplify-shape-arithmetic",
        "hoist-loop-invariants",
        "eliminate-noop-cast",
        "fuse-consecutive-transposes",
        "eliminate-noop-transpose",
        "fuse-consecutive-reshapes",
        "eliminate-noop-reshape",
        "eliminate-noop-flatten",
        "eliminate-noop-expand",
        "eliminate-noop-slice",
        "fuse-consecutive-slices",
        "eliminate-noop-pad",
        "fuse-pad",
        "fuse-consecutive-pads",
        "eliminate-noop-split",
        "fuse-consecutive-concats",
        "eliminate-noop-concat",
        "eliminate-slice-of-concat",
        "eliminate-split-concat-roundtrip",
        "eliminate-noop-tile",
        "simplify-expand",
        "eliminate-noop-resize",
        "eliminate-noop-reduce",
        "fuse-reduce",
        "eliminate-squeeze-unsqueeze-pair",
        "eliminate-reshape-around-elementwise",
        "fuse-gather-unsqueeze",
        "eliminate-redundant-index",
        "eliminate-space-depth-pair",
        "fuse-depth-to-space",
        "convert-slices-to-space-to-depth",
        # What the fusions below look for: Add, Sqrt and Clip, however they were written.
        "convert-sum-to-add",
        "convert-pow-to-sqrt",
        "eliminate-redundant-unary",
        "fuse-consecutive-clips",
        "eliminate-noop-clip",
        # Before constants move and merge: these are known by their constants.
        "fuse-gelu",
        "fuse-activation",
        "fuse-softmax",
        # Before layer normalization, which takes any last axes but no scale per channel.
        "fuse-instance-norm",
        "fuse-layer-norm",
        "fuse-rms-norm",
        "eliminate-expand-before-broadcast",
        "eliminate-neutral-operand",
        "merge-constant-operands",
        "fuse-negations",
        "simplify-logic",
        "simplify-where",
        "eliminate-cast-before-compare",
        "fuse-div-mul",
        # Before terms per channel go into the Conv that makes the channels.
        "push-transposes",
        # The Transposes that are left stand where runtimes merge them.
        "move-transpose-to-conv",
        # Before equal weights become one: weights that two convolutions share stay as they are when they are large.
        "fuse-conv-bn",
        "fuse-conv-scale",
        "fuse-gemm-scale",
        "fuse-scale-conv",
        "eliminate-zero-bias",
        "eliminate-zero-state",
        # Before equal constants become one: zero points that were missing, and weights that are stored as integers now, among them.
        "normalize-quantization",
        "fold-weight-quantization",
        "cancel-dequantize-quantize",
        "merge-quantization-chain",
        # Equal constants make equal nodes.
        "merge-equal-initializers",
        "eliminate-common-subexpressions",
        # Equal Slices are one by now.
        "convert-slices-to-split",
        # After it: of two equal MatMuls one is less work than two Gemms.
        "fuse-matmul-add",
        "convert-einsum-to-matmul",
        "fuse-gemm-transpose",
        # Rows that are put back as they were need no Gemm, a transposed table does.
        "convert-gemm-to-matmul",
        "convert-tied-matmul",
        "remove-unused-opset-imports",
    ),
}

# Level 2 of onnxruntime's targets; `_SIGNED` is where int8 becomes uint8 on processors that run only that.
_BEFORE = ("make-dequantize-unique", "dequantize-mismatched-bias", "absorb-relu-into-quantize", "absorb-clip-into-quantize")
_SIGNED = ("convert-int8-to-uint8",)
_AFTER = (
    "propagate-dequantize-down",
    # Only once no Relu and no Clip is left that a Q makes superfluous.
    "move-relu-after-quantize",
    "move-clip-after-quantize",
    "propagate-quantize-up",
    # What moved down and what moved up have met.
    "cancel-dequantize-quantize",
    "drop-quantization-around-movement",
    "move-weight-transpose-through-dequantize",
    "fuse-dynamic-quantization",
    "fold-constants",
    # A bound that the integers have by themselves is an Identity; zero points were written anew.
    "eliminate-identity",
    "merge-equal-initializers",
    "eliminate-dead-nodes",
)

# What the levels above 1 do for each target, in this order.
TARGET_LEVELS: dict[str, dict[int, tuple[str, ...]]] = {
    "onnxruntime-cpu-x64": {2: (*_BEFORE, *_SIGNED, *_AFTER)},
    "onnxruntime-cpu-arm64": {2: (*_BEFORE, *_AFTER)},
    "tensorrt": {
        2: (
            "convert-qoperator-to-qdq",
            # Products of floats that level 1 could not see, and a domain that nothing needs now.
            "fuse-matmul-add",
            "remove-unused-opset-imports",
            "dequantize-bias",
            "convert-uint8-to-int8",
            "materialize-node-units",
            "share-quantization",
            "merge-equal-initializers",
            "eliminate-dead-nodes",
        ),
    },
    "openvino": {2: ("materialize-node-units", "share-quantization", "merge-equal-initializers", "eliminate-dead-nodes")},
}

# What belongs to no level and runs when a pipeline names it: good for some runtimes, in the way of others.
ON_REQUEST: tuple[str, ...] = (
    # onnxruntime has no kernels for the first two on the CPU and takes them apart; the others are slow there.
    "fuse-group-norm",
    "fuse-swish",
    "fuse-prelu",
    "fuse-reduce-composites",
    # The model grows.
    "unroll-loop",
    # What lies outside of a body is no constant to inference and to some kernels.
    "lift-subgraph-initializers",
    # What callers see changes.
    "prune-unused-graph-inputs",
    "rename-io",
    "remove-initializers-from-inputs",
    "add-initializers-to-inputs",
    # What a file says, not what it computes.
    "add-default-attributes",
    "remove-default-attributes",
    "clear-metadata",
    "fix-names",
    # The caller decides which opset.
    "convert-opset",
    # More nodes for one, for targets that lack the operator.
    "decompose-activation",
    "decompose-softmax",
    "decompose-reduction",
    "decompose-normalization",
    "decompose-last-index",
    "convert-conv-padding-to-pad",
    "convert-auto-pad-to-pads",
    "convert-bn-to-mul-add",
    # Which of the two is faster depends on the runtime and on the layout.
    "convert-reduce-to-global-pool",
    "convert-global-pool-to-reduce",
    # For targets that have it as one kernel; where it stands, a factor cannot go into the convolution after it.
    "fuse-bn-from-mul-add",
    "convert-constant-of-shape-to-expand",
    # Weights are stored anew, and a runtime that fuses attention looks for one product each.
    "fuse-parallel-matmuls",
    "fuse-parallel-convs",
    # A runtime that fuses attention looks for the scale where the exporter wrote it.
    "fold-scale-into-weights",
    # Of windows with a NaN runtimes make one thing or another.
    "eliminate-pool-order",
    "fuse-pad-max-pool",
    # Numbers half way between two steps of the grid may go to the other one.
    "import-inexact-fake-quantization",
    # The target's choice: a runtime that fuses DequantizeLinear with its reader wants one for each, the others one for all.
    "make-dequantize-unique",
    "share-quantization",
    # How precisely a runtime divides float16 is its own.
    "cast-around-quantization",
    # Smaller, but computed in integers of 8 bits only where the runtime knows how.
    "narrow-quantization",
    # Makes finite numbers where there were infinities.
    "fuse-log-softmax",
    # As many nodes or more, and not what fusions of runtimes look for; for targets that lack an operator.
    "convert-pow-to-mul",
    "convert-neg-to-mul",
    "convert-sub-to-add",
    "convert-div-to-mul",
    "convert-where-to-logic",
    "convert-flatten-to-reshape",
    # Quantization between integers and floats, in the place where a target wants it.
    "propagate-quantize-up",
    "propagate-dequantize-down",
    "drop-quantization-around-movement",
    "materialize-node-units",
    # For the targets that want them: where a bound stands beside a QuantizeLinear, and in which integers a tensor is stored.
    "absorb-relu-into-quantize",
    "absorb-clip-into-quantize",
    "move-relu-after-quantize",
    "move-clip-after-quantize",
    "convert-int8-to-uint8",
    "convert-uint8-to-int8",
    "fold-scale-into-dequantize",
    "fold-scale-into-quantize",
    "fold-term-into-zero-point",
    "fold-bn-into-dequantize-scale",
    "quantize-bias",
    "dequantize-bias",
    "dequantize-mismatched-bias",
    "move-weight-transpose-through-dequantize",
    "fuse-dynamic-quantization",
    "convert-dequantized-matmul-to-integer",
    "decompose-zero-points",
    # The two ways to say a quantized operator, of which most runtimes want one.
    "convert-qoperator-to-qdq",
    "convert-qdq-to-qoperator",
    # Numbers change: how a float model is quantized is the caller's choice.
    "insert-qdq",
    "quantize-matmul-dynamically",
    "quantize-matmul-weights-in-blocks",
)
