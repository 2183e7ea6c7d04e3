"""`graphopt map`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphopt.cli.jobs import job_of, job_options
from graphopt.cli.shared import python_warnings_told, warn

if TYPE_CHECKING:
    from graphopt.observe.provenance import Origins

EPILOG = """\b
graphopt map model.onnx --level 1
graphopt map model.onnx smaller.onnx
graphopt map --report report.json
"""


@click.command("map", epilog=EPILOG)
@click.argument("before", metavar="[IN]", required=False, type=click.Path(path_type=Path, readable=False))
@click.argument("after", metavar="[OUT]", required=False, type=click.Path(path_type=Path, readable=False))
@click.option("--report", metavar="FILE.json", type=click.Path(path_type=Path), help="What `optimize --report` wrote, instead of IN.")
@job_options
def name_map(before: Path | None, after: Path | None, report: Path | None, **options: Any) -> None:  # Any: one type for each option
    """Print as JSON which nodes of a result stand for which of the model IN, and by which rules: for profilers and others that name nodes.

    With OUT the two files are compared: OUT says it itself when it was written with --provenance, otherwise nodes are matched as
    `graphopt diff` does. Without OUT the passes run in memory, as optimize would run them, and nothing is written.

    The JSON: "nodes" has for each node of the result, by name, its "op", "from" (the nodes of IN) and "rules"; "removed" the nodes of IN
    that nothing stands for, with the rule or pass that took each out; "values" the names of values that are gone, with the new one or
    null. A node without a name is called by its first output. With --report only the nodes that are new or changed are listed.
    """
    given = click.get_current_context()
    runs = [name for name in options if name != "allow_outside"]
    asked = [name for name in runs if given.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE]
    if (before is None) == (report is None):
        raise click.UsageError("give a model IN, or --report FILE.json")
    if asked and (after is not None or report is not None):
        flag = next(param.opts[-1] for param in given.command.params if param.name == asked[0])
        raise click.UsageError(f"{flag} goes with IN alone: with {'OUT' if after is not None else '--report'} nothing is run")
    from graphopt.observe.name_map import as_json

    with python_warnings_told(warn):
        click.echo(json.dumps(as_json(mapped(before, after, report, options)), indent=2, ensure_ascii=False))


def mapped(before: Path | None, after: Path | None, report: Path | None, options: dict[str, Any]) -> Origins:  # Any: as above
    """What became of the nodes, from whatever knows it."""
    from graphopt.cli.diff import loaded
    from graphopt.cli.progress import Progress, StatusLine
    from graphopt.cli.told import Told
    from graphopt.observe.name_map import between, completed
    from graphopt.observe.observer import Observers
    from graphopt.observe.provenance import is_told, read_origins

    if report is not None or before is None:
        assert report is not None  # the caller asked for one of the two
        return read_origins(report)
    if after is not None:
        with StatusLine("comparing", enabled=True):
            models = [loaded(path, allow_outside=options["allow_outside"]) for path in (before, after)]
            found = between(*models)
        if not is_told(models[1]):
            warn(f"{after} does not say where its nodes come from, so names are matched; made with --provenance or --report it tells")
        return found
    job = job_of(before, options)
    job.traced = True
    with Progress(enabled=True) as progress:
        result = job.run(Observers.of(progress, Told(warn)))
    return completed(job.report.origins, result)
