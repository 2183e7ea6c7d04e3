"""How much one node computes: multiply-accumulates of products, and the other operations, from the sizes that are known of its operands.

A formula follows the text of the operator's newest version in onnx 1.23: Conv-22, ConvTranspose-22, DeformConv-22, MatMul-13, Gemm-13,
Einsum-12, LSTM-22, GRU-22, RNN-22, Attention-24, ConvInteger-10, QLinearConv-10, MatMulInteger-10, QLinearMatMul-21; older versions compute
as much. Products with padding are counted, and so is what a causal mask hides: kernels may leave them out.

The other operations: one for each element that an elementwise operator gives, whatever that costs (Add, Exp and Gelu alike); one for each
element that a reduction or a pooling reads; normalizations, Softmax and quantization by their formulas, a bias one for each element.
Operators that move, choose or convert elements count none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from graphopt.infer.call import NotKnown, TooHard, integer, integers, text
from graphopt.infer.matrices import einsum_sizes
from graphopt.infer.shapes import add, multiply, product
from graphopt.ir.dim import Shape, Size
from graphopt.ir.graph import Node, Value
from graphopt.schema import facts
from graphopt.schema.traits import ELEMENTWISE, MOVEMENT, REDUCTIONS


@final
@dataclass(frozen=True, slots=True)
class Work:
    """Multiply-accumulates and other operations of one node; None where a size that they depend on is not known."""

    macs: Size = 0
    operations: Size = 0


Formula: TypeAlias = "Callable[[Node], Work | None]"
UNKNOWN: Final = Work(None, None)
NOTHING: Final = Work()


def work_of(node: Node) -> Work | None:
    """How much a node computes; None when no formula counts its operator. Not for control flow and calls of local functions.

    Types must have been inferred.
    """
    formula = _FORMULAS.get(node.op)
    if formula is None:
        return NOTHING if node.op in FREE else None
    try:
        return formula(node)
    except (NotKnown, TooHard, IndexError, ValueError):  # a node that is not as its operator wants it
        return UNKNOWN


def count_of(value: Value | None) -> Size:
    """How many elements a value has; None when that is not known."""
    shape = None if value is None else value.shape
    return None if shape is None else product(shape)


def shape_at(node: Node, slot: int) -> Shape:
    """The shape of an input. Raises NotKnown when not even its rank is known."""
    value = node.input(slot)
    if value is None or value.shape is None:
        raise NotKnown
    return value.shape


# ---- products


def _convolution(weight: int, bias: int | None = None) -> Formula:
    """(N, M, ...) elements come out, each a sum over (C/group, kernel): what one of the M filters holds."""

    def work(node: Node) -> Work:
        given = count_of(node.output)
        has_bias = bias is not None and node.input(bias) is not None
        return Work(multiply(given, product(shape_at(node, weight)[1:])), given if has_bias else 0)

    return work


def _transposed_convolution(node: Node) -> Work:
    """Each element that goes in is multiplied with (M/group, kernel) weights; what `pads` cut off is counted."""
    macs = multiply(count_of(node.input(0)), product(shape_at(node, 1)[1:]))
    return Work(macs, count_of(node.output) if node.input(2) is not None else 0)


def _matmul(left: int = 0, right: int = 1, bias: int | None = None) -> Formula:
    """(..., M, N) elements come out, each a sum over K."""

    def work(node: Node) -> Work:
        given = count_of(node.output)
        if given is None:  # nothing is known of what an unknown operator gives: without leading axes at the right it follows
            given = multiply(product(shape_at(node, left)[:-1]), _columns(shape_at(node, right)))
        has_bias = bias is not None and node.input(bias) is not None
        return Work(multiply(given, shape_at(node, left)[-1]), given if has_bias else 0)

    return work


def _columns(shape: Shape) -> Size:
    if len(shape) != 2:
        raise NotKnown
    return shape[1]


def _gemm(left: int = 0, right: int = 1, bias: int = 2) -> Formula:
    """Y = alpha A' B' + beta C, where A' is (M, K) and B' (K, N)."""

    def work(node: Node) -> Work:
        rows, depth = shape_at(node, left)[:: -1 if _flag(node, "transA") else 1]
        columns = shape_at(node, right)[0 if _flag(node, "transB") else 1]
        given = multiply(rows, columns)
        return Work(multiply(given, depth), given if node.input(bias) is not None else 0)

    return work


def _fused_matmul(node: Node) -> Work:
    """com.microsoft.FusedMatMul: A or B may be transposed, and their first axis may stand before the last but one."""
    if _flag(node, "transBatchA") or _flag(node, "transBatchB"):
        raise NotKnown
    left, right = shape_at(node, 0), shape_at(node, 1)
    depth = left[-2 if _flag(node, "transA") else -1]
    given = count_of(node.output)
    if given is None and len(right) == 2:
        rows = (*left[:-2], left[-1]) if _flag(node, "transA") else left[:-1]
        given = multiply(product(rows), right[-2 if _flag(node, "transB") else -1])
    return Work(multiply(given, depth))


def _matmul_of_bits(node: Node) -> Work:
    """com.microsoft.MatMulNBits(a, packed weights, scales): (..., K) by (N, K) transposed, as its attributes K and N say."""
    given = multiply(product(shape_at(node, 0)[:-1]), _told(node, "N"))
    return Work(multiply(given, _told(node, "K")), given if node.input(5) is not None else 0)


def _einsum(node: Node) -> Work:
    """One loop over all letters, which multiplies the operands one after the other; of a single operand the sums."""
    everything = product(size for part in einsum_sizes(node).values() for size in part)
    if len(node.inputs) == 1:
        is_sum = count_of(node.output) != everything
        return Work(0, everything if is_sum else 0)
    return Work(multiply(everything, len(node.inputs) - 1))


def _recurrent(per_step: int) -> Formula:
    """Of T steps of N sequences each multiplies with all of W and R, of each direction; the longest sequence is taken for all.

    `per_step`: what the equations in the operator's text ask for each hidden element besides.
    """

    def work(node: Node) -> Work:
        steps = product(shape_at(node, 0)[:2])
        recurrence = shape_at(node, 2)
        macs = multiply(steps, add(product(shape_at(node, 1)), product(recurrence)))
        hidden = multiply(recurrence[0], recurrence[2])
        return Work(macs, multiply(steps, multiply(hidden, per_step)))

    return work


def _attention(node: Node) -> Work:
    """Q K' and the probabilities with V, over the keys of the past too: each query with each key. Softmax, scale and mask as the rest."""
    query, key = shape_at(node, 0), shape_at(node, 1)
    sequence = -2  # of (N, heads, S, D) and of (N, S, heads * D)
    keys = key[sequence] if node.input(4) is None else add(key[sequence], shape_at(node, 4)[2])
    heads = query[1] if len(query) == 4 else integer(node, "q_num_heads")
    scores = product((query[0], heads, query[sequence], keys))
    macs = multiply(keys, add(count_of(node.input(0)), count_of(node.output)))
    return Work(macs, multiply(scores, _SOFTMAX + 1 + (node.input(3) is not None)))


