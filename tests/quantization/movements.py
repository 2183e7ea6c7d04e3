"""Random calls of every operator that quantization may pass, and of some that it may not."""

from __future__ import annotations

import numpy as np

from graphopt.ir.tensor import Array
from tests.quantization.calls import Call, Maker, Random


def shape_of(random: Random, rank: int, least: int = 1, most: int = 4) -> tuple[int, ...]:
    return tuple(int(size) for size in random.integers(least, most + 1, rank))


def i64(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def constant(random: Random, shape: tuple[int, ...] = ()) -> Array:
    return np.asarray(random.choice([0.0, 0.0, 1.0, -2.5, 0.3, 40.0, -0.0], shape), np.float32)


def some(random: Random, text: str) -> str:
    return str(random.choice(text.split()))


def plain(op: str, **attributes: object) -> Maker:
    return lambda random: Call(op, [shape_of(random, int(random.integers(1, 5)))], dict(attributes))


def transpose(random: Random) -> Call:
    shape = shape_of(random, 4)
    return Call("Transpose", [shape], {"perm": [int(axis) for axis in random.permutation(4)]})


def reshape(random: Random) -> Call:
    shape = (*random.choice([1, 2, 3, 4, 6], 4).tolist(),)
    flat = int(np.prod(shape))
    wanted: list[int] = []
    for size in random.permutation(shape).tolist() if random.random() < 0.4 else shape:
        if wanted and random.random() < 0.4:
            wanted[-1] *= size
        elif size in (4, 6) and random.random() < 0.4:
            wanted += [2, size // 2]
        else:
            wanted.append(size)
    assert int(np.prod(wanted)) == flat
    return Call("Reshape", [shape, i64(*wanted)])


def flatten(random: Random) -> Call:
    return Call("Flatten", [shape_of(random, 4)], {"axis": int(random.integers(0, 5))})


def squeeze(random: Random) -> Call:
    shape = [*shape_of(random, 4)]
    axis = int(random.integers(0, 4))
    shape[axis] = 1
    return Call("Squeeze", [tuple(shape), i64(axis - 4 * int(random.integers(2)))])


def unsqueeze(random: Random) -> Call:
    return Call("Unsqueeze", [shape_of(random, 3), i64(int(random.integers(0, 4)))])


def cut(random: Random) -> Call:
    shape = shape_of(random, 3, 2, 5)
    axis, step = int(random.integers(0, 3)), int(random.choice([1, 1, 2, -1]))
    ends = (0, shape[axis]) if step > 0 else (shape[axis] - 1, -99)
    start = ends[0] + int(random.integers(0, 2)) * (1 if step > 0 else -1)
    call = Call("Slice", [shape, i64(start), i64(ends[1]), i64(axis), i64(step)])
    if random.random() < 0.2:
        call.fed = (1,)
    return call


def split(random: Random) -> Call:
    shape = shape_of(random, 3, 2, 5)
    axis = int(random.integers(0, 3))
    first = int(random.integers(1, shape[axis]))
    return Call("Split", [shape, i64(first, shape[axis] - first)], {"axis": axis}, outputs=2)


def concat(random: Random) -> Call:
    shape, axis = shape_of(random, 3), int(random.integers(0, 3))
    other = tuple(int(random.integers(1, 4)) if index == axis else size for index, size in enumerate(shape))
    return Call("Concat", [shape, other], {"axis": axis})


def gather(random: Random) -> Call:
    shape, axis = shape_of(random, 3), int(random.integers(0, 3))
    indices = random.integers(-shape[axis], shape[axis], shape_of(random, int(random.integers(0, 3)), 1, 3))
    return Call("Gather", [shape, np.asarray(indices, np.int64)], {"axis": axis}, fed=(1,) if random.random() < 0.3 else ())


def gather_elements(random: Random) -> Call:
    shape, axis = shape_of(random, 3), int(random.integers(0, 3))
    wanted = tuple(int(random.integers(1, size + 1)) for size in shape)
    indices = random.integers(-shape[axis], shape[axis], wanted)
    return Call("GatherElements", [shape, np.asarray(indices, np.int64)], {"axis": axis}, fed=(1,) if random.random() < 0.5 else ())


def scatter_elements(random: Random) -> Call:
    shape, axis = shape_of(random, 3), int(random.integers(0, 3))
    updates = tuple(int(random.integers(1, size + 1)) for size in shape)
    indices = np.stack([random.permutation(shape[axis])[: updates[axis]] for _ in range(int(np.prod(updates)) // updates[axis])], -1)
    others = [size for index, size in enumerate(updates) if index != axis]
    placed = np.moveaxis(indices.reshape(updates[axis], *others), 0, axis)
    return Call("ScatterElements", [shape, np.ascontiguousarray(placed, np.int64), updates], {"axis": axis})


def gather_nd(random: Random) -> Call:
    shape, width = shape_of(random, 3), int(random.integers(1, 4))
    outer = shape_of(random, int(random.integers(1, 3)), 1, 3)
    indices = np.stack([random.integers(-size, size, outer) for size in shape[:width]], -1)
    return Call("GatherND", [shape, np.asarray(indices, np.int64)], fed=(1,) if random.random() < 0.4 else ())


def batched_gather_nd(random: Random) -> Call:
    shape = shape_of(random, 3)
    indices = random.integers(0, shape[1], (shape[0], 2, 1))
    return Call("GatherND", [shape, np.asarray(indices, np.int64)], {"batch_dims": 1}, fed=(1,) if random.random() < 0.4 else ())


def scatter_nd(random: Random) -> Call:
    shape = shape_of(random, 3, 2, 4)
    count = int(random.integers(1, shape[0] + 1))
    indices = random.permutation(shape[0])[:count].reshape(count, 1)
    return Call("ScatterND", [shape, np.asarray(indices, np.int64), (count, *shape[1:])])


def expand(random: Random) -> Call:
    shape = [int(random.choice([1, 1, 2, 3])) for _ in range(3)]
    wanted = [size if size > 1 else int(random.choice([1, 2, 3])) for size in shape]
    return Call("Expand", [tuple(shape), i64(*([2] if random.random() < 0.3 else []), *wanted)])


def tile(random: Random) -> Call:
    call = Call("Tile", [shape_of(random, 3, 1, 3), i64(*random.choice([1, 1, 2, 3], 3).tolist())])
    call.fed = (1,) if random.random() < 0.2 else ()
    return call


def depth_to_space(random: Random) -> Call:
    n, c, h, w = shape_of(random, 4, 1, 3)
    block = int(random.choice([1, 2, 2]))
    return Call("DepthToSpace", [(n, c * block * block, h, w)], {"blocksize": block, "mode": some(random, "DCR CRD")})


def space_to_depth(random: Random) -> Call:
    n, c, h, w = shape_of(random, 4, 1, 3)
    block = int(random.choice([1, 2, 2]))
    return Call("SpaceToDepth", [(n, c, h * block, w * block)], {"blocksize": block})


def reverse_sequence(random: Random) -> Call:
    shape, time = shape_of(random, 3), int(random.integers(0, 2))
    lengths = random.integers(1, shape[time] + 1, shape[1 - time])
    return Call("ReverseSequence", [shape, np.asarray(lengths, np.int64)], {"time_axis": time, "batch_axis": 1 - time})


def compress(random: Random) -> Call:
    shape, axis = shape_of(random, 3), int(random.integers(0, 3))
    chosen = random.random(shape[axis]) < 0.7
    chosen[0] = True
    return Call("Compress", [shape, chosen], {"axis": axis}, fed=(1,) if random.random() < 0.3 else ())


def pad(random: Random) -> Call:
    shape, mode = shape_of(random, 4, 3, 4), some(random, "constant constant edge reflect wrap")
    pads = [int(random.choice([0, 0, 1, 2, -1])) for _ in range(8)]
    if mode == "wrap":
        pads = [max(amount, 0) for amount in pads]
    inputs: list[object] = [shape, i64(*pads)]
    if mode == "constant" and random.random() < 0.8:
        inputs.append(constant(random))
    return Call("Pad", inputs, {"mode": mode}, fed=(1,) if random.random() < 0.15 else ())


def where(random: Random) -> Call:
    shape = shape_of(random, 3)
    condition = random.random(shape) < 0.5
    narrow = tuple(1 if random.random() < 0.2 else size for size in shape)
    other: object = narrow if random.random() < 0.5 else constant(random, () if random.random() < 0.5 else narrow)
    branches = [shape, other] if random.random() < 0.5 else [other, shape]
    return Call("Where", [condition, *branches], fed=(0,) if random.random() < 0.5 else ())


def extreme(random: Random) -> Call:
    shape = shape_of(random, 3)
    narrow = tuple(1 if random.random() < 0.2 else size for size in shape)
    other: object = narrow if random.random() < 0.5 else constant(random, () if random.random() < 0.5 else narrow)
    return Call(some(random, "Max Min"), [shape, other])


def clip(random: Random) -> Call:
    bounds = [None if random.random() < 0.2 else constant(random) for _ in range(2)]
    return Call("Clip", [shape_of(random, 3), *bounds])


def resize(random: Random) -> Call:
    scales = np.array([1, 1, *random.choice([1.0, 2.0, 0.5, 1.5], 2)], np.float32)
    mode = some(random, "nearest nearest linear")
    how = some(random, "half_pixel asymmetric align_corners tf_half_pixel_for_nn" if mode == "nearest" else "half_pixel")
    rounding = some(random, "round_prefer_floor floor ceil round_prefer_ceil")
    attributes = {"mode": mode, "coordinate_transformation_mode": how, "nearest_mode": rounding}
    return Call("Resize", [shape_of(random, 4, 2, 4), None, scales], dict(attributes))


def max_pool(random: Random) -> Call:
    kernel = [int(size) for size in random.integers(1, 4, 2)]
    pads = [int(random.integers(0, size)) for size in (*kernel, *kernel)]
    attributes: dict[str, object] = {"kernel_shape": kernel, "strides": [int(size) for size in random.integers(1, 4, 2)]}
    if random.random() < 0.3:
        attributes["dilations"] = [int(size) for size in random.integers(1, 3, 2)]
    if random.random() < 0.3:
        attributes["ceil_mode"] = 1
    if random.random() < 0.2:
        attributes["auto_pad"] = some(random, "SAME_UPPER SAME_LOWER VALID")
    else:
        attributes["pads"] = pads
    return Call("MaxPool", [shape_of(random, 4, 5, 6)], attributes, outputs=2 if random.random() < 0.3 else 1)


def global_max_pool(random: Random) -> Call:
    return Call("GlobalMaxPool", [shape_of(random, int(random.integers(3, 5)))])


def reduction(random: Random) -> Call:
    shape = shape_of(random, 3)
    axes = sorted(int(axis) for axis in random.permutation(3)[: int(random.integers(0, 3))])
    inputs: list[object] = [shape, i64(*axes)] if axes else [shape]
    return Call(some(random, "ReduceMax ReduceMin"), inputs, {"keepdims": int(random.integers(2))})


def arg(random: Random) -> Call:
    attributes = {"axis": int(random.integers(0, 3)), "keepdims": int(random.integers(2)), "select_last_index": int(random.integers(2))}
    return Call(some(random, "ArgMax ArgMin"), [shape_of(random, 3)], attributes)


def top_k(random: Random) -> Call:
    shape, axis = shape_of(random, 2, 2, 6), int(random.integers(0, 2))
    attributes = {"axis": axis, "largest": int(random.integers(2))}
    return Call("TopK", [shape, i64(int(random.integers(1, shape[axis] + 1)))], attributes, outputs=2)


def comparison(random: Random) -> Call:
    shape = shape_of(random, 3)
    other: object = shape if random.random() < 0.6 else constant(random)
    return Call(some(random, "Equal Less Greater LessOrEqual GreaterOrEqual"), [shape, other])


def trilu(random: Random) -> Call:
    return Call("Trilu", [shape_of(random, 3, 2, 4)], {"upper": int(random.integers(2))})


def center_crop_pad(random: Random) -> Call:
    return Call("CenterCropPad", [shape_of(random, 3, 2, 4), i64(*random.integers(1, 6, 2).tolist())], {"axes": [1, 2]})


MAKERS: dict[str, Maker] = {
    "Identity": plain("Identity"), "Dropout": plain("Dropout"), "Transpose": transpose, "Reshape": reshape, "Flatten": flatten,
    "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Slice": cut, "Split": split, "Concat": concat, "Gather": gather,
    "GatherElements": gather_elements, "ScatterElements": scatter_elements, "GatherND": gather_nd, "GatherND batched": batched_gather_nd,
    "ScatterND": scatter_nd, "Expand": expand, "Tile": tile, "DepthToSpace": depth_to_space, "SpaceToDepth": space_to_depth,
    "ReverseSequence": reverse_sequence, "Compress": compress, "Pad": pad, "Where": where, "Max and Min": extreme, "Relu": plain("Relu"),
    "Clip": clip, "Resize": resize, "MaxPool": max_pool, "GlobalMaxPool": global_max_pool, "ReduceMax and ReduceMin": reduction,
    "ArgMax and ArgMin": arg, "TopK": top_k, "comparisons": comparison, "Trilu": trilu, "CenterCropPad": center_crop_pad,
    "Neg": plain("Neg"), "Abs": plain("Abs"), "CumSum": lambda random: Call("CumSum", [shape_of(random, 2), np.array(1, np.int64)]),
}  # fmt: skip
