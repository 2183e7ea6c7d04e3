"""Verdicts, parameters and reasons, in both directions, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.infer import infer_model
from graphopt.io import parse_text
from graphopt.ir import DType, Node
from graphopt.quantization import COMMUTING, Commuted, Quantization, across, are_equal, down, simplest, up

U8, S8 = DType.uint8, DType.int8


def node_of(text: str, opset: int = 21) -> Node:
    """The first node of a model."""
    model = parse_text(f'<ir_version: 10, opset_import: ["" : {opset}]> {text}')
    infer_model(model)
    return next(iter(model.graph))


def tensor(scale: float = 0.5, zero: int = 3, dtype: DType = U8) -> Quantization:
    return Quantization(np.asarray(scale, np.float32), np.asarray(zero).astype(dtype.numpy), dtype)


def along(axis: int, *scales: float, zeros: tuple[int, ...] | None = None, dtype: DType = S8) -> Quantization:
    held = np.array(zeros if zeros is not None else range(len(scales)))
    return Quantization(np.array(scales, np.float32), held.astype(dtype.numpy), dtype, axis)


def blocks(axis: int, block: int, scales: list[list[float]]) -> Quantization:
    held = np.array(scales, np.float32)
    return Quantization(held, np.zeros(held.shape, np.int8), S8, axis, block)


def legal(found: Commuted | str) -> Commuted:
    assert isinstance(found, Commuted), found
    return found


def said(by: Quantization | None) -> tuple[object, ...]:
    """Axis, block and scales."""
    assert by is not None
    return by.axis, by.block, by.scale.tolist()


# ---- one scale for all: nothing need be known of shapes


@pytest.mark.parametrize(
    "text",
    [
        "g (float x) => (float[K] y) <int64[1] s = {-1}> { y = Reshape(x, s) }",
        "g (float[N,M] x, int64[I] i) => (float[I,M] y) { y = Gather(x, i) }",
        "g (float x) => (float y) { y = Transpose(x) }",
        "g (float[N] x, int64[2] p) => (float[M] y) { y = Pad(x, p) }",
        "g (float[N,C,H,W] x, float[4] s) => (float[N,C,A,B] y) { y = Resize<mode = \"nearest\">(x, , s) }",
    ],
)
def test_one_scale_passes_without_shapes(text: str) -> None:
    by = tensor()
    assert are_equal(legal(down(node_of(text), {0: by})).outputs[0], by)
    assert are_equal(legal(up(node_of(text), [by])).inputs[0], by)


def test_one_scale_is_cheap_whatever_the_size() -> None:
    node = node_of("g (float[100000,100000] x) => (float[100000,100000] y) { y = Transpose(x) }")
    legal(down(node, {0: tensor()}))
    many = Quantization(np.linspace(1, 2, 100_000, dtype=np.float32), np.zeros(100_000, np.int8), S8, 0)
    assert said(legal(down(node, {0: many})).outputs[0])[0] == 1


# ---- along an axis


def test_transpose_takes_the_axis_along() -> None:
    node = node_of("g (float[N,3,H] x) => (float[3,H,N] y) { y = Transpose<perm = [1, 2, 0]>(x) }")
    assert said(legal(down(node, {0: along(1, 1, 2, 3)})).outputs[0]) == (0, 0, [1, 2, 3])
    assert said(legal(up(node, [along(0, 1, 2, 3)])).inputs[0]) == (1, 0, [1, 2, 3])


def test_reshape_keeps_an_axis_beside_unknown_ones() -> None:
    node = node_of("g (float[N,3,H,W] x) => (float[N,3,K] y) <int64[3] s = {0, 3, -1}> { y = Reshape(x, s) }")
    assert said(legal(down(node, {0: along(1, 1, 2, 3)})).outputs[0]) == (1, 0, [1, 2, 3])
    node = node_of("g (float[N,3] x) => (float[K] y) <int64[1] s = {-1}> { y = Reshape(x, s) }")
    assert isinstance(down(node, {0: along(1, 1, 2, 3)}), str)


def test_reshape_tiles_and_repeats_entries() -> None:
    node = node_of("g (float[2,2,3] x) => (float[12] y) <int64[1] s = {12}> { y = Reshape(x, s) }")
    assert said(legal(down(node, {0: along(1, 1, 2)})).outputs[0]) == (0, 0, [1, 1, 1, 2, 2, 2] * 2)


def test_flatten_to_blocks() -> None:
    node = node_of("g (float[2,3,2,2] x) => (float[2,12] y) { y = Flatten(x) }")
    assert said(legal(down(node, {0: along(1, 1, 2, 3)})).outputs[0]) == (1, 0, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3])
    node = node_of("g (float[2,4,2] x) => (float[2,8] y) { y = Flatten(x) }")
    by = blocks(2, 2, [[[1], [2], [3], [4]], [[5], [6], [7], [8]]])  # type: ignore[list-item]  # one more axis
    assert said(legal(down(node, {0: by})).outputs[0]) == (1, 2, [[1, 2, 3, 4], [5, 6, 7, 8]])


def test_slice_and_gather_choose_entries() -> None:
    node = node_of("g (float[4,N] x) => (float[2,N] y) <int64[1] a = {3}, int64[1] b = {-9}, int64[1] c = {0}, int64[1] d = {-2}>"
                   " { y = Slice(x, a, b, c, d) }")  # fmt: skip
    assert said(legal(down(node, {0: along(0, 1, 2, 3, 4)})).outputs[0]) == (0, 0, [4, 2])
    assert said(legal(up(node, [along(0, 5, 6)])).inputs[0]) == (0, 0, [6, 6, 6, 5])
    node = node_of("g (float[N,3] x) => (float[N,2,2] y) <int64[2,2] i = {0, 1, 1, 0}> { y = Gather<axis = 1>(x, i) }")
    assert down(node, {0: along(1, 1, 2, 3)}) == "the parameters differ along more than one axis"


def test_entries_of_one_element_that_goes_to_two_places() -> None:
    node = node_of("g (float[1,N] x) => (float[2,N] y) <int64[2] s = {2, 1}> { y = Expand(x, s) }")
    assert up(node, [along(0, 1, 2)]) == "an element goes where parameters differ"
    assert legal(up(node, [along(0, 1, 1, zeros=(4, 4))])).inputs[0].axis is None


def test_split_needs_all_parts() -> None:
    node = node_of("g (float[N,3] x) => (float[N,1] y, float[N,2] z) <int64[2] s = {1, 2}> { y, z = Split<axis = 1>(x, s) }")
    found = legal(down(node, {0: along(1, 1, 2, 3)}))
    assert [said(by) for by in found.outputs] == [(None, 0, 1), (1, 0, [2, 3])]
    assert said(legal(up(node, found.outputs)).inputs[0]) == (1, 0, [1, 2, 3])
    assert isinstance(up(node, [tensor(), None]), str)


def test_concat_joins_entries() -> None:
    node = node_of("g (float[N,1] a, float[N,2] b) => (float[N,3] y) { y = Concat<axis = 1>(a, b) }")
    found = legal(down(node, {0: tensor(1, 0, S8), 1: along(1, 2, 3, zeros=(0, 0))}))
    assert said(found.outputs[0]) == (1, 0, [1, 2, 3])
    assert [said(by) for by in legal(up(node, [along(1, 1, 2, 3)])).inputs.values()] == [(None, 0, 1), (1, 0, [2, 3])]


def test_channels_that_land_on_space() -> None:
    node = node_of("g (float[1,4,2,2] x) => (float[1,1,4,4] y) { y = DepthToSpace<blocksize = 2>(x) }")
    assert isinstance(down(node, {0: along(1, 1, 2, 3, 4)}), str)
    node = node_of("g (float[1,2,4,4] x) => (float[1,8,2,2] y) { y = SpaceToDepth<blocksize = 2>(x) }")
    assert said(legal(down(node, {0: along(1, 1, 2)})).outputs[0]) == (1, 0, [1, 2] * 4)


def test_blocks_move_with_their_axes() -> None:
    node = node_of("g (float[4,3] x) => (float[3,4] y) { y = Transpose(x) }")
    by = blocks(0, 2, [[1, 2, 3], [4, 5, 6]])
    assert said(legal(down(node, {0: by})).outputs[0]) == (1, 2, [[1, 4], [2, 5], [3, 6]])


# ---- constants


def test_pad_value() -> None:
    pad = "g (float[N,2] x) => (float[M,2] y) <int64[4] p = {1, 0, 0, 0}, float v = {VALUE}> { y = Pad(x, p, v) }"
    node = node_of(pad.replace("VALUE", "0.3"))
    assert down(node, {0: tensor()}) == "a constant is not on the grid"
    made = legal(up(node, [tensor()]))
    assert [int(held.numpy()) for held in made._constants.values()] == [4]
    zero = node_of(pad.replace("VALUE", "0.0"))
    legal(down(zero, {0: along(1, 1, 2, zeros=(5, 5))}))
    assert "another integer" in str(down(zero, {0: along(1, 1, 2, zeros=(5, 6))}))
    assert down(node_of(pad.replace("VALUE", "-0.0")), {0: tensor()}) == "a constant is not on the grid"


def test_trilu_writes_zeros_of_its_own() -> None:
    node = node_of("g (float[N,N] x) => (float[N,N] y) { y = Trilu(x) }")
    assert down(node, {0: tensor()}) == "it fills with 0, and the zero point is not 0"
    legal(down(node, {0: tensor(zero=0)}))
    assert isinstance(up(node, [tensor()]), str)


def test_clip_along_an_axis_becomes_max_and_min() -> None:
    node = node_of("g (float[N,2] x) => (float[N,2] y) <float l = {-1}, float h = {1}> { y = Clip(x, l, h) }")
    found = legal(up(node, [along(1, 0.1, 0.2, zeros=(0, 0))]))
    assert {slot: held.shape for slot, held in found._constants.items()} == {1: (1, 2), 2: (1, 2)}


# ---- order


def test_order_needs_positive_scales() -> None:
    node = node_of("g (float[1,1,4,4] x) => (float[1,1,3,3] y) { y = MaxPool<kernel_shape = [2, 2]>(x) }")
    assert down(node, {0: tensor(-0.5)}) == "a scale is negative, which turns the order round"
    legal(down(node, {0: tensor()}))
    assert "no tensor(uint16)" in str(down(node, {0: tensor(dtype=DType.uint16)}))


def test_places_survive_dequantizing_but_not_quantizing() -> None:
    node = node_of("g (float[1,1,4,4] x) => (float[1,1,3,3] y, int64[1,1,3,3] i) { y, i = MaxPool<kernel_shape = [2, 2]>(x) }")
    assert "makes elements equal" in str(up(node, [tensor(), None]))
    legal(down(node, {0: tensor()}))
    legal(across(node, {0: tensor()}, [tensor(), None]))
    half = Quantization(np.asarray(0.5, np.float16), np.asarray(0, np.uint16), DType.uint16)
    node = node_of("g (float16[3] x) => (int64[1] i) { i = ArgMax(x) }")
    assert "does not always come back" in str(down(node, {0: half}))


def test_a_window_of_nothing() -> None:
    text = "g (float[1,1,N,4] x) => (float[1,1,A,B] y) { y = MaxPool<kernel_shape = [2, 2], dilations = [3, 1], pads = [1, 0, 0, 0]>(x) }"
    assert "padding alone" in str(down(node_of(text), {0: tensor()}))
    node = node_of("g (float[N,2] x) => (float[2] y) <int64[1] a = {0}> { y = ReduceMax<keepdims = 0>(x, a) }")
    assert down(node, {0: tensor()}) == "there may be nothing to reduce"
    legal(up(node, [tensor()]))


def test_reading_sizes_alone() -> None:
    assert legal(down(node_of("g (float[N] x) => (int64[1] y) { y = Shape(x) }"), {0: tensor()})).outputs == (None,)


# ---- reasons


def test_operators_that_compute() -> None:
    assert down(node_of("g (float[N] x) => (float[N] y) { y = Sigmoid(x) }"), {0: tensor()}) == "Sigmoid makes new numbers"
    assert "Sigmoid" not in COMMUTING


def test_what_the_opset_lacks() -> None:
    node = node_of("g (float[N,2] x) => (float[N,2] y) { y = Relu(x) }", opset=11)
    assert isinstance(up(node, [tensor()]), str)
    legal(up(node_of("g (float[N,2] x) => (float[N,2] y) { y = Relu(x) }", opset=12), [tensor()]))


def test_inputs_that_nobody_dequantizes() -> None:
    node = node_of("g (float[N] a, float[N] b) => (float[N] y) { y = Max(a, b) }")
    assert "input 1 of Max is not dequantized" in str(down(node, {0: tensor()}))
    assert down(node, {0: tensor(), 1: tensor(0.25)}) == "elements with different parameters come together in one"
    assert [said(by) for by in legal(up(node, [tensor()])).inputs.values()] == [(None, 0, 0.5)] * 2


def test_too_many_to_follow() -> None:
    node = node_of("g (float[2000,2000] x) => (float[1000,4000] y) <int64[2] s = {1000, 4000}> { y = Reshape(x, s) }")
    by = Quantization(np.linspace(1, 2, 2000, dtype=np.float32), np.zeros(2000, np.int8), S8, 1)
    assert "more than 1000000 elements" in str(down(node, {0: by}))


def test_equal_entries_are_one() -> None:
    by = along(1, 2, 2, zeros=(7, 7))
    assert simplest(by).axis is None and are_equal(by, tensor(2, 7, S8))
