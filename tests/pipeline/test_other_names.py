"""The names that other tools have for our passes: a pipeline may use them, and each leads somewhere or says why not."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

import pytest

from graphopt.errors import SpecError
from graphopt.pipeline.other_names import NotBuilt, read_table
from graphopt.pipeline.pipeline import LevelStep, Pipeline, Skip
from graphopt.pipeline.plugin import Plugin
from graphopt.pipeline.registry import Registry, installed
from graphopt.pipeline.runner import passes_of, resolve
from tests.pipeline import fakes

# onnxoptimizer.get_available_passes() of 0.4.2, so that the test needs no installation.
ONNXOPTIMIZER = """\
adjust_add rename_input_output set_unique_name_for_nodes nop eliminate_nop_cast eliminate_nop_dropout eliminate_nop_flatten
extract_constant_to_initializer eliminate_consecutive_idempotent_ops eliminate_if_with_const_cond eliminate_nop_monotone_argmax
eliminate_nop_pad eliminate_nop_concat eliminate_nop_split eliminate_nop_expand eliminate_shape_gather eliminate_slice_after_shape
eliminate_nop_transpose fuse_add_bias_into_conv fuse_bn_into_conv fuse_consecutive_concats fuse_consecutive_log_softmax
fuse_consecutive_reduce_unsqueeze fuse_consecutive_squeezes fuse_consecutive_transposes fuse_matmul_add_bias_into_gemm
fuse_pad_into_conv fuse_pad_into_pool fuse_transpose_into_gemm replace_einsum_with_matmul lift_lexical_references split_init
split_predict fuse_concat_into_reshape eliminate_nop_reshape eliminate_nop_with_unit eliminate_common_subexpression fuse_qkv
fuse_consecutive_unsqueezes eliminate_deadend eliminate_identity eliminate_shape_op fuse_consecutive_slices
eliminate_unused_initializer eliminate_duplicate_initializer adjust_slice_and_matmul rewrite_input_dtype rewrite_where
"""
NAMES = installed().other_names()


def names_of(text: str) -> list[str]:
    """The passes of a pipeline, in their order."""
    return [step.name for step in passes_of(resolve(Pipeline.parse(text), installed()))]


def unknown(names: Iterable[str]) -> list[str]:
    return [name for name in names if installed().other_name(name) is None and name not in installed().passes]


def test_every_name_leads_to_passes_that_are_there() -> None:
    lost = {name: other.meaning for name, other in NAMES.items() if not set(other.passes) <= set(installed().passes)}
    assert not lost, f"passes/other_names.py names passes that are not there: {lost}"


def test_no_name_is_one_of_ours() -> None:
    assert not set(NAMES) & {*installed().passes, *installed().rules()}


def test_every_name_of_onnxoptimizer_is_known() -> None:
    assert unknown(ONNXOPTIMIZER.split()) == []


@pytest.mark.parametrize(
    ("module", "functions"),
    [("onnxoptimizer", ["get_available_passes"]), ("onnxsim.onnxsim_cpp2py_export", ["_list_optimizers", "_list_other_optimizers"])],
)
def test_every_name_of_the_installed_one_is_known(module: str, functions: list[str]) -> None:
    pytest.importorskip(module.partition(".")[0])
    tool = importlib.import_module(module)
    names = [name for function in functions for name in getattr(tool, function)()]
    assert len(names) >= 40  # a version that lists them elsewhere would be compared with nothing
    assert unknown(names) == [], "add them to passes/other_names.py"


def test_every_pattern_of_the_installed_onnxslim_is_known() -> None:
    pytest.importorskip("onnxslim")
    registry = importlib.import_module("onnxslim.core.pattern.registry")
    assert unknown(registry.DEFAULT_FUSION_PATTERNS) == [], "add them to passes/other_names.py"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fuse_bn_into_conv", "fuse-conv-bn"),
        ("ConvBNFusion, FusionConvBN", "fuse-conv-bn, fuse-conv-bn"),
        ("nop", ""),
        ("fixpoint(EliminateIdentity, eliminate_deadend)", "fixpoint(eliminate-identity, eliminate-dead-nodes)"),
        ("level1, -fuse_bn_into_conv, -nop", "level1, -fuse-conv-bn"),
        ("level1, -split_init", "level1"),
    ],
)
def test_a_pipeline_may_use_them_and_prints_ours(text: str, expected: str) -> None:
    assert str(Pipeline.parse(text)) == expected


def test_one_name_may_stand_for_several_passes() -> None:
    assert Pipeline.parse("level1, -ConstantFolding").steps == (LevelStep(1), Skip("fold-constants"), Skip("inline-if"))
    assert names_of("ConstantFolding") == ["fold-constants", "inline-if"]


@pytest.mark.parametrize(
    ("text", "at", "why"),
    [
        ("level1, split_init", 8, "split_init of onnxoptimizer and onnxsim is not built: it cuts the model in two"),
        ("ConstantFolding{max-growth=1MiB}", 16, "is fold-constants and inline-if here; options go to a pass by its own name"),
        ("fuse_bn_into_conf", 0, "no pass is called 'fuse_bn_into_conf'; did you mean 'fuse_bn_into_conv'?"),
        ("level1, -ConvBnFusion", 9, "no pass is called 'ConvBnFusion'; did you mean 'ConvBNFusion'?"),
    ],
)
def test_an_error_says_why_and_points_there(text: str, at: int, why: str) -> None:
    with pytest.raises(SpecError) as caught:
        Pipeline.parse(text)
    assert why in str(caught.value)
    assert str(caught.value).splitlines()[-1] == f"  {' ' * at}^"


def test_skip_and_only_know_them() -> None:
    level = Pipeline.parse("level1")
    assert "fuse-conv-bn" not in [step.name for step in passes_of(resolve(level, installed(), skip=["ConvBNFusion", "split_init"]))]
    assert [step.name for step in passes_of(resolve(level, installed(), only=["fuse_bn_into_conv"]))] == ["fuse-conv-bn"]
    with pytest.raises(SpecError, match="nop of onnxoptimizer and onnxsim is no pass here: it does nothing"):
        resolve(level, installed(), only=["nop"])


def test_a_pass_of_that_name_comes_first() -> None:
    passes = {"drop-relu": "tests.pipeline.fakes:DropRelu"}
    registry = Registry((Plugin("ours", passes=passes, levels={}, other_names="tests.pipeline.test_other_names:TABLE"),))
    assert str(Pipeline.parse("drop-relu, theirs", registry)) == "drop-relu, drop-relu"
    assert registry.failures == []


def test_a_table_that_cannot_be_read_is_left_out() -> None:
    for target, why in (("tests.pipeline.fakes:NoSuch", "AttributeError"), ("tests.pipeline.test_other_names:CLASH", "means one thing")):
        registry = Registry((Plugin("theirs", other_names=target),))
        assert registry.other_names() == {}
        assert why in registry.failures[0]


TABLE = {"a tool": {"theirs": fakes.DropRelu.name, "drop-relu": NotBuilt("nobody asks")}}
CLASH = {"one tool": {"theirs": "drop-relu"}, "another": {"theirs": NotBuilt("of no use")}}


def test_tools_share_names() -> None:
    found = read_table({"one, two": {"theirs": "drop-relu"}, "three": {"theirs": "drop-relu"}})
    assert str(found["theirs"]) == "theirs of one, two and three is drop-relu here"
