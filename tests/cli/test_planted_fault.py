"""A rule that is wrong in one place of a thousand, planted among real passes: refused, found, made small, and reproduced elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import onnx.checker
import pytest

from tests.cli import planted

Command = Callable[..., int]
PLUGIN = ("--plugin", planted.__file__)
WRONG = ("-p", "level1, planted", *PLUGIN)
NODE = planted.bad_node(planted.BLOCKS)
BAD = planted.BLOCKS * 2 // 3
FEW = 20  # blocks where it is not a matter of size


@pytest.fixture(scope="session")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 1,000 nodes."""
    path = planted.write_blocks(tmp_path_factory.mktemp("thousand") / "thousand.onnx")
    assert len(onnx.load(path).graph.node) == 1000
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of 160 nodes."""
    return planted.write_blocks(tmp_path / "model.onnx", FEW)


def small(path: Path) -> onnx.ModelProto:
    """A reduced model, which must be valid."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    return model


def test_verify_refuses_names_and_leaves_what_does_it_again(
    command: Command, tmp_path: Path, thousand: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("optimize", str(thousand), "-o", "out.onnx", *WRONG, "--verify", "--reproducer", "again.onnx") != 0
    said = capsys.readouterr().err
    assert f"to blame is rewrite 501: the rule sub-to-add at {NODE} in graph 'blocks', in the pass planted" in said
    assert "nothing was written" in said
    assert not (tmp_path / "out.onnx").exists()
    fresh = [sys.executable, "-c", "from graphopt.cli import main_opt; raise SystemExit(main_opt())", "--run-reproducer", "again.onnx"]
    again = subprocess.run(fresh, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode != 0
    assert f"the rule sub-to-add at {NODE}" in again.stderr


def test_bisect_finds_the_single_rewrite(command: Command, thousand: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("bisect", str(thousand), *WRONG) == 1
    out = capsys.readouterr().out
    assert f"{thousand}: rewrite 501 of 501 is to blame" in out
    assert f"501  rule  sub-to-add  ({Path(planted.__file__).name}" in out.replace(f"({Path(planted.__file__).parent}/", "(")
    assert f"node  {NODE} in graph 'blocks'" in out
    assert f'-   ["{NODE}"] shifted_{BAD} = Sub (again_{BAD}, s{BAD})' in out
    assert f'+   ["{NODE}"] shifted_{BAD} = Add (again_{BAD}, s{BAD})' in out
    assert "48 of 48 elements are off" in out
    assert f"-p 'level1, planted' --plugin {planted.__file__} --bisect-limit=501 -o bad.onnx" in out
    assert "enough: the pass planted, without any other (--only planted)" in out


def test_the_command_that_bisect_prints_makes_the_bad_result(
    command: Command, opt: Command, tmp_path: Path, thousand: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for limit, status in ((501, 1), (500, 0)):
        assert opt(str(thousand), *WRONG, f"--bisect-limit={limit}", "-o", "bad.onnx") == 0
        assert command("compare", str(thousand), "bad.onnx") == status
    capsys.readouterr()


def test_reduce_ends_with_the_one_node(command: Command, tmp_path: Path, thousand: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("reduce", str(thousand), "-o", "small.onnx", "--differs", *WRONG) == 0
    assert f"{thousand} -> small.onnx   (1000 -> 1 nodes" in capsys.readouterr().out
    model = small(tmp_path / "small.onnx")
    assert [(node.op_type, node.name) for node in model.graph.node] == [("Sub", NODE)]
    assert command("optimize", "small.onnx", "-o", "out.onnx", *WRONG, "--verify") != 0


@pytest.mark.parametrize(("second", "headline", "reason"), [
    ("follows", "rewrite 82 of 82 is to blame, after 81", "Only what comes before it makes it possible"),
    ("depends", "2 rewrites of 82 are to blame together", "Without any one of them the result is right."),
])  # fmt: skip
def test_two_passes_that_are_wrong_together(
    command: Command, model: Path, capsys: pytest.CaptureFixture[str], second: str, headline: str, reason: str
) -> None:
    assert command("bisect", "model.onnx", "-p", f"level1, harmless, {second}", *PLUGIN) == 1
    out = capsys.readouterr().out
    assert headline in out
    assert reason in out
    assert f"enough: the passes harmless and {second}, each of which is harmless by itself (--only harmless --only {second})" in out


def test_two_passes_that_are_wrong_together_are_made_small(command: Command, tmp_path: Path, model: Path) -> None:
    assert command("reduce", "model.onnx", "-o", "small.onnx", "--differs", "-p", "level1, harmless, depends", *PLUGIN) == 0
    assert [node.op_type for node in small(tmp_path / "small.onnx").graph.node] == ["Sub", "Tanh"]


def test_a_rule_that_makes_an_invalid_graph(command: Command, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("bisect", "model.onnx", "-p", "level1, nonsense", *PLUGIN, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert [(one["number"], one["rule"], one["node"]) for one in found["culprits"]] == [(81, "sub-to-nonsense", planted.bad_node(FEW))]
    assert found["is_smallest"] and found["bisect_limit"] == 81
    assert found["evidence"]["verdict"] == "different"
    assert "the result fails where the original runs" in found["evidence"]["failure"] or "not the result" in found["evidence"]["failure"]


def test_a_rule_that_crashes(command: Command, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("bisect", "model.onnx", "-p", "level1, crash", *PLUGIN) == 1
    out = capsys.readouterr().out
    assert "pass  crash" in out
    assert "graphopt breaks: the pass crash failed on graph 'blocks'" in out
    assert "LookupError: no such thing" in out
    assert command("reduce", "model.onnx", "-o", "small.onnx", "--differs", "-p", "level1, crash", *PLUGIN) == 0
    assert [node.name for node in small(tmp_path / "small.onnx").graph.node] == [planted.bad_node(FEW)]
