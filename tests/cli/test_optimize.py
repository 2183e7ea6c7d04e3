"""`graphopt optimize`: the table, the files, the exit statuses, and one clear sentence when something is wrong."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import click
import onnx
import onnx.parser
import pytest

from graphopt.cli.app import run
from graphopt.errors import ModelError
from graphopt.io import load, print_text
from graphopt.observe.report import Report
from graphopt.pipeline.job import Job
from tests.api.models import BEFORE_IR_4, IDENTITIES, operators, write, write_with_weights

Command = Callable[..., int]


def timeless(text: str) -> str:
    """The text with every number of seconds made the same."""
    return re.sub(r"(load|optimize|verify|save) \d+\.\d\d", r"\1 0.00", text)


TABLE = """\
model.onnx -> out.onnx   (level1)

                      before  after
Identity                   2      -
(all others)               2      2
nodes                      4      2
initializers               2      1
their bytes             24 B   12 B
file                   188 B  119 B

rule or pass          changes
identity                    2
eliminate-dead-nodes        1

seconds: load 0.00, optimize 0.00, save 0.00
"""


def aligned_alike(text: str) -> str:
    """The text with each run of spaces as one: how wide a column gets is for the installed rich to say."""
    return re.sub(" +", " ", text)


def test_the_table(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert command("optimize", "model.onnx", "-o", "out.onnx") == 0
    said = capsys.readouterr()
    assert aligned_alike(timeless(said.out)) == aligned_alike(TABLE)
    assert said.err == ""
    assert operators(onnx.load("out.onnx")) == ["Add", "Relu"]


def test_nothing_to_do_is_said(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--level", "0") == 0
    assert "no passes were asked for: nothing changed" in capsys.readouterr().out
    assert onnx.load("out.onnx") == onnx.load("model.onnx")


def test_quiet_is_quiet(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_a_dry_run_writes_nothing(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert command("optimize", "model.onnx", "--dry-run", "-o", "out.onnx") == 0
    assert capsys.readouterr().out.endswith("dry run: nothing was written\n")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_the_result_may_go_to_a_device(command: Command, tmp_path: Path) -> None:
    write(tmp_path)
    assert command("optimize", "model.onnx", "-o", os.devnull) == 0


def test_in_place(command: Command, tmp_path: Path) -> None:
    write_with_weights(tmp_path)
    assert command("optimize", "heavy.onnx", "-o", "heavy.onnx", "-q") == 0
    assert operators(onnx.load("heavy.onnx")) == ["MatMul"]


def test_weights_go_where_they_are_asked_to(command: Command, tmp_path: Path) -> None:
    write_with_weights(tmp_path)
    assert command("optimize", "heavy.onnx", "-o", "inline.onnx", "--inline", "-q") == 0
    (tmp_path / "elsewhere").mkdir()
    assert command("optimize", "inline.onnx", "-o", "elsewhere/beside.onnx", "--external-data", "-q") == 0
    assert (tmp_path / "inline.onnx").stat().st_size > 8192
    assert [path.name for path in sorted((tmp_path / "elsewhere").iterdir())] == ["beside.onnx", "beside.onnx.data"]


def test_verify_says_what_it_compared(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--verify") == 0
    out = capsys.readouterr().out
    assert re.search(r"equal bits: model.onnx and the result on \d+ feeds", out)
    assert "\n  tolerance float32: 0.1 % of each value, or 0.01 % of the largest\n" in out


WRONG = ("-p", "eliminate-identity, make-wrong", "--plugin", "tests.cli.strangers", "--verify")


def test_a_wrong_result_is_not_written_unless_asked(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert command("optimize", "model.onnx", "-o", "out.onnx", *WRONG) == 70
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: the optimized model computes something else; to blame is rewrite 3: the rule make-wrong at d ")
    assert not (tmp_path / "out.onnx").exists()
    assert command("optimize", "model.onnx", "-o", "out.onnx", *WRONG, "--write-anyway") == 70
    assert operators(onnx.load("out.onnx")) == ["Sub", "Relu"]


def test_overridable_initializers_are_pointed_out(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, BEFORE_IR_4)
    assert command("optimize", "model.onnx", "-o", "out.onnx") == 0
    said = capsys.readouterr().out
    assert "1 initializer is an input as well, which a caller may feed: nothing is folded or fused with it.\n" in said
    assert "If no caller does, give --initializers-are-constants" in said
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--initializers-are-constants") == 0
    assert "1 initializer is a constant now and no input any more, as asked" in capsys.readouterr().out


def test_the_report_is_json(command: Command, tmp_path: Path) -> None:
    write(tmp_path)
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--report", "report.json", "-q") == 0
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["source"] == "model.onnx"
    assert data["output"] == "out.onnx"
    assert [rewrite["number"] for rewrite in data["rewrites"]] == [1, 2, 3]


def test_times_and_changes_are_printed(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    options = ("--time-passes", "--print-after-change", "-p", "eliminate-identity", "-q")
    assert command("optimize", "model.onnx", "--dry-run", *options) == 0
    out = capsys.readouterr().out
    assert "-   a = Identity (x)\n" in out
    assert re.search(r"^eliminate-identity +1 +2 +\d\.\d{4}$", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["model.onnx"], "where should the result go? Give -o OUT, or --dry-run to write nothing"),
        (["-o", "out.onnx"], "Missing argument 'IN'"),
        (["model.onnx", "-o", "out.onnxtxt"], "binary files; text and standard output: onnx-opt model.onnx -O1 -o out.onnxtxt"),
        (["model.onnx", "-o", "-"], "text and standard output: onnx-opt model.onnx -O1 -o -"),
        (["model.onnx", "--dry-run", "--level", "1", "-p", "level1"], "give --level or --pipeline, not both"),
        (["model.onnx", "-o", "out.onnx", "--write-anyway"], "--write-anyway goes with --verify: without it nothing is compared"),
        (["model.onnx", "--dry-run", "--level", "9"], "there is no level 9"),
        (["model.onnx", "--dry-run", "--skip", "fuse-conv-bm"], "no pass is called 'fuse-conv-bm'; did you mean 'fuse-conv-bn'?"),
        (["model.onnx", "--dry-run", "-p", "level1,, x"], "pipeline, column 8: expected a pass"),
        (["model.onnx", "--dry-run", "--no-such-option"], "No such option"),
        (["model.onnx", "--dry-run", "--plugin", "no_such"], "the plug-in 'no_such' cannot be loaded: ModuleNotFoundError"),
    ],
)
def test_wrong_words_are_exit_status_2(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    write(tmp_path)
    assert command("optimize", *arguments) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_what_is_wrong_with_the_model_is_exit_status_1(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path)
    (tmp_path / "short.onnx").write_bytes(path.read_bytes()[:-20])
    (tmp_path / "no.onnx").write_text("this is no model at all")
    (tmp_path / "locked").mkdir()
    for arguments in (
        ("missing.onnx", "-o", "out.onnx"),
        ("short.onnx", "-o", "out.onnx"),
        ("no.onnx", "-o", "out.onnx"),
        (".", "-o", "out.onnx"),
        ("model.onnx", "-o", "no/such/folder/out.onnx"),
        ("model.onnx", "-o", "locked"),
        ("model.onnx", "-o", "out.onnx", "--report", "no/such/folder/report.json"),
    ):
        assert command("optimize", *arguments) == 1, arguments
        said = capsys.readouterr()
        assert said.err.startswith("error: ")
        assert len(said.err.splitlines()) == 1, said.err
        assert said.out == ""


@pytest.mark.parametrize("option", ["-o", "--report", "--reproducer"])
@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("no/such/x", "no/such/x: cannot be written: there is no folder no/such; create the folder first"),
        ("model.onnx/x", "model.onnx/x: cannot be written: model.onnx is not a folder; choose a path in a folder"),
        ("folder", "folder: cannot be written: it is a folder; give the path of a file"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    command: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    target: str,
    says: str,
) -> None:
    if option == "--report" and target == "folder":
        return  # the command line itself says so, as wrong words
    write(tmp_path)
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(Job, "_load", lambda self: pytest.fail("work was done"))
    others = ["-o", "out.onnx"] if option != "-o" else []
    assert command("optimize", "model.onnx", *others, "--verify", option, target) == 1
    assert capsys.readouterr().err == f"error: {says}\n"


def test_a_folder_without_permission_is_refused_before_any_work(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system is asked; what it says is made up, as root may write everywhere."""
    write(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(Job, "_load", lambda self: pytest.fail("work was done"))
    assert command("optimize", "model.onnx", "-o", "out.onnx") == 1
    assert capsys.readouterr().err == "error: out.onnx: cannot be written: . is not writable; choose a folder that you may write to\n"


def test_a_report_that_fails_after_all_does_not_hide_what_was_written(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(report: Report, path: Path) -> None:
        raise ModelError(f"{path}: cannot be written: No space left on device")

    write(tmp_path)
    monkeypatch.setattr(Report, "write", full)
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--report", "r.json") == 1
    why = "r.json: cannot be written: No space left on device\n"
    assert capsys.readouterr().err == f"error: out.onnx was written, the report was not: {why}"
    assert operators(onnx.load("out.onnx")) == ["Add", "Relu"]
    assert command("optimize", "model.onnx", "-o", "other.onnx", *WRONG, "--report", "r.json") == 70
    said = capsys.readouterr().err
    assert "to blame is rewrite 3" in said and said.endswith(f"\nThe report was not written either: {why}")


def test_where_the_weights_are_is_said(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_with_weights(tmp_path)
    assert command("optimize", "heavy.onnx", "-o", "out.onnx", "--report", "r.json") == 0
    assert "\nweights stay in heavy.bin (8.0 KiB), which both models now use\n" in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_text())["data_files"] == [{"name": "heavy.bin", "bytes": 8192, "shared": True}]
    (tmp_path / "elsewhere").mkdir()
    assert command("optimize", "heavy.onnx", "-o", "elsewhere/out.onnx") == 0
    assert "\nweights are in out.onnx.data (8.0 KiB)\n" in capsys.readouterr().out
    assert command("optimize", "heavy.onnx", "-o", "heavy.onnx") == 0
    assert "\nweights are in heavy.bin (8.0 KiB)\n" in capsys.readouterr().out
    assert command("optimize", "heavy.onnx", "-o", "inline.onnx", "--inline") == 0
    assert "weights" not in capsys.readouterr().out


def test_no_line_of_a_printed_change_is_long(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model has two initializers of 200 elements and an attribute of 60; the model that onnx-opt prints has them still."""
    held = ", ".join(f"float[200] {name} = {{{', '.join(['0.123456'] * 200)}}}" for name in "cd")
    head = '<ir_version: 8, opset_import: ["" : 17]>'
    nodes = f"a = Identity(x) k = Constant<value_floats = [{', '.join(['1.5'] * 60)}]>() s = Add(a, c) y = Add(s, d)"
    write(tmp_path, f"{head} agraph (float[200] x) => (float[200] y, float[60] k) <{held}> {{ {nodes} }}")
    assert command("optimize", "model.onnx", "--dry-run", "-q", "--print-after-change", "-p", "eliminate-identity") == 0
    out = capsys.readouterr().out
    assert "-   a = Identity (x)\n" in out
    assert "[1.5, 1.5, 1.5, ... 60 elements]" in out
    assert max(map(len, out.splitlines())) <= 200
    text = print_text(load("model.onnx"))
    assert text.count("0.123456") == 400
    assert operators(onnx.parser.parse_model(text)) == ["Identity", "Constant", "Add", "Add"]


def test_a_model_as_text_is_for_the_other_command(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.onnxtxt").write_text(IDENTITIES)
    for arguments in (("optimize", "x.onnxtxt", "--dry-run"), ("explain", "x.onnxtxt")):
        assert command(*arguments) == 1
        assert "use onnx-opt: onnx-opt x.onnxtxt -o x.onnx" in capsys.readouterr().err
    assert command("optimize", "missing.onnxtxt", "--dry-run") == 1
    assert "missing.onnxtxt: does not exist" in capsys.readouterr().err


def test_external_data_outside_of_the_folder_needs_a_flag(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "inner").mkdir()
    path = write_with_weights(tmp_path)
    message = onnx.load(path, load_external_data=False)
    for entry in message.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../heavy.bin"
    (tmp_path / "inner" / "model.onnx").write_bytes(message.SerializeToString())
    assert command("optimize", "inner/model.onnx", "-o", "out.onnx", "-q") == 1
    assert "heavy.bin" in capsys.readouterr().err
    assert command("optimize", "inner/model.onnx", "-o", "out.onnx", "-q", "--allow-outside", "--inline") == 0


def test_a_pass_that_breaks_is_exit_status_70(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    options = ("-p", "explode", "--plugin", "tests.cli.strangers", "--reproducer", "repro.onnx")
    assert command("optimize", "model.onnx", "--dry-run", *options) == 70
    what, where, advice = capsys.readouterr().err.splitlines()
    assert what == "error: the pass explode failed on graph 'agraph' at %a = Identity(%x): ZeroDivisionError: Identity"
    assert re.fullmatch(r"raised at .*test_optimize\.py:\d+", where)
    assert advice == (
        "explode comes from the plug-in 'strangers' (package tests), not from graphopt. Please report it to its authors, with the file "
        "repro.onnx, which does it again: onnx-opt --run-reproducer repro.onnx"
    )
    assert onnx.load("repro.onnx").graph == onnx.load("model.onnx").graph


def test_a_pass_that_ends_the_process_is_named(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert command("optimize", "model.onnx", "--dry-run", "-p", "leave", "--plugin", "tests.cli.strangers:LEAVES") == 70
    said = capsys.readouterr().err
    assert said.startswith("error: the pass leave failed on graph 'agraph': SystemExit: bad thing\nraised at ")
    assert "\nleave comes from the plug-in 'leaving'" in said


def test_only_a_broken_pipe_ends_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def leaves() -> None:
        sys.exit("bad thing")

    assert run(leaves, "leaves", []) == 70
    assert "SystemExit: bad thing" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "status"), [("raises", 70), ("asks-wrongly", 2)])
def test_a_rule_that_breaks_is_its_authors_matter(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, status: int
) -> None:
    """Whether the rule's function raises or a condition of its pattern: the plug-in is named, and the command that shows it works."""
    write(tmp_path)
    plugin = ("--plugin", "tests.cli.strangers:RULES")
    assert command("optimize", "model.onnx", "--dry-run", "-p", name, *plugin) == status
    *first, second = capsys.readouterr().err.splitlines()
    assert name in first[0]
    assert re.search(r"strangers\.py:\d+", first[-1])
    assert second == (
        f"{name} comes from the plug-in 'ruling' (package tests), not from graphopt. Please report it to its authors, with the model: "
        f"graphopt optimize model.onnx --dry-run -p {name} --plugin tests.cli.strangers:RULES"
    )
    assert command("explain", "model.onnx", "--rule", name, *plugin) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: the rule {name} (") and "strangers.py:" in said
    assert "Traceback" not in said and "bug in graphopt" not in said


def test_a_plugin_that_is_left_out_is_a_warning(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    options = ("--plugin", "tests.cli.strangers:BROKEN")
    assert command("optimize", "model.onnx", "-o", "out.onnx", *options) == 0
    assert "warning: the pass 'gone' is left out: no_such_module:Gone of the plug-in 'broken' cannot be loaded" in capsys.readouterr().err
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--quiet", *options) == 0
    assert capsys.readouterr().err == ""


def test_an_unwritable_folder_is_said(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    folder = tmp_path / "read-only"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    if _may_write(folder):  # no mode of a folder keeps root out, and Windows does not look at it: there the system's answer is given here
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != Path("read-only"))
    assert command("optimize", "model.onnx", "-o", "read-only/out.onnx", "-q") == 1
    assert "read-only/out.onnx" in capsys.readouterr().err


def _may_write(folder: Path) -> bool:
    try:
        (folder / "probe").touch()
    except OSError:
        return False
    return True


def test_what_other_optimizers_spell_otherwise_is_told(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert command("optimize", "model.onnx", "out.onnx") == 2
    assert "unexpected extra argument (out.onnx); the result goes to -o OUT" in capsys.readouterr().err
    assert command("optimize", "model.onnx", "-O1", "-o", "out.onnx") == 2
    assert "Levels are --level N here, and -ON in onnx-opt." in capsys.readouterr().err