def _attention_of_packed(node: Node) -> Work:
    """com.microsoft.Attention(input, weights, bias, mask, past): the projections to Q, K and V, then attention."""
    data, weights = shape_at(node, 0), shape_at(node, 1)
    rows, width = product(data[:-1]), weights[1]
    hidden = node.attribute("qkv_hidden_sizes")
    if isinstance(hidden, tuple) and len(hidden) == 3 and isinstance(hidden[0], int) and isinstance(hidden[2], int):
        both: Size = hidden[0] + hidden[2]
    elif isinstance(width, int):
        both = width // 3 * 2
    else:
        raise NotKnown
    keys = data[1] if node.input(4) is None else add(data[1], shape_at(node, 4)[3])
    projection = multiply(count_of(node.input(0)), width)
    return Work(add(projection, product((rows, keys, both))), add(product((rows, width)), _scores(node, rows, keys)))


def _attention_of_heads(node: Node) -> Work:
    """com.microsoft.MultiHeadAttention(query, key, value, ..., past key): attention of (N, S, hidden) and (N, L, hidden)."""
    query, key, value = shape_at(node, 0), shape_at(node, 1), shape_at(node, 2)
    if not len(query) == len(key) == len(value) == 3:
        raise NotKnown
    keys = key[1] if node.input(6) is None else add(key[1], shape_at(node, 6)[2])
    rows = product(query[:2])
    return Work(product((rows, keys, add(query[2], value[2]))), _scores(node, rows, keys))


def _scores(node: Node, rows: Size, keys: Size) -> Size:
    """Softmax and scale over all heads."""
    return product((rows, keys, _told(node, "num_heads"), _SOFTMAX + 1))


# ---- the other operations


def _for_each_output(times: int) -> Formula:
    return lambda node: Work(0, multiply(count_of(node.output), times))


def _for_each_input(times: int) -> Formula:
    return lambda node: Work(0, multiply(count_of(node.input(0)), times))


def _variadic(node: Node) -> Work:
    """Max, Mean, Min, Sum: operands one after the other."""
    return Work(0, multiply(count_of(node.output), len(node.inputs) - (node.op != "Mean")))


def _pooling(node: Node) -> Work:
    kernel = integers(node, "kernel_shape")
    return Work(0, multiply(count_of(node.output), product(kernel or ())))


def _batch_normalization(node: Node) -> Work | None:
    """A factor and a summand for each channel, which do not depend on the data; for training there is no formula."""
    if not facts.is_deterministic(node):
        return None
    return Work(0, multiply(count_of(node.output), 2))


def _layer_normalization(node: Node) -> Work:
    """Mean, difference, square, mean, quotient, scale, and the bias if there is one."""
    return Work(0, multiply(count_of(node.input(0)), 6 + (node.input(2) is not None)))


def _local_normalization(node: Node) -> Work:
    """The sum of the squares of `size` neighbours, multiplied, added, raised; and the quotient."""
    return Work(0, multiply(count_of(node.input(0)), integer(node, "size") + 5))


