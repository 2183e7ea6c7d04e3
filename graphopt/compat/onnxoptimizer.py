"""`import graphopt.compat.onnxoptimizer as onnxoptimizer`: the functions of onnxoptimizer 0.4, done by graphopt's passes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from graphopt.errors import nearest

if TYPE_CHECKING:
    from onnx import ModelProto

    from graphopt.pipeline.pipeline import Pipeline

__all__ = ["get_available_passes", "get_fuse_and_elimination_passes", "optimize"]

# In the order in which onnxoptimizer 0.4.2 lists them, and runs them when no pass is named.
_PASSES = (
    "nop", "eliminate_nop_cast", "eliminate_nop_dropout", "eliminate_nop_flatten", "extract_constant_to_initializer",
    "eliminate_consecutive_idempotent_ops", "eliminate_if_with_const_cond", "eliminate_nop_monotone_argmax", "eliminate_nop_pad",
    "eliminate_nop_concat", "eliminate_nop_split", "eliminate_nop_expand", "eliminate_shape_gather", "eliminate_slice_after_shape",
    "eliminate_nop_transpose", "fuse_add_bias_into_conv", "fuse_bn_into_conv", "fuse_consecutive_concats", "fuse_consecutive_log_softmax",
    "fuse_consecutive_reduce_unsqueeze", "fuse_consecutive_squeezes", "fuse_consecutive_transposes", "fuse_matmul_add_bias_into_gemm",
    "fuse_pad_into_conv", "fuse_pad_into_pool", "fuse_transpose_into_gemm", "fuse_concat_into_reshape", "eliminate_nop_reshape",
    "eliminate_nop_with_unit", "eliminate_common_subexpression", "fuse_qkv", "fuse_consecutive_unsqueezes", "eliminate_deadend",
    "eliminate_identity", "eliminate_shape_op", "fuse_consecutive_slices", "eliminate_unused_initializer",
    "eliminate_duplicate_initializer", "rewrite_where",
)  # fmt: skip
_OTHERS = (
    "adjust_add", "rename_input_output", "set_unique_name_for_nodes", "replace_einsum_with_matmul", "lift_lexical_references", "split_init",
    "split_predict", "adjust_slice_and_matmul", "rewrite_input_dtype",
)  # fmt: skip
_RENAMING = "rename_input_output"


def get_available_passes() -> list[str]:
    """The names that `optimize` takes."""
    return [*_PASSES, *_OTHERS]


def get_fuse_and_elimination_passes() -> list[str]:
    """The names that `optimize` runs when it is given none."""
    return [*_PASSES]


def optimize(model: ModelProto, passes: Sequence[str] | None = None, fixed_point: bool = False) -> ModelProto:
    """A new model, as the passes of these names make it: in their order once, or again until none of them changes anything.

    Each is done by the passes of graphopt that do its work and keep what the model computes; docs/compat.md lists them. One that cannot
    be right, or that graphopt has not, does nothing, with a warning that says why when it was named.

    Raises as onnxoptimizer does: ValueError for what is no ModelProto, TypeError when `passes` is no list of names, RuntimeError for an
    unknown name; and ModelError for a model that cannot be read.

    >>> smaller = optimize(onnx.load("model.onnx"), ["eliminate_identity", "fuse_bn_into_conv"])       # doctest: +SKIP
    """
    from onnx import ModelProto

    import graphopt
    from graphopt.pipeline.pipeline import Fixpoint, Pipeline

    if not isinstance(model, ModelProto):
        raise ValueError(f"Optimizer only accepts ModelProto, incorrect type: {type(model)}")
    names = _names(passes)
    if not fixed_point:
        return graphopt.optimize(model, pipeline=_pipeline(names, model))
    settling = _pipeline([name for name in names if name != _RENAMING], model).steps
    renaming = _pipeline([name for name in names if name == _RENAMING][:1], model).steps  # once is enough, and names are known before
    return graphopt.optimize(model, pipeline=Pipeline([*([Fixpoint(settling)] if settling else []), *renaming]))


def _names(passes: Sequence[str] | None) -> Sequence[str]:
    """The names that are asked for; warns of those that do nothing."""
    from graphopt.pipeline.registry import installed

    if passes is None:
        return _PASSES
    if isinstance(passes, str) or not all(isinstance(name, str) for name in passes):
        raise TypeError(f"optimize(): passes must be a list of names of passes, not {passes!r}")
    known = installed().other_names()
    for name in passes:
        if name not in _PASSES and name not in _OTHERS:
            raise RuntimeError(f"pass {name} is unknown{nearest(name, get_available_passes())}")
        if not known[name].is_built:
            warnings.warn(f"{known[name]}; nothing was done for it", stacklevel=3)
    return passes


def _pipeline(names: Sequence[str], model: ModelProto) -> Pipeline:
    from graphopt.pipeline.pipeline import Pipeline
    from graphopt.pipeline.registry import installed

    known = installed().other_names()
    steps = [step for name in names for step in (_renaming(model) if name == _RENAMING else known[name].passes)]
    return Pipeline.parse(", ".join(steps))


def _renaming(model: ModelProto) -> list[str]:
    """The steps that call inputs input_0, input_1 and so on, and outputs output_0; two where a new name is another one's old name."""
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [info.name for info in model.graph.input if info.name not in stored]
    outputs = [info.name for info in model.graph.output if info.name not in inputs]
    wanted = {name: f"input_{index}" for index, name in enumerate(inputs)} | {name: f"output_{index}" for index, name in enumerate(outputs)}
    wanted = {old: new for old, new in wanted.items() if old != new}
    if not wanted:
        return []
    if wanted.keys().isdisjoint(wanted.values()):
        return [_rename(wanted)]
    between = {old: f"{new}\0" for old, new in wanted.items()}
    return [_rename(between), _rename({between[old]: new for old, new in wanted.items()})]


def _rename(names: Mapping[str, str]) -> str:
    return f"rename-io{{names=[{', '.join(json.dumps(f'{old}={new}') for old, new in names.items())}]}}"
