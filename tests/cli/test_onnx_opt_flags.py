"""Passes as flags of `onnx-opt`: in their order, with options, as levels, for targets; and the pipeline that comes of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from tests.api.models import model, operators, write

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]
OPENVINO = "fixpoint( materialize-node-units, share-quantization, merge-equal-initializers, eliminate-dead-nodes )"  # its level 2


@pytest.fixture
def pipeline(opt: Command, capsys: Captured) -> Callable[..., str]:
    """What `onnx-opt --print-pipeline` says of some flags, in one line."""

    def printed(*flags: str) -> str:
        assert opt(*flags, "--print-pipeline") == 0
        said = capsys.readouterr()
        assert said.out == ""
        return " ".join(said.err.split())

    return printed


def test_flags_are_passes_in_their_order(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert opt("model.onnx", "--eliminate-identity", "-o", "out.onnx", "--eliminate-dead-nodes", "--time-passes") == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert sorted(re.findall(r"^(eliminate-\S+) +1", said.err, re.MULTILINE)) == ["eliminate-dead-nodes", "eliminate-identity"]
    assert operators(onnx.load("out.onnx")) == ["Add", "Relu"]


def test_a_flag_may_be_a_name_of_another_tool(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert opt("model.onnx", "--EliminateIdentity", "--eliminate_deadend", "--nop") == 0
    assert operators(model(capsys.readouterr().out)) == ["Add", "Relu"]
    assert opt("model.onnx", "--EliminateIdentitty") == 2
    assert "did you mean 'EliminateIdentity'?" in capsys.readouterr().err
    assert opt("model.onnx", "--split_init") == 2
    assert "split_init of onnxoptimizer and onnxsim is not built: " in capsys.readouterr().err


def test_a_flag_may_carry_options(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert opt("model.onnx", "--take-all=count=2 strict", "--plugin", "tests.cli.strangers:OPTIONS") == 0
    capsys.readouterr()
    assert opt("model.onnx", "--take-all=count=two", "--plugin", "tests.cli.strangers:OPTIONS") == 2
    points = "take-all{count} takes a whole number, not 'two' (default: 3)\n  take-all{count=two}\n                 ^"
    assert points in capsys.readouterr().err


def test_a_level_is_a_flag_as_well(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert opt("model.onnx", "--level1") == 0
    assert operators(model(capsys.readouterr().out)) == ["Add", "Relu"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--fold-constants.max-growth=1MiB"], "fold-constants{max-growth=1MiB}"),
        (["--fold-constants", "--fold-constants.max-growth=1MiB"], "fold-constants{max-growth=1MiB}"),
        (["--fold-constants.max-growth=1MiB", "--nop", "--fold-constants"], "fold-constants{max-growth=1MiB}"),
        (["--fold-constants=max-growth=1MiB", "--fold-constants.max-tensor=2KiB"], "fold-constants{max-growth=1MiB max-tensor=2KiB}"),
        (["--fold-constants.max-growth=1MiB", "--fold-constants.max-tensor=2KiB"], "fold-constants{max-growth=1MiB max-tensor=2KiB}"),
        (
            ["--fold-constants", "--fuse-gelu", "--fold-constants.max-growth=1MiB", "--fold-constants"],
            "fold-constants, fuse-gelu, fold-constants{max-growth=1MiB}",
        ),
        (["--fold-constants", "--fold-constants.max-growth=1MiB", "--fold-constants"], "fold-constants{max-growth=1MiB}, fold-constants"),
        (["--clear-metadata.keep=a b", "--clear-metadata.value-info"], 'clear-metadata{keep=["a b"] value-info=true}'),
        (["--clear-metadata.keep=[a, b]"], "clear-metadata{keep=[a, b]}"),
        (["-O0"], ""),
        (["-O0", "--fuse-gelu", "-O0"], "fuse-gelu"),
        (["--fuse-gelu", "--level2=target=openvino"], f"fuse-gelu, {OPENVINO}"),
        (["--level2", "--target", "openvino"], OPENVINO),
        (["-p", "fixpoint{limit=3}(fuse-gelu), when{target=tensorrt}(fold-constants)"], "fixpoint{limit=3}( fuse-gelu )"),
        (["-p", "fuse-gelu, when{target=tensorrt}(fold-constants)", "--target", "tensorrt"], "fuse-gelu, fold-constants"),
    ],
)
def test_what_flags_stand_for(flags: list[str], expected: str, pipeline: Callable[..., str]) -> None:
    assert pipeline(*flags) == expected


def test_levels_stand_among_the_passes_and_what_is_printed_is_a_pipeline(pipeline: Callable[..., str]) -> None:
    level = pipeline("-O1")
    assert level.startswith("fixpoint( eliminate-dead-nodes, inline-functions, ")
    assert pipeline("--fuse-swish", "-O1", "--fuse-prelu") == f"fuse-swish, {level}, fuse-prelu"
    both = pipeline("-O2", "--target", "openvino")
    assert both == f"{level}, {pipeline('--level2=target=openvino')}"
    assert pipeline("-p", both) == both
    assert pipeline("-p", "level1, -fuse-gelu") == level.replace(" fuse-gelu,", "")


def test_with_a_model_the_pipeline_is_printed_and_runs(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert opt("model.onnx", "--eliminate-identity", "--print-pipeline") == 0
    said = capsys.readouterr()
    assert said.err == "eliminate-identity\n"
    assert operators(model(said.out)) == ["Add", "Relu"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--fold-constants.max-grow=1MiB"], "has no option 'max-grow'; did you mean 'max-growth'?\n  fold-constants{max-grow=1MiB}\n"),
        (["--fold-constant.max-growth=1MiB"], "no option and no pass is called --fold-constant; did you mean 'fold-constants'?"),
        (["--fold-constants.max-growth=lots"], "takes a size like 4096, 64kB or 1MiB, not 'lots'"),
        (["--fold-constants.max-growth=1", "--fold-constants.max-growth=2"], "the option 'max-growth' is given twice"),
        (["--fuse_bn_into_conv.x=1"], "onnxsim is fuse-conv-bn here; options go to a pass by its own name"),
        (["-O4"], "Error: -O4: there is no such level; known: -O0, -O1, -O2, -O3\n"),
        (["-O"], "Error: -O: there is no such level; known: -O0, -O1, -O2, -O3\n"),
        (["-O2"], "Error: -O2 needs --target NAME; known: onnxruntime-cpu-x64, "),
        (["-O2", "--target", "openvin"], "no target is called 'openvin'; did you mean 'openvino'?"),
        (["--target", "openvino"], "Error: --target openvino runs nothing by itself: add -O2, passes or a --pipeline\n"),
        (["-O1", "-p", "fuse-gelu"], "Error: give --pipeline or -O1, not both"),
        (["--fuse-gelu", "-p", "fuse-gelu"], "Error: give --pipeline or --fuse-gelu, not both"),
        (["-p", "level1,\n  fuse-gellu"], "pipeline, line 2, column 3: no pass is called 'fuse-gellu'; did you mean 'fuse-gelu'?"),
        (["--print-before=fuse-gellu"], "no pass is called 'fuse-gellu'; did you mean 'fuse-gelu'?"),
        (["--print-after=fuse-gellu"], "no pass is called 'fuse-gellu'; did you mean 'fuse-gelu'?"),
    ],
)
def test_mistakes(opt: Command, capsys: Captured, arguments: list[str], says: str) -> None:
    assert opt("missing.onnx", *arguments) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.out == "" and "Traceback" not in said.err
