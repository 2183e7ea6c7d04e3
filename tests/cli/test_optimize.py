"""`graphopt optimize`: the table, the files, the exit statuses, and one clear sentence when something is wrong."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from tests.api.models import BEFORE_IR_4, operators, write, write_with_weights

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


def test_the_table(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert command("optimize", "model.onnx", "-o", "out.onnx") == 0
    said = capsys.readouterr()
    assert timeless(said.out) == TABLE
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


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such device")
def test_the_result_may_go_to_a_device(command: Command, tmp_path: Path) -> None:
    write(tmp_path)
    assert command("optimize", "model.onnx", "-o", "/dev/null") == 0


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
    assert re.search(r"equal bits: model.onnx and the result on \d+ feeds", capsys.readouterr().out)


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
        (["model.onnx", "--dry-run", "--level", "1", "-p", "level1"], "give --level or --pipeline, not both"),
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
    assert capsys.readouterr().err == (
        "error: the pass explode failed on graph 'agraph' at %a = Identity(%x): ZeroDivisionError: Identity\n"
        "This is a bug. Please report it, with the model: graphopt optimize repro.onnx --dry-run -p 'explode'\n"
    )
    assert onnx.load("repro.onnx") == onnx.load("model.onnx")


def test_a_plugin_that_is_left_out_is_a_warning(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    options = ("--plugin", "tests.cli.strangers:BROKEN")
    assert command("optimize", "model.onnx", "-o", "out.onnx", *options) == 0
    assert "warning: the pass 'gone' is left out: no_such_module:Gone of the plug-in 'broken' cannot be loaded" in capsys.readouterr().err
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--quiet", *options) == 0
    assert capsys.readouterr().err == ""


def test_an_unwritable_folder_is_said(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    folder = tmp_path / "read-only"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    if _may_write(folder):
        pytest.skip("this user may write everywhere, as root may")
    assert command("optimize", "model.onnx", "-o", "read-only/out.onnx", "-q") == 1
    assert "read-only/out.onnx" in capsys.readouterr().err


def _may_write(folder: Path) -> bool:
    try:
        (folder / "probe").touch()
    except OSError:
        return False
    return True
