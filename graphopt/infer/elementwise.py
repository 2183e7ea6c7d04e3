"""Types of operators that work element by element, of reductions, and of normalizations."""

from __future__ import annotations

from graphopt.infer.call import InferenceRule, NotKnown, TooHard, Types, axis_of, data, integer, one, shape_of, tensor
from graphopt.infer.elements import constant_ints, elements
from graphopt.infer.shapes import broadcast, broadcast_all
from graphopt.ir.dim import Shape
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node
from graphopt.ir.types import TensorType
from graphopt.schema.spelling import neutral_inputs
from graphopt.schema.traits import COMPARISON, ELEMENTWISE_BINARY, ELEMENTWISE_UNARY, REDUCTIONS


def unary(node: Node) -> Types:
    """y = f(x): the type of x."""
    return (data(node),)


def identity(node: Node) -> Types:
    """Identity(x): whatever x is, a sequence as well."""
    value = node.input(0)
    return (None if value is None else value.type,)


def truth(node: Node) -> Types:
    """IsNaN and IsInf: bool in the shape of x."""
    return one(DType.bool, shape_of(node.input(0)))


def binary(node: Node) -> Types:
    """Operands broadcast against each other."""
    inputs = node.inputs
    first = tensor(inputs[0])
    if len(inputs) == 2:
        second = tensor(inputs[1])
        if first is second and first.shape is not None and None not in first.shape:
            return (first,)
        if first.dtype != second.dtype:
            raise NotKnown
        return one(first.dtype, _meet(first.shape, second.shape))
    types = [tensor(value) for value in inputs]
    if any(type.dtype != first.dtype for type in types):
        raise NotKnown
    return one(first.dtype, _broadcast(types))


def power(node: Node) -> Types:
    """Pow(x, y): the element type of x, whatever that of y."""
    first, second = data(node), tensor(node.input(1))
    return one(first.dtype, _meet(first.shape, second.shape))


def comparison(node: Node) -> Types:
    """Equal, Less and their like: bool, broadcast."""
    return one(DType.bool, _meet(shape_of(node.input(0)), shape_of(node.input(1))))


def where(node: Node) -> Types:
    """Where(condition, x, y): all three broadcast."""
    condition, x, y = map(tensor, node.inputs)
    if x.dtype != y.dtype:
        raise NotKnown
    return one(x.dtype, _broadcast([condition, x, y]))


def cast(node: Node) -> Types:
    """Cast(x, to)."""
    to = integer(node, "to")
    value = node.input(0)
    if to not in DType.__members__.values() or not to:
        raise NotKnown
    return one(DType(to), shape_of(value))


def cast_like(node: Node) -> Types:
    """CastLike(x, like): the shape of the first, the element type of the second."""
    return one(tensor(node.input(1)).dtype, shape_of(node.input(0)))


def dropout(node: Node) -> Types:
    """Dropout: data as it is, and a mask of its shape, bool since opset 10."""
    x = data(node)
    return x, TensorType(DType.bool if (node.opset or 0) >= 10 else x.dtype, x.shape)


def batch_normalization(node: Node) -> Types:
    """BatchNormalization: x as it is; further outputs are statistics of training, a mean and a variance of the past and of the batch."""
    if len(node.outputs) == 1:
        return (data(node),)
    mean, variance = tensor(node.input(3)), tensor(node.input(4))
    return data(node), mean, variance, mean, variance


def keeps_axes(node: Node) -> bool:
    """Whether what is reduced stays, with one element. Raises NotKnown for a number of which ONNX says nothing."""
    keep = integer(node, "keepdims")
    if keep not in (0, 1):
        raise NotKnown
    return keep == 1


def reduction(node: Node) -> Types:
    """Reduce*: the axes go, or become 1."""
    x = data(node)
    inputs = neutral_inputs(node)
    keep = keeps_axes(node)
    axes_value = inputs[1] if len(inputs) > 1 else None
    if axes_value is None:
        if integer(node, "noop_with_empty_axes"):
            return (x,)
        axes: tuple[int, ...] | None = ()
    else:
        axes = constant_ints(axes_value)
        if axes == () and integer(node, "noop_with_empty_axes"):
            return (x,)
    if x.shape is None:
        return one(x.dtype, () if axes == () and not keep else None)
    rank = len(x.shape)
    if axes is None:
        return one(x.dtype, (None,) * rank if keep else None)
    return one(x.dtype, _reduced(x.shape, {axis_of(axis, rank) for axis in axes} or set(range(rank)), keep))


