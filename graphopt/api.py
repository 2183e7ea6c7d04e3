"""graphopt for Python programs: load, optimize, save."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from graphopt.errors import SpecError
from graphopt.infer.freeze import Extent, Wishes
from graphopt.interop.graphsurgeon import SurgeonGraph, from_graphsurgeon, is_surgeon_graph, to_graphsurgeon
from graphopt.io import load, save, to_proto
from graphopt.ir.model import Model
from graphopt.observe.observer import Observer
from graphopt.pipeline.job import Job
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.registry import installed

if TYPE_CHECKING:
    from onnx import ModelProto

    from graphopt.runtimes.lint import Finding

FilePath: TypeAlias = "str | os.PathLike[str]"
Sizes: TypeAlias = "Mapping[str, int] | None"
Shapes: TypeAlias = "Mapping[str, Sequence[Extent]] | None"
Surgeons = TypeVar("Surgeons", bound=SurgeonGraph)

__all__ = ["lint", "load", "optimize", "optimize_file", "save"]


class _Logged(Observer):
    """Passes warnings on to Python's logging, which prints them on stderr unless the program says otherwise."""

    def warned(self, source: str, message: str) -> None:
        logging.getLogger("graphopt").warning("%s: %s", source, message)


@overload
def optimize(source: ModelProto, level: int | None = None, *, target: str | None = None,
             pipeline: Pipeline | str | None = None, only: Collection[str] = (),
             skip: Collection[str] = (), initializers_are_constants: bool = False, freeze: Sizes = None, input_shapes: Shapes = None,
             opset: int | None = None, allow_outside: bool = False, verify: bool = False, verify_each: bool = False,
             observer: Observer | None = None, report: FilePath | None = None, reproducer: FilePath | None = None) -> ModelProto: ...
@overload
def optimize(source: bytes, level: int | None = None, *, target: str | None = None,
             pipeline: Pipeline | str | None = None, only: Collection[str] = (),
             skip: Collection[str] = (), initializers_are_constants: bool = False, freeze: Sizes = None, input_shapes: Shapes = None,
             opset: int | None = None, allow_outside: bool = False, verify: bool = False, verify_each: bool = False,
             observer: Observer | None = None, report: FilePath | None = None, reproducer: FilePath | None = None) -> bytes: ...
@overload
def optimize(source: FilePath | Model, level: int | None = None, *, target: str | None = None,
             pipeline: Pipeline | str | None = None, only: Collection[str] = (),
             skip: Collection[str] = (), initializers_are_constants: bool = False, freeze: Sizes = None, input_shapes: Shapes = None,
             opset: int | None = None, allow_outside: bool = False, verify: bool = False, verify_each: bool = False,
             observer: Observer | None = None, report: FilePath | None = None, reproducer: FilePath | None = None) -> Model: ...
@overload
def optimize(source: Surgeons, level: int | None = None, *, target: str | None = None,
             pipeline: Pipeline | str | None = None, only: Collection[str] = (),
             skip: Collection[str] = (), initializers_are_constants: bool = False, freeze: Sizes = None, input_shapes: Shapes = None,
             opset: int | None = None, allow_outside: bool = False, verify: bool = False, verify_each: bool = False,
             observer: Observer | None = None, report: FilePath | None = None, reproducer: FilePath | None = None) -> Surgeons: ...
@overload
def optimize(source: ModelProto | bytes | FilePath | Model | SurgeonGraph, level: int | None = None, *, output: FilePath,
             target: str | None = None, pipeline: Pipeline | str | None = None, only: Collection[str] = (), skip: Collection[str] = (),
             initializers_are_constants: bool = False, freeze: Sizes = None, input_shapes: Shapes = None, opset: int | None = None,
             allow_outside: bool = False, verify: bool = False, verify_each: bool = False, observer: Observer | None = None,
             report: FilePath | None = None, reproducer: FilePath | None = None) -> Path: ...
