"""`onnx-opt`: passes as flags, models as text; for whoever works on a pass, or looks for what one did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from graphopt.cli.pass_flags import FLAGS, PLUGINS, OptionalValue, PassFlags, pipeline_of
from graphopt.cli.shared import OutputFile, plugin_option, registry_of
from graphopt.cli.sizes import size_options, wishes_of
from graphopt.cli.text_models import STANDARD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphopt.cli.pass_flags import Flag

SAID = (  # options of which a reproducer says what they are
    "pipeline", "target", "plugins", "split_input_file", "initializers_are_constants", "sizes", "shapes", "keep_dynamic", "provenance",
    "reproducer",
)  # fmt: skip
EPILOG = """\b
onnx-opt model.onnx -o out.onnx --fuse-conv-bn --fold-constants.max-growth=1MiB --time-passes
onnx-opt model.onnx -O1 --verify --reproducer failed.onnx -o out.onnx
onnx-opt model.onnx -O1 --bisect-limit 12 --print-after-change
onnx-opt model.onnxtxt -p fuse-matmul-add | filecheck model.onnxtxt
"""


def list_passes(context: click.Context, option: click.Parameter, is_asked: bool) -> None:
    """List the passes and end, before anything else is looked at."""
    if is_asked and not context.resilient_parsing:
        from graphopt.cli.pass_list import show_list

        show_list(context.meta[PLUGINS])
        context.exit()


def help_pass(context: click.Context, option: click.Parameter, names: tuple[str, ...]) -> None:
    """Print the pages about passes and end, before anything else is looked at."""
    if names and not context.resilient_parsing:
        from graphopt.cli.passes import page_about

        registry = registry_of(tuple(context.meta[PLUGINS]))
        click.echo("\n\n".join(page_about(registry, name) for name in names))
        context.exit()


@click.command(cls=PassFlags, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("model", metavar="[IN]", required=False)
@click.option("-o", "--output", metavar="OUT", type=OutputFile(), help="Where the result goes; text if it is OUT.onnxtxt.")
@click.option("-p", "--pipeline", "--pass-pipeline", metavar="PIPELINE", help="Passes as a pipeline's text.")
@click.option("--target", metavar="NAME", help="What -O2, -O3 and the pipeline are for; `graphopt targets` lists them.")
@click.option("--split-input-file", is_flag=True, help="IN holds several models, with lines '# -----' between them.")
@click.option("--initializers-are-constants", is_flag=True, help="Nobody feeds initializers that are inputs as well.")
@size_options
@click.option("--allow-outside", is_flag=True, help="External data may lie outside the folder of IN.")
@click.option("--provenance", is_flag=True, help="Store in the result where each node comes from.")
@click.option("--print-before", cls=OptionalValue, multiple=True, metavar="PASS", help="Print the model before PASS, or each. Repeatable.")
@click.option("--print-after", cls=OptionalValue, multiple=True, metavar="PASS", help="Print the model after PASS, or each. Repeatable.")
@click.option("--print-after-change", is_flag=True, help="Print what each pass changed, as a diff.")
@click.option("--print-pipeline", is_flag=True, help="Print all that will run, as -p takes it; without IN nothing else is done.")
@click.option("--time-passes", is_flag=True, help="Print how long each pass took.")
@click.option("--stats", is_flag=True, help="Print what passes and rules did, and why rules did not.")
@click.option("--verify-each", is_flag=True, help="Check the graph after each pass.")
@click.option("--verify", is_flag=True, help="Run both models and compare; nothing is written when they differ.")
@click.option("--bisect-limit", type=click.IntRange(min=-1), metavar="N", help="Make only the first N rewrites and tell each; -1: all.")
@click.option("--reproducer", metavar="FILE", type=click.Path(path_type=Path), help="If it fails, leave here one file that does it again.")
@click.option("--run-reproducer", is_flag=True, help="IN is such a file: do what it says.")
@plugin_option
@click.option(
    "--list-passes", is_flag=True, is_eager=True, expose_value=False, callback=list_passes, help="List the passes, one line each."
)
@click.option(
    "--help-pass", metavar="NAME", multiple=True, is_eager=True, expose_value=False, callback=help_pass,
    help="Say what a pass does and takes. Repeatable.",
)  # fmt: skip
@click.version_option(package_name="graphopt", message="%(prog)s %(version)s")
@click.pass_context
def onnx_opt(context: click.Context, /, model: str | None, output: Path | None, **options: Any) -> None:  # Any: one type for each
    """Run passes over the model IN: a file, or - for stdin, which is the default. Without passes it is read and written.

    Files that end in .onnxtxt are ONNX text; stdin may be either. Without -o, or with -o -, the result is printed as text, which leaves
    out weights of 1 KiB and more. Whatever is told of the run goes to stderr.
    """
    flags = context.meta[FLAGS]
    if options["run_reproducer"]:
        refuse_what_is_said(context, flags)
    registry = registry_of(options["plugins"])
    from graphopt.cli.opt_run import Run, print_pipeline, run_again, run_all

    run = Run(None if output == Path(STANDARD) else output, options)
    if options["run_reproducer"]:
        return run_again(model or STANDARD, run, prints=output == Path(STANDARD))
    steps = pipeline_of(flags, options["pipeline"], options["target"], registry, context)
    if options["print_pipeline"]:
        print_pipeline(steps, registry)
        if model is None:
            return None
    return run_all(model or STANDARD, steps, registry, wishes_of(options), run)


def refuse_what_is_said(context: click.Context, flags: Sequence[Flag]) -> None:
    """Raise UsageError for what stands beside --run-reproducer and in the reproducer as well; a user's defaults may stand anywhere."""
    if flags:
        raise click.UsageError("a reproducer says which passes run: give --run-reproducer without passes")
    given = [one for one in context.command.params if context.get_parameter_source(one.name or "") is ParameterSource.COMMANDLINE]
    wrong = [next(word for word in one.opts if word.startswith("--")) for one in given if one.name in SAID]
    if wrong:
        raise click.UsageError(f"a reproducer says all that was asked for: give --run-reproducer without {' and '.join(wrong)}")
