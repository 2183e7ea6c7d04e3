"""What is true of operators by their meaning, whatever the opset: names as `Node.op` spells them."""

from __future__ import annotations

from typing import Final

# Exact for two operands. Max and Min: only which of two equal zeros or NaNs comes out may differ.
COMMUTATIVE: Final = frozenset({
    "Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Equal", "Max", "Mean", "Min", "Mul", "Or", "Sum", "Xor",
})  # fmt: skip

# Over the reals; floating-point Add, Mul and Sum round otherwise when regrouped.
ASSOCIATIVE: Final = frozenset({
    "Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Max", "Min", "Mul", "Or", "Sum", "Xor",
})  # fmt: skip

# One tensor in, one of the same shape out, each element from its own element alone.
ELEMENTWISE_UNARY: Final = frozenset({
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitCast", "BitwiseNot", "Cast", "Ceil", "Celu", "Clip", "Cos", "Cosh",
    "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg",
    "Not", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish",
    "Tan", "Tanh", "ThresholdedRelu",
})  # fmt: skip

# Two tensors or more, broadcast against each other as numpy does (from opset 7; Max, Mean, Min and Sum from 8).
ELEMENTWISE_BINARY: Final = frozenset({
    "Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater", "GreaterOrEqual", "Less",
    "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "Pow", "Sub", "Sum", "Xor",
})  # fmt: skip

COMPARISON: Final = frozenset({"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"})

ELEMENTWISE: Final = ELEMENTWISE_UNARY | ELEMENTWISE_BINARY | {"Where", "PRelu"}

# Elements change their place (or are repeated, or left out), never their value.
MOVEMENT: Final = frozenset({
    "Compress", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Reshape",
    "ReverseSequence", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip

# Never decreasing where they are defined, over the reals: order survives, ties may appear (rounding, overflow, plateaus).
MONOTONE: Final = frozenset({
    "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Clip", "Erf", "Exp", "Floor", "HardSigmoid", "Identity", "Log", "Relu",
    "Round", "Sigmoid", "Sign", "Sinh", "Softplus", "Softsign", "Sqrt", "Tanh",
})  # fmt: skip

# Another result each time. Source: node_determinism in onnx.defs, and the operators' text. Dropout is random in training alone.
RANDOM: Final = frozenset({
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
})  # fmt: skip

CONTROL_FLOW: Final = frozenset({"If", "Loop", "Scan", "SequenceMap"})

# node_determinism says NonDeterministic of these as well, and means no more than "unknown". What control flow gives depends on what is
# inside it; a node is asked for that, and a Dropout for its mode. The others have a function body with a Loop in it, or with a Range that
# has one: onnx 1.21 and 1.22 mark Range and the windows for that, later ones AffineGrid alone. Their texts leave nothing to chance.
MARKED_BUT_DETERMINISTIC: Final = CONTROL_FLOW | {"AffineGrid", "BlackmanWindow", "Dropout", "HammingWindow", "HannWindow", "Range"}

QUANTIZATION: Final = frozenset({"DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"})

REDUCTIONS: Final = frozenset({
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
    "ReduceSumSquare",
})  # fmt: skip
