"""One optimization from end to end: load, run, compare, save, report. `graphopt.optimize` and the commands are thin around it."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from graphopt import io
from graphopt.errors import InternalError, ModelError, SpecError
from graphopt.infer.freeze import Frozen, Wishes, freeze_dimensions
from graphopt.infer.model import infer_model
from graphopt.io.about import about
from graphopt.io.files import refuse_unwritable
from graphopt.io.held import from_held, to_held
from graphopt.ir.collector import collector_resting
from graphopt.ir.edit import Editor
from graphopt.ir.graph import INITIALIZERS_ARE_NO_INPUTS
from graphopt.ir.model import Model
from graphopt.ir.tensor import FileSlice
from graphopt.match.rule import RuleError
from graphopt.observe.inventory import Inventory, Signature
from graphopt.observe.limit import Limit
from graphopt.observe.observer import Observer, Observers
from graphopt.observe.page.history import History
from graphopt.observe.provenance import SINCE, Provenance, is_told
from graphopt.observe.report import DataFile, Report, is_page, refuse_unknown_ending
from graphopt.observe.statistics import Statistics
from graphopt.observe.trace import Trace, name_map, node_names
from graphopt.observe.watch import VerifyEach
from graphopt.pipeline.blame import Running, advice
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.registry import Registry
from graphopt.pipeline.reproducer import UNWRITTEN, Reproducer, can_be_read
from graphopt.pipeline.runner import passes_of, resolve, run_pipeline

if TYPE_CHECKING:
    from graphopt.verify import Comparison
    from graphopt.verify.comparison import Original


@final
@dataclass
class Job:
    """What is to be done, and after `run` what was: `report`, `comparison`.

    `source` is a path, a ModelProto or a Model (which is changed in place). `counted` fills the report's counts, `traced` its rewrites,
    names and reasons as well. `report_path` implies both. `provenance` stores in the result where each node comes from, which a model that
    says it already goes on to do. `reasoned` counts why rules declined. `bisect_limit` lets that many rewrites through, all when -1, and
    tells `tell_limit` of each. `reproducer` is where a run that fails is left as one file. `wishes` says which dimensions to freeze.
    `save_options` go to `io.save`. `drawn` keeps for the report what its page draws; a caller may bring the `report` to be filled.
    """

    source: Any  # Any: a ModelProto is one, and only io may know protos
    pipeline: Pipeline
    registry: Registry
    output: Path | None = None
    only: Collection[str] = ()
    skip: Collection[str] = ()
    initializers_are_constants: bool = False
    wishes: Wishes = field(default_factory=Wishes)
    allow_outside: bool = False
    verify: bool = False
    verify_each: bool = False
    write_anyway: bool = False
    counted: bool = False
    traced: bool = False
    reasoned: bool = False
    provenance: bool = False
    bisect_limit: int | None = None
    tell_limit: Callable[[str], None] | None = None
    report_path: Path | None = None
    reproducer: Path | None = None
    save_options: dict[str, Any] = field(default_factory=dict)  # Any: keyword arguments
    drawn: bool = False
    report: Report = field(default_factory=Report)
    comparison: Comparison | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.report.begin(str(self.pipeline))
        self.drawn = self.drawn or (self.report_path is not None and is_page(self.report_path))
        self.traced = self.traced or self.drawn or self.report_path is not None
        self.counted = self.counted or self.traced or self.reasoned
        self._anew: Callable[[], Model] | None = None  # gives a source that is changed in place as it was
        self._frozen = Frozen()
        self._data_before: dict[Path, int] = {}

    def run(self, observer: Observer | None = None) -> Model:
        """Do it all. Raises as `graphopt.optimize` says."""
        resolve(self.pipeline, self.registry, self.only, self.skip)  # the caller's mistakes first: loading may take long
        for path in (self.output, self.report_path, self.reproducer):
            if path is not None:
                refuse_unwritable(path)
        refuse_replacing("report", self.report_path, (self.source, self.output))
        refuse_replacing("reproducer", self.reproducer, (self.source, self.output, self.report_path))
        if self.report_path is not None:
            refuse_unknown_ending(self.report_path)
        with collector_resting():
            return self._run_all(observer if observer is not None else Observer())

    def _run_all(self, observer: Observer) -> Model:
        with self._timed("load", observer):
            model = self._load()
        if isinstance(self.source, Model) and (self.verify or self.reproducer is not None):
            self._anew = _kept(model)
        running = Running()
        try:
            with self._timed("optimize", observer):
                self._optimize(model, Observers.of(observer, running))
        except (InternalError, RuleError) as error:
            raise self._with_advice(error, running.name) from error
        failure = None
        if self.verify:
            with self._timed("verify", observer):
                failure = self._compare(model)
        if self.output is not None and (failure is None or self.write_anyway):
            with self._timed("save", observer):
                self._save(model, self.output)
        if self.report_path is not None:
            self._write_report(self.report_path, failure)
        if failure is not None:
            raise failure
        return model

    @contextmanager
    def _timed(self, phase: str, observer: Observer) -> Iterator[None]:
        observer.phase_began(phase)
        began = time.perf_counter()
        yield
        self.report.seconds[phase] = time.perf_counter() - began

    def _load(self) -> Model:
        model = self.source if isinstance(self.source, Model) else self._fresh()
        for what, path in (("output", self.output), ("report", self.report_path), ("reproducer", self.reproducer)):
            refuse_replacing(what, path, about(model).data_files)
        if self.counted:
            self.report.source = str(self.source) if isinstance(self.source, Path) else ""
            self.report.before = Inventory.of(model)
            self.report.file_bytes_before = file_bytes(self.source, model)
            self._data_before = data_files(self.source, model)
        return model

    def _fresh(self) -> Model:
        return self._anew() if self._anew is not None else io.load(self.source, allow_outside=self.allow_outside)

    def _optimize(self, model: Model, observer: Observer) -> None:
        report = self.report
        if self.initializers_are_constants:
            report.frozen = freeze(model)
        statistics = Statistics(reasons=self.traced or self.reasoned) if self.counted else None
        trace, names = (Trace(), node_names(model)) if self.traced else (None, ())
        told = is_told(model)
        origins = Provenance(model) if self.traced or self.provenance or told else None
        history = History() if self.drawn else None
        watching = Observers.of(statistics, history, origins, trace, VerifyEach() if self.verify_each else None, observer)
        report.frozen_dimensions = self._frozen = freeze_dimensions(model, self.wishes, watching)
        signature = Signature.of(model)
        report.changes = self._run(model, watching, self.tell_limit)
        if history is not None:
            history.finish(model)
            report.history = history
        if origins is not None:
            report.origins = origins.origins()
            if self.provenance or (told and is_told(model)):
                store_provenance(origins, model, watching)
        report.signature_changes = signature.changes(Signature.of(model))
        steps = passes_of(resolve(self.pipeline, self.registry, self.only, self.skip))
        if report.signature_changes and not any(step.changes_signature for step in steps):
            raise self._changed(report.signature_changes, signature)
        if statistics is not None:
            report.after = Inventory.of(model)
            report.overridable = len(signature.overridable)
            report.passes, report.rules, report.warnings = statistics.passes, statistics.rules, statistics.warnings
            report.definitions = {rule.name: rule for step in steps for rule in step.rules}
        if trace is not None:
            report.rewrites, report.names = trace.rewrites, name_map(names, model)

    def _changed(self, changes: list[str], declared: Signature) -> InternalError | ModelError:
        """The error for a changed signature: the model's own fault when it declares what its nodes do not give."""
        words = "; ".join(changes)
        if self._anew is not None or not isinstance(self.source, Model):
            untouched = self.untouched()
            infer_model(untouched)
            if declared.changes(Signature.of(untouched)) == changes:
                return ModelError(f"the model declares what it does not compute: {words}; correct the declaration")
        return InternalError(f"the signature of the model changed: {words}")

    def _run(self, model: Model, observer: Observer, tell_limit: Callable[[str], None] | None = None) -> int:
        if self.bisect_limit is not None:
            observer = Observers.of(observer, Limit(self.bisect_limit, tell_limit))
        return run_pipeline(self.pipeline, model, observer, registry=self.registry, only=self.only, skip=self.skip)

    def again(self, observer: Observer) -> Model:
        """The same work once more from the start, told to another observer; what bisection runs."""
        model = self.untouched()
        self._run(model, observer)
        return model

    def untouched(self) -> Model:
        """The model as it is before the first pass, loaded anew, with what was asked for frozen."""
        model = self._fresh()
        if self.initializers_are_constants:
            freeze(model)
        self._frozen = freeze_dimensions(model, self.wishes)
        return model

    def original(self) -> Original:
        """What every result is compared with, as far as `run` or `untouched` knows by now what is frozen."""
        from graphopt.verify.comparison import Options, Original

        # No runtime follows a path to data outside the model's folder: then it gets a model with the data.
        source = self._fresh() if self._anew is not None or self.allow_outside else self.source
        return Original(source, Options(initializers_are_constants=self.initializers_are_constants, frozen=self._frozen))

    def _compare(self, model: Model) -> InternalError | None:
        """Compare the result with the original; the error to raise when it differs, which names the rewrite to blame."""
        from graphopt.verify import find_culprit

        original = self.original()
        self.comparison = original.compare(model)
        self.report.verification = self.comparison.as_json()
        if not self.comparison.differs:
            return None
        culprit = find_culprit(original, self.again, baseline=self.untouched, found=self.comparison)
        self.report.verification["culprit"] = None if culprit is None else str(culprit)
        blame = f"to blame is {culprit}" if culprit is not None else "a second run agrees: something in the model or the runtime is random"
        written = "" if self.write_anyway or self.output is None else UNWRITTEN
        what = f"the optimized model computes something else; {blame}"
        self._keep(InternalError(what))
        again = f"\nTo see it again: {_how(self.reproducer)}" if self.reproducer is not None else ""
        return InternalError(f"{what}{written}\n{self.comparison}{again}")

    def _save(self, model: Model, output: Path) -> None:
        io.save(model, output, **self.save_options)
        self.report.output = str(output)
        if self.counted and output.is_file():  # a pipe or a device cannot be read again
            written = io.load(output, allow_outside=True, check_external=False)
            self.report.file_bytes_after = file_bytes(output, written)
            self.report.data_files = self._data_files(output, written)

    def _data_files(self, output: Path, written: Model) -> list[DataFile]:
        """The files that hold weights of the result, and whether the source's file names them too."""
        is_other = isinstance(self.source, Path) and self.source.resolve() != output.resolve()
        return [
            DataFile(os.path.relpath(path, output.parent.resolve()), size, shared=is_other and path in self._data_before)
            for path, size in data_files(output, written).items()
        ]

    def _write_report(self, path: Path, failure: InternalError | None) -> None:
        """Write the report; when that fails, say what became of the rest."""
        try:
            self.report.write(path)
        except ModelError as error:
            if failure is not None:
                raise InternalError(f"{failure}\nThe report was not written either: {error}") from error
            if self.report.output:
                raise ModelError(f"{self.report.output} was written, the report was not: {error}") from error
            raise

    def _with_advice(self, error: InternalError | RuleError, step: str) -> InternalError | RuleError:
        """The same error, with what to send to whom. `step` is the pass that ran."""
        self._keep(error)
        kept = self.reproducer
        if kept is None or not can_be_read(self.pipeline, self.registry):
            name = str(kept or (self.source if isinstance(self.source, Path) else "MODEL.onnx"))
            what = f"with the model: graphopt optimize {shlex.quote(name)} --dry-run {self.words()}"
        else:
            what = f"with the file {kept}, which does it again: {_how(kept)}"
        return type(error)(f"{error}\n{advice(step, self.registry)}, {what}")

    def _keep(self, error: InternalError | RuleError) -> None:
        """Leave this run as one file, if that is asked for."""
        if self.reproducer is None:
            return
        try:
            Reproducer.of(self, error).write(self._fresh(), self.reproducer)
        except ModelError as unwritten:
            raise type(error)(f"{error}\nNo reproducer was left: {unwritten}") from error

    def words(self) -> str:
        """What a command line says that asks for the same work."""
        constants = " --initializers-are-constants" if self.initializers_are_constants else ""
        outside = " --allow-outside" if self.allow_outside else ""
        choice = "".join([*(f" --only {each}" for each in self.only), *(f" --skip {each}" for each in self.skip)])
        plugins = "".join(f" --plugin {shlex.quote(target)}" for target in self.registry.named)
        sizes = "".join(f" {shlex.quote(word)}" for word in self.wishes.words())
        return f"-p {shlex.quote(str(self.pipeline))}{constants}{outside}{sizes}{choice}{plugins}"


