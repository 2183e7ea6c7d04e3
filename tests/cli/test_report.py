"""`--report FILE.html`, and `graphopt report`: a page of a run, of one model, of two."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnx
import pytest

from graphopt.errors import SpecError
from graphopt.observe.report import Report
from graphopt.pipeline.job import Job
from tests.page.models import parsed
from tests.page.pages import Held
from tests.page.test_page import PLAIN
from tests.systems import needs_named_pipes

Command = Callable[..., int]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model file in the folder in which commands run."""
    onnx.save(parsed(PLAIN), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


@pytest.mark.parametrize("name", ["report.html", "REPORT.HTM"])
def test_a_report_is_a_page_by_its_name(command: Command, model: Path, name: str) -> None:
    assert command("optimize", "model.onnx", "-o", "out.onnx", "--report", name, "-q") == 0
    held = Held((model.parent / name).read_text(encoding="utf-8"))
    assert held.ops(0) == ["MatMul", "Add", "Identity", "Relu"]
    assert held.ops(1) == ["Gemm", "Relu"]
    assert held.data["report"]["source"] == "model.onnx"
    assert held.data["report"]["output"] == "out.onnx"
    assert held.data["report"]["after"]["file_bytes"] == (model.parent / "out.onnx").stat().st_size


def test_a_dry_run_has_a_page_too_and_data(command: Command, model: Path) -> None:
    assert command("optimize", "model.onnx", "--dry-run", "--report", "page.html", "-q") == 0
    assert command("optimize", "model.onnx", "--dry-run", "--report", "data.json", "-q") == 0
    assert "<!doctype html>" in (model.parent / "page.html").read_text(encoding="utf-8")
    assert json.loads((model.parent / "data.json").read_text())["rewrites"]


@pytest.mark.parametrize("name", ["report.txt", "report", "report.json.gz"])
def test_another_ending_is_refused_before_any_work(
    command: Command, model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    says = f"the report {name}: a name ending in .html or .htm makes a page with the graphs drawn, one in .json data; give it one of them"
    with monkeypatch.context() as patched:
        patched.setattr(Job, "_load", lambda self: pytest.fail("work was done"))
        assert command("optimize", "model.onnx", "-o", "out.onnx", "--report", name) == 2
    assert capsys.readouterr().err == f"error: {says}\n"
    with pytest.raises(SpecError, match=re.escape(says)):
        Report().write(Path(name))
    assert [path.name for path in model.parent.iterdir()] == ["model.onnx"]


@needs_named_pipes
def test_a_pipe_gets_data_whatever_it_is_called(command: Command, model: Path) -> None:
    os.mkfifo("pipe")
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(Path("pipe").read_text)
        assert command("optimize", "model.onnx", "--dry-run", "--report", "pipe", "-q") == 0
        assert json.loads(read.result())["rewrites"]


def test_the_page_says_what_verification_found(command: Command, model: Path) -> None:
    assert command("optimize", "model.onnx", "--dry-run", "--verify", "--report", "page.html", "-q") == 0
    found = Held((model.parent / "page.html").read_text(encoding="utf-8")).data["report"]["verification"]
    assert found["verdict"] in ("equal bits", "within tolerance")


def test_one_model_is_drawn(command: Command, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("report", "model.onnx", "-o", "page.html") == 0
    held = Held((model.parent / "page.html").read_text(encoding="utf-8"))
    assert len(held.data["sides"]) == 1
    assert held.data["report"]["before"]["file_bytes"] == model.stat().st_size
    assert capsys.readouterr().out == ""


def test_file_names_that_are_no_text(command: Command, model: Path) -> None:
    """Linux allows any bytes in them; pages and JSON are UTF-8. Where file systems take Unicode alone, a name that is no ASCII."""
    name = os.fsdecode(b"\xff.onnx")
    try:
        model.rename(model.with_name(name))
    except OSError:
        name = "\xff.onnx"
        model.rename(model.with_name(name))
    assert command("report", name, "-o", "page.html") == 0
    assert f"<title>{name.encode(errors='backslashreplace').decode()}" in (model.parent / "page.html").read_text(encoding="utf-8")
    for report in ("page.html", "data.json"):
        assert command("optimize", name, "-o", "out.onnx", "--report", report, "-q") == 0
    assert json.loads((model.parent / "data.json").read_text(encoding="utf-8"))["source"] == name


def test_two_models_are_drawn_side_by_side(command: Command, model: Path) -> None:
    assert command("optimize", "model.onnx", "-o", "out.onnx", "-q") == 0
    assert command("report", "model.onnx", "out.onnx", "-o", "page.html") == 0
    held = Held((model.parent / "page.html").read_text(encoding="utf-8"))
    assert (len(held.ops(0)), len(held.ops(1))) == (4, 2)
    assert held.data["report"]["signature"]["unchanged"]


def test_a_model_as_text_is_drawn(command: Command, tmp_path: Path) -> None:
    (tmp_path / "model.onnxtxt").write_text(PLAIN)
    assert command("report", "model.onnxtxt", "-o", "page.html") == 0
    assert len(Held((tmp_path / "page.html").read_text(encoding="utf-8")).ops(0)) == 4


def test_mistakes_are_told_in_a_sentence(command: Command, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("report", "model.onnx", "-o", "page.json") == 2
    assert capsys.readouterr().err.startswith("error: -o page.json: the page needs a name that ends in .html")
    assert command("report", "model.onnx", "-o", "no/such/page.html") == 1
    assert command("report", "none.onnx", "-o", "page.html") == 1
    assert not (model.parent / "page.html").exists()
