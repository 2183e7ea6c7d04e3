"""Runs that fail leave one file, and another process fails the same way with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import graphopt
from graphopt import io
from graphopt.errors import InternalError, ModelError
from graphopt.ir.tensor import FileSlice
from graphopt.pipeline import reproducer as module
from graphopt.pipeline.job import Job
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.registry import with_plugins
from tests.api.models import model, write, write_with_weights
from tests.api.test_optimize import Explode

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]
STRANGERS = ("--plugin", "tests.cli.strangers")
FAKES = ("--plugin", "tests.cli.strangers:FAKES")
BROKEN = "the pass explode failed on graph 'agraph' at %a = Identity(%x): ZeroDivisionError: Identity"
CULPRIT = "rewrite 1: the rule make-wrong at d in graph 'agraph', in the pass make-wrong"
DIFFERS = f"the optimized model computes something else; to blame is {CULPRIT}"
NOT_OURS = "model.onnx: its metadata graphopt.reproducer are not what `--reproducer FILE` writes: "


def recipe(path: Path) -> dict[str, object]:
    """What the file says of the run."""
    [entry] = [entry for entry in onnx.load(path).metadata_props if entry.key == "graphopt.reproducer"]
    found: dict[str, object] = json.loads(entry.value)
    return found


def in_a_fresh_process(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`onnx-opt` where nothing is known but the tests' modules."""
    program = "import sys; from graphopt.cli import main_opt; sys.exit(main_opt())"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["--eliminate-dead-nodes", "--explode", *STRANGERS], BROKEN),
        (["--make-wrong", "--verify", "-o", "out.onnx", *STRANGERS], DIFFERS),
        (["--corrupt", "--verify-each", *FAKES], "the pass corrupt failed on graph 'agraph': "),
    ],
)
def test_a_run_that_fails_leaves_a_file_that_fails_the_same_way(
    opt: Command, tmp_path: Path, capsys: Captured, asked: list[str], says: str
) -> None:
    write(tmp_path)
    assert opt("model.onnx", *asked, "--reproducer", "kept.onnx") == 70
    first = capsys.readouterr().err
    assert first.startswith(f"error: {says}")
    assert first.endswith("onnx-opt --run-reproducer kept.onnx\n")
    assert not (tmp_path / "out.onnx").exists()
    assert onnx.load("kept.onnx").graph == onnx.load("model.onnx").graph
    (tmp_path / "model.onnx").unlink()
    again = in_a_fresh_process(tmp_path, "--run-reproducer", "kept.onnx")
    assert again.returncode == 70
    assert again.stdout == "" and "warning" not in again.stderr
    assert again.stderr.splitlines()[0] == first.splitlines()[0].replace("; nothing was written", "")


