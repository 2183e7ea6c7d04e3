"""`graphopt rules`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click

from graphopt.cli.shared import plugin_option, registry_of, warn_of_failures, with_owner

if TYPE_CHECKING:
    from graphopt.pipeline.registry import KnownRule


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with patterns, documentation and where each rule is written.")
@plugin_option
def rules(as_json: bool, plugins: tuple[str, ...]) -> None:
    """List the rules: what each rewrites, and which pass applies it."""
    registry = registry_of(plugins)
    found = registry.rules().values()
    if as_json:
        click.echo(json.dumps([describe(known) for known in found], indent=2, ensure_ascii=False))
    elif found:
        from graphopt.cli.tables import listing, show

        rows = [
            [known.rule.name, with_owner(summary(known), known.owner), known.rule.exactness, ", ".join(known.passes) or "-"]
            for known in found
        ]
        show(listing(["rule", "what it rewrites", "exactness", "in the pass"], rows))
    warn_of_failures(registry)


def summary(known: KnownRule) -> str:
    """The first line of the rule's algebra, without what stands at its right, or its patterns when it says nothing."""
    lines = known.rule.doc.splitlines()
    return " ".join(re.split(r" {3,}", lines[0])[0].split()) if lines else ", ".join(map(str, known.rule.patterns))


def describe(known: KnownRule) -> dict[str, Any]:  # Any: JSON
    """What there is to know of a rule, as plain data."""
    rule = known.rule
    return {
        "name": rule.name,
        "patterns": [str(pattern) for pattern in rule.patterns],
        "summary": summary(known),
        "doc": rule.doc,
        "exactness": rule.exactness,
        "since": rule.since,
        "until": rule.until,
        "dtype": None if rule.dtype is None else sorted(dtype.name for dtype in rule.dtype),
        "passes": list(known.passes),
        "plugin": known.owner,
        "file": rule.file,
        "line": rule.line,
    }
