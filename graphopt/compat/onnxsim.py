"""`import graphopt.compat.onnxsim as onnxsim`: `simplify` of onnxsim 0.8, done by graphopt's passes."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from onnx.defs import onnx_opset_version

from graphopt.compat.checking import FILLS
from graphopt.compat.simplification import Shapes, Simplification, folding_up_to, known_names
from graphopt.errors import SpecError, nearest
from graphopt.io import save, to_proto
from graphopt.pipeline.registry import installed

if TYPE_CHECKING:
    from onnx import ModelProto

    from graphopt.ir.model import Model
    from graphopt.verify.tolerance import Tolerance

__all__ = ["simplify"]

Rewriter: TypeAlias = "Callable[[ModelProto], ModelProto | bool | None]"
_THRESHOLD = "1.5GB"
_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_ROUNDS = 20  # of simplifying and a custom rewriter

# What is taken and means nothing here: when it is none of the values listed, why nothing comes of it.
_WITHOUT_EFFECT: dict[str, tuple[tuple[object, ...], str]] = {
    "skip_shape_inference": ((False,), "graphopt infers types and shapes always, as its guards need them; that never fails"),
    "dynamic_input_shape": ((False,), "dynamic sizes need no flag"),
    "custom_lib": ((None,), "no library is loaded: operators that are not known are left as they are, and not run by check_n"),
    "providers": ((None,), "constants are folded by graphopt's own kernels"),
    "profile": ((None,), "no profile is written; graphopt.optimize(report=...) says what took how long"),
    "ort_profile": ((None,), "onnxruntime is not what folds constants, so there is nothing of it to profile"),
    "merge_ort_profile": ((False,), "onnxruntime is not what folds constants, so there is nothing of it to profile"),
    "range_opt": ((False,), "graphopt has no rewrites that hold for a range of inputs only"),
    "certify": ((None, False), "nothing is proved by a solver; give check_n, or run graphopt verify-rules"),
    "check_hazards": ((False,), "graphopt does not look for NaN and infinities"),
    "check_gradients": ((False,), "graphopt does not look at gradients"),
}


def simplify(
    model: str | os.PathLike[str] | ModelProto,
    check_n: int = 0,
    perform_optimization: bool = True,
    skip_fuse_bn: bool = False,
    overwrite_input_shapes: Shapes = None,
    test_input_shapes: Shapes = None,
    skipped_optimizers: Sequence[str] | None = None,
    skip_constant_folding: bool = False,
    skip_shape_inference: bool = False,
    input_data: Mapping[str, object] | None = None,
    dynamic_input_shape: bool = False,
    custom_lib: str | None = None,
    include_subgraph: bool = False,
    unused_output: Sequence[str] | None = None,
    tensor_size_threshold: str = _THRESHOLD,
    mutable_initializer: bool = False,
    *,
    initializers_as_constants: bool = True,
    inline_functions: bool = False,
    import_custom_schemas: bool = True,
    input_shapes: Shapes = None,
    target_opset_version: int | Literal["latest"] | None = None,
    extra_optimizers: Sequence[str] | None = None,
    custom_rewriter: Rewriter | None = None,
    function_rewrite_rules: Sequence[object] | None = None,
    check_rtol: float = 1e-4,
    check_atol: float = 1e-5,
    input_fill: str = "random",
    providers: Sequence[object] | None = None,
    gemm_fusion_backend: str = "ort_cpu",
    profile: str | None = None,
    ort_profile: str | None = None,
    merge_ort_profile: bool = False,
    output_path: str | os.PathLike[str] | None = None,
    external_data_threshold: str = "100MB",
    range_opt: bool = False,
    certify: bool | None = None,
    check_hazards: bool = False,
    check_gradients: bool = False,
    gradient_precision: str = "fp32",
) -> tuple[ModelProto, bool]:
    """A simplified model, and whether it was found to compute the same: always True when `check_n` is 0, as nothing was looked at then.

    The keyword arguments are those of onnxsim. Most mean the same; docs/compat.md lists each, with what it means here, and those that are
    taken and mean nothing warn when they are given. What an initializer holds that is an input as well is a default, which a caller may
    override: it stays one, unless the model is older than IR version 4, where every initializer has to be an input.

    Raises RuntimeError for a name of an input, output or optimizer that is not there, ValueError for a size or choice that is none and
    for `input_data` of other names than the inputs', FileNotFoundError for a path where nothing is, SpecError for `function_rewrite_rules`
    and for a shape of another rank than the input's, and ModelError for a model that cannot be read.

    >>> smaller, ok = simplify("model.onnx", check_n=3, overwrite_input_shapes={"image": [1, 3, 224, 224]})      # doctest: +SKIP
    """
    given = dict(locals())
    _warn_of_what_means_nothing(given)
    if input_shapes is not None:
        warnings.warn("input_shapes is deprecated; give overwrite_input_shapes, test_input_shapes or both", stacklevel=2)
        overwrite_input_shapes = test_input_shapes = input_shapes
    _refuse(given)
    beside = _bytes(external_data_threshold)
    work = _simplification(given, overwrite_input_shapes)
    made = work.made()
    if custom_rewriter is not None:
        made = _rewritten(made, custom_rewriter, work)
    asked = _tolerance(check_rtol, check_atol)
    is_same = check_n <= 0 or work.agrees(made, check_n, test_input_shapes, input_data, input_fill, asked)
    message = to_proto(made)
    if output_path is not None:
        save(made, output_path, external_data=message.ByteSize() > beside or None)
    return message, is_same


def _simplification(given: Mapping[str, Any], shapes: Shapes) -> Simplification:  # Any: keyword arguments
    """The arguments in our words."""
    folds, inlines, model = not given["skip_constant_folding"], given["inline_functions"], given["model"]
    unwanted = [*(given["skipped_optimizers"] or ()), *(["fuse_bn_into_conv"] if given["skip_fuse_bn"] else [])]
    opset = given["target_opset_version"]
    return Simplification(
        Path(model) if isinstance(model, (str, os.PathLike)) else model,
        _pipeline(given["perform_optimization"], folds, inlines, given["tensor_size_threshold"], given["extra_optimizers"] or ()),
        skip=[*known_names(unwanted), *([] if folds else ["fold-constants"]), *([] if inlines else ["inline-functions"])],
        shapes=shapes,
        unused=tuple(given["unused_output"] or ()),
        opset=onnx_opset_version() if opset == "latest" else opset,
        may_override=given["mutable_initializer"],
        keeps_weights=not given["initializers_as_constants"],
    )


def _tolerance(rtol: float, atol: float) -> Tolerance | None:
    """What was asked for; None, for what suits each element type, when nothing was."""
    from graphopt.verify.tolerance import Tolerance

    return None if (rtol, atol) == (1e-4, 1e-5) else Tolerance(rtol, atol, floor=atol, scale=0.0)


def _warn_of_what_means_nothing(given: Mapping[str, object]) -> None:
    for name, (harmless, why) in _WITHOUT_EFFECT.items():
        if given[name] not in harmless:
            warnings.warn(f"{name} does nothing here: {why}", stacklevel=3)


def _refuse(given: Mapping[str, Any]) -> None:  # Any: keyword arguments
    if given["custom_rewriter"] is not None and given["function_rewrite_rules"]:
        raise ValueError("custom_rewriter and function_rewrite_rules are mutually exclusive; pass only one.")
    if given["function_rewrite_rules"]:
        raise SpecError("function_rewrite_rules are rules of onnxsim's own kind; write them with graphopt.rule, or onnxscript")
    if given["output_path"] is not None and not isinstance(given["model"], (str, os.PathLike)):
        raise ValueError("output_path requires `model` to be a file path")
    version = given["target_opset_version"]
    if not (version is None or version == "latest" or isinstance(version, int)):
        raise ValueError(f"target_opset_version must be an int, the string 'latest', or None, got {version!r}")
    choices = {"input_fill": FILLS, "gemm_fusion_backend": ("ort_cpu", "unrestricted", "webgpu", "webnn")}
    for name, known in choices.items():
        if given[name] not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {given[name]!r}{nearest(str(given[name]), known)}")


def _bytes(size: str) -> int:
    found = re.fullmatch(r"([\d.]+)\s*([KMGT]?B)", size.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(f"{size!r} is no size; write a number and a unit, as 500MB or 2GB")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def _pipeline(optimizes: bool, folds: bool, inlines: bool, threshold: str, extra: Sequence[str]) -> str:
    limit = _bytes(threshold)
    if limit >= _UNITS["GB"] * 2:
        raise ValueError("tensor_size_threshold should be less than 2GB")
    known = installed().other_names()
    for name in extra:
        if name not in known:
            raise RuntimeError(f"unknown optimizer {name!r}{nearest(name, known)}")
        if not known[name].is_built:
            warnings.warn(f"{known[name]}; nothing was done for it", stacklevel=4)
    further = [step for name in extra for step in known[name].passes]
    if optimizes:
        steps = ["level1", *further, *(["level1"] if further else [])]
    else:
        steps = [*(["inline-functions"] if inlines else []), *(["fold-constants"] if folds else []), "eliminate-dead-nodes"]
    if threshold != _THRESHOLD and folds:
        steps.insert(0, folding_up_to(limit))
    return ", ".join(steps)


def _rewritten(made: Model, rewriter: Rewriter, work: Simplification) -> Model:
    """The rewriter and our passes in turn, until the rewriter changes nothing."""
    for _ in range(_ROUNDS):
        message = to_proto(made)
        before = message.SerializeToString(deterministic=True)
        answer = rewriter(message)
        after = message if answer is None or isinstance(answer, bool) else answer
        if answer is False or after.SerializeToString(deterministic=True) == before:
            return made
        made = replace(work, source=after, shapes=None, unused=(), opset=None).made()
    warnings.warn(f"custom_rewriter still changes the model after {_ROUNDS} rounds", stacklevel=3)
    return made
