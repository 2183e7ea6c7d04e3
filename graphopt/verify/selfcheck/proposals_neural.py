"""What convolutions, pools, normalizations and quantization ask of their operands and attributes."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphopt.ir.dtype import DType
from graphopt.verify.selfcheck.drawing import ABSENT, Draw, Misfit
from graphopt.verify.selfcheck.proposals import POSITIVE, SCALE, axis, proposes


def window(draw: Draw, spatial: int, *, dilated: bool = True) -> None:
    """strides, pads or auto_pad, and dilations over so many dimensions."""
    chance = draw.chance
    ones, twos = (1,) * spatial, (2,) * spatial
    draw.attribute("strides", ABSENT, ABSENT, ones, twos, tuple(chance.choice((1, 2)) for _ in ones))
    if dilated:
        draw.attribute("dilations", ABSENT, ABSENT, ones, twos)
    auto = draw.attribute("auto_pad", ABSENT, ABSENT, ABSENT, "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
    if auto in ("NOTSET", None):
        sides = tuple(chance.choice((0, 1)) for _ in range(2 * spatial))
        draw.attribute("pads", ABSENT, (0,) * 2 * spatial, (1,) * 2 * spatial, sides)


def image(draw: Draw, channels: int | None = None, slot: int = 0) -> tuple[int, ...]:
    """An (N, C, spatial...) operand, large enough for a small window."""
    rank = draw.rank(slot, 4, 4, 3, 5)
    extents = tuple(draw.chance.choice((4, 3) if rank < 5 else (3, 2)) for _ in range(rank - 2))
    return draw.give(slot, (None, channels, *extents))


@proposes("Conv", "ConvInteger", "com.microsoft.FusedConv")
def convolution(draw: Draw) -> None:
    """x (N, C, ...), w (O, C / group, kernel...), b (O)."""
    w = draw.shape(1)
    if w is not None and (len(w) < 3 or 0 in w):  # onnxruntime does not come back from a Conv over 0 channels
        raise Misfit(f"Conv with weights {w}")
    group = int(draw.attribute("group", ABSENT, ABSENT, 1, 2, 3))
    x = image(draw, w[1] * group if w is not None else group * draw.chance.choice((1, 2)))
    if len(x) < 3 or x[1] % group:
        raise Misfit(f"Conv of group {group} over {x[1:2]} channels")
    spatial = len(x) - 2
    kernel = tuple(draw.chance.choice((1, 2, 3) if spatial < 3 else (1, 2)) for _ in range(spatial))
    w = draw.give(1, (group * draw.chance.choice((1, 2, 3)), x[1] // group, *kernel))
    if "kernel_shape" in dict(draw.site.call.attributes) or draw.chance.random() < 0.5:
        draw.attribute("kernel_shape", w[2:])
    window(draw, spatial)
    draw.give(2, w[:1])


@proposes("ConvTranspose")
def transposed_convolution(draw: Draw) -> None:
    """x (N, C, ...), w (C, O / group, kernel...), b (O)."""
    w = draw.shape(1)
    group = int(draw.attribute("group", ABSENT, ABSENT, 1, 2))
    x = image(draw, w[0] if w is not None else group * draw.chance.choice((1, 2)))
    if len(x) < 3 or x[1] % group:
        raise Misfit(f"ConvTranspose of group {group} over {x[1:2]} channels")
    spatial = len(x) - 2
    kernel = tuple(draw.chance.choice((1, 2, 3) if spatial < 3 else (1, 2)) for _ in range(spatial))
    w = draw.give(1, (x[1], draw.chance.choice((1, 2, 3)), *kernel))
    if "kernel_shape" in dict(draw.site.call.attributes) or draw.chance.random() < 0.5:
        draw.attribute("kernel_shape", w[2:])
    draw.attribute("strides", ABSENT, (1,) * spatial, (2,) * spatial)
    draw.attribute("dilations", ABSENT, (1,) * spatial)
    draw.attribute("pads", ABSENT, ABSENT, (1,) * 2 * spatial)
    draw.give(2, (w[1] * group,))


@proposes("BatchNormalization")
def batch_normalization(draw: Draw) -> None:
    """x (N, C, ...) and four vectors (C); in inference."""
    rank = draw.rank(0, 4, 2, 3, 5)
    x = draw.give(0, (None,) * rank)
    if len(x) < 2:
        raise Misfit("BatchNormalization needs a channel dimension")
    for slot in (1, 2, 3):
        draw.give(slot, x[1:2])
    draw.give(4, x[1:2], kind=POSITIVE)
    draw.attribute("epsilon", ABSENT, 1e-5, 1e-3, 0.1)
    draw.attribute("momentum", ABSENT, 0.9)
    draw.attribute("training_mode", ABSENT, 0)


@proposes("InstanceNormalization")
def instance_normalization(draw: Draw) -> None:
    """x (N, C, ...), scale and bias (C)."""
    x = image(draw)
    draw.give(1, x[1:2])
    draw.give(2, x[1:2])
    draw.attribute("epsilon", ABSENT, 1e-3)


@proposes("GroupNormalization")
def group_normalization(draw: Draw) -> None:
    """x (N, C, ...) whose channels make groups, scale and bias (C)."""
    groups = int(draw.attribute("num_groups", 1, 2))
    x = image(draw, groups * draw.chance.choice((1, 2)))
    draw.give(1, x[1:2])
    draw.give(2, x[1:2])
    draw.attribute("epsilon", ABSENT, 1e-3)


@proposes("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
def layer_normalization(draw: Draw) -> None:
    """x, scale and bias of the shape from the axis on."""
    rank = draw.rank(0, 3, 2, 4)
    x = draw.give(0, (None,) * rank)
    first = axis(draw, "axis", rank)
    draw.give(1, x[first:])
    draw.give(2, x[first:])
    draw.attribute("epsilon", ABSENT, 1e-3)
    draw.attribute("stash_type", ABSENT)


@proposes("MaxPool", "AveragePool", "LpPool")
def pool(draw: Draw) -> None:
    """x (N, C, ...) and a window."""
    x = image(draw)
    spatial = len(x) - 2
    draw.attribute("kernel_shape", (2,) * spatial, (3,) * spatial, tuple(draw.chance.choice((1, 2, 3)) for _ in range(spatial)))
    window(draw, spatial, dilated=False)
    draw.attribute("ceil_mode", ABSENT, 0)
    if draw.op_type == "AveragePool":
        draw.attribute("count_include_pad", ABSENT, 0, 1)


@proposes("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(draw: Draw) -> None:
    """x (N, C, ...)."""
    image(draw)


@proposes("LRN")
def local_response_normalization(draw: Draw) -> None:
    """x (N, C, ...) and how many neighbours."""
    image(draw)
    draw.attribute("size", 1, 3)


@proposes("GRU", "LSTM", "RNN")
def recurrence(draw: Draw) -> None:
    """x (S, N, I), w (D, G H, I), r (D, G H, H), b (D, 2 G H), lengths (N), states (D, N, H), peepholes (D, 3 H)."""
    chance, gates = draw.chance, {"GRU": 3, "LSTM": 4, "RNN": 1}[draw.op_type]
    steps, sequences, size = draw.give(0, (chance.choice((1, 2, 3)), chance.choice((1, 2)), chance.choice((1, 2))))
    directions = 2 if draw.attribute("direction", ABSENT, ABSENT, "forward", "reverse", "bidirectional") == "bidirectional" else 1
    hidden = int(draw.attribute("hidden_size", 1, 2))
    draw.attribute("layout", ABSENT, 0)
    for name in ("activations", "activation_alpha", "activation_beta", "clip"):
        draw.attribute(name, ABSENT)
    draw.attribute("linear_before_reset" if draw.op_type == "GRU" else "input_forget", ABSENT, 0)
    draw.give(1, (directions, gates * hidden, size))
    draw.give(2, (directions, gates * hidden, hidden))
    draw.give(3, (directions, 2 * gates * hidden))
    draw.give(4, data=[chance.randint(1, steps) for _ in range(sequences)])
    draw.give(5, (directions, sequences, hidden))
    draw.give(6, (directions, sequences, hidden))
    draw.give(7, (directions, 3 * hidden))


@proposes("Resize", "Upsample")
def resize(draw: Draw) -> None:
    """scales, or sizes and then empty scales; batch and channels keep theirs."""
    x = image(draw)
    draw.attribute("mode", ABSENT, "nearest", "linear")
    factors: list[Any] = [1.0, 1.0, *(draw.chance.choice((1.0, 2.0)) for _ in x[2:])]
    if draw.chance.random() < 0.4:
        factors = [1.0] * len(x)
    if draw.op_type == "Upsample":
        draw.give(1, dtype=DType.float32, data=np.array(factors, np.float32))
        return
    if draw.leaves.setting.opset < 11:  # there is no other way there
        draw.attribute("coordinate_transformation_mode", "asymmetric")
        draw.attribute("nearest_mode", "floor")
    draw.attribute("coordinate_transformation_mode", ABSENT, "half_pixel", "asymmetric", "align_corners")
    draw.attribute("nearest_mode", ABSENT, "floor", "round_prefer_floor")
    draw.attribute("keep_aspect_ratio_policy", ABSENT, "stretch")
    draw.attribute("antialias", ABSENT, 0)
    draw.attribute("exclude_outside", ABSENT, 0)
    draw.attribute("axes", ABSENT)
    draw.give(1, dtype=DType.float32, data=np.zeros(0, np.float32))
    by_size = draw.has(3)
    draw.give(2, dtype=DType.float32, data=np.array([] if by_size else factors, np.float32))
    draw.give(3, data=[int(size * factor) for size, factor in zip(x, factors, strict=True)])


@proposes("DepthToSpace", "SpaceToDepth")
def space_and_depth(draw: Draw) -> None:
    """x (N, C, H, W) that the block size divides."""
    block = int(draw.attribute("blocksize", 2, 1))
    channels = draw.chance.choice((1, 2)) * (block * block if draw.op_type == "DepthToSpace" else 1)
    extent = block * draw.chance.choice((1, 2))
    draw.give(0, (None, channels, extent, extent))
    if draw.op_type == "DepthToSpace":
        draw.attribute("mode", ABSENT, "DCR", "CRD")


@proposes("QuantizeLinear", "DequantizeLinear")
def quantize(draw: Draw) -> None:
    """Per tensor, or per axis: then scale and zero point have one element for each slice along it."""
    chance, quantizes = draw.chance, draw.op_type == "QuantizeLinear"
    storage = [dtype for dtype in (DType.uint8, DType.int8) if dtype in (draw.possible(2) if draw.has(2) else [DType.uint8])]
    if draw.is_open(0):
        draw.give(0, dtype=None if quantizes else chance.choice(storage or [DType.uint8]))
    x = draw.shape(0) or ()
    if x and chance.random() < 0.4:
        along = axis(draw, "axis", len(x))
        per: tuple[int, ...] = (x[along],)
    else:
        per = ()
        draw.attribute("axis", ABSENT, ABSENT)
    value = draw.value(0)
    draw.give(1, per, kind=SCALE, dtype=DType.float32 if not quantizes else value.dtype if value is not None else None)
    draw.give(2, per, dtype=chance.choice(storage or [DType.uint8]) if quantizes else value.dtype if value is not None else None)
