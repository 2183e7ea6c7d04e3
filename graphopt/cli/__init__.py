"""The commands: `graphopt` and `onnx-opt`. Importing this imports none of them, and none imports anything heavy before it runs."""

from __future__ import annotations


def main() -> int:
    """`graphopt`: returns the exit status."""
    from graphopt.cli.app import graphopt, run

    return run(graphopt, "graphopt")


def main_opt() -> int:
    """`onnx-opt`: returns the exit status."""
    from graphopt.cli.app import run
    from graphopt.cli.onnx_opt import onnx_opt

    return run(onnx_opt, "onnx-opt")
