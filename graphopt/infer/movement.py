"""Types of operators that move elements, make tensors, or tell of shapes."""

from __future__ import annotations

from graphopt.infer.call import InferenceRule, NotKnown, TooHard, Types, axis_of, data, integer, integers, one, shape_of, tensor
from graphopt.infer.elements import constant_ints, elements
from graphopt.infer.shapes import add, broadcast, ceil_divide, multiply, product, quotient
from graphopt.ir.dim import Dim, Shape, Size
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node, Value
from graphopt.ir.tensor import Tensor
from graphopt.ir.types import TensorType
from graphopt.schema.spelling import neutral_attribute, neutral_inputs


def constant(node: Node) -> Types:
    """Constant: what its value is."""
    held = node.output.tensor
    if held is None:
        value = node.attributes.get("value")
        held = value.value if value is not None and isinstance(value.value, Tensor) else None
    if held is None:
        raise TooHard
    return one(held.dtype, held.shape)


def constant_of_shape(node: Node) -> Types:
    """ConstantOfShape(shape): the element type of `value`, float32 when there is none."""
    value = node.attributes.get("value")
    if value is not None and not isinstance(value.value, Tensor):
        raise NotKnown
    dtype = value.value.dtype if value is not None and isinstance(value.value, Tensor) else DType.float32
    return one(dtype, _sizes(node.input(0)))


def shape(node: Node) -> Types:
    """Shape(x): a vector as long as the rank."""
    value = node.input(0)
    known = shape_of(value)
    if known is None:
        return one(DType.int64, (None,))
    end = neutral_attribute(node, "end")
    if end is not None and not isinstance(end, int):
        raise NotKnown
    return one(DType.int64, (len(known[slice(integer(node, "start"), end)]),))


def size(node: Node) -> Types:
    """Size(x): a scalar."""
    return one(DType.int64, ())


def transpose(node: Node) -> Types:
    """Transpose(x, perm); the axes the other way round when perm is absent."""
    x = data(node)
    perm = integers(node, "perm")
    if x.shape is None:
        return one(x.dtype, None if perm is None else (None,) * len(perm))
    if perm is None:
        return one(x.dtype, x.shape[::-1])
    if sorted(perm) != list(range(len(x.shape))):
        raise NotKnown
    return one(x.dtype, tuple(x.shape[axis] for axis in perm))


def reshape(node: Node) -> Types:
    """Reshape(x, shape): 0 copies a size (unless allowzero), -1 takes what is left.

    A symbol in `shape` is taken as the size that it names: were it 0 when the model runs, it would copy a size instead.
    """
    x = data(node)
    wanted = elements(node.input(1))
    if wanted is None:
        length = shape_of(node.input(1))
        return one(x.dtype, (None,) * length[0] if length is not None and len(length) == 1 and isinstance(length[0], int) else None)
    copies = not integer(node, "allowzero")
    sizes: list[Size] = []
    for axis, entry in enumerate(wanted):
        if entry == 0 and copies:
            entry = None if x.shape is None or axis >= len(x.shape) else x.shape[axis]
        elif entry is not None and not isinstance(entry, int) and not _is_size(entry):
            entry = None  # it may come out as -1
        sizes.append(entry)
    if -1 in sizes:
        place = sizes.index(-1)
        others = sizes[:place] + sizes[place + 1 :]
        sizes[place] = None if x.shape is None or -1 in others else quotient(x.shape, others)
    elif sizes.count(None) == 1 and x.shape is not None:
        place = sizes.index(None)
        others = sizes[:place] + sizes[place + 1 :]
        if all(isinstance(entry, int) and entry > 0 for entry in others):  # a symbol may be 0, and then this one is anything
            sizes[place] = quotient(x.shape, others)
    if any(isinstance(entry, int) and entry < 0 for entry in sizes):
        raise NotKnown
    return one(x.dtype, tuple(sizes))


