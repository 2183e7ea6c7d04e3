"""`graphopt verify-rules`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from graphopt.cli.shared import plugin_option, registry_of, warn_of_failures

if TYPE_CHECKING:
    from graphopt.match.rule import Rule
    from graphopt.pipeline.registry import Registry


@click.command("verify-rules")
@click.argument("names", metavar="[RULE]...", nargs=-1)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed makes other models.")
@click.option("--thorough", is_flag=True, help="Many more models; takes minutes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_option
def verify_rules(names: tuple[str, ...], seed: int, thorough: bool, as_json: bool, plugins: tuple[str, ...]) -> int:
    """Prove rules: build models from each pattern, and near misses, apply the rule, run both sides, compare.

    Without names those of each --plugin are proved, and without that all there are: of graphopt alone they take some ten minutes. The exit
    status is 0 when all of them hold, otherwise 1.
    """
    from graphopt.verify.selfcheck import check_rules

    registry = registry_of(plugins)
    chosen = [registry.rule_named(name) for name in names] or brought(registry, plugins)
    reports = []
    for report in check_rules(chosen, seed=seed, effort="thorough" if thorough else "normal"):
        reports.append(report)
        if not as_json:
            click.echo(str(report))
    warn_of_failures(registry)
    wrong = [report.rule for report in reports if not report.ok]
    if as_json:
        summary: dict[str, Any] = {"holds": not wrong, "rules": [report.as_json() for report in reports]}  # Any: JSON
        click.echo(json.dumps(summary, indent=2, ensure_ascii=False))
    else:
        but = f"; these do not: {', '.join(wrong)}" if wrong else ""
        click.echo(f"{len(reports) - len(wrong)} of {len(reports)} rules hold{but}")
    return 1 if wrong else 0


def brought(registry: Registry, plugins: tuple[str, ...]) -> list[Rule]:
    """The rules that some plug-ins bring; all that there are, of nobody in particular."""
    from graphopt.errors import SpecError
    from graphopt.pipeline.discovery import load_plugin

    owners = {load_plugin(target).name for target in plugins}
    found = [known.rule for known in registry.rules().values() if not owners or known.owner in owners]
    if plugins and not found:
        raise SpecError(f"{', '.join(plugins)}: brings no rules")
    return found