def test_what_a_run_was_asked_for_is_in_the_file(command: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    asked = ("-p", "eliminate-identity, eliminate-dead-nodes, make-wrong", "--skip", "eliminate-dead-nodes", "--freeze", "N=2", "--verify")
    assert command("optimize", "model.onnx", "-o", "out.onnx", *asked, "--reproducer", "kept.onnx", *STRANGERS) == 70
    assert "; nothing was written\n" in capsys.readouterr().err
    told = recipe(tmp_path / "kept.onnx")
    versions, error = told.pop("versions"), told.pop("error")
    assert isinstance(versions, dict) and {"python", "graphopt", "onnx", "numpy"} <= set(versions)
    assert isinstance(error, dict) and error["kind"] == "InternalError" and "make-wrong" in error["message"]
    assert told == {
        "schema": 1,
        "pipeline": "eliminate-identity, eliminate-dead-nodes, make-wrong",
        "plugins": ["tests.cli.strangers"],
        "only": [],
        "skip": ["eliminate-dead-nodes"],
        "freeze": {"N": 2},
        "input_shapes": {},
        "initializers_are_constants": False,
        "verify": True,
        "verify_each": False,
        "bisect_limit": None,
    }
    again = in_a_fresh_process(tmp_path, "--run-reproducer", "kept.onnx", "--stats")
    assert again.returncode == 70
    assert error["message"] in again.stderr and "(seed 0)" in again.stderr  # no N: it is frozen


@pytest.mark.parametrize("name", ["", ":PLUGIN"])
def test_a_plug_in_in_a_file_is_found_from_any_folder(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    (tmp_path / "rules").mkdir()
    plugin = 'from graphopt import Plugin\nPLUGIN = Plugin("mine", passes={"explode": "tests.api.test_optimize:Explode"})\n'
    (tmp_path / "rules" / "my_rules.py").write_text(plugin)
    asked = ("model.onnx", "--explode", "--plugin", f"rules/my_rules.py{name}", "--reproducer", "kept.onnx")
    assert in_a_fresh_process(tmp_path, *asked).returncode == 70
    assert recipe(tmp_path / "kept.onnx")["plugins"] == [f"{(tmp_path / 'rules' / 'my_rules.py').resolve()}{name}"]
    (tmp_path / "elsewhere").mkdir()
    again = in_a_fresh_process(tmp_path / "elsewhere", "--run-reproducer", "../kept.onnx")
    assert again.returncode == 70
    assert again.stderr.startswith(f"error: {BROKEN}")


def test_text(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    header = '<ir_version: 8, opset_import: ["" : 17]>'
    (tmp_path / "model.onnxtxt").write_text(header + "agraph (float[3] x) => (float[3] y) { a = Identity(x) y = Relu(a) }")
    assert opt("model.onnxtxt", "--explode", "--reproducer", "kept.onnxtxt", *STRANGERS) == 70
    assert "metadata_props: [" in (tmp_path / "kept.onnxtxt").read_text()
    assert opt("--run-reproducer", "kept.onnxtxt") == 70
    assert capsys.readouterr().err.count(BROKEN) == 2


def test_a_model_with_external_data_becomes_one_file(opt: Command, tmp_path: Path) -> None:
    write_with_weights(tmp_path)
    assert opt("heavy.onnx", "--explode", "--reproducer", "kept.onnx", *STRANGERS) == 70
    (tmp_path / "heavy.bin").unlink()
    kept = onnx.load("kept.onnx")
    assert numpy_helper.to_array(kept.graph.initializer[0]).shape == (64, 32)
    assert np.all(numpy_helper.to_array(kept.graph.initializer[0]) < 1)


def test_text_that_cannot_hold_the_weights(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write_with_weights(tmp_path)
    assert opt("heavy.onnx", "--explode", "--reproducer", "kept.onnxtxt", *STRANGERS) == 70
    assert "onnx-opt --run-reproducer kept.onnxtxt\n" in capsys.readouterr().err
    assert opt("--run-reproducer", "kept.onnxtxt") == 70
    assert BROKEN.partition(" on ")[0] in capsys.readouterr().err


def test_it_replaces_nothing_that_the_run_needs(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path)
    before = path.read_bytes()
    for asked in (["--reproducer", "./model.onnx"], ["--reproducer", "out.onnx", "-o", "out.onnx"]):
        assert opt("model.onnx", "--explode", *STRANGERS, *asked) == 2
        assert "which this run reads or writes; give it a name of its own" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_it_replaces_no_text_either(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "model.onnxtxt"
    path.write_text('<ir_version: 8, opset_import: ["" : 17]>agraph (float[3] x) => (float[3] y) { y = Relu(x) }')
    (tmp_path / "linked.onnx").hardlink_to(path)
    before = path.read_bytes()
    for asked in (
        ["--reproducer", "./model.onnxtxt"], ["--reproducer", "linked.onnx"], ["--reproducer", "out.onnxtxt", "-o", "out.onnxtxt"]
    ):  # fmt: skip
        assert opt("model.onnxtxt", "--explode", *STRANGERS, *asked) == 2
        assert f"the reproducer would replace {Path(asked[1])}, which this run reads or writes" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_report_replaces_nothing_that_the_run_needs(command: Command, tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path)
    before = path.read_bytes()
    for asked in (["--report", "./model.onnx"], ["--report", "out.json", "-o", "out.json"]):
        assert command("optimize", "model.onnx", *asked, *([] if "-o" in asked else ["--dry-run"])) == 2
        assert f"the report would replace {Path(asked[1])}, which this run reads or writes" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_weights_beside_the_model_are_not_replaced(command: Command, tmp_path: Path, capsys: Captured) -> None:
    path, weights = write_with_weights(tmp_path), tmp_path / "heavy.bin"
    for name in ("linked", "linked.json"):
        (tmp_path / name).hardlink_to(weights)
    before = weights.read_bytes()
    for asked in (["-o", "heavy.bin"], ["-o", "linked"], ["--report", "./linked.json"], ["--reproducer", "heavy.bin"]):
        assert command("optimize", path.name, *asked, *([] if "-o" in asked else ["--dry-run"])) == 2
        assert f"would replace {Path(asked[1])}, which this run reads or writes" in capsys.readouterr().err
    with pytest.raises(ModelError, match="holds weights of the model that is to be written there, and they would be lost"):
        io.save(io.load(path), weights)
    assert weights.read_bytes() == before


def test_a_run_that_succeeds_leaves_nothing(opt: Command, tmp_path: Path) -> None:
    write(tmp_path)
    assert opt("model.onnx", "-O1", "--verify", "--verify-each", "--reproducer", "kept.onnx") == 0
    assert not (tmp_path / "kept.onnx").exists()


def test_one_that_does_not_fail_any_more(opt: Command, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    assert opt("model.onnx", "--explode", "--reproducer", "kept.onnx", *STRANGERS) == 70
    capsys.readouterr()
    assert opt("kept.onnx", "--run-reproducer", "--bisect-limit=0") == 0
    said = capsys.readouterr()
    assert said.out == "kept.onnx: does not fail with so few rewrites\n"
    monkeypatch.setattr(Explode, "run", lambda self, graph, context: 0)
    assert opt("--run-reproducer", "kept.onnx", "--print-before=explode") == 0
    said = capsys.readouterr()
    assert said.out == "kept.onnx: does not fail any more\n"
    assert said.err.startswith("# ----- before explode, run 1\n")

    def fail(self: Explode, graph: object, context: object) -> int:
        raise KeyError("other")

    monkeypatch.setattr(Explode, "run", fail)
    assert opt("--run-reproducer", "kept.onnx") == 70
    assert f"warning: it fails otherwise than before, which was InternalError: {BROKEN}\n" in capsys.readouterr().err


def test_other_versions_are_a_warning(opt: Command, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "versions", lambda: {"python": "2.7", "onnx": onnx.__version__, "no-such-package": "1"})
        assert opt("model.onnx", "--explode", "--reproducer", "kept.onnx", *STRANGERS) == 70
    capsys.readouterr()
    assert opt("--run-reproducer", "kept.onnx") == 70
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("warning: other versions: python 3.") and told[0].endswith(", written with 2.7")
    assert told[1] == "warning: other versions: no-such-package is missing, written with 1"


def test_the_limit_of_rewrites_is_kept(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    asked = ("--make-wrong", "--eliminate-identity", "--verify", *STRANGERS, "--reproducer", "kept.onnx")
    assert opt("model.onnx", *asked, "--bisect-limit=1") == 70
    assert recipe(tmp_path / "kept.onnx")["bisect_limit"] == 1
    capsys.readouterr()
    assert opt("--run-reproducer", "kept.onnx") == 70
    assert DIFFERS in capsys.readouterr().err


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (None, "model.onnx: is no reproducer: its metadata have no graphopt.reproducer"),
        ("{", NOT_OURS),
        ("[]", NOT_OURS),
        ('{"schema": 1, "pipeline": "", "what": 1}', NOT_OURS),
        ('{"schema": 2}', "model.onnx: is a reproducer of another version of graphopt: schema 2, known is 1"),
    ],
)
def test_files_that_are_no_reproducers(opt: Command, tmp_path: Path, capsys: Captured, told: str | None, says: str) -> None:
    message = model()
    if told is not None:
        message.metadata_props.add(key="graphopt.reproducer", value=told)
    onnx.save(message, tmp_path / "model.onnx")
    assert opt("--run-reproducer", "model.onnx") == 1
    assert says in capsys.readouterr().err


def test_a_reproducer_says_itself_what_runs(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    for asked in (["-O1"], ["--fuse-gelu"]):
        assert opt("--run-reproducer", "model.onnx", *asked) == 2
        assert "a reproducer says which passes run: give --run-reproducer without passes\n" in capsys.readouterr().err
    for asked in (
        ["-p", "level1"], ["--target", "tensorrt"], ["--freeze", "N=2"], ["--set-input-shape", "x=1,3"], ["--keep-dynamic"],
        ["--provenance"], ["--reproducer", "other.onnx"], ["--initializers-are-constants"], ["--split-input-file"], [*STRANGERS],
    ):  # fmt: skip
        assert opt("--run-reproducer", "model.onnx", *asked) == 2
        option = "--pipeline" if asked[0] == "-p" else asked[0]
        assert f"a reproducer says all that was asked for: give --run-reproducer without {option}\n" in capsys.readouterr().err


def test_its_result_is_written_once_it_does_not_fail(opt: Command, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path)
    asked = ("--make-wrong", "--eliminate-identity", "--verify", *STRANGERS, "--reproducer", "kept.onnx")
    assert opt("model.onnx", *asked) == 70
    capsys.readouterr()
    again = ("--run-reproducer", "kept.onnx")
    assert opt(*again, "-o", "out.onnx") == 70
    assert "it fails otherwise" not in capsys.readouterr().err  # what is not written is no other failure
    assert not (tmp_path / "out.onnx").exists()
    for name in ("out.onnx", "out.onnxtxt"):
        assert opt(*again, "--bisect-limit=0", "--print-pipeline", "-o", name) == 0
        said = capsys.readouterr()
        assert said.out == "kept.onnx: does not fail with so few rewrites\n"
        assert said.err.startswith("make-wrong,\neliminate-identity") or said.err.startswith("make-wrong, eliminate-identity")
        assert (tmp_path / name).is_file()
    assert onnx.load("out.onnx").graph == onnx.load("model.onnx").graph
    assert opt(*again, "--bisect-limit=0", "-o", "-") == 0
    assert capsys.readouterr().out.startswith("<\n")
    assert opt(*again, "-o", "./kept.onnx") == 2
    assert "the result would replace kept.onnx, which this run reads or writes" in capsys.readouterr().err


def test_from_python(tmp_path: Path) -> None:
    """A pass that a program made itself has no name elsewhere: then the file is the model, and the message does not promise more."""
    path, kept = write(tmp_path), tmp_path / "kept.onnx"
    with pytest.raises(InternalError) as caught:
        graphopt.optimize(path, pipeline=Pipeline([Explode()]), reproducer=kept)
    assert "--run-reproducer" not in str(caught.value)
    assert recipe(kept)["pipeline"] == "explode"
    assert graphopt.optimize(model(), reproducer=tmp_path / "other.onnx", verify=True).graph.node
    assert not (tmp_path / "other.onnx").exists()


def test_weights_of_a_model_are_read_only_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    real = FileSlice.view

    def view(self: FileSlice) -> memoryview:
        read.append(self)
        return real(self)

    monkeypatch.setattr(FileSlice, "view", view)
    path, kept = write_with_weights(tmp_path), tmp_path / "kept.onnx"
    registry = with_plugins(["tests.cli.strangers"])
    given = io.load(path)
    job = Job(given, Pipeline.parse("eliminate-identity", registry), registry, reproducer=kept)
    job.run()
    assert not read and not kept.exists()
    job = Job(io.load(path), Pipeline.parse("eliminate-identity, explode", registry), registry, reproducer=kept)
    with pytest.raises(InternalError, match="the pass explode failed"):
        job.run()
    before, after = onnx.load(path), onnx.load(kept)
    assert [node.op_type for node in after.graph.node] == ["Identity", "MatMul"]  # as it was before the first pass
    first, second = (numpy_helper.to_array(one.graph.initializer[0]) for one in (before, after))
    assert np.array_equal(first, second)


def test_one_that_cannot_be_written_hides_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, *arguments: object) -> None:
        raise ModelError("the disk is full")

    monkeypatch.setattr(module.Reproducer, "write", fail)
    with pytest.raises(InternalError, match=r"(?s)the pass explode failed .*No reproducer was left: the disk is full"):
        graphopt.optimize(model(), pipeline=Pipeline([Explode()]), reproducer=tmp_path / "kept.onnx")
