"""The runtimes that graphopt knows, as data: what each wants of Q and DQ. Which passes prepare a model for it: passes/levels.py.

onnxruntime on CPUs: as 1.31 does it, measured; older ones ask less before they fuse. TensorRT and OpenVINO: as their documentation says.
"""

from graphopt.ir import DType
from graphopt.passes.integer_kernels import LACKS_OF_ONNXRUNTIME
from graphopt.passes.levels import TARGET_LEVELS
from graphopt.pipeline.target import Target
from graphopt.quantization.parameters import INT4_TYPES, INT8_TYPES, INT16_TYPES
from graphopt.runtimes import conditions as where
from graphopt.runtimes import preparation
from graphopt.runtimes.refusals import BIASES, INTEGER_OPERATORS, SCALES
from graphopt.runtimes.wants import Condition, Unit, Wants

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
_LACKS = LACKS_OF_ONNXRUNTIME

_EIGHT = where.types(INT8_TYPES)
_SAME = (where.FLOAT32, where.SAME_TYPES, _EIGHT)


def _products(convolution: Condition) -> tuple[Unit, ...]:
    """The products that onnxruntime fuses on a CPU; `convolution` says which types Conv and MatMul take there."""
    product = (where.FLOAT32, where.RESULT_TYPE, convolution, where.BIAS_IS_INT32, _EIGHT)
    gemm = (where.FLOAT32, where.ZERO_POINTS, where.SIGNED_WITH_SIGNED, where.RESULT_TYPE, where.BIAS_IS_INT32, _EIGHT, where.PLAIN_PRODUCT)
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
    )  # fmt: skip


# What else it fuses there.
_OTHERS = (
    Unit(("Add", "Mul"), "its QLinear form", conditions=_SAME, breaks=(where.ALL_ONE_SCALE,)),
    Unit(LOOKUPS, "its QLinear form", (0,), conditions=_SAME, breaks=(where.ALL_ONE_SCALE,)),
    Unit(("Concat",), "QLinearConcat", conditions=_SAME, breaks=(where.ALL_ONE_SCALE,)),
    Unit(("Where",), "QLinearWhere", (1, 2), conditions=_SAME, breaks=(where.ALL_ONE_SCALE,)),
    Unit(("Split",), "", (0,), activation="none", conditions=(where.EQUAL_PARAMETERS,)),
    Unit(
        ("MaxPool", "ReduceMax", "ReduceMin"), "", (0,), activation="none", since=12,
        conditions=(where.EQUAL_PARAMETERS, where.POSITIVE_SCALE, _EIGHT),
    ),
    Unit(
        ("Resize",), "", (0,), activation="none",
        conditions=(where.NEAREST, where.EQUAL_PARAMETERS, where.types(INT8_TYPES | INT4_TYPES)),
    ),
    Unit(MOVEMENT, "", (0,), activation="none", conditions=(where.EQUAL_PARAMETERS,)),
    Unit(("ArgMax",), "", (0,), quantized="never", activation="none", conditions=(where.RELIED_ON, _EIGHT)),
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

ONNXRUNTIME_CPU_X64 = Target(
    "onnxruntime-cpu-x64",
    "onnxruntime on x86-64 processors: uint8 activations, Q and DQ moved out of the way of its fusions",
    TARGET_LEVELS["onnxruntime-cpu-x64"],
    Wants(
        units=(*_products(where.UNSIGNED_INPUT), *_OTHERS),
        lacks=_LACKS,
        prepares=(*_ONNXRUNTIME_PREPARES, preparation.unsigned_pairs),
        cancels=True,
        helps=_HELPS,
    ),
)

ONNXRUNTIME_CPU_ARM64 = Target(
    "onnxruntime-cpu-arm64",
    "onnxruntime on 64-bit ARM processors: int8 or uint8 activations, Q and DQ moved out of the way of its fusions",
    TARGET_LEVELS["onnxruntime-cpu-arm64"],
    Wants(
        units=(*_products(where.SIGNED_WITH_SIGNED), *_OTHERS),
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

# Where Q and DQ stand around every operator these need none.
_INTEGERS = frozenset({"Cast", "Identity", "Shape", "Size"})

TENSORRT = Target(
    "tensorrt",
    "TensorRT, explicit quantization: int8 with zero point 0, Q and DQ around each operator",
    TARGET_LEVELS["tensorrt"],
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
        integers=_INTEGERS,
        placement="sandwiched",
        sharing="shared",
        prepares=(preparation.skip_identities, preparation.fold_constants, preparation.clone_dequantizers),
        refuses=(SCALES, BIASES, INTEGER_OPERATORS),
    ),
)  # fmt: skip

OPENVINO = Target(
    "openvino",
    "OpenVINO: a Q and DQ with equal parameters on every tensor, which it makes FakeQuantize of and moves itself",
    TARGET_LEVELS["openvino"],
    Wants(
        activations=INT8_TYPES | INT16_TYPES,
        weights=INT8_TYPES | INT16_TYPES | INT4_TYPES | {DType.int32},
        units=(
            *_WEIGHTED,
            Unit(
                (*MOVEMENT, *LOOKUPS, "Clip", "MaxPool", "ReduceMax", "ReduceMean", "ReduceMin", "Relu", "Resize", "Split"),
                "", (0,), quantized="optional", activation="fused",
            ),
            Unit(("Add", "Concat", "Mul"), "", quantized="optional", activation="fused"),
        ),
        integers=_INTEGERS | frozenset({"ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"}),
        placement="sandwiched",
        sharing="shared",
        prepares=(preparation.skip_identities, preparation.fold_constants, preparation.clone_dequantizers),
    ),
)  # fmt: skip

TARGETS = (ONNXRUNTIME_CPU_X64, ONNXRUNTIME_CPU_ARM64, TENSORRT, OPENVINO)