def flatten(node: Node) -> Types:
    """Flatten(x, axis): two dimensions."""
    x = data(node)
    if x.shape is None:
        return one(x.dtype, (None, None))
    axis = integer(node, "axis")
    axis += len(x.shape) if axis < 0 else 0
    return one(x.dtype, (product(x.shape[:axis]), product(x.shape[axis:])))


def squeeze(node: Node) -> Types:
    """Squeeze(x, axes); without axes every size of 1 goes."""
    x = data(node)
    inputs = neutral_inputs(node)
    if x.shape is None:
        return one(x.dtype, None)
    if len(inputs) < 2 or inputs[1] is None:
        if all(isinstance(extent, int) for extent in x.shape):
            return one(x.dtype, tuple(extent for extent in x.shape if extent != 1))
        return one(x.dtype, None)
    axes = constant_ints(inputs[1])
    if axes is None:
        return one(x.dtype, None)
    if not axes and any(extent == 1 or not isinstance(extent, int) for extent in x.shape):
        return one(x.dtype, None)  # an empty list: none go in onnx's text, every size of 1 in onnxruntime
    gone = {axis_of(axis, len(x.shape)) for axis in axes}
    return one(x.dtype, tuple(extent for axis, extent in enumerate(x.shape) if axis not in gone))


def unsqueeze(node: Node) -> Types:
    """Unsqueeze(x, axes): axes count in the result."""
    x = data(node)
    inputs = neutral_inputs(node)
    axes = constant_ints(inputs[1] if len(inputs) > 1 else None)
    if x.shape is None or axes is None:
        return one(x.dtype, None)
    rank = len(x.shape) + len(axes)
    new = {axis_of(axis, rank) for axis in axes}
    if len(new) != len(axes):
        raise NotKnown
    rest = iter(x.shape)
    return one(x.dtype, tuple(1 if axis in new else next(rest) for axis in range(rank)))


def concat(node: Node) -> Types:
    """Concat: sizes add up on one axis, and are the same on all others."""
    types = [tensor(value) for value in node.inputs]
    dtype = types[0].dtype
    if any(type.dtype != dtype for type in types):
        raise NotKnown
    shapes = [type.shape for type in types if type.shape is not None]
    if not shapes:
        return one(dtype, None)
    rank = len(shapes[0])
    axis = axis_of(integer(node, "axis"), rank)
    if any(len(known) != rank for known in shapes):
        raise NotKnown
    sizes: list[Size] = []
    for place in range(rank):
        held = [known[place] for known in shapes]
        if place == axis:
            total: Size = 0 if len(shapes) == len(types) else None
            for extent in held:
                total = add(total, extent)
            sizes.append(total)
        else:
            numbers = {extent for extent in held if isinstance(extent, int)}
            if len(numbers) > 1:
                raise NotKnown
            sizes.append(numbers.pop() if numbers else next((extent for extent in held if extent is not None), None))
    return one(dtype, tuple(sizes))


def split(node: Node) -> Types:
    """Split: parts of one axis, equal ones when no sizes are given."""
    x = data(node)
    inputs = neutral_inputs(node)
    count = len(node.outputs)
    if x.shape is None:
        return (TensorType(x.dtype),) * count
    axis = axis_of(integer(node, "axis"), len(x.shape))
    extent = x.shape[axis]
    parts: tuple[Size, ...] = (None,) * count
    if len(inputs) > 1 and inputs[1] is not None:
        parts = elements(inputs[1]) or parts
        if len(parts) != count:
            raise NotKnown
    elif extent is not None:
        whole = ceil_divide(extent, count)
        if isinstance(extent, int) and isinstance(whole, int):
            parts = tuple(min(whole, max(extent - whole * index, 0)) for index in range(count))
        elif isinstance(extent, Dim) and multiply(whole, count) == extent:
            parts = (whole,) * count
    return tuple(TensorType(x.dtype, (*x.shape[:axis], part, *x.shape[axis + 1 :])) for part in parts)