def optimize(
    source: ModelProto | bytes | FilePath | Model | SurgeonGraph,
    level: int | None = None,
    *,
    output: FilePath | None = None,
    target: str | None = None,
    pipeline: Pipeline | str | None = None,
    only: Collection[str] = (),
    skip: Collection[str] = (),
    initializers_are_constants: bool = False,
    freeze: Sizes = None,
    input_shapes: Shapes = None,
    opset: int | None = None,
    allow_outside: bool = False,
    verify: bool = False,
    verify_each: bool = False,
    observer: Observer | None = None,
    report: FilePath | None = None,
    reproducer: FilePath | None = None,
) -> ModelProto | bytes | Model | SurgeonGraph | Path:
    """A smaller and faster model that computes the same and has the same inputs and outputs; their sizes stay too unless you freeze them.

    Of a ModelProto it returns a new one and leaves yours alone; of the bytes of one, bytes. Of a path it returns a `Model`, whose weights
    stay in the file until `save` copies them. A `Model` is optimized in place and returned. Of a Graph of onnx-graphsurgeon it returns a
    new one, which `graphopt.interop.graphsurgeon` makes; what such a graph cannot hold is listed there. With `output` the result is
    written there, and its path returned, whatever the source was; input and output may be the same file.

    level: which levels of passes run, 1 to this one; 0 runs none. The default is 1, or 2 when there is a target.
    target: the runtime that the model is for, which the levels above 1 ask for: `"onnxruntime-cpu-x64"`; `graphopt targets` lists them.
    pipeline: what runs instead of a level, as an object or as text: `"level1, fuse-matmul-add"`.
    only, skip: names of passes to run alone, or not to run.
    initializers_are_constants: no caller feeds the initializers that are listed as inputs as well, so they become constants. Before IR
        version 4 every initializer is listed so, and nothing that it feeds can be folded without this.
    freeze: numbers for dimensions, by name or place: `{"batch": 4, "input_ids:1": 128}`. A name is one size everywhere in the model.
    input_shapes: whole shapes for inputs: `{"image": (1, 3, None, "width")}`; None leaves a dimension as it is, a name names one that
        has no name. All other dimensions stay dynamic and keep their names.
    opset: write the model for this opset of the default domain first, so that what runs afterwards may use its operators. Nothing is
        done when one node cannot be said there.
    allow_outside: external data may lie outside the model's folder.
    verify: run both models and compare; nothing is written or returned when they differ.
    verify_each: check the graph after every pass.
    observer: hears everything that happens; without one, warnings go to `logging`.
    report: where to write what was done, as JSON.
    reproducer: where to save the model as it was when a pass breaks.

    Raises ModelError for the model or its files, SpecError for what is asked, InternalError when a pass breaks or `verify` finds a
    difference.

    >>> smaller = graphopt.optimize(onnx.load("model.onnx"))                       # doctest: +SKIP
    >>> graphopt.optimize("model.onnx", output="smaller.onnx", verify=True)        # doctest: +SKIP
    PosixPath('smaller.onnx')
    """
    path = Path(source) if isinstance(source, (str, os.PathLike)) else None
    chosen = _pipeline(pipeline, level, target).at_opset(opset)  # the caller's mistakes first: exporting a graph may take long
    job = Job(
        path if path is not None else from_graphsurgeon(source) if is_surgeon_graph(source) else source,
        chosen,
        installed(),
        output=None if output is None else Path(output),
        only=_names(only, "only"),
        skip=_names(skip, "skip"),
        initializers_are_constants=initializers_are_constants,
        wishes=Wishes.of(freeze, input_shapes),
        allow_outside=allow_outside,
        verify=verify,
        verify_each=verify_each,
        report_path=None if report is None else Path(report),
        reproducer=None if reproducer is None else Path(reproducer),
    )
    model = job.run(observer if observer is not None else _Logged())
    if job.output is not None:
        return job.output
    if path is not None or isinstance(source, Model):
        return model
    if is_surgeon_graph(source):
        given_back: SurgeonGraph = to_graphsurgeon(model)  # graphsurgeon ships no types
        return given_back
    message = to_proto(model)
    return message.SerializeToString() if isinstance(source, bytes) else message


def optimize_file(source: FilePath, output: FilePath) -> Path:
    """Optimize a file into a file at level 1; input and output may be the same. The shortest form, for scripts and benchmarks."""
    return optimize(source, output=output)


def lint(source: ModelProto | bytes | FilePath | Model | SurgeonGraph, *, target: str, allow_outside: bool = False) -> list[Finding]:
    """What a runtime will refuse of a quantized model, compute wrong, or compute in floats or leave unfused; nothing is run.

    One `Finding` for each node: `node`, `name`, `kind` ("refused", "wrong" or "float", in this order), `reason`, and `helps`, the pass that
    would help ("" if none does). The model is not changed; of a `Model` the types are inferred. Raises SpecError for an unknown
    target, ModelError for the model.

    >>> [str(finding) for finding in graphopt.lint("model.onnx", target="tensorrt")]       # doctest: +SKIP
    """
    from graphopt.infer.model import infer_model
    from graphopt.runtimes.lint import findings

    wants = installed().target_named(target).wants
    given: Any = from_graphsurgeon(source) if is_surgeon_graph(source) else source  # Any: what is no graph is not narrowed by asking
    model = given if isinstance(given, Model) else load(given, allow_outside=allow_outside)
    infer_model(model)
    return findings(model, wants)


def _pipeline(pipeline: Pipeline | str | None, level: int | None, target: str | None) -> Pipeline:
    if pipeline is None:
        return Pipeline.of_levels(level, target)
    if target is not None:
        raise SpecError(f"give a target or a pipeline, not both: a pipeline says level2{{target={target}}}")
    if isinstance(pipeline, str):
        return Pipeline.parse(pipeline)
    if isinstance(pipeline, Pipeline):
        return pipeline
    raise SpecError(f"pipeline must be a Pipeline or its text, not {pipeline!r}; write Pipeline([...])")


def _names(names: Collection[str], what: str) -> tuple[str, ...]:
    if isinstance(names, str):
        return (names,)
    for name in names:
        if not isinstance(name, str):
            raise SpecError(f"{what} takes names of passes, not {name!r}; see `graphopt passes`")
    return tuple(names)
