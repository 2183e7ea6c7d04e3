"""Whether a simplified model computes what the given one does, on the inputs that other tools make for that."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graphopt.errors import nearest
from graphopt.ir.dtype import DType
from graphopt.ir.model import Model
from graphopt.ir.types import TensorType

if TYPE_CHECKING:
    from graphopt.verify.tolerance import Tolerance

FILLS = ("random", "ones", "zeros", "arange")


def agree(before: Model, after: Model, *, count: int, feeds: Sequence[Mapping[str, object]] | None, tolerance: Tolerance | None) -> bool:
    """Whether two models agree on `feeds`, or on `count` random ones and special values; False, with a warning, when they cannot be run.

    Raises ValueError for a feed with other names than those of the inputs.
    """
    from graphopt.io import to_proto
    from graphopt.verify import compare

    misfit = next((words for feed in feeds or () for words in _misfits(before, feed)), "")
    if misfit:
        warnings.warn(f"the simplified model could not be checked: {misfit}", stacklevel=4)
        return False
    found = compare(to_proto(before), to_proto(after), seeds=count, feeds=feeds, tolerance=tolerance)
    if not found.differs and found.verdict.name == "NOT_CHECKED":
        warnings.warn(f"the simplified model could not be checked: {'; '.join(found.notes) or 'no feed was accepted'}", stacklevel=4)
        return False
    return not found.differs


def _misfits(model: Model, feed: Mapping[str, object]) -> Iterator[str]:
    """Why inputs cannot be fed so: a shape that is not as declared, which a runner may compute with all the same. Raises ValueError."""
    inputs = {value.name: value for value in model.graph.inputs}
    for name in feed:
        if name not in inputs:
            raise ValueError(f"the feed has {name!r}, which is no input of the model{nearest(name, inputs)}")
    missing = [name for name, value in inputs.items() if name not in feed and not value.overridable]
    if missing:
        raise ValueError(f"the feed has no {', '.join(map(repr, missing))}, which the model takes")
    for name, given in feed.items():
        kind = inputs[name].type
        if isinstance(kind, TensorType) and kind.shape is not None:
            shape = np.asarray(given).shape
            sizes = zip(kind.shape, shape, strict=False)
            if len(shape) != len(kind.shape) or any(isinstance(size, int) and size != other for size, other in sizes):
                yield f"the input {name!r} is {kind}, and was given the shape {list(shape)}"


def made_feeds(model: Model, shapes: Mapping[str, Sequence[int]], fill: str, count: int) -> list[dict[str, object]]:
    """`count` feeds as onnxsim fills them, inputs of the given shapes; a size that nobody says is 1.

    "random" draws from [0, 1), which is 0 for integers, "ones", "zeros" and "arange" are what they say.
    """
    draw = np.random.default_rng(0)
    return [dict(_feed(model, shapes, fill, draw)) for _ in range(count if fill == "random" else 1)]


def _feed(model: Model, shapes: Mapping[str, Sequence[int]], fill: str, draw: np.random.Generator) -> Iterator[tuple[str, Any]]:
    for value in model.graph.inputs:
        if value.overridable or not isinstance(value.type, TensorType):
            continue
        declared = value.type.shape or ()
        shape = tuple(shapes[value.name]) if value.name in shapes else tuple(size if isinstance(size, int) else 1 for size in declared)
        kind = value.type.dtype
        if kind is DType.string:
            yield value.name, np.full(shape, "", object)
        else:
            yield value.name, _numbers(fill, int(np.prod(shape, dtype=np.int64)), draw).astype(kind.numpy).reshape(shape)


def _numbers(fill: str, size: int, draw: np.random.Generator) -> npt.NDArray[np.float64]:
    if fill == "random":
        return draw.random(size)
    return np.arange(size, dtype=np.float64) if fill == "arange" else np.full(size, float(fill == "ones"))
