"""graphopt.compat.onnxoptimizer in the place of onnxoptimizer: each of its names on a model on which it fires, its errors."""

from __future__ import annotations

import importlib.util
import inspect
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import ModelProto

import graphopt
import graphopt.compat.onnxoptimizer as onnxoptimizer
from graphopt.pipeline.other_names import Needless, NotBuilt
from graphopt.pipeline.registry import installed
from tests.compat.optimizer_cases import CASES

PAGE = Path(__file__).parent.parent.parent / "docs" / "compat.md"
ROW = re.compile(r"\| `(\w+)` \| (.+?) \| (.+?) \|")
NAMES = onnxoptimizer.get_available_passes()


def operators(message: ModelProto) -> str:
    return " ".join(node.op_type for node in message.graph.node)


def the_peer() -> Any:  # Any: onnxoptimizer, which has no types
    """The peer itself, where somebody has it: it has no wheel for every Python, and what it does is written down in the cases."""
    return pytest.importorskip("onnxoptimizer", reason="onnxoptimizer is not installed, and no test needs it; the facts are in the cases")


def quietly(message: ModelProto, name: str, fixed_point: bool = False) -> ModelProto:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return onnxoptimizer.optimize(message, [name], fixed_point)


def test_every_name_has_a_case() -> None:
    assert sorted(CASES) == sorted(NAMES)
    assert len(NAMES) == 48
    assert set(onnxoptimizer.get_fuse_and_elimination_passes()) < set(NAMES)


@pytest.mark.parametrize("fixed_point", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_each_fires_where_that_is_right_and_says_why_where_not(name: str, fixed_point: bool) -> None:
    """And keeps what the model computes: `verify` compares, exactly or to rounding."""
    case, meaning = CASES[name], installed().other_names()[name]
    given = case.model()
    before = given.SerializeToString(deterministic=True)
    result = quietly(given, name, fixed_point)
    assert given.SerializeToString(deterministic=True) == before
    assert operators(result) == case.after
    onnx.checker.check_model(result, full_check=True)
    if meaning.passes:
        assert result != given, f"{name} fires on this model"
        if name != "rename_input_output":
            graphopt.optimize(given, pipeline=", ".join(meaning.passes), verify=True)
    else:
        assert isinstance(meaning.meaning, (Needless, NotBuilt))
        assert operators(result) == operators(given)


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_one_on_which_onnxoptimizer_fires(name: str) -> None:
    peer = the_peer()

    given = CASES[name].model()
    fires = peer.optimize(given, [name]) != peer.optimize(given, ["nop"])  # which is what reading and writing makes of it
    assert ("fires" if fires else "stays") == CASES[name].there


def test_names_and_signatures_are_those_of_onnxoptimizer() -> None:
    peer = the_peer()

    assert onnxoptimizer.get_available_passes() == list(peer.get_available_passes()) or set(NAMES) == set(peer.get_available_passes())
    assert onnxoptimizer.get_fuse_and_elimination_passes() == list(peer.get_fuse_and_elimination_passes())
    ours, theirs = inspect.signature(onnxoptimizer.optimize), inspect.signature(peer.optimize)
    assert list(ours.parameters) == list(theirs.parameters)
    assert [each.default for each in ours.parameters.values()] == [each.default for each in theirs.parameters.values()]


def test_without_names_the_default_ones_run_and_nothing_is_warned_of() -> None:
    given = CASES["eliminate_nop_monotone_argmax"].model()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert operators(onnxoptimizer.optimize(given)) == "Softmax ArgMax"
        assert operators(onnxoptimizer.optimize(CASES["fuse_bn_into_conv"].model())) == "Conv"


def test_names_run_in_their_order() -> None:
    """A Conv before a BatchNormalization that a Dropout parts from it."""
    text = CASES["fuse_bn_into_conv"].body.replace("y = BatchNormalization(a,", "d = Identity(a) y = BatchNormalization(d,")
    given = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')
    assert operators(onnxoptimizer.optimize(given, ["fuse_bn_into_conv", "eliminate_identity"])) == "Conv BatchNormalization"
    assert operators(onnxoptimizer.optimize(given, ["eliminate_identity", "fuse_bn_into_conv"])) == "Conv"
    assert operators(onnxoptimizer.optimize(given, ["fuse_bn_into_conv", "eliminate_identity"], fixed_point=True)) == "Conv"


def test_inputs_and_outputs_are_renamed_as_onnxoptimizer_does() -> None:
    text = "g (float[3] output_0, float[3] z, float[3] w) => (float[3] input_0, float[3] u) <float[3] w = {1, 2, 3}>"
    given = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> {text} {{ input_0 = Add(output_0, z) u = Add(input_0, w) }}'
    )
    for fixed_point in (False, True):
        result = onnxoptimizer.optimize(given, ["rename_input_output"], fixed_point)
        assert [info.name for info in result.graph.input] == ["input_0", "input_1", "w"]
        assert [info.name for info in result.graph.output] == ["output_0", "output_1"]


@pytest.mark.parametrize(("name", "words"), [
    ("eliminate_nop_monotone_argmax", "rounding makes equal what was not"),
    ("split_init", "it cuts the model in two"),
    ("rewrite_input_dtype", "the model's promise to its callers"),
])
def test_what_is_not_built_warns_when_it_is_named(name: str, words: str) -> None:
    with pytest.warns(UserWarning, match=f"{name} of onnxoptimizer and onnxsim is not built: .*{words}.*nothing was done for it"):
        onnxoptimizer.optimize(CASES[name].model(), [name])


@pytest.mark.parametrize(("passes", "error", "words"), [
    (["eliminate_identitty"], RuntimeError, "pass eliminate_identitty is unknown; did you mean 'eliminate_identity'"),
    (["eliminate-identity"], RuntimeError, "did you mean 'eliminate_identity'"),
    ("eliminate_identity", TypeError, "passes must be a list of names"),
    ([3], TypeError, "passes must be a list of names"),
])
@pytest.mark.parametrize("fixed_point", [False, True])
def test_wrong_names_raise_what_onnxoptimizer_raises(passes: list[str], error: type[Exception], words: str, fixed_point: bool) -> None:
    with pytest.raises(error, match=words):
        onnxoptimizer.optimize(CASES["nop"].model(), passes, fixed_point)
    if importlib.util.find_spec("onnxoptimizer") is not None:
        peer = the_peer()

        with pytest.raises(error):
            peer.optimize(CASES["nop"].model(), passes, fixed_point)


def test_what_is_no_message_raises_what_onnxoptimizer_raises() -> None:
    unchecked: Callable[..., object] = onnxoptimizer.optimize  # as a program calls it that nobody checks
    with pytest.raises(ValueError, match="Optimizer only accepts ModelProto, incorrect type: <class 'str'>"):
        unchecked("model.onnx")


def test_the_page_lists_each_name_with_what_runs_or_why_nothing_does() -> None:
    rows = {name: (passes, said) for name, passes, said in ROW.findall(PAGE.read_text(encoding="utf-8"))}
    for name in NAMES:
        meaning = installed().other_names()[name]
        passes = ", ".join(f"`{each}`" for each in meaning.passes) or "none"
        said = meaning.meaning.why if isinstance(meaning.meaning, (Needless, NotBuilt)) else "fires"
        assert rows[name] == (passes, said)
