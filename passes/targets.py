"""The runtimes that graphopt knows, as data: which passes prepare a model for each above level 1, and what each wants of Q and DQ.

onnxruntime on CPUs: as 1.31 does it, measured; older ones ask less before they fuse. TensorRT and OpenVINO: as their documentation says.
"""

from graphopt.ir import DType
from graphopt.pipeline.target import Target
from graphopt.runtimes import conditions as where
from graphopt.runtimes import preparation
from graphopt.runtimes.refusals import BIASES, INTEGER_OPERATORS, SCALES
from graphopt.runtimes.wants import Condition, Unit, Wants

BYTES = frozenset({DType.int8, DType.uint8})
WORDS = frozenset({DType.int16, DType.uint16})
NIBBLES = frozenset({DType.int4, DType.uint4})
PAIRS = frozenset({DType.int2, DType.uint2})
FLOATS = frozenset({DType.float8e4m3fn, DType.float8e4m3fnuz, DType.float8e5m2, DType.float8e5m2fnuz})

MOVEMENT = (
    "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "Reshape", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze",
)  # fmt: skip
LOOKUPS = ("AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid", "Softmax")

# The passes that help operators which no unit of onnxruntime takes in, besides those that move Q and DQ.
_HELPS = {
    "Relu": "move-relu-after-quantize",
    "Clip": "move-clip-after-quantize",
    "BatchNormalization": "fold-bn-into-dequantize-scale",
    "DynamicQuantizeLinear": "fuse-dynamic-quantization",
}

# Quantized numbers for which onnxruntime's CPU provider has no kernel where ONNX admits them.
_LACKS = {
    "Pad": WORDS | NIBBLES | PAIRS | FLOATS,
    **dict.fromkeys(("ArgMax", "ArgMin", "DepthToSpace", "Max", "Min", "Resize", "SpaceToDepth", "Where"), WORDS),
    **dict.fromkeys(("Identity", "Reshape"), NIBBLES | PAIRS),
    **dict.fromkeys(("Flatten", "Squeeze", "Unsqueeze"), NIBBLES | PAIRS | FLOATS),
    "Relu": frozenset({DType.int16}),
    "TopK": frozenset({DType.uint16}),
}


def _onnxruntime_units(convolution: Condition) -> tuple[Unit, ...]:
    """What onnxruntime fuses on a CPU; `convolution` says which types Conv and MatMul take there."""
    eight = where.types(BYTES)
    same = (where.FLOAT32, where.SAME_TYPES, eight)
    product = (where.FLOAT32, where.RESULT_TYPE, convolution, where.BIAS_IS_INT32, eight)
    gemm = (where.FLOAT32, where.ZERO_POINTS, where.SIGNED_WITH_SIGNED, where.RESULT_TYPE, where.BIAS_IS_INT32, eight, where.PLAIN_PRODUCT)
    return (
        Unit(
            ("Conv",), "QLinearConv",
            conditions=(*product, where.BIAS_SCALE), breaks=(where.ONE_SCALE, where.weight_axis(0)), overlooks=(where.TRUE_BIAS,),
        ),
        Unit(
            ("MatMul",), "QLinearMatMul or MatMulIntegerToFloat", quantized="optional",
            conditions=product, breaks=(where.ONE_SCALE, where.weight_axis(-1)),
        ),
        Unit(("MatMul",), "MatMulNBits", (1,), quantized="never", activation="none", conditions=(where.STORED_WEIGHT,)),
        Unit(
            ("Gemm",), "QGemm", quantized="optional",
            conditions=(*gemm, where.ONE_SCALE, where.weight_axis(1, 0)), overlooks=(where.TRUE_BIAS,),
        ),
        Unit(
            ("Gemm",), "MatMulNBits", (1,), kept=(2,), quantized="never", activation="none",
            conditions=(where.STORED_WEIGHT, where.LIKE_MATMUL),
        ),
        Unit(("Add", "Mul"), "its QLinear form", conditions=same, breaks=(where.ALL_ONE_SCALE,)),
        Unit(LOOKUPS, "its QLinear form", (0,), conditions=same, breaks=(where.ALL_ONE_SCALE,)),
        Unit(("Concat",), "QLinearConcat", conditions=same, breaks=(where.ALL_ONE_SCALE,)),
        Unit(("Where",), "QLinearWhere", (1, 2), conditions=same, breaks=(where.ALL_ONE_SCALE,)),
        Unit(("Split",), "", (0,), activation="none", conditions=(where.EQUAL_PARAMETERS,)),
        Unit(
            ("MaxPool", "ReduceMax", "ReduceMin"), "", (0,), activation="none", since=12,
            conditions=(where.EQUAL_PARAMETERS, where.POSITIVE_SCALE, eight),
        ),
        Unit(
            ("Resize",), "", (0,), activation="none",
            conditions=(where.NEAREST, where.EQUAL_PARAMETERS, where.types(BYTES | NIBBLES)),
        ),
        Unit(MOVEMENT, "", (0,), activation="none", conditions=(where.EQUAL_PARAMETERS,)),
        Unit(("ArgMax",), "", (0,), quantized="never", activation="none", conditions=(where.RELIED_ON, eight)),
    )  # fmt: skip