def slice_(node: Node) -> Types:
    """Slice(x, starts, ends, axes, steps)."""
    x = data(node)
    if x.shape is None:
        return one(x.dtype, None)
    inputs = [*neutral_inputs(node), None, None]
    starts, ends = elements(inputs[1]), elements(inputs[2])
    axes, steps = constant_ints(inputs[3]), constant_ints(inputs[4])
    rank = len(x.shape)
    if inputs[3] is not None and axes is None:
        return one(x.dtype, (None,) * rank)
    if axes is None:
        count = len(starts) if starts is not None else len(ends) if ends is not None else rank
        axes = tuple(range(count))
    sizes = list(x.shape)
    for place, axis in enumerate(axes):
        axis = axis_of(axis, rank)
        known_step = 1 if inputs[4] is None else steps[place] if steps is not None else None
        sizes[axis] = _sliced(sizes[axis], starts[place] if starts else None, ends[place] if ends else None, known_step)
    return one(x.dtype, tuple(sizes))


def gather(node: Node) -> Types:
    """Gather(x, indices): the shape of the indices in place of one axis."""
    x = data(node)
    indices = shape_of(node.input(1))
    if x.shape is None or indices is None:
        return one(x.dtype, None)
    axis = axis_of(integer(node, "axis"), len(x.shape))
    return one(x.dtype, (*x.shape[:axis], *indices, *x.shape[axis + 1 :]))


def gather_elements(node: Node) -> Types:
    """GatherElements(x, indices): the shape of the indices."""
    return one(data(node).dtype, shape_of(node.input(1)))


def gather_nd(node: Node) -> Types:
    """GatherND(x, indices): the last axis of the indices counts how many axes they address."""
    x = data(node)
    indices = shape_of(node.input(1))
    if x.shape is None or not indices or not isinstance(indices[-1], int):
        return one(x.dtype, None)
    return one(x.dtype, (*indices[:-1], *x.shape[integer(node, "batch_dims") + indices[-1] :]))


def expand(node: Node) -> Types:
    """Expand(x, shape): both broadcast."""
    x = data(node)
    wanted = _sizes(node.input(1))
    if x.shape is None or wanted is None:
        return one(x.dtype, None)
    result = broadcast(x.shape, wanted)
    if result is None:
        raise NotKnown
    return one(x.dtype, result)


def tile(node: Node) -> Types:
    """Tile(x, repeats)."""
    x = data(node)
    repeats = elements(node.input(1))
    if x.shape is None:
        return one(x.dtype, None if repeats is None else (None,) * len(repeats))
    if repeats is None or len(repeats) != len(x.shape):
        return one(x.dtype, (None,) * len(x.shape))
    return one(x.dtype, tuple(map(multiply, x.shape, repeats)))


def pad(node: Node) -> Types:
    """Pad(x, pads, value, axes): sizes grow, or shrink for negative pads."""
    x = data(node)
    if x.shape is None:
        return one(x.dtype, None)
    inputs = [*neutral_inputs(node), None, None, None]
    pads = elements(inputs[1])
    axes = constant_ints(inputs[3]) if inputs[3] is not None else tuple(range(len(x.shape)))
    if pads is None or axes is None or len(pads) != 2 * len(axes):
        return one(x.dtype, (None,) * len(x.shape))
    sizes = list(x.shape)
    for place, axis in enumerate(axes):
        axis = axis_of(axis, len(sizes))
        sizes[axis] = add(add(sizes[axis], pads[place]), pads[place + len(axes)])
    return one(x.dtype, tuple(sizes))


