"""`graphopt targets`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from graphopt.cli.shared import plugin_option, registry_of, warn_of_failures

if TYPE_CHECKING:
    from graphopt.pipeline.registry import Registry
    from graphopt.pipeline.target import Target


@click.command(short_help="List the runtimes that --target knows.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the passes of each level and what the runtime wants.")
@plugin_option
def targets(as_json: bool, plugins: tuple[str, ...]) -> None:
    """List the runtimes that --target knows, and what level 2 does for each."""
    registry = registry_of(plugins)
    found = [target for name in registry.targets if (target := registry.find_target(name)) is not None]
    if as_json:
        click.echo(json.dumps([describe(registry, target) for target in found], indent=2, ensure_ascii=False))
    elif found:
        from graphopt.cli.tables import listing, show

        show(listing(["target", "what it is", "level 2"], [[one.name, one.summary, ", ".join(one.levels.get(2, ()))] for one in found]))
    warn_of_failures(registry)


def describe(registry: Registry, target: Target) -> dict[str, Any]:  # Any: JSON
    """What there is to know of a target, as plain data."""
    wants, entry = target.wants, registry.targets[target.name]
    return {
        "name": target.name,
        "summary": target.summary,
        "levels": {str(level): list(names) for level, names in target.levels.items()},
        "placement": wants.placement,
        "dequantize": wants.sharing,
        "zero_points": wants.zero_points,
        "activations": sorted(dtype.name for dtype in wants.activations),
        "weights": sorted(dtype.name for dtype in wants.weights),
        "units": [
            {
                "operators": list(unit.operators),
                "becomes": unit.becomes or None,
                "quantized": unit.quantized,
                "conditions": [condition.name for condition in (*unit.conditions, *unit.breaks)],
            }
            for unit in wants.units
        ],
        "refuses": [refusal.name for refusal in wants.refuses],
        "plugin": entry.owner,
        "target": entry.target,
    }
