"""Outputs that are open already: what /dev/stdout and its like lead to is written to, and the link stays a link."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from graphopt.io import load, save

pytestmark = pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the system has no names for open files")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that is a file."""
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model('<ir_version: 10, opset_import: ["": 21]> m (float[2] x) => (float[2] y) { y = Relu(x) }'), path)
    return path


def test_a_link_to_an_open_file_stays_one(model: Path, tmp_path: Path) -> None:
    with (tmp_path / "out.onnx").open("wb") as file:
        link, second = tmp_path / "link", tmp_path / "second"
        link.symlink_to(f"/dev/fd/{file.fileno()}")
        second.symlink_to("link")
        before = os.fstat(file.fileno())
        save(load(model), second)
        assert link.is_symlink()
        assert second.is_symlink()
        assert os.path.samestat(before, (tmp_path / "out.onnx").stat())
    assert onnx.load(tmp_path / "out.onnx").graph.node[0].op_type == "Relu"


def test_any_other_link_is_replaced(model: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("model.onnx")
    before = model.read_bytes()
    save(load(model), link)
    assert not link.is_symlink()
    assert model.read_bytes() == before


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_the_model_and_what_is_said_of_it_do_not_mix(model: Path, tmp_path: Path, quiet: tuple[str, ...]) -> None:
    out = tmp_path / "out.onnx"
    asked = [sys.executable, "-m", "graphopt", "optimize", str(model), "-o", "/dev/stdout", *quiet]
    with out.open("wb") as file:
        done = subprocess.run(asked, stdout=file, stderr=subprocess.PIPE, text=True, check=False)
    if quiet:
        assert done.returncode == 0
        assert onnx.load(out).graph.node[0].op_type == "Relu"
    else:
        assert done.returncode == 2
        assert "/dev/stdout: what graphopt says of its work goes there too; add --quiet, or: onnx-opt" in done.stderr
        assert out.read_bytes() == b""
    assert not Path("/dev/stdout").exists() or Path("/dev/stdout").is_symlink()
