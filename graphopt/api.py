"""graphopt for Python programs: load, optimize, save."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypedDict, TypeVar, overload

from graphopt.errors import SpecError
from graphopt.infer.freeze import Extent, Wishes
from graphopt.interop.graphsurgeon import SurgeonGraph
from graphopt.interop.onnx_ir import IrModel
from graphopt.interop.sources import ExportedProgram, result_like, source_of
from graphopt.io import load, save
from graphopt.io.held import from_held, to_held
from graphopt.ir.model import Model
from graphopt.observe.observer import Observer
from graphopt.observe.report import Report
from graphopt.pipeline.job import Job
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.plugin import Plugin
from graphopt.pipeline.registry import with_plugins

if TYPE_CHECKING:
    from onnx import ModelProto
    from typing_extensions import Unpack

    from graphopt.observe.check import Finding as CheckFinding
    from graphopt.observe.cost import ModelCost
    from graphopt.runtimes.lint import Finding as LintFinding

FilePath: TypeAlias = "str | os.PathLike[str]"
Sizes: TypeAlias = "Mapping[str, int] | None"
Shapes: TypeAlias = "Mapping[str, Sequence[Extent]] | None"
Plugins: TypeAlias = "Sequence[str | Plugin]"
Surgeons = TypeVar("Surgeons", bound=SurgeonGraph)
IrModels = TypeVar("IrModels", bound=IrModel)
Given: TypeAlias = "ModelProto | bytes | FilePath | Model | SurgeonGraph | IrModel | ExportedProgram"

__all__ = ["check", "lint", "load", "optimize", "optimize_file", "save", "stat"]


class _Logged(Observer):
    """Passes warnings on to Python's logging, which prints them on stderr unless the program says otherwise."""

    def warned(self, source: str, message: str) -> None:
        logging.getLogger("graphopt").warning("%s: %s", source, message)


class Options(TypedDict, total=False):
    """What `optimize` takes beside a model and a level: its docstring says what each is."""

    target: str | None
    pipeline: Pipeline | str | None
    only: Collection[str]
    skip: Collection[str]
    initializers_are_constants: bool
    freeze: Sizes
    input_shapes: Shapes
    opset: int | None
    allow_outside: bool
    verify: bool
    verify_each: bool
    observer: Observer | None
    report: FilePath | Report | None
    reproducer: FilePath | None
    plugins: Plugins
    provenance: bool


@overload
def optimize(source: ModelProto | ExportedProgram, level: int | None = None, **options: Unpack[Options]) -> ModelProto: ...
@overload
def optimize(source: bytes, level: int | None = None, **options: Unpack[Options]) -> bytes: ...
@overload
def optimize(source: FilePath | Model, level: int | None = None, **options: Unpack[Options]) -> Model: ...
@overload
def optimize(source: Surgeons, level: int | None = None, **options: Unpack[Options]) -> Surgeons: ...
@overload
def optimize(source: IrModels, level: int | None = None, **options: Unpack[Options]) -> IrModels: ...
@overload
def optimize(source: Given, level: int | None = None, *, output: FilePath, **options: Unpack[Options]) -> Path: ...
def optimize(
    source: Given,
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
    report: FilePath | Report | None = None,
    reproducer: FilePath | None = None,
    plugins: Plugins = (),
    provenance: bool = False,
) -> ModelProto | bytes | Model | SurgeonGraph | IrModel | Path:
    """A smaller and faster model that computes the same and has the same inputs and outputs; their sizes stay too unless you freeze them.

    Of a ModelProto it returns a new one and leaves yours alone; of the bytes of one, bytes. Of a path it returns a `Model`, whose weights
    stay in the file until `save` copies them. A `Model` is optimized in place and returned. Of a Graph of onnx-graphsurgeon or a Model of
    onnx-ir it returns a new one of the kind; what such a one cannot hold is listed in `graphopt.interop.graphsurgeon` and `.onnx_ir`. Of
    what an exporter returned, `torch.onnx.export(..., dynamo=True)` or anything else with a `model_proto`, it returns a ModelProto. With
    `output` the result is written there, and its path returned, whatever the source was; input and output may be the same file.

    level: which levels of passes run, 1 to this one; 0 runs none. The default is 1, or 2 when there is a target.
    target: the runtime that the model is for, which the levels above 1 ask for: `"onnxruntime-cpu-x64"`; `graphopt targets` lists them.
    pipeline: what runs instead of a level, as an object or as text: `"level1, fuse-matmul-add"`. With a target too it is prepared for that:
        levels above 1 need not name it, and what is `when{target=...}(...)` is decided.
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
    report: where to write what was done: a page with both graphs drawn when the name ends in .html, JSON when it ends in .json. Or a
        `Report()` to be filled, which shows itself in a notebook and can be written afterwards, as either.
    reproducer: where to leave one file when the run fails, which `onnx-opt --run-reproducer FILE` does again.
    plugins: plug-ins that are not installed, as objects or as `Plugin.load` takes them: `["./my_rules.py"]`.
    provenance: store in each new or changed node which nodes of the first model it comes from, and by which rules, as its metadata
        `graphopt.replaced` and `graphopt.rule`. A model that says so already goes on to. From IR version 10 on.

    Raises ModelError for the model or its files, SpecError for what is asked, InternalError when a pass breaks or `verify` finds a
    difference.

    >>> smaller = graphopt.optimize(onnx.load("model.onnx"))                       # doctest: +SKIP
    >>> graphopt.optimize("model.onnx", output="smaller.onnx", verify=True)        # doctest: +SKIP
    PosixPath('smaller.onnx')
    """
    path = Path(source) if isinstance(source, (str, os.PathLike)) else None
    _refuse_strangers(observer, report)
    registry = with_plugins(plugins)  # the caller's mistakes first: exporting a graph may take long
    chosen = Pipeline.of(pipeline, level, target, registry).at_opset(opset, registry)
    job = Job(
        path if path is not None else source_of(source),
        chosen,
        registry,
        output=None if output is None else Path(output),
        only=_names(only, "only"),
        skip=_names(skip, "skip"),
        initializers_are_constants=initializers_are_constants,
        wishes=Wishes.of(freeze, input_shapes),
        allow_outside=allow_outside,
        verify=verify,
        verify_each=verify_each,
        report_path=None if report is None or isinstance(report, Report) else Path(report),
        report=report if isinstance(report, Report) else Report(),
        drawn=isinstance(report, Report),
        reproducer=None if reproducer is None else Path(reproducer),
        provenance=provenance,
    )
    model = job.run(observer if observer is not None else _Logged())
    if job.output is not None:
        return job.output
    if path is not None or isinstance(source, Model):
        return model
    made: ModelProto | bytes | SurgeonGraph | IrModel = result_like(source, model)
    return made


