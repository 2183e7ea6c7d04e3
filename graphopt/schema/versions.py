"""What changed between opset 7 and the newest, as data: which attributes became inputs, what defaults meant, which values came later.

Found by comparing the histories of all schemas in onnx.defs, versions that an opset >= 7 can select; a test compares again, so that a
change in a newer onnx cannot pass unnoticed. Operators that only accept more types since, or whose text alone changed, are not listed:
of these, the texts were read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, final

from graphopt.schema.traits import REDUCTIONS

OLDEST: Final = 7  # below it operators broadcast by attributes; graphopt carries such models, its patterns do not match in them


class Form(Enum):
    """How an attribute's value looks as an input."""

    ints = "a vector of int64"
    floats = "a vector of float32"
    int_vector = "a vector of one int64"
    int_scalar = "a scalar int64"
    float_scalar = "a scalar float32"
    like_data = "a scalar of the first input's type"


@final
@dataclass(frozen=True, slots=True)
class Moved:
    """An attribute that is an input of the newest version: which slot, and in what form.

    `absent` is what leaving it out meant, when that is something else than leaving the input out means now.
    """

    slot: int
    form: Form
    absent: float | int | None = None


@final
@dataclass(frozen=True, slots=True)
class Move:
    """The attributes of one operator that are inputs since opset `since`."""

    since: int
    attributes: dict[str, Moved]


HALF_OVERFLOWS: Final = 65520.0  # what float16 rounds to infinity
FLOAT_MAX: Final = 3.4028234663852886e38  # the greatest float32: Clip's default bounds below opset 11

MOVED: Final[dict[str, Move]] = {
    "Clip": Move(11, {"min": Moved(1, Form.like_data, -FLOAT_MAX), "max": Moved(2, Form.like_data, FLOAT_MAX)}),
    "DFT": Move(20, {"axis": Moved(2, Form.int_scalar, 1)}),
    "Dropout": Move(12, {"ratio": Moved(1, Form.float_scalar)}),
    "Pad": Move(11, {"pads": Moved(1, Form.ints), "value": Moved(2, Form.like_data)}),
    "ReduceSum": Move(13, {"axes": Moved(1, Form.ints)}),
    **{op: Move(18, {"axes": Moved(1, Form.ints)}) for op in sorted(REDUCTIONS - {"ReduceSum"})},
    "Slice": Move(10, {"starts": Moved(1, Form.ints), "ends": Moved(2, Form.ints), "axes": Moved(3, Form.ints)}),
    "Split": Move(13, {"split": Moved(1, Form.ints)}),
    "Squeeze": Move(13, {"axes": Moved(1, Form.ints)}),
    "TopK": Move(10, {"k": Moved(1, Form.int_vector)}),
    "Unsqueeze": Move(13, {"axes": Moved(1, Form.ints)}),
    "Upsample": Move(9, {"scales": Moved(1, Form.floats)}),  # gone since 10: neutral is what 9 says
}

# Inputs that changed their slots: Resize(X, scales) of opset 10 is Resize(X, roi, scales, sizes) since 11.
RESLOTTED: Final = frozenset({"Resize"})

# An attribute that older versions lacked, where its absence meant something else than the newest default: (operator, attribute) -> value.
MEANT_BEFORE: Final[dict[tuple[str, str], str]] = {
    ("Resize", "coordinate_transformation_mode"): "asymmetric",  # onnx's version converter 10 -> 11 says the same
    ("Resize", "nearest_mode"): "floor",
    ("RoiAlign", "coordinate_transformation_mode"): "output_half_pixel",
}

# (operator, attribute) -> the opset of the renaming, old value -> new value.
RENAMED_VALUES: Final[dict[tuple[str, str], tuple[int, dict[str, str]]]] = {
    ("GridSample", "mode"): (20, {"bilinear": "linear", "bicubic": "cubic"}),
}

# (operator, attribute) -> value -> first opset that has it. Values not listed are as old as the attribute.
VALUES_SINCE: Final[dict[tuple[str, str], dict[str, int]]] = {
    ("Pad", "mode"): {"wrap": 19},
    ("Resize", "mode"): {"cubic": 11},
    ("Resize", "coordinate_transformation_mode"): {"half_pixel_symmetric": 19},
    ("ScatterElements", "reduction"): {"max": 18, "min": 18},
    ("ScatterND", "reduction"): {"max": 18, "min": 18},
}

# Attributes that the newest version lacks and that say nothing while they have this value.
DROPPED: Final[dict[tuple[str, str], int]] = {("BatchNormalization", "spatial"): 1}

# An axis below zero counts from the back since opset 11, here in an attribute; in MOVED's axes likewise.
NEGATIVE_AXIS_SINCE: Final = 11
NEGATIVE_AXIS: Final = frozenset({
    "ArgMax", "ArgMin", "Compress", "Concat", "Flatten", "Gather", "Hardmax", "LogSoftmax", "Softmax", "Split",
})  # fmt: skip

# Before opset 13 these flattened their input to two dimensions at `axis` (1 by default) and normalized the second.
FLATTENING: Final = frozenset({"Hardmax", "LogSoftmax", "Softmax"})
FLATTENING_UNTIL: Final = 12

# Deprecated at some opset, where they mean something that the newest version cannot say.
DEPRECATED: Final = frozenset({"GroupNormalization", "Scatter", "Upsample"})

# Since opset 8 these broadcast; before, all inputs had to have one shape.
VARIADIC: Final = frozenset({"Max", "Mean", "Min", "Sum"})