_ONNXRUNTIME_PREPARES = (
    preparation.skip_identities,
    preparation.clone_dequantizers,
    preparation.merge_double_pairs,
    preparation.merge_quantizers,
    preparation.fold_constants,
    preparation.gemms,
    preparation.move_through(preparation.MOVED_BY_ONNXRUNTIME),
    preparation.quantize_weights,
    preparation.dequantize_numbers,
    preparation.clone_dequantizers,
    preparation.absorb_activations,
)

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

ONNXRUNTIME_CPU_X64 = Target(
    "onnxruntime-cpu-x64",
    "onnxruntime on x86-64 processors: uint8 activations, Q and DQ moved out of the way of its fusions",
    {2: (*_BEFORE, *_SIGNED, *_AFTER)},
    Wants(
        units=_onnxruntime_units(where.UNSIGNED_INPUT),
        lacks=_LACKS,
        prepares=(*_ONNXRUNTIME_PREPARES, preparation.unsigned_pairs),
        cancels=True,
        helps=_HELPS,
    ),
)

ONNXRUNTIME_CPU_ARM64 = Target(
    "onnxruntime-cpu-arm64",
    "onnxruntime on 64-bit ARM processors: int8 or uint8 activations, Q and DQ moved out of the way of its fusions",
    {2: (*_BEFORE, *_AFTER)},
    Wants(
        units=_onnxruntime_units(where.SIGNED_WITH_SIGNED),
        lacks=_LACKS,
        prepares=_ONNXRUNTIME_PREPARES,
        cancels=True,
        helps=_HELPS,
    ),
)

# Where activations and weights come from integers, with whatever stands after them; Relu and Clip become part of it.
_WEIGHTED = (
    Unit(("Conv",), "", (0, 1), (2,), quantized="optional", activation="fused", conditions=(where.ONE_SCALE, where.weight_axis(0))),
    Unit(
        ("ConvTranspose",), "", (0, 1), (2,), quantized="optional", activation="fused", conditions=(where.ONE_SCALE, where.weight_axis(1)),
    ),
    Unit(("MatMul",), "", (0, 1), quantized="optional", activation="fused", conditions=(where.ONE_SCALE, where.weight_axis(-1))),
    Unit(("Gemm",), "", (0, 1), (2,), quantized="optional", activation="fused", conditions=(where.ONE_SCALE, where.weight_axis(1, 0))),
    Unit(("MatMul",), "", (1,), quantized="never", activation="fused", conditions=(where.STORED_WEIGHT,)),
)

TENSORRT = Target(
    "tensorrt",
    "TensorRT, explicit quantization: int8 with zero point 0, Q and DQ around each operator",
    {
        2: (
            "convert-qoperator-to-qdq",
            "dequantize-bias",
            "convert-uint8-to-int8",
            "materialize-node-units",
            "eliminate-dead-nodes",
        ),
    },
    Wants(
        activations=frozenset({DType.int8, DType.float8e4m3fn, DType.float4e2m1}),
        weights=frozenset({DType.int8, DType.int4, DType.float8e4m3fn, DType.float4e2m1}),
        zero_points="zero",
        activation_axes=False,
        units=(
            *_WEIGHTED,
            Unit(("Add",), "", quantized="optional", activation="fused", conditions=(where.ONE_SCALE,)),
            Unit(
                (*MOVEMENT, "AveragePool", "GlobalAveragePool", "MaxPool", "ReduceMean", "Relu", "Resize", "Split"),
                "", (0,), quantized="optional", activation="fused", conditions=(where.ONE_SCALE,),
            ),
            Unit(("Concat",), "", quantized="optional", activation="fused", conditions=(where.ONE_SCALE,)),
        ),
        integers=frozenset({"Cast"}),
        placement="sandwiched",
        sharing="shared",
        prepares=(preparation.skip_identities, preparation.fold_constants, preparation.clone_dequantizers),
        refuses=(SCALES, BIASES, INTEGER_OPERATORS),
    ),
)  # fmt: skip

OPENVINO = Target(
    "openvino",
    "OpenVINO: a Q and DQ with equal parameters on every tensor, which it makes FakeQuantize of and moves itself",
    {2: ("materialize-node-units", "share-quantization", "eliminate-dead-nodes")},
    Wants(
        activations=BYTES | WORDS,
        weights=BYTES | WORDS | NIBBLES | {DType.int32},
        units=(
            *_WEIGHTED,
            Unit(
                (*MOVEMENT, *LOOKUPS, "Clip", "MaxPool", "ReduceMax", "ReduceMean", "ReduceMin", "Relu", "Resize", "Split"),
                "", (0,), quantized="optional", activation="fused",
            ),
            Unit(("Add", "Concat", "Mul"), "", quantized="optional", activation="fused"),
        ),
        integers=frozenset({"Cast", "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"}),
        placement="sandwiched",
        sharing="shared",
        prepares=(preparation.skip_identities, preparation.fold_constants, preparation.clone_dequantizers),
    ),
)  # fmt: skip

TARGETS = (ONNXRUNTIME_CPU_X64, ONNXRUNTIME_CPU_ARM64, TENSORRT, OPENVINO)