def _refuse_strangers(observer: object, report: object) -> None:
    if not isinstance(observer, Observer | None):
        raise SpecError(f"the observer {observer!r} is none: give an object of a class made of graphopt.Observer")
    if not isinstance(report, str | os.PathLike | Report | None):
        raise SpecError(f"the report {report!r} is none: give a path, or a graphopt.Report()")


def optimize_file(source: FilePath, output: FilePath) -> Path:
    """Optimize a file into a file at level 1; input and output may be the same. The shortest form, for scripts and benchmarks."""
    return optimize(source, output=output)


def lint(source: Given, *, target: str, allow_outside: bool = False, plugins: Plugins = ()) -> list[LintFinding]:
    """What a runtime will refuse of a quantized model, compute wrong, or compute in floats or leave unfused; nothing is run.

    One finding for each node: `node`, `name`, `kind` ("refused", "wrong" or "float", in this order), `reason`, and `helps`, a pass that
    was tried on a copy and does help ("" if none does). The model is not changed; of a `Model` the types are inferred. Raises SpecError
    for an unknown target, ModelError for the model.

    >>> [str(finding) for finding in graphopt.lint("model.onnx", target="tensorrt")]       # doctest: +SKIP
    """
    from graphopt.infer.model import infer_model
    from graphopt.pipeline.advice import confirmed
    from graphopt.runtimes.lint import findings

    registry = with_plugins(plugins)
    wants = registry.target_named(target).wants
    fresh = _loader(source, allow_outside=allow_outside)
    model = source if isinstance(source, Model) else fresh()
    infer_model(model)
    return confirmed(findings(model, wants), fresh, wants, registry)


def check(
    source: Given, *, target: str | None = None, weights: bool = False, quick: bool = False, allow_outside: bool = False,
    plugins: Plugins = (),
) -> list[CheckFinding]:  # fmt: skip
    """What is wrong with a model and what would help, the worst first, before any work starts: what `graphopt check` prints.

    One finding for each thing: `kind` ("error", "warning" or "hint"), `about`, `text`, `where` (names of nodes or values) and `helps`, what
    to add to `graphopt optimize`. Unless `quick`, level 1 is tried on copies. With `weights` every weight is read: infinities, NaN. With
    `target` what that runtime refuses counts as well. The model is not changed. Raises SpecError for an unknown target, ModelError for
    what cannot be read at all.

    >>> [str(finding) for finding in graphopt.check("model.onnx")]                        # doctest: +SKIP
    """
    from graphopt.pipeline.checking import check_model

    registry = with_plugins(plugins)
    runtime = None if target is None else registry.target_named(target)
    fresh = _loader(source, allow_outside=allow_outside, check_external=False)
    return check_model(fresh, registry, target=runtime, weights=weights, quick=quick)


def stat(source: Given, *, freeze: Sizes = None, input_shapes: Shapes = None, allow_outside: bool = False) -> ModelCost:
    """What a model costs: operators, parameters, multiply-accumulates, bytes of weights and activations. Nothing is run, no weight is read.

    Counts are expressions in the names of sizes that are not known, and numbers once `freeze` says them: see `ModelCost`. The model is not
    changed. Raises ModelError for the model, SpecError for sizes that it does not have.

    >>> graphopt.stat("model.onnx", freeze={"batch": 1}).total.macs                        # doctest: +SKIP
    """
    from graphopt.infer.freeze import freeze_dimensions
    from graphopt.infer.model import infer_model
    from graphopt.observe.cost import cost_of

    model = _loader(source, allow_outside=allow_outside, check_external=False)()
    freeze_dimensions(model, Wishes.of(freeze, input_shapes))
    infer_model(model)
    return cost_of(model)


def _loader(source: Given, *, allow_outside: bool, check_external: bool = True) -> Callable[[], Model]:
    """What gives the model anew each time it is called; of a `Model` a copy that shares its weights."""
    given = source_of(source)
    if isinstance(given, Model):
        return lambda: from_held(*to_held(given))
    return lambda: load(given, allow_outside=allow_outside, check_external=check_external)


def _names(names: Collection[str], what: str) -> tuple[str, ...]:
    if isinstance(names, str):
        return (names,)
    for name in names:
        if not isinstance(name, str):
            raise SpecError(f"{what} takes names of passes, not {name!r}; see `graphopt passes`")
    return tuple(names)
