"""Plug-ins at the command line: files, owners, defaults of commands, and what is told of broken ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from graphopt.pipeline import registry as registry_module
from graphopt.pipeline.plugin import Plugin
from graphopt.pipeline.registry import Registry
from tests.api.models import write
from tests.pipeline.test_named_plugins import MODEL, RULE
from tests.pipeline.test_named_plugins import write as write_file

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]
Write = Callable[..., str]
write_plugin = write_file  # the fixture


def house(name: str, **defaults: object) -> str:
    """A file of defaults for `graphopt optimize`."""
    return f"from graphopt import Plugin\nPLUGIN = Plugin({name!r}, defaults={{'optimize': {defaults!r}}})\n"


@pytest.fixture
def model(write_plugin: Write, tmp_path: Path) -> Path:
    """A model in the current folder, and the rule for it in a file."""
    write_plugin("my_rules.py", RULE.format("max_neg_to_abs", "rounding"))
    write_plugin("model.onnxtxt", MODEL)
    return write(tmp_path, MODEL)


def test_a_file_is_a_plugin_of_every_command(model: Path, command: Command, opt: Command, capsys: Captured) -> None:
    assert opt("model.onnxtxt", "--plugin", "./my_rules.py", "-p", "my-rules") == 0
    assert "Abs (x)" in capsys.readouterr().out
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--plugin", "my_rules.py", "--verify") == 0
    assert "max-neg-to-abs" in capsys.readouterr().out
    assert command("explain", "model.onnx", "--plugin", "./my_rules.py", "--rule", "max-neg-to-abs") == 0
    assert "it applies" in capsys.readouterr().out
    assert command("verify-rules", "--plugin", "./my_rules.py", "max-neg-to-abs") == 0
    assert "1 of 1 rules hold" in capsys.readouterr().out


def test_a_file_that_is_called_as_a_pass_is(write_plugin: Write, command: Command, capsys: Captured) -> None:
    for name in ("fuse_gelu.py", "when.py"):
        write_plugin(name, RULE.format("max_neg_to_abs", "rounding"))
    assert command("passes", "--plugin", "./fuse_gelu.py") == 2
    assert capsys.readouterr().err.endswith("; rename the file: the pass of its rules is called as it is\n")
    assert command("passes", "--plugin", "./when.py") == 0
    assert "the pass 'when' of the plug-in 'when' is left out: 'when' is a word of pipelines" in capsys.readouterr().err


def test_lists_name_the_owner(model: Path, command: Command, capsys: Captured) -> None:
    assert command("passes", "--json", "my-rules", "--plugin", "./my_rules.py") == 0
    [found] = json.loads(capsys.readouterr().out)
    assert (found["plugin"], found["class"], found["level"]) == ("my-rules", "my_rules:PASS_OF_RULES", 1)
    assert command("passes", "--plugin", "./my_rules.py") == 0
    assert "Applies max-neg-to-abs. (my-rules)" in capsys.readouterr().out
    assert command("rules", "--json", "--plugin", "./my_rules.py") == 0
    owners = {one["name"]: one["plugin"] for one in json.loads(capsys.readouterr().out)}
    assert owners["max-neg-to-abs"] == "my-rules"
    assert owners["identity"] == "graphopt"
    assert command("rules", "--plugin", "./my_rules.py") == 0
    assert "Max(x, Neg(x)) -> Abs(x) (my-rules)" in capsys.readouterr().out


def test_lists_without_our_own_passes(
    model: Path, command: Command, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "installed", Registry)
    assert command("passes", "--plugin", "./my_rules.py") == 0
    assert capsys.readouterr().out == "level  pass      what it does\n1      my-rules  Applies max-neg-to-abs. (my-rules)\n"
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--plugin", "./my_rules.py") == 0
    assert "max-neg-to-abs" in capsys.readouterr().out
    for empty in ("passes", "rules", "targets"):
        assert command(empty) == 0
    assert capsys.readouterr() == ("", "")


def test_a_file_that_breaks_is_one_sentence(model: Path, write_plugin: Write, command: Command, capsys: Captured) -> None:
    write_plugin("bad.py", "import no_such_module")
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--plugin", "./bad.py") == 2
    said = capsys.readouterr()
    assert said == ("", "error: the plug-in './bad.py' cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'\n")
    assert not Path("out.onnx").exists()


# ---- defaults


def test_defaults_count_where_nothing_is_given(model: Path, write_plugin: Write, command: Command, capsys: Captured) -> None:
    file = write_plugin("house.py", house("house", verify=True, report="told.json", skip="fuse-gelu", **{"--time-passes": True}))
    arguments = ("optimize", "model.onnx", "-o", "out.onnx", "--plugin", file)
    assert command(*arguments) == 0
    said = capsys.readouterr()
    assert "equal bits" in said.out
    assert "eliminate-dead-nodes" in said.out
    assert Path("told.json").is_file()
    assert command(*arguments, "--report", "mine.json", "--skip", "no-such-pass") == 2, "the command line wins"
    assert "no-such-pass" in capsys.readouterr().err
    assert command("optimize", "model.onnx", "-o", "out.onnx") == 0
    assert "equal bits" not in capsys.readouterr().out
    assert command("optimize", "--help", "--plugin", file) == 0


def test_defaults_reach_commands_that_know_no_plugins(
    model: Path, command: Command, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "installed", lambda: Registry((Plugin("house", defaults={"compare": {"json": True}}),)))
    assert command("compare", "model.onnx", "model.onnx") == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "equal bits"


def test_the_other_command_has_defaults_too(model: Path, opt: Command, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin("house", defaults={"onnx-opt": {"output": "out.onnxtxt"}})
    monkeypatch.setattr(registry_module, "installed", lambda: Registry((plugin,)))
    assert opt("model.onnxtxt") == 0
    assert capsys.readouterr().out == ""
    assert Path("out.onnxtxt").is_file()


def test_defaults_that_make_no_sense_are_told_and_left_out(
    model: Path, write_plugin: Write, command: Command, capsys: Captured
) -> None:
    file = write_plugin("house.py", house("house", verfy=True, level="many").replace("}})", "}, 'optimise': {}})"))
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--plugin", file) == 0
    assert [line.removeprefix("warning: the plug-in 'house' has ") for line in sorted(capsys.readouterr().err.splitlines())] == [
        "a default for the command 'optimise', which is not there; did you mean 'optimize'?",
        "a default for the option 'verfy' of 'optimize', which has none of this name; did you mean 'verify'?",
        "the default 'many' for --level of 'optimize', which is left out: 'many' is not a valid integer.",
    ]


def test_plugins_that_disagree_are_both_named(model: Path, write_plugin: Write, command: Command, capsys: Captured) -> None:
    files = [write_plugin(f"{name}.py", house(name, level=level, verify=True)) for name, level in (("first", 1), ("other", 0))]
    arguments = ("optimize", "model.onnx", "-o", "out.onnx", "--plugin", files[0], "--plugin", files[1])
    assert command(*arguments) == 2
    assert capsys.readouterr().err == (
        "error: the plug-ins 'first' and 'other' disagree about the default of --level of 'optimize', 1 and 0; give the option yourself\n"
    )
    assert command(*arguments, "--level", "1") == 0