def _resize(node: Node) -> Work | None:
    """Nearest neighbours are moved; for what interpolates there is no formula."""
    return NOTHING if text(node, "mode") == "nearest" else None


def _quantized(node: Node) -> Work:
    """Quotient, rounding, and the zero point."""
    return Work(0, multiply(count_of(node.input(0)), 2 + (node.input(2) is not None)))


def _dequantized(node: Node) -> Work:
    return Work(0, multiply(count_of(node.input(0)), 1 + (node.input(2) is not None)))


def _flag(node: Node, name: str) -> bool:
    return bool(_told(node, name, 0))


def _told(node: Node, name: str, default: int | None = None) -> int:
    """An attribute of an operator that may be of another domain. Raises NotKnown."""
    held = node.attributes.get(name)
    value = default if held is None else held.value
    if not isinstance(value, int):
        raise NotKnown
    return value


_SOFTMAX: Final = 3  # exp, sum, quotient
_MICROSOFT: Final = "com.microsoft."

# They move, choose, convert, make or compare nothing that is arithmetic on data.
FREE: Final = MOVEMENT | {
    "BitCast", "Cast", "CastLike", "CenterCropPad", "ConcatFromSequence", "Constant", "ConstantOfShape", "Dropout", "EyeLike",
    "Hardmax", "NonZero", "OneHot", "Optional", "OptionalGetElement", "OptionalHasElement", "Pad", "Range", "Scatter",
    "ScatterElements", "ScatterND", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert",
    "SequenceLength", "Shape", "Size", "SplitToSequence", "TensorScatter", "Trilu", "Where",
}  # fmt: skip

_FORMULAS: Final[dict[str, Formula]] = {
    **dict.fromkeys(sorted(ELEMENTWISE - FREE), _for_each_output(1)),
    **dict.fromkeys(("Max", "Mean", "Min", "Sum"), _variadic),
    **dict.fromkeys((*sorted(REDUCTIONS), "ArgMax", "ArgMin", "CumProd", "CumSum"), _for_each_input(1)),
    **dict.fromkeys(("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"), _for_each_input(1)),
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), _pooling),
    **dict.fromkeys((f"{_MICROSOFT}BiasGelu", f"{_MICROSOFT}QuickGelu"), _for_each_input(2)),
    **dict.fromkeys((f"{_MICROSOFT}FastGelu", f"{_MICROSOFT}Gelu"), _for_each_input(1)),
    "Attention": _attention,
    "BatchNormalization": _batch_normalization,
    "Conv": _convolution(1, 2),
    "ConvInteger": _convolution(1),
    "ConvTranspose": _transposed_convolution,
    "DeformConv": _convolution(1, 3),
    "DequantizeLinear": _dequantized,
    "DynamicQuantizeLinear": _for_each_input(5),  # maximum, minimum, and as QuantizeLinear
    "Einsum": _einsum,
    "GRU": _recurrent(14),  # z and r: sums of products and bias, activation; the same of h, and r; (1 - z) h + z H
    "Gemm": _gemm(),
    "GroupNormalization": _for_each_input(7),
    "InstanceNormalization": _for_each_input(7),
    "LRN": _local_normalization,
    "LSTM": _recurrent(17),  # four gates: sums of products and bias, activation; f C + i c; o h(C). Without peepholes
    "LayerNormalization": _layer_normalization,
    "LogSoftmax": _for_each_input(_SOFTMAX + 1),
    "LpNormalization": _for_each_input(3),
    "MatMul": _matmul(),
    "MatMulInteger": _matmul(),
    "MeanVarianceNormalization": _for_each_input(5),
    "QLinearConv": _convolution(3, 8),
    "QLinearMatMul": _matmul(0, 3),
    "QuantizeLinear": _quantized,
    "RMSNormalization": _for_each_input(4),
    "RNN": _recurrent(3),
    "Resize": _resize,
    "RotaryEmbedding": _for_each_input(3),  # the sum of products with cos and sin
    "Softmax": _for_each_input(_SOFTMAX),
    "Upsample": _resize,
    f"{_MICROSOFT}Attention": _attention_of_packed,
    f"{_MICROSOFT}DequantizeLinear": _dequantized,
    f"{_MICROSOFT}DynamicQuantizeMatMul": _matmul(0, 1, 4),
    f"{_MICROSOFT}FusedConv": _convolution(1, 2),
    f"{_MICROSOFT}FusedGemm": _gemm(),
    f"{_MICROSOFT}FusedMatMul": _fused_matmul,
    f"{_MICROSOFT}MatMulIntegerToFloat": _matmul(0, 1, 6),
    f"{_MICROSOFT}MatMulNBits": _matmul_of_bits,
    f"{_MICROSOFT}MultiHeadAttention": _attention_of_heads,
    f"{_MICROSOFT}QGemm": _gemm(0, 3, 6),
    f"{_MICROSOFT}QuantizeLinear": _quantized,
    f"{_MICROSOFT}SkipLayerNormalization": _for_each_input(8),
}
