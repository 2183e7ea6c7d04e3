"""The options that say which passes run over a model, for commands that run them again and again, and the job that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from graphopt import suffixes
from graphopt.cli.shared import plugin_option, registry_of
from graphopt.cli.sizes import size_options, wishes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphopt.pipeline.job import Job

Function = TypeVar("Function", bound="Callable[..., Any]")  # Any: click calls with what the options say


def job_options(function: Function) -> Function:
    """What `job_of` reads: levels, pipelines, choices among their passes, sizes, plug-ins."""
    for decorate in (
        plugin_option,
        click.option("--allow-outside", is_flag=True, help="External data may lie outside the folder of MODEL."),
        click.option("--opset", type=int, metavar="N", help="Write the model for this opset first."),
        size_options,
        click.option("--initializers-are-constants", is_flag=True, help="Nobody feeds initializers that are inputs as well."),
        click.option("--skip", multiple=True, metavar="PASS", help="Leave this pass out. Repeatable."),
        click.option("--only", multiple=True, metavar="PASS", help="Of the passes run this one alone. Repeatable."),
        click.option("-p", "--pipeline", metavar="PIPELINE", help="Run this instead of a level."),
        click.option("--target", metavar="NAME", help="The runtime that it is for; `graphopt targets` lists them."),
        click.option("--level", type=int, metavar="N", help="Run the levels 1 to N (default: 1, with --target 2)."),
    ):
        function = decorate(function)
    return function


def job_of(model: Path, options: dict[str, Any]) -> Job:  # Any: one type for each option
    """The work that the options ask for, with nothing written. A model as text is read as well."""
    from graphopt.pipeline.job import Job
    from graphopt.pipeline.pipeline import Pipeline
    from graphopt.verify.skeleton import parsed

    if options["level"] is not None and options["pipeline"] is not None:
        raise click.UsageError("give --level or --pipeline, not both; a pipeline may contain level1")
    registry = registry_of(options["plugins"])
    steps = Pipeline.of(options["pipeline"], options["level"], options["target"], registry)
    return Job(
        parsed(model) if model.suffix in suffixes.TEXT and model.is_file() else model,
        steps.at_opset(options["opset"], registry),
        registry,
        only=options["only"],
        skip=options["skip"],
        initializers_are_constants=options["initializers_are_constants"],
        wishes=wishes_of(options),
        allow_outside=options["allow_outside"],
    )
