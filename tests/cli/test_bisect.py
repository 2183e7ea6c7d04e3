"""`graphopt bisect`: what it says, in which words, with which exit status; a user's own judge."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from graphopt.cli.app import run
from graphopt.cli.onnx_opt import onnx_opt
from graphopt.pipeline.job import Job
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.registry import with_plugins
from tests.api.models import model, write
from tests.cli import planted

Command = Callable[..., int]
WRONG = ("-p", "eliminate-identity, planted", "--plugin", planted.__file__)
SUBTRACTS = """
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N, 3] x) => (float[N, 3] y) <float[3] c = {1, 2, 3}> {
   a = Identity(x)
   [the_sub] d = Sub(a, c)
   y = Relu(d)
}
"""


def test_nothing_is_wrong_is_exit_status_0(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert command("bisect", "model.onnx") == 0
    out = capsys.readouterr().out
    assert out.startswith("model.onnx: nothing is wrong with what level1 makes of it")
    assert command("bisect", "model.onnx", "--json") == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "good"


def test_a_culprit_is_exit_status_1_and_the_screen_says_all(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, SUBTRACTS)
    assert command("bisect", "model.onnx", *WRONG) == 1
    said = capsys.readouterr()
    assert said.err == ""
    first, culprit, diff, comparison, advice = said.out.rstrip().split("\n\n")
    assert first.startswith("model.onnx: rewrite 2 of 2 is to blame (")
    assert culprit.splitlines()[1:] == ["   node  the_sub in graph 'agraph'", "   pass  planted"]
    assert diff.splitlines() == ["-   [the_sub] d = Sub (a, c)", "+   [the_sub] d = Add (a, c)"]
    assert "elements are off" in comparison
    assert advice.splitlines()[1:] == [
        "right:  the same with --bisect-limit=1", "enough: the pass planted, without any other (--only planted)"
    ]  # fmt: skip


def test_models_as_text_are_read(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.onnxtxt").write_text(SUBTRACTS)
    assert command("bisect", "model.onnxtxt", *WRONG) == 1
    assert "onnx-opt model.onnxtxt" in capsys.readouterr().out


def test_a_command_judges(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model is good as long as it holds a Sub: the name of the operator stands in the file."""
    write(tmp_path, SUBTRACTS)
    assert command("bisect", "model.onnx", *WRONG, "--command", "grep -q Sub {} || (echo no Sub; exit 3)") == 1
    out = capsys.readouterr().out
    assert "rule  sub-to-add" in out
    assert "the command: exit status 3\n  | no Sub" in out
    assert command("bisect", "model.onnx", *WRONG, "--command", "grep -q Relu") == 0
    assert "nothing is wrong" in capsys.readouterr().out


def test_no_rewrite_is_to_blame_when_the_model_itself_is_bad(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, SUBTRACTS)
    assert command("bisect", "model.onnx", *WRONG, "--command", "false") == 1
    assert "no rewrite is to blame: it is bad with no pass at all" in capsys.readouterr().out


@pytest.mark.parametrize(("line", "says"), [
    ("exit 125", "does not judge the model: exit status 125"),
    ("no-such-command", "(the shell finds no such command)"),
    (" ", "the command is empty"),
])  # fmt: skip
def test_a_command_that_judges_nothing_is_exit_status_2(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, says: str
) -> None:
    write(tmp_path)
    assert command("bisect", "model.onnx", "--command", line) == 2
    assert says in capsys.readouterr().err


def test_a_command_that_takes_too_long_is_ended(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert command("bisect", "model.onnx", "--command", "sleep 60; true", "--timeout", "0.2") == 2
    assert "its time was up; give it more --timeout" in capsys.readouterr().err


def test_what_nobody_can_judge_is_said(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stranger = model(SUBTRACTS.replace("Relu(d)", "strange.Op(d)").replace('["" : 17]', '["" : 17, "strange" : 1]'))
    onnx.save(stranger, tmp_path / "model.onnx")
    assert command("bisect", "model.onnx", *WRONG) == 1
    assert "graphopt cannot judge what it makes of this model; give a --command that can" in capsys.readouterr().err


def test_data_outside_the_models_folder(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runtimes refuse such a path, so they are given the data; what does it again says that it may be read."""
    (tmp_path / "inner").mkdir()
    message = model(SUBTRACTS)
    weight = message.graph.initializer[0]
    weight.raw_data = onnx.numpy_helper.to_array(weight).tobytes()
    weight.ClearField("float_data")
    (tmp_path / "outer.bin").write_bytes(weight.raw_data)
    onnx.external_data_helper.set_external_data(weight, "../outer.bin", 0, len(weight.raw_data))
    weight.ClearField("raw_data")
    (tmp_path / "inner" / "model.onnx").write_bytes(message.SerializeToString())
    assert command("bisect", "inner/model.onnx", "--allow-outside", "-p", "eliminate-identity") == 0
    assert "nothing is wrong" in capsys.readouterr().out
    assert command("bisect", "inner/model.onnx", "--allow-outside", *WRONG) == 1
    out = capsys.readouterr().out
    assert "rewrite 2 of 2 is to blame" in out
    [again] = [line.removeprefix("again:  onnx-opt ") for line in out.splitlines() if line.startswith("again:")]
    assert run(onnx_opt, "onnx-opt", shlex.split(again)) == 0
    assert "Add" in [node.op_type for node in onnx.load("bad.onnx", load_external_data=False).graph.node]


def test_quotes_in_a_pipeline_are_quoted() -> None:
    registry = with_plugins([planted.__file__])
    job = Job(Path("model.onnx"), Pipeline.parse("clear-metadata{keep=[\"it's\"]}", registry), registry)
    assert shlex.split(job.words())[:2] == ["-p", str(job.pipeline)]


def test_a_choice_of_passes_is_repeated_as_a_pipeline(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, SUBTRACTS)
    assert command("bisect", "model.onnx", "--skip", "eliminate-identity", *WRONG) == 1
    assert "onnx-opt model.onnx -p planted --plugin" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "says"), [
    (("--timeout", "3"), "--timeout is for --command"),
    (("--level", "1", "-p", "level1"), "give --level or --pipeline, not both"),
    (("-p", "no-such-pass"), "no pass is called 'no-such-pass'"),
    (("--only", "fuse-conv-bm"), "did you mean 'fuse-conv-bn'?"),
])  # fmt: skip
def test_wrong_words(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    write(tmp_path)
    assert command("bisect", "model.onnx", *arguments) == 2
    assert says in capsys.readouterr().err


def test_a_model_that_is_not_there(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("bisect", "missing.onnx") == 1
    assert "missing.onnx: does not exist" in capsys.readouterr().err
