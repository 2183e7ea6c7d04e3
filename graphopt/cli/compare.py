"""`graphopt compare`."""

from __future__ import annotations

import json
from pathlib import Path

import click

RUNNERS = ["auto", "onnxruntime", "reference"]


@click.command
@click.argument("before", metavar="A", type=click.Path(path_type=Path, readable=False))
@click.argument("after", metavar="B", type=click.Path(path_type=Path, readable=False))
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="How many random inputs.")
@click.option("--exact", is_flag=True, help="Ask for equal bits.")
@click.option("--runner", type=click.Choice(RUNNERS), default="auto", show_default=True, help="What runs the models.")
@click.option("--initializers-are-constants", is_flag=True, help="Feed no initializers that are inputs as well.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(before: Path, after: Path, seeds: int, exact: bool, runner: str, initializers_are_constants: bool, as_json: bool) -> int:
    """Run the models A and B on the same inputs and compare their outputs.

    The exit status is 0 when all outputs agree, otherwise 1: also when a model cannot be run, or differs from itself.
    """
    from graphopt.cli.progress import StatusLine
    from graphopt.cli.tables import folded
    from graphopt.verify import compare as compare_models

    with StatusLine("running both models", enabled=True):
        found = compare_models(
            before, after, seeds=seeds, exact=exact, runner=runner, initializers_are_constants=initializers_are_constants
        )
    click.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False) if as_json else "\n".join(map(folded, str(found).split("\n"))))
    return 0 if found.agrees else 1
