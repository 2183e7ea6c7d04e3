"""`graphopt lint`."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphopt.cli.shared import plugin_option, python_warnings_told, refuse_text, registry_of, warn

if TYPE_CHECKING:
    from graphopt.runtimes.lint import Finding

WORDS = {"refused": "refused", "wrong": "computed wrong", "float": "left in float"}


@click.command
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path, readable=False))
@click.option("--target", required=True, metavar="NAME", help="The runtime; `graphopt targets` lists them.")
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="How many nodes to show for each reason.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, all nodes.")
@click.option("--allow-outside", is_flag=True, help="External data may lie outside the folder of MODEL.")
@plugin_option
def lint(model: Path, target: str, limit: int, as_json: bool, allow_outside: bool, plugins: tuple[str, ...]) -> int:
    """List what a runtime will refuse of the quantized MODEL, compute wrong, or compute in floats or leave unfused.

    For each reason: the nodes, and the pass that would help, which was tried on a copy. The exit status is 0 when nothing is refused or
    computed wrong, otherwise 1, with the findings on stdout. It is 1 as well for a MODEL that cannot be read: then stdout is empty, and
    stderr says why.
    """
    from graphopt import io
    from graphopt.cli.progress import StatusLine
    from graphopt.infer.model import infer_model
    from graphopt.pipeline.advice import confirmed
    from graphopt.runtimes.lint import findings, is_quantized

    registry = registry_of(plugins)
    wants = registry.target_named(target).wants
    refuse_text(model)
    with StatusLine("looking, and trying what would help", enabled=True), python_warnings_told(warn):
        loaded = io.load(model, allow_outside=allow_outside)
        infer_model(loaded)
        found = confirmed(findings(loaded, wants), lambda: io.load(model, allow_outside=allow_outside), wants, registry)
    counts = {kind: sum(one.kind == kind for one in found) for kind in WORDS}
    if as_json:
        click.echo(json.dumps([as_data(one) for one in found], indent=2, ensure_ascii=False))
    elif not found:
        as_it_is = f"{target} takes the model as it is: nothing is refused, nothing quantized is left in floats"
        click.echo(as_it_is if is_quantized(loaded) else f"the model is not quantized: nothing to be said of it for {target}")
    else:
        for kind, ones in groupby(found, key=lambda one: one.kind):
            click.echo(f"{WORDS[kind]} ({counts[kind]})")
            tell(list(ones), limit)
        click.echo(f"\n{', '.join(f'{counts[kind]} {words}' for kind, words in WORDS.items())}")
    return 1 if counts["refused"] or counts["wrong"] else 0


def tell(found: list[Finding], limit: int) -> None:
    """Print findings of one kind, those together that say the same of the same operator, names apart."""
    from graphopt.cli.tables import folded
    from graphopt.runtimes.lint import nameless

    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for one in found:
        alike.setdefault((one.node.op, nameless(one.reason), one.helps), []).append(one)
    for (operator, reason, helps), ones in alike.items():
        advice = f"; {helps} would help" if helps else ""
        if len(ones) == 1:
            click.echo(folded(f"{operator} {ones[0].name!r}: {ones[0].reason}{advice}", "  "))
            continue
        said = ones[0].reason if len({one.reason for one in ones}) == 1 else reason
        click.echo(folded(f"{operator} ({len(ones)}): {said}{advice}", "  "))
        for one in ones[:limit]:
            click.echo(f"    {one.name}")
        if len(ones) > limit:
            click.echo(f"    ... and {len(ones) - limit} more (--limit)")


def as_data(one: Finding) -> dict[str, Any]:  # Any: JSON
    """A finding as plain data."""
    return {"node": one.name, "operator": one.node.op, "kind": one.kind, "reason": one.reason, "helps": one.helps or None}