def range_(node: Node) -> Types:
    """Range(start, limit, delta): a vector; how long is known for integers."""
    dtype = data(node).dtype
    bounds = [elements(value) for value in node.inputs]
    if any(bound is None or len(bound) != 1 for bound in bounds):
        return one(dtype, (None,))
    start, limit, delta = (bound[0] if bound else None for bound in bounds)
    if start is None or limit is None or not isinstance(delta, int) or delta == 0:
        return one(dtype, (None,))
    distance = limit - start
    if isinstance(distance, int):
        return one(dtype, (max(-(-distance // delta), 0),))
    return one(dtype, (distance if delta == 1 and _is_size(distance) else None,))


def non_zero(node: Node) -> Types:
    """NonZero(x): one row per axis, one column per element found."""
    known = shape_of(node.input(0))
    return one(DType.int64, (len(known) if known else None, None))  # of a scalar: 0 in the operator's text, 1 in runtimes


def _image_in_blocks(node: Node) -> tuple[DType, tuple[Size, Size, Size, Size], int]:
    """The element type and (N, C, H, W) of the operand, and the side of the blocks that move between C and H, W."""
    x = data(node)
    block = integer(node, "blocksize")
    if x.shape is None or len(x.shape) != 4 or block <= 0:
        raise TooHard
    n, c, h, w = x.shape
    return x.dtype, (n, c, h, w), block


def depth_to_space(node: Node) -> Types:
    """DepthToSpace(x): (N, C, H, W) to (N, C / b^2, H b, W b)."""
    dtype, (n, c, h, w), block = _image_in_blocks(node)
    return one(dtype, (n, quotient((c,), (block * block,)), multiply(h, block), multiply(w, block)))


def space_to_depth(node: Node) -> Types:
    """SpaceToDepth(x): (N, C, H, W) to (N, C b^2, H / b, W / b)."""
    dtype, (n, c, h, w), block = _image_in_blocks(node)
    return one(dtype, (n, multiply(c, block * block), quotient((h,), (block,)), quotient((w,), (block,))))


def _sizes(value: Value | None) -> Shape | None:
    """The shape that an input holds as its elements; sizes unknown where it is only known how many there are."""
    held = elements(value)
    if held is None:
        length = shape_of(value)
        return (None,) * length[0] if length is not None and len(length) == 1 and isinstance(length[0], int) else None
    if any(isinstance(entry, int) and entry < 0 for entry in held):
        raise NotKnown
    return tuple(entry if isinstance(entry, int) or _is_size(entry) else None for entry in held)


def _is_size(entry: Size) -> bool:
    """Whether an expression cannot come out below 0: no symbol, which is a size, counts against it."""
    return isinstance(entry, Dim) and entry.constant >= 0 and all(factor > 0 for _, factor in entry.terms)


def _sliced(extent: Size, start: Size, end: Size, step: int | None) -> Size:
    if step is None or step == 0 or start is None or end is None or extent is None:
        return 0 if extent == 0 else None
    if isinstance(start, int) and isinstance(end, int):
        if isinstance(extent, int):
            return len(range(*slice(start, _end(end, extent, step), step).indices(extent)))
        if step == 1:
            return _sliced_symbol(extent, start, end)
        if (step, start) == (-1, -1) and end < -(1 << 31):
            return extent
    elif start == 0 and step == 1 and end == extent:
        return extent
    return None


def _end(end: int, extent: int, step: int) -> int | None:
    """Python reads -1 as the last place; what ONNX clamps to lies before the first."""
    return None if step < 0 and end < -extent else end


def _sliced_symbol(extent: Dim, start: int, end: int) -> Size:
    """What is left of an extent that is not known as a number, when no bound can be clamped in one case and not in another."""
    whole = end >= (1 << 31) - 1  # what models write for "to the end"
    if start == 0 and whole:
        return extent
    least = extent.constant if _is_size(extent) else 0  # it has at least as many elements
    if start >= 0 and whole and start <= least:
        return extent - start
    if start >= 0 and 0 <= end <= least:
        return max(end - start, 0)
    if start < 0 and whole and -start <= least:
        return -start
    if start == 0 and end < 0 and -end <= least:
        return extent + end
    return None


RULES: dict[str, InferenceRule] = {
    "Concat": concat,
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "NonZero": non_zero,
    "Pad": pad,
    "Range": range_,
    "Reshape": reshape,
    "Shape": shape,
    "Size": size,
    "Slice": slice_,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
