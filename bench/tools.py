"""What is measured, one task in a fresh process: prints one line of JSON with the seconds inside it.

    python bench/tools.py TASK SOURCE RESULT

A task's function imports what it needs first (import_s), then does the work (seconds). Peers run with their default settings,
as their own documentation shows, from file to file.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

Work: TypeAlias = Callable[[str, str], object]
BIG: Final = 1 << 30  # bytes from which on a result needs external data


def graphopt_copy() -> Work:
    import graphopt

    load, save = graphopt.load, graphopt.save
    return lambda source, result: save(load(source), result)


def graphopt_optimize() -> Work:
    import graphopt

    return graphopt.optimize_file


def onnx_copy() -> Work:
    import onnx

    return lambda source, result: _save(onnx.load(source), result, _size(source))


def onnx_ir_copy() -> Work:
    import onnx_ir

    def work(source: str, result: str) -> None:
        onnx_ir.save(onnx_ir.load(source), result, external_data=_beside(result, source))

    return work


def onnxsim_optimize() -> Work:
    onnxsim = importlib.import_module("onnxsim")  # so that mypy need not find it

    return lambda source, result: onnxsim.simplify(source, output_path=result)


def onnxslim_optimize() -> Work:
    import onnx
    onnxslim = importlib.import_module("onnxslim")

    return lambda source, result: _save(onnxslim.slim(onnx.load(source)), result, _size(source))


def onnxoptimizer_optimize() -> Work:
    import onnx
    onnxoptimizer = importlib.import_module("onnxoptimizer")

    def work(source: str, result: str) -> None:
        _save(onnxoptimizer.optimize(onnx.load(source), passes=None, fixed_point=True), result, _size(source))

    return work


def onnxscript_optimize() -> Work:
    import onnx_ir
    import onnxscript.optimizer
    import onnxscript.rewriter

    def work(source: str, result: str) -> None:
        model = onnxscript.rewriter.rewrite(onnxscript.optimizer.optimize(onnx_ir.load(source)))
        onnx_ir.save(model, result, external_data=_beside(result, source))

    return work


def graphsurgeon_optimize() -> Work:
    import onnx
    import onnx_graphsurgeon

    def work(source: str, result: str) -> None:
        graph = onnx_graphsurgeon.import_onnx(onnx.load(source))
        _save(onnx_graphsurgeon.export_onnx(graph.fold_constants().cleanup().toposort()), result, _size(source))

    return work


def ort_basic_optimize() -> Work:
    import onnxruntime

    def work(source: str, result: str) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = result
        if (data := _beside(result, source)) is not None:
            options.add_session_config_entry("session.optimized_model_external_initializers_file_name", data)
            options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
        onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    return work


# name -> (the packages it needs, what makes the work)
TASKS: Final[dict[str, tuple[tuple[str, ...], Callable[[], Work]]]] = {
    "graphopt-copy": (("graphopt",), graphopt_copy),
    "onnx-copy": (("onnx",), onnx_copy),
    "onnx-ir-copy": (("onnx_ir",), onnx_ir_copy),
    "graphopt": (("graphopt",), graphopt_optimize),
    "onnxsim": (("onnxsim",), onnxsim_optimize),
    "onnxslim": (("onnxslim",), onnxslim_optimize),
    "onnxoptimizer": (("onnxoptimizer",), onnxoptimizer_optimize),
    "onnxscript": (("onnxscript", "onnx_ir"), onnxscript_optimize),
    "graphsurgeon": (("onnx_graphsurgeon", "onnxruntime"), graphsurgeon_optimize),
    "ort-basic": (("onnxruntime",), ort_basic_optimize),
}


def missing(task: str) -> list[str]:
    """The packages that a task needs and this environment lacks."""
    return [package for package in TASKS[task][0] if importlib.util.find_spec(package) is None]


def _size(source: str) -> int:
    return sum(path.stat().st_size for path in (Path(source), Path(f"{source}.data")) if path.exists())


def _beside(result: str, source: str) -> str | None:
    return f"{Path(result).name}.data" if _size(source) > BIG else None


def _save(model: Any, result: str, size: int) -> None:  # Any: a ModelProto; the peers are untyped
    import onnx

    if size > BIG:
        location = f"{Path(result).name}.data"
        onnx.save(model, result, save_as_external_data=True, all_tensors_to_one_file=True, location=location, size_threshold=1024)
    else:
        onnx.save(model, result)


def main(task: str, source: str, result: str) -> None:
    """Do one task and print its seconds."""
    began = time.perf_counter()
    work = TASKS[task][1]()
    imported = time.perf_counter()
    work(source, result)
    seconds = time.perf_counter() - imported
    print(json.dumps({"import_s": imported - began, "seconds": seconds}), flush=True)
    os._exit(0 if Path(result).exists() else 1)  # taking a large model apart again is not part of the work


if __name__ == "__main__":
    main(*sys.argv[1:])
