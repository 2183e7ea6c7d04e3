"""`graphopt targets`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from graphopt.cli.shared import plugin_option, registry_of, warn_of_failures, with_owner

if TYPE_CHECKING:
    from graphopt.pipeline.registry import Registry
    from graphopt.pipeline.target import Target


@click.command
@click.argument("names", metavar="[TARGET]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the passes of each level and what the runtime wants.")
@plugin_option
def targets(names: tuple[str, ...], as_json: bool, plugins: tuple[str, ...]) -> None:
    """List the runtimes that --target knows, or say which passes level 2 has for some."""
    registry = registry_of(plugins)
    if names:
        found = [registry.target_named(name) for name in names]
    else:
        found = [target for name in registry.targets if (target := registry.find_target(name)) is not None]
    if names and not as_json:
        click.echo("\n\n".join(map(described, found)))
    elif as_json:
        click.echo(json.dumps([describe(registry, target) for target in found], indent=2, ensure_ascii=False))
    elif found:
        from graphopt.cli.tables import listing, show

        show(listing(["target", "what it is"], [[one.name, with_owner(one.summary, registry.targets[one.name].owner)] for one in found]))
    warn_of_failures(registry)


def described(target: Target) -> str:
    """The page about a target: what it is, and which passes prepare a model for it, in their order."""
    from graphopt.cli.tables import folded

    levels = [f"Level {level}: {', '.join(passes)}" for level, passes in target.levels.items()]
    return "\n\n".join(map(folded, [f"{target.name}   {target.summary}", *levels]))


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
