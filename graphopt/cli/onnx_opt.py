"""`onnx-opt`: passes on the command line, models as text; for tests and for whoever works on a pass."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphopt.cli.shared import TEXT_SUFFIXES, plugin_option, python_warnings_told, registry_of, warn
from graphopt.cli.sizes import size_options, wishes_of

if TYPE_CHECKING:
    from graphopt.infer.freeze import Wishes
    from graphopt.ir.model import Model
    from graphopt.pipeline.pipeline import Pipeline
    from graphopt.pipeline.registry import Registry

SEPARATOR = re.compile(r"^[ \t]*#[ \t]*-{5,}[ \t]*$\n?", re.MULTILINE)
HEADER = re.compile(r"\A(?:[ \t]*#[^\n]*\n|\s)*(<.*?>)", re.DOTALL)
BINARY_START = b"\x08"  # the tag of ModelProto.ir_version, which every serializer writes first; no text begins so
PASSES = "passes"

EPILOG = """\b
onnx-opt model.onnx -o out.onnx --fuse-conv-bn --fold-constants=max-growth=1MiB --time-passes
onnx-opt model.onnxtxt -p fuse-matmul-add | filecheck model.onnxtxt
"""


class PassFlags(click.Command):
    """A command of whose flags those that it does not know are passes, in the order in which they stand."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the passes aside, as text of a pipeline; click reads the rest."""
        own = {flag for param in self.get_params(ctx) for flag in (*param.opts, *param.secondary_opts)}
        passes, rest = [], []
        for position, argument in enumerate(args):
            name, _, options = argument.partition("=")
            if argument == "--":
                rest += args[position:]
                break
            if name.startswith("--") and name not in own:
                passes.append((name[2:], f"{name[2:]}{{{options}}}" if options else name[2:]))
            else:
                rest.append(argument)
        ctx.meta[PASSES] = passes
        return super().parse_args(ctx, rest)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does it, with the flags that stand for passes."""
        super().format_options(ctx, formatter)
        with formatter.section("Passes"):
            formatter.write_dl([("--PASS[=OPTIONS]", "Run this pass; `graphopt passes` lists them. --level1 runs a whole level.")])


@click.command(cls=PassFlags, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("model", metavar="IN", default="-")
@click.option("-o", "--output", metavar="OUT", type=click.Path(path_type=Path), help="Where the result goes; text when it is OUT.onnxtxt.")
@click.option("-p", "--pipeline", metavar="PIPELINE", help="Passes as a pipeline's text.")
@click.option("--split-input-file", is_flag=True, help="IN holds several models, with lines '# -----' between them.")
@click.option("--initializers-are-constants", is_flag=True, help="Nobody feeds initializers that are inputs as well.")
@size_options
@click.option("--allow-outside", is_flag=True, help="External data may lie outside the folder of IN.")
@click.option("--print-after-change", is_flag=True, help="Print what each pass changed, as a diff, on stderr.")
@click.option("--time-passes", is_flag=True, help="Print how long each pass took, on stderr.")
@click.option("--verify-each", is_flag=True, help="Check the graph after each pass.")
@plugin_option
@click.version_option(package_name="graphopt", message="%(prog)s %(version)s")
@click.pass_context
def onnx_opt(
    context: click.Context, /, model: str, output: Path | None, pipeline: str | None, **options: Any  # Any: one type for each
) -> None:
    """Run passes over the model IN: a file, or - for stdin. Without passes it is read and written.

    Files that end in .onnxtxt, and stdin, are ONNX text. Without -o the result is printed as text.
    """
    from graphopt.io.files import refuse_unwritable

    registry = registry_of(options["plugins"])
    steps = pipeline_of(context.meta[PASSES], pipeline, registry, context)
    wishes = wishes_of(options)
    if output is not None:
        refuse_unwritable(output)
    with python_warnings_told(warn):
        models = read(model, split=options["split_input_file"], allow_outside=options["allow_outside"])
        if output is not None and len(models) > 1:
            raise click.UsageError("several models do not go into one file: leave out -o or --split-input-file")
        texts = [work(loaded, steps, registry, output, wishes, options) for loaded in models]
    if output is None:
        click.echo("\n# -----\n".join(texts))


def pipeline_of(passes: list[tuple[str, str]], text: str | None, registry: Registry, context: click.Context) -> Pipeline:
    """The pipeline that flags or a text stand for."""
    from graphopt.errors import nearest
    from graphopt.pipeline.pipeline import Pipeline

    if passes and text is not None:
        raise click.UsageError(f"give --pipeline or --{passes[0][0]}, not both; a pipeline may contain all passes")
    for name, _ in passes:
        is_pass = name in registry.passes or re.fullmatch(r"level\d", name) or registry.other_name(name) is not None
        if not is_pass and name not in registry.rules():
            own = [flag[2:] for param in context.command.params for flag in param.opts if flag.startswith("--")]
            known = [*own, *registry.passes, *registry.other_names()]
            raise click.UsageError(f"no option and no pass is called --{name}{nearest(name, known)}")
    return Pipeline.parse(", ".join(piece for _, piece in passes) if text is None else text, registry)


def read(source: str, *, split: bool, allow_outside: bool) -> list[Model]:
    """The models in a file or stdin. Raises ModelError when it cannot be read."""
    from graphopt import io
    from graphopt.errors import ModelError

    path = Path(source)
    if source != "-" and path.suffix not in TEXT_SUFFIXES:
        return [io.load(path, allow_outside=allow_outside)]
    try:
        data = sys.stdin.buffer.read() if source == "-" else path.read_bytes()
        if data.startswith(BINARY_START):
            return [io.load(data, allow_outside=allow_outside)]
        text = data.decode()
    except OSError as error:
        raise ModelError(f"{source}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{source}: is neither ONNX text nor a binary model") from error
    return [io.parse_text(part) for part in (parts(text) if split else [text])]


def parts(text: str) -> list[str]:
    """The models of a text with separators; one without a header <...> of its own has that of the first."""
    found = [part for part in SEPARATOR.split(text) if part.strip()]
    first = HEADER.match(found[0]) if found else None
    header = f"{first[1]}\n" if first is not None else ""
    return [part if HEADER.match(part) else header + part for part in found]


def work(
    loaded: Model, steps: Pipeline, registry: Registry, output: Path | None, wishes: Wishes, options: dict[str, Any]  # Any: as above
) -> str:
    """Run the pipeline over one model; the result as text, when it goes nowhere else."""
    from graphopt import io
    from graphopt.cli.tables import show, times_table
    from graphopt.cli.told import Told
    from graphopt.io.files import write_text
    from graphopt.observe.observer import Observers
    from graphopt.observe.watch import PrintAfterChange
    from graphopt.pipeline.job import Job

    is_text = output is not None and output.suffix in TEXT_SUFFIXES
    job = Job(
        loaded,
        steps,
        registry,
        output=None if is_text else output,
        initializers_are_constants=options["initializers_are_constants"],
        wishes=wishes,
        verify_each=options["verify_each"],
        counted=options["time_passes"],
    )
    diff = PrintAfterChange(io.print_text, lambda text: click.echo(text, err=True)) if options["print_after_change"] else None
    job.run(Observers.of(Told(warn), diff))
    if options["time_passes"]:
        show(times_table(job.report), error=True)
    if output is None:
        return io.print_text(loaded).rstrip("\n")
    if is_text:
        write_text(output, io.print_text(loaded).rstrip("\n") + "\n")
    return ""
