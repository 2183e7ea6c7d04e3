"""`graphopt optimize`."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphopt.cli.shared import OutputFile, plugin_option, python_warnings_told, refuse_text, registry_of, warn
from graphopt.cli.sizes import size_options, wishes_of
from graphopt.cli.text_models import STANDARD, is_text

if TYPE_CHECKING:
    from graphopt.observe.observer import Observer
    from graphopt.pipeline.job import Job
    from graphopt.pipeline.registry import Registry

EPILOG = """\b
graphopt optimize in.onnx -o out.onnx
graphopt optimize in.onnx -o out.onnx --verify --report report.html
graphopt optimize in.onnx -o out.onnx -p 'level1, -fuse-conv-bn'
graphopt optimize in.onnx -o out.onnx --freeze batch=1,seq=128
graphopt optimize quantized.onnx -o out.onnx --target onnxruntime-cpu-x64
"""


class Optimize(click.Command):
    """A command that knows what people are used to from other optimizers."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does it; a second path and -O1 are answered with how it is said here."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name != "-O":
                raise
            raise click.UsageError(f"{error.format_message()} Levels are --level N here, and -ON in onnx-opt.", ctx) from error
        except click.UsageError as error:
            if "unexpected extra argument" not in error.message:
                raise
            raise click.UsageError(f"{error.message}; the result goes to -o OUT", ctx) from error


@click.command(cls=Optimize, epilog=EPILOG)
@click.argument("model", metavar="IN", type=click.Path(path_type=Path, readable=False))
@click.option("-o", "--output", metavar="OUT", type=OutputFile(), help="Where the result goes; may be IN.")
@click.option("--level", type=int, metavar="N", help="Run the levels 1 to N (default: 1, with --target 2; 0 runs nothing).")
@click.option("--target", metavar="NAME", help="The runtime that it is for, with -p too; `graphopt targets` lists them.")
@click.option("-p", "--pipeline", metavar="PIPELINE", help="Run this instead of a level; see above.")
@click.option("--only", multiple=True, metavar="PASS", help="Of the passes run this one alone. Repeatable.")
@click.option("--skip", multiple=True, metavar="PASS", help="Leave this pass out. Repeatable.")
@click.option("--initializers-are-constants", is_flag=True, help="Nobody feeds initializers that are inputs as well: make them constants.")
@size_options
@click.option("--opset", type=int, metavar="N", help="Write the model for this opset first, with everything in it or not at all.")
@click.option("--verify", is_flag=True, help="Run both models and compare; nothing is written when they differ.")
@click.option("--write-anyway", is_flag=True, help="With --verify: write the result even when it differs.")
@click.option("--dry-run", is_flag=True, help="Write nothing, only say what would happen.")
@click.option(
    "--report", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Write what was done: FILE.html is a page with the graphs drawn, FILE.json data; no other ending.",
)  # fmt: skip
@click.option("--provenance", is_flag=True, help="Store in OUT which nodes of IN each node comes from, and by which rules.")
@click.option("--allow-outside", is_flag=True, help="External data may lie outside the folder of IN.")
@click.option("--external-data/--inline", default=None, help="Weights go beside OUT, or into it (default: as in IN; over 2 GB beside).")
@click.option("--time-passes", is_flag=True, help="Print how long each pass took.")
@click.option("--print-after-change", is_flag=True, help="Print what each pass changed, as a diff.")
@click.option("--verify-each", is_flag=True, help="Check the graph after each pass.")
@click.option("--reproducer", metavar="FILE", type=click.Path(path_type=Path), help="If it fails, leave here one file that does it again.")
@plugin_option
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def optimize(model: Path, output: Path | None, dry_run: bool, quiet: bool, **options: Any) -> None:  # Any: one type for each option
    """Make the model IN smaller and faster; it computes the same and has the same inputs and outputs.

    A PIPELINE is passes in their order: 'level1, -PASS, PASS{option=value}, fixpoint(PASS, PASS), when{target=NAME}(PASS)'. -PASS leaves a
    pass out of the levels before it. `graphopt passes` lists them, `graphopt passes --help PASS` says what one does and takes.
    """
    if output is None and not dry_run:
        raise click.UsageError("where should the result go? Give -o OUT, or --dry-run to write nothing")
    if output is not None and (str(output) == STANDARD or is_text(output)):
        raise click.UsageError(f"{output}: graphopt writes binary files; text and standard output: onnx-opt {model} -O1 -o {output}")
    if output is not None and not quiet and not dry_run and _is_printed_to(output):
        raise click.UsageError(f"{output}: what graphopt says of its work goes there too; add --quiet, or: onnx-opt {model} -O1 -o -")
    if options["level"] is not None and options["pipeline"] is not None:
        raise click.UsageError("give --level or --pipeline, not both; a pipeline may contain level1")
    if options["write_anyway"] and not options["verify"]:
        raise click.UsageError("--write-anyway goes with --verify: without it nothing is compared, and the result is written in any case")
    from graphopt.cli.progress import Progress
    from graphopt.cli.tables import account, show, times_table
    from graphopt.cli.told import unverified
    from graphopt.observe.observer import Observers

    tell = (lambda message: None) if quiet else warn
    registry = registry_of(options["plugins"])
    job = make_job(model, None if dry_run else output, registry, options, counted=not quiet)
    refuse_text(model)
    with Progress(enabled=not quiet) as progress, python_warnings_told(tell):
        job.run(Observers.of(progress, *listeners(options, tell)))
    if problem := unverified(job.comparison):
        tell(problem)
    told = [] if quiet else account(job.report)
    if job.comparison is not None and job.comparison.agrees and not quiet:
        told.append(str(job.comparison))
    if options["time_passes"]:
        told.append(times_table(job.report))
    if dry_run and not quiet:
        told.append("dry run: nothing was written")
    show(*told)


def _is_printed_to(output: Path) -> bool:
    """Whether a file or pipe is this command's own standard output, under whatever name."""
    try:
        mine, theirs = os.fstat(1), output.stat()
    except OSError:  # no standard output, or no such file yet
        return False
    return os.path.samestat(mine, theirs) and not stat.S_ISCHR(theirs.st_mode)


def make_job(source: Path, output: Path | None, registry: Registry, options: dict[str, Any], *, counted: bool) -> Job:  # Any: as above
    """The work that the options ask for."""
    from graphopt.pipeline.job import Job
    from graphopt.pipeline.pipeline import Pipeline

    return Job(
        source,
        Pipeline.of(options["pipeline"], options["level"], options["target"], registry).at_opset(options["opset"], registry),
        registry,
        output=output,
        only=options["only"],
        skip=options["skip"],
        initializers_are_constants=options["initializers_are_constants"],
        wishes=wishes_of(options),
        allow_outside=options["allow_outside"],
        verify=options["verify"],
        verify_each=options["verify_each"],
        write_anyway=options["write_anyway"],
        provenance=options["provenance"],
        counted=counted or options["time_passes"],
        report_path=options["report"],
        reproducer=options["reproducer"],
        save_options={} if options["external_data"] is None else {"external_data": options["external_data"]},
    )


def listeners(options: dict[str, Any], tell: Any) -> list[Observer]:  # Any: one type for each option; a function of a text
    """The observers that the options ask for, and one that tells warnings."""
    from graphopt.cli.told import Told
    from graphopt.cli.watching import diff_printer

    found: list[Observer] = [Told(tell)]
    if options["print_after_change"]:
        found.append(diff_printer(error=False))
    return found