def index_of_extreme(node: Node) -> Types:
    """ArgMax and ArgMin: int64, one axis gone or 1."""
    shape = shape_of(node.input(0))
    keep = keeps_axes(node)
    if shape is None:
        return one(DType.int64, None)
    return one(DType.int64, _reduced(shape, {axis_of(integer(node, "axis"), len(shape))}, keep))


def layer_normalization(node: Node) -> Types:
    """LayerNormalization: x as it is; mean and inverse deviation have 1 from the axis on."""
    x = data(node)
    if len(node.outputs) == 1:
        return (x,)
    raise TooHard


def softmax(node: Node) -> Types:
    """Softmax and its kin: the type of x at every opset."""
    return (data(node),)


def quantize(node: Node) -> Types:
    """QuantizeLinear: the element type of the zero point, or what output_dtype says, or uint8."""
    shape, zero = shape_of(node.input(0)), node.input(2)
    if zero is not None:
        return one(tensor(zero).dtype, shape)
    wanted = integer(node, "output_dtype") if (node.opset or 0) >= 21 else 0
    return one(DType(wanted) if wanted else DType.uint8, shape)


def dequantize(node: Node) -> Types:
    """DequantizeLinear: the element type of the scale, float32 before opset 19, or what output_dtype says."""
    wanted = integer(node, "output_dtype") if (node.opset or 0) >= 23 else 0
    return one(DType(wanted) if wanted else tensor(node.input(1)).dtype, shape_of(node.input(0)))


def top_k(node: Node) -> Types:
    """TopK(x, k): k of one axis, and their places."""
    x = data(node)
    inputs = neutral_inputs(node)
    if x.shape is None:
        return TensorType(x.dtype), TensorType(DType.int64)
    axis = axis_of(integer(node, "axis"), len(x.shape))
    count = elements(inputs[1])
    shape = (*x.shape[:axis], count[0] if count else None, *x.shape[axis + 1 :])
    return TensorType(x.dtype, shape), TensorType(DType.int64, shape)


def _reduced(shape: Shape, axes: set[int], keep: bool) -> Shape:
    if keep:
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def _meet(a: Shape | None, b: Shape | None) -> Shape | None:
    if a is None or b is None:
        return None
    shape = broadcast(a, b)
    if shape is None:
        raise NotKnown
    return shape


def _broadcast(types: list[TensorType]) -> Shape | None:
    shapes = [type.shape for type in types if type.shape is not None]
    if len(shapes) < len(types):
        return None
    shape = broadcast_all(shapes)
    if shape is None:
        raise NotKnown
    return shape


RULES: dict[str, InferenceRule] = {
    **dict.fromkeys(sorted(ELEMENTWISE_UNARY - {"BitCast", "Cast", "Identity", "IsInf", "IsNaN"}), unary),
    **dict.fromkeys(sorted(ELEMENTWISE_BINARY - COMPARISON - {"Pow"}), binary),
    **dict.fromkeys(sorted(COMPARISON), comparison),
    **dict.fromkeys(sorted(REDUCTIONS), reduction),
    **dict.fromkeys(("Hardmax", "LogSoftmax", "Softmax"), softmax),
    **dict.fromkeys(("CumProd", "CumSum", "InstanceNormalization", "LRN", "LpNormalization", "MeanVarianceNormalization"), unary),
    **dict.fromkeys(("GroupNormalization", "PRelu", "RMSNormalization", "ReverseSequence", "Trilu"), unary),
    **dict.fromkeys(("Scatter", "ScatterElements", "ScatterND"), unary),
    "ArgMax": index_of_extreme,
    "ArgMin": index_of_extreme,
    "BatchNormalization": batch_normalization,
    "Cast": cast,
    "CastLike": cast_like,
    "DequantizeLinear": dequantize,
    "Dropout": dropout,
    "Identity": identity,
    "IsInf": truth,
    "IsNaN": truth,
    "LayerNormalization": layer_normalization,
    "Pow": power,
    "QuantizeLinear": quantize,
    "TopK": top_k,
    "Where": where,
}
