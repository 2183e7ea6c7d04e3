"""`onnx-opt --help`, `--list-passes`, `--help-pass`: every pass in one line, read from the sources without importing a pass."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from graphopt.cli.passes import in_order
from graphopt.pipeline.catalogue import catalogue
from graphopt.pipeline.docstring import text_of
from graphopt.pipeline.plugin import Plugin
from graphopt.pipeline.registry import installed

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]

STRANGER = '''
"""Passes of a stranger, written in ways of their own."""
from graphopt import Level, Pass, RulePass
from graphopt.pipeline.base import Level as When

class First(Pass):
    """Does one thing,
    said in two lines.

    Keeps:  nothing.
    """
    name = "first"
    level: "int" = Level.EXTENDED
    def run(self, graph, context): return 0

class Second( RulePass ):  # a comment
    r"""Does another \\ thing."""
    name = "second"

class Derived(First):
    """Does it at the level of the other."""
    name = "derived"

class Silent(Pass):
    name = "silent"
    def run(self, graph, context): return 0

HIGH = Level.EXTENDED

class Tuple(RulePass):
    """Says it among others."""
    name, level = "tuple", HIGH

class Annotated(RulePass):
    """Says it by another name."""
    name = "annotated"
# a comment at the margin
    level: "Level" = Level(2)

def made(name):
    return type(name.capitalize(), (RulePass,), {"name": name, "__doc__": "Is made by a function.", "level": When.LAYOUT})

Made = made("made")
'''


def test_all_of_ours_are_as_their_classes_say() -> None:
    known = installed()
    found, failures = catalogue([plugin for plugin in known.plugins if plugin.name == "graphopt"])
    assert not failures
    assert [one.name for one in found] == [name for name in in_order(known) if known.passes[name].owner == "graphopt"]
    for one in found:
        assert one.summary == text_of(known.pass_named(one.name)).summary
        assert one.level == known.level_of(one.name)
    for target in known.targets:
        levels = known.target_named(target).levels
        assert {name for names in levels.values() for name in names} >= {one.name for one in found if target in one.targets}
        assert {one.name for one in found if target in one.targets} >= {name for name in levels[2] if known.level_of(name) == 2}


def test_a_package_without_any_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "catalogued.py").write_text(STRANGER)
    monkeypatch.syspath_prepend(tmp_path)
    names = ("first", "second", "derived", "silent", "tuple", "annotated", "made", "gone")
    plugin = Plugin("stranger", passes={name: f"catalogued:{name.capitalize()}" for name in names})
    found, failures = catalogue([plugin])
    assert [(one.name, one.summary, one.level) for one in found] == [
        ("second", "Does another \\ thing.", 1),
        ("silent", "", 1),
        ("first", "Does one thing, said in two lines.", 2),
        ("derived", "Does it at the level of the other.", 2),
        ("tuple", "Says it among others.", 2),
        ("annotated", "Says it by another name.", 2),
        ("made", "Is made by a function.", 3),
    ]
    [failure] = failures
    assert failure.startswith("the pass 'gone' is left out: catalogued:Gone of the plug-in 'stranger' cannot be loaded: AttributeError: ")


def test_help_has_every_pass_by_level(opt: Command, capsys: Captured) -> None:
    assert opt("--help") == 0
    said = capsys.readouterr()
    assert said.err == ""
    titles = [
        "Passes, run in the order of their flags:",
        "Passes of level 1:",
        "Passes of level 2, each for some targets: -O2 --target NAME:",
        "Passes that run only when they are named:",
    ]
    places = [said.out.index(f"\n{title}\n") for title in titles]
    assert places == sorted(places)
    for name in installed().passes:
        assert f"\n  --{name}" in said.out
    assert said.out.index("--fuse-gelu ") in range(places[1], places[2])
    assert said.out.index("--materialize-node-units ") in range(places[2], places[3])
    assert "  --print-before[=PASS]  " in said.out
    assert max(map(len, said.out.splitlines())) <= 100


@pytest.mark.parametrize("asked", ["--help", "--list-passes"])
def test_lists_import_nothing_heavy(asked: str) -> None:
    program = (
        f"import sys; sys.argv = ['x', {asked!r}]; from graphopt.cli import main_opt; status = main_opt()\n"
        "sys.exit(status or any(name.startswith(('numpy', 'onnx', 'graphopt.passes.fuse')) for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "fuse-conv-bn" in done.stdout


def test_the_list_has_a_line_for_each(opt: Command, command: Command, capsys: Captured) -> None:
    assert opt("--list-passes") == 0
    listed = capsys.readouterr().out
    assert command("passes") == 0
    assert listed == capsys.readouterr().out
    assert opt("--list-passes", "--plugin", "tests.cli.strangers:OPTIONS") == 0
    more = capsys.readouterr().out.splitlines()
    assert [line.split() for line in more if line.split() not in [line.split() for line in listed.splitlines()]] == [
        ["-", "take-all", *["Has", "an", "option", "of", "each", "type.", "(options)"]]
    ]


def test_what_a_pass_does(opt: Command, command: Command, capsys: Captured) -> None:
    assert opt("--help-pass", "fuse-gelu", "--help-pass=fuse_bn_into_conv") == 0
    said = capsys.readouterr().out
    assert command("passes", "fuse-gelu", "fuse_bn_into_conv") == 0
    assert said == capsys.readouterr().out
    assert opt("--help-pass", "fuse-gellu") == 2
    assert "no pass is called 'fuse-gellu'; did you mean 'fuse-gelu'?" in capsys.readouterr().err


@pytest.mark.parametrize("asked", [["--help"], ["--list-passes"]])
def test_a_plugin_that_is_not_there_is_said(opt: Command, capsys: Captured, asked: list[str]) -> None:
    assert opt("--plugin", "no_such_module_at_all", *asked) == 2
    assert "the plug-in 'no_such_module_at_all' cannot be loaded: ModuleNotFoundError" in capsys.readouterr().err
