"""`import graphopt.compat.onnxslim as onnxslim`: `slim` of onnxslim 0.1, done by graphopt's passes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphopt.compat.simplification import Simplification, folding_up_to, known_names
from graphopt.errors import SpecError, nearest
from graphopt.io import save, to_proto

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["slim"]

_ARGUMENTS = (
    "output_model", "model_check", "input_shapes", "inputs", "outputs", "no_shape_infer", "skip_optimizations", "dtype",
    "skip_fusion_patterns", "size_threshold", "inspect", "dump_to_disk", "save_as_external_data", "model_check_inputs", "verbose",
)  # fmt: skip
_REFUSED = {
    "inputs": "it changes the signature; cut the model with onnx.utils.extract_model before",
    "outputs": "it changes the signature; cut the model with onnx.utils.extract_model before",
    "dtype": "it changes what the model computes in; convert it with a converter before",
    "inspect": "`graphopt stat` prints what a model holds",
    "dump_to_disk": "`graphopt stat --json` prints what a model holds",
}


def slim(model: str | os.PathLike[str] | ModelProto, *args: str, **kwargs: Any) -> ModelProto | None:  # Any: as onnxslim takes them
    """A slimmer model; None when it was written to `output_model`, or when `model_check` found that it computes something else.

    The keyword arguments are those of onnxslim; docs/compat.md lists them. What an initializer holds that is an input as well is a
    default and stays one, unless the model is older than IR version 4.

    Raises RuntimeError for an input that is not there, SpecError for what graphopt leaves to other tools, TypeError for an unknown
    argument, FileNotFoundError for a path where nothing is, and ModelError for a model that cannot be read.

    >>> slim("model.onnx", "slim.onnx", model_check=True)                                           # doctest: +SKIP
    """
    for name in kwargs:
        if name not in _ARGUMENTS:
            raise TypeError(f"slim() got an unexpected keyword argument {name!r}{nearest(name, _ARGUMENTS)}")
    if isinstance(model, list):
        raise SpecError(f"a list of models is for comparing them: {_REFUSED['inspect']}")
    for name, why in _REFUSED.items():
        if kwargs.get(name):
            raise SpecError(f"slim({name}=...): {why}")
    if kwargs.get("no_shape_infer"):
        warnings.warn("no_shape_infer does nothing here: graphopt infers types and shapes always", stacklevel=2)
    limit = kwargs.get("size_threshold")
    sizes, data = _read(kwargs.get("model_check_inputs") or ())
    work = Simplification(
        Path(model) if isinstance(model, (str, os.PathLike)) else model,
        f"{folding_up_to(int(limit))}, level1" if limit else "level1",
        skip=known_names([*(kwargs.get("skip_optimizations") or ()), *(kwargs.get("skip_fusion_patterns") or ())]),
        shapes=_read(kwargs.get("input_shapes") or ())[0],
    )
    made = work.made()
    if kwargs.get("model_check") and not work.agrees(made, 3, sizes, data or None):
        return None
    output = args[0] if args else kwargs.get("output_model")
    if output is None:
        return to_proto(made)
    save(made, output, external_data=kwargs.get("save_as_external_data") or None)
    return None


def _read(entries: Sequence[str]) -> tuple[dict[str | None, list[int]], dict[str, object]]:
    """Shapes and arrays, as "name:1,3,224,224" and "name:data.npy" say them."""
    shapes: dict[str | None, list[int]] = {}
    arrays: dict[str, object] = {}
    for entry in entries:
        name, _, said = entry.rpartition(":")
        if not name or not said:
            raise ValueError(f"{entry!r} is neither NAME:SHAPE, as x:1,3,224,224, nor NAME:FILE.npy")
        if said.endswith(".npy"):
            arrays[name] = np.load(said)
            continue
        try:
            shapes[name] = [int(size) for size in said.split(",")]
        except ValueError:
            raise ValueError(f"{entry!r}: {said!r} is no shape; write its sizes with commas between, as 1,3,224,224") from None
    return shapes, arrays