def _how(kept: Path) -> str:
    return f"onnx-opt --run-reproducer {shlex.quote(str(kept))}"


def _kept(model: Model) -> Callable[[], Model]:
    """What gives a model as it is now, again and again, whatever becomes of it. Its weights are shared, and not read."""
    try:
        message, contents = to_held(model)
    except ModelError:  # it has big tensors that no token may stand for
        whole = io.to_proto(model)
        return lambda: io.load(whole)
    return lambda: from_held(deepcopy(message), contents)


def refuse_replacing(what: str, path: Path | None, needed: Iterable[object]) -> None:
    """Raise SpecError when a file that is to be written is one of those that a run needs; what is no path is none."""
    if path is None or (path.exists() and not path.is_file()):  # a device keeps nothing
        return
    for other in needed:
        if isinstance(other, Path) and (path.resolve() == other.resolve() or (path.exists() and other.exists() and path.samefile(other))):
            raise SpecError(f"the {what} would replace {path}, which this run reads or writes; give it a name of its own")


def freeze(model: Model) -> list[str]:
    """Make every initializer that is an input of the main graph as well a constant; returns their names."""
    editor = Editor(model)
    frozen = [value for value in model.graph.initializers.values() if value.overridable]
    for value in frozen:
        editor.freeze(value)
    if frozen:
        model.ir_version = max(model.ir_version, INITIALIZERS_ARE_NO_INPUTS)
    return [value.name for value in frozen]


def store_provenance(origins: Provenance, model: Model, observer: Observer) -> None:
    """Store in a model where its nodes come from, or tell why that cannot be."""
    if model.ir_version >= SINCE:
        origins.store()
    else:
        version = f"nodes have metadata from IR version {SINCE} on, and this model is of version {model.ir_version}"
        observer.warned("provenance", f"where the nodes come from is not stored: {version}")


def file_bytes(source: object, model: Model) -> int | None:
    """How many bytes a model file and the data files beside it take; None when it is no file."""
    if not isinstance(source, Path) or not source.is_file():
        return None
    return source.stat().st_size + sum(data_files(source, model).values())


def data_files(source: object, model: Model) -> dict[Path, int]:
    """The files beside a model file that hold weights of it -> their bytes."""
    if not isinstance(source, Path):
        return {}
    storages = [value.tensor.storage for graph in model.graphs() for value in graph.initializers.values() if value.tensor is not None]
    found = {storage.file.path.resolve(): storage.file.size for storage in storages if isinstance(storage, FileSlice)}
    found.pop(source.resolve(), None)
    return found
