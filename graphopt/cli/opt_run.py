"""What `onnx-opt` does once it knows what is asked for: models in, passes over them, models out, and what is told of it on stderr."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import click

from graphopt import io
from graphopt.cli.shared import python_warnings_told, warn
from graphopt.cli.tables import show, times_table
from graphopt.cli.text_models import SEPARATOR, STANDARD, Given, as_text, is_text, read
from graphopt.cli.told import Told, unverified
from graphopt.cli.watching import diff_printer, dump_printer, statistics_tables
from graphopt.errors import GraphoptError
from graphopt.io.files import refuse_unwritable, write_text
from graphopt.io.text import left_out
from graphopt.ir.model import Model
from graphopt.observe.observer import Observer, Observers
from graphopt.pipeline.expanded import expanded
from graphopt.pipeline.job import Job, refuse_replacing
from graphopt.pipeline.reproducer import Reproducer

if TYPE_CHECKING:
    from collections.abc import Collection

    from graphopt.infer.freeze import Wishes
    from graphopt.pipeline.pipeline import Pipeline
    from graphopt.pipeline.registry import Registry

WATCHED = ("print_before", "print_after")


@final
@dataclass(frozen=True, slots=True)
class Run:
    """Where the result goes, None for stdout, and the options as click has them."""

    output: Path | None
    options: dict[str, Any]  # Any: one type for each option

    def refuse_files(self, what: str, path: Path | None, source: str) -> None:
        """Refuse an output that cannot be written, and a path that would replace what is read or written. Raises SpecError, ModelError."""
        if self.output is not None:
            refuse_unwritable(self.output)
        given = None if source == STANDARD else Path(source)
        refuse_replacing(what, path, (given, self.output if path is not self.output else None))

    @property
    def file(self) -> Path | None:
        """The binary file that the job writes itself."""
        return None if self.output is None or is_text(self.output) else self.output

    def observer(self, registry: Registry) -> Observer:
        """Whoever tells on stderr what happens. Raises SpecError when it should watch a pass that is not there."""
        before, after = ([each for name in self.options[when] for each in passes_called(name, registry)] for when in WATCHED)
        dump = dump_printer(before, after) if before or after else None
        return Observers.of(Told(warn), dump, diff_printer(error=True) if self.options["print_after_change"] else None)

    def do(self, job: Job) -> Model:
        """Run a job, watched as the options ask for. Raises as the job does."""
        options = self.options
        job.counted = job.counted or options["time_passes"] or options["stats"]
        job.reasoned = options["stats"]
        job.verify_each = job.verify_each or options["verify_each"]
        if options["bisect_limit"] is not None:
            job.bisect_limit, job.tell_limit = options["bisect_limit"], lambda text: click.echo(text, err=True)
        try:
            model = job.run(self.observer(job.registry))
        finally:
            if job.report.passes:  # none when a pass broke
                tables = statistics_tables(job.report) if options["stats"] else []
                show(*tables, *([times_table(job.report)] if options["time_passes"] else []), error=True)
        if problem := unverified(job.comparison):
            warn(problem)
        elif job.comparison is not None:
            click.echo(str(job.comparison), err=True)
        return model

    def text(self, model: Model) -> str:
        """The result as text, written to the file that is asked for; empty when it is in a binary file."""
        if self.file is not None:
            return ""
        text = as_text(model)
        if self.output is not None:
            write_text(self.output, text + "\n")
        if missing := left_out(model):
            what = "1 weight of 1 KiB or more is" if missing == 1 else f"{missing} weights of 1 KiB and more are"
            file = "-o OUT.onnx" if self.output is None else self.output.with_suffix(".onnx").name
            where = "" if self.output is None else f"{self.output}: "
            warn(f"{where}text is for reading, and {what} not in it; for a model that runs, write {file}")
        return text


def run_all(source: str, steps: Pipeline, registry: Registry, wishes: Wishes, run: Run) -> None:
    """Run a pipeline over all models of a source, and print what goes to no file."""
    options = run.options
    run.observer(registry)  # the caller's mistakes first: reading may take long
    run.refuse_files("reproducer", options["reproducer"], source)

    def job_of(given: Given) -> Job:
        return Job(
            given,
            steps,
            registry,
            output=run.file,
            initializers_are_constants=options["initializers_are_constants"],
            wishes=wishes,
            allow_outside=options["allow_outside"],
            verify=options["verify"],
            provenance=options["provenance"],
            reproducer=options["reproducer"],
        )

    with python_warnings_told(warn):
        models = read(source, split=options["split_input_file"])
        if run.output is not None and len(models) > 1:
            raise click.UsageError("several models do not go into one file: leave out -o or --split-input-file")
        texts = [run.text(run.do(job_of(given))) for given in models]
    if run.output is None:
        click.echo(SEPARATOR.join(texts))


def run_again(source: str, run: Run, *, prints: bool = False) -> None:
    """Do what a reproducer says. It fails as it did before; otherwise that is said, and the result written, or printed if asked for."""
    options = run.options
    run.refuse_files("result", run.output, source)
    with python_warnings_told(warn):
        [given] = read(source, split=False)
        told = Reproducer.read(given if isinstance(given, Model) else io.load(given, allow_outside=options["allow_outside"]))
        for other in told.other_versions():
            warn(f"other versions: {other}")
        job = told.job(given)
        job.output, job.allow_outside, job.verify = run.file, options["allow_outside"], job.verify or options["verify"]
        if options["print_pipeline"]:
            print_pipeline(job.pipeline, job.registry, only=job.only, skip=job.skip)
        try:
            model = run.do(job)
        except GraphoptError as error:
            if not told.is_same_failure(error):
                warn(f"it fails otherwise than before, which was {told.error['kind']}: {told.error['message']}")
            raise
        text = run.text(model) if prints or run.output is not None else ""
    if prints:
        click.echo(text)
    click.echo(f"{source}: does not fail {'any more' if options['bisect_limit'] is None else 'with so few rewrites'}", err=prints)


def print_pipeline(steps: Pipeline, registry: Registry, *, only: Collection[str] = (), skip: Collection[str] = ()) -> None:
    """Print all passes that will run, on stderr."""
    click.echo(expanded(steps, registry, only, skip), err=True)


def passes_called(name: str, registry: Registry) -> tuple[str, ...]:
    """The names under which a pass runs, for our name of it, another tool's, or that of a rule. Raises SpecError with the near name."""
    if name and name not in registry.passes and registry.other_name(name) is None and name not in registry.rules():
        registry.pass_named(name)
    return registry.in_our_words([name]) if name else (name,)
