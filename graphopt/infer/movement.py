"""Types of operators that move elements."""

from __future__ import annotations

from graphopt.infer.call import InferenceRule, NotKnown, TooHard, Types, axis_of, data, integer, integers, one, shape_of, tensor
from graphopt.infer.elements import constant_ints, elements
from graphopt.infer.making import sizes_in
from graphopt.infer.shapes import add, bounds, broadcast, is_size, multiply, product, quotient
from graphopt.ir.dim import Shape, Size
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node
from graphopt.schema.spelling import neutral_inputs


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
    """Concat: sizes add up on one axis, and are the same on all others.

    onnxruntime lets operands without elements have any sizes there: only of one that has some is it known that the result has its size.
    """
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
        elif len(shapes) == len(types) and held.count(held[0]) == len(held):
            sizes.append(held[0])
        else:
            sizes.append(_size_of_filled(shapes, place))
    return one(dtype, tuple(sizes))


def _size_of_filled(shapes: list[Shape], place: int) -> Size:
    """The size at a place of the operands that provably have elements."""
    filled = [known[place] for known in shapes if all(_is_positive(extent) for extent in known)]
    if len({extent for extent in filled if isinstance(extent, int)}) > 1:
        raise NotKnown
    return next((extent for extent in filled if isinstance(extent, int)), filled[0] if filled else None)


def _is_positive(size: Size) -> bool:
    least, _ = bounds(size)
    return least is not None and least > 0


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
    wanted = sizes_in(node.input(1))
    if x.shape is None or wanted is None:
        return one(x.dtype, None)
    result = broadcast(x.shape, tuple(entry if is_size(entry) else None for entry in wanted))
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


RULES: dict[str, InferenceRule] = {
    "Concat": concat,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "Pad": pad,
    "SpaceToDepth": space_to_depth,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
