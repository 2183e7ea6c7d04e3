"""Commands, run in this process and in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from graphopt.cli.app import graphopt, run
from graphopt.cli.onnx_opt import onnx_opt


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Runs `graphopt ...`; returns the exit status."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run(graphopt, "graphopt", arguments)


@pytest.fixture
def opt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Runs `onnx-opt ...`; returns the exit status."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run(onnx_opt, "onnx-opt", arguments)
