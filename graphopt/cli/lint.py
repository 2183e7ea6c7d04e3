"""`graphopt lint`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphopt.cli.shared import plugin_option, python_warnings_told, refuse_text, registry_of, warn

if TYPE_CHECKING:
    from graphopt.runtimes.lint import Finding

WORDS = {"refused": "refused", "wrong": "computed wrong", "float": "left in float"}


@click.command(short_help="List what a runtime will refuse or leave in floats.")
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path, readable=False))
@click.option("--target", required=True, metavar="NAME", help="The runtime; `graphopt targets` lists them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--allow-outside", is_flag=True, help="External data may lie outside the folder of MODEL.")
@plugin_option
def lint(model: Path, target: str, as_json: bool, allow_outside: bool, plugins: tuple[str, ...]) -> int:
    """List what a runtime will refuse of the quantized MODEL, compute wrong, or compute in floats or leave unfused.

    One row for each node: why, and the pass that would help. The exit status is 0 when nothing is refused or computed wrong, otherwise 1.
    """
    from graphopt import io
    from graphopt.infer.model import infer_model
    from graphopt.runtimes.lint import findings

    runtime = registry_of(plugins).target_named(target)
    refuse_text(model)
    with python_warnings_told(warn):
        loaded = io.load(model, allow_outside=allow_outside)
        infer_model(loaded)
    found = findings(loaded, runtime.wants)
    counts = {kind: sum(one.kind == kind for one in found) for kind in WORDS}
    if as_json:
        click.echo(json.dumps([as_data(one) for one in found], indent=2, ensure_ascii=False))
    elif not found:
        click.echo(f"{target} takes the model as it is: nothing is refused, nothing quantized is left in floats")
    else:
        from graphopt.cli.tables import listing, show

        rows = [[WORDS[one.kind], one.name, one.node.op, one.helps or "none", one.reason] for one in found]
        table = listing(["", "node", "operator", "pass that helps", "reason"], rows)
        show(table, ", ".join(f"{counts[kind]} {words}" for kind, words in WORDS.items()))
    return 1 if counts["refused"] or counts["wrong"] else 0


def as_data(one: Finding) -> dict[str, Any]:  # Any: JSON
    """A finding as plain data."""
    return {"node": one.name, "operator": one.node.op, "kind": one.kind, "reason": one.reason, "helps": one.helps or None}
