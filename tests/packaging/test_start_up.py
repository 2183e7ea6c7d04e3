"""`graphopt --help` answers at once: nothing heavy is imported before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"ml_dtypes", "networkx", "numpy", "onnx", "onnx_graphsurgeon", "onnx_ir", "onnxruntime", "onnxscript"}


@pytest.mark.parametrize("command", ["graphopt.cli:main", "graphopt.cli:main_opt"])
def test_help_imports_nothing_heavy(command: str) -> None:
    module, function = command.split(":")
    program = f"import sys; sys.argv = ['x', '--help']; from {module} import {function}; sys.exit({function}())"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "--help" in done.stdout
    # import time:  self [us] | cumulative | package.module
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "graphopt.cli" in imported
    assert not {name.partition(".")[0] for name in imported} & HEAVY


def test_python_m_graphopt_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graphopt", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "optimize" in done.stdout
