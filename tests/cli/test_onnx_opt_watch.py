"""What `onnx-opt` tells of a run: models and diffs as text, statistics, each rewrite by its number."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.models import model, operators, write

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]


def headings(text: str) -> list[str]:
    """The lines over the models of --print-before and --print-after."""
    return [line.removeprefix("# ----- ") for line in text.splitlines() if line.startswith("# ----- ")]


def test_changes_go_to_stderr(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    assert opt("model.onnx", "--eliminate-identity", "--print-after-change", "--verify-each") == 0
    said = capsys.readouterr()
    assert "-   a = Identity (x)\n" in said.err
    assert operators(model(said.out)) == ["Add", "Relu"]


def test_the_model_before_and_after_a_pass(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    flags = ("--eliminate-identity", "--eliminate-dead-nodes", "--eliminate-identity")
    assert opt("model.onnx", *flags, "--print-before=eliminate-identity", "--print-after=EliminateIdentity", "-o", "out.onnx") == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert headings(said.err) == [
        "before eliminate-identity, run 1",
        "after eliminate-identity, run 1: 2 changes",
        "before eliminate-identity, run 2",
        "after eliminate-identity, run 2: nothing changed; the model is as above",
    ]
    _, before, after, last = said.err.split("# ----- ", 3)
    assert "a = Identity (x)" in before and "a = Identity (x)" not in after and "unused" in after and "unused" not in last


def test_the_model_around_every_pass(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    # the model is no value of the flag before it
    assert opt("--print-before", "--print-after", "model.onnx", "--eliminate-identity", "--fuse-gelu") == 0
    assert headings(capsys.readouterr().err) == [
        "before eliminate-identity, run 1",
        "after eliminate-identity, run 1: 2 changes",
        "before fuse-gelu, run 1; the model is as above",
        "after fuse-gelu, run 1: nothing changed; the model is as above",
    ]


def test_long_lists_of_numbers_are_elided(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    numbers = ", ".join(map(str, range(100)))
    graph = f"g (float[100] x) => (float[100] y) <float[100] c = {{{numbers}}}> {{ y = Add(x, c) }}"
    write(tmp_path, f'<ir_version: 8, opset_import: ["" : 17]> {graph}')
    assert opt("model.onnx", "--fuse-gelu", "--print-before", "-o", "/dev/null") == 0
    assert "{0, 1, 2, ... 100 elements}" in capsys.readouterr().err


def on_a_terminal(folder: Path, *arguments: str, **environment: str) -> str:
    """What `onnx-opt` writes to stderr when that is a terminal."""
    ours, theirs = pty.openpty()
    program = "import sys; from graphopt.cli import main_opt; sys.exit(main_opt())"
    plain = {key: text for key, text in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "COLORTERM")}
    subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, stderr=theirs, stdout=subprocess.DEVNULL, check=True,
        env={**plain, "TERM": "xterm", "COLUMNS": "80", **environment},
    )  # fmt: skip
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 1 << 16):
            said += piece
    except OSError:  # the end of it, on Linux
        pass
    os.close(ours)
    return said.decode()


def test_diffs_have_colours_on_a_terminal_unless_nobody_wants_them(tmp_path: Path, opt: Command, capsys: Captured) -> None:
    write(tmp_path)
    arguments = ("model.onnx", "--eliminate-identity", "--print-after-change")
    coloured = on_a_terminal(tmp_path, *arguments)
    assert "\x1b[31m-   a = Identity (x)" in coloured and "\x1b[32m+   d = Add (x, c)" in coloured
    assert "\x1b" not in on_a_terminal(tmp_path, *arguments, NO_COLOR="1")
    assert opt(*arguments) == 0
    assert "\x1b" not in capsys.readouterr().err


def test_statistics_say_what_was_done_and_why_not(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    plugin = ("--plugin", "tests.cli.strangers:DECLINES")
    assert opt("model.onnx", "--declines", "--eliminate-identity", "--stats", "--time-passes", "-o", "/dev/null", *plugin) == 0
    said = capsys.readouterr().err
    assert said.startswith("""\
pass                      runs  changes  nodes before  after
eliminate-identity           1        2             4      2
(1 that changed nothing)     1        -

fired  declined  rule or pass
    -         2  declines
              1      %x is needed
              1      %a is needed
    2         -  identity

pass  """)
    assert "\nall passes  " in said


def test_the_first_rewrites_and_no_others(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    flags = ("--eliminate-identity", "--eliminate-dead-nodes")

    def run(limit: int) -> tuple[list[str], list[str]]:
        assert opt("model.onnx", *flags, f"--bisect-limit={limit}") == 0
        said = capsys.readouterr()
        return operators(model(said.out)), said.err.splitlines()

    done, told = run(-1)
    assert done == ["Add", "Relu"]
    assert told == [
        "BISECT: running rewrite (1) identity at a (pass eliminate-identity)",
        "BISECT: running rewrite (2) identity at b (pass eliminate-identity)",
        "BISECT: running rewrite (3) eliminate-dead-nodes at exit (pass eliminate-dead-nodes)",
    ]
    done, first = run(1)
    assert done == ["Identity", "Add", "Relu"]
    assert first == [
        told[0],
        "BISECT: NOT running rewrite (2) identity at b (pass eliminate-identity)",
        "BISECT: NOT running pass eliminate-dead-nodes on graph 'agraph'",
    ]
    assert run(1) == (done, first)
    done, none = run(0)
    assert done == ["Identity", "Identity", "Add", "Relu"]
    assert none == [f"BISECT: NOT running pass {name[2:]} on graph 'agraph'" for name in flags]
    assert run(3) == run(-1)
    assert opt("model.onnx", "--bisect-limit=-2") == 2


def test_a_pass_that_asks_for_nothing_is_one_step(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    """`relu-to-neg` of the fakes changes one node without asking whether it may."""
    write(tmp_path, '<ir_version: 8, opset_import: ["" : 17]> g (float[3] x) => (float[3] y) { a = Relu(x) y = Relu(a) }')
    assert opt("model.onnx", "--relu-to-neg", "--relu-to-neg", "--plugin", "tests.cli.strangers:FAKES", "--bisect-limit=1") == 0
    said = capsys.readouterr()
    assert operators(model(said.out)) == ["Neg", "Relu"]
    assert said.err.splitlines() == [
        "BISECT: running pass (1) relu-to-neg on graph 'g', which asks for no single rewrite",
        "BISECT: NOT running pass relu-to-neg on graph 'g'",
    ]
