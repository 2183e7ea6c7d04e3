"""`graphopt passes`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from graphopt.cli.shared import plugin_option, registry_of, warn_of_failures, with_owner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graphopt.match.rule import Rule
    from graphopt.pipeline.registry import Registry


@click.command(add_help_option=False)
@click.argument("names", metavar="[PASS]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the options of each pass.")
@click.option("-h", "--help", "about", metavar="[PASS]", is_flag=False, flag_value="", default=None, help="Show this, or what a pass does.")
@plugin_option
@click.pass_context
def passes(context: click.Context, names: tuple[str, ...], as_json: bool, about: str | None, plugins: tuple[str, ...]) -> None:
    """List the passes, in the order in which the levels run them; or say what some do, by our names or other tools'."""
    if about == "":
        click.echo(context.get_help())
        return
    registry = registry_of(plugins)
    wanted = (*names, about) if about is not None else names
    if wanted and not as_json:
        click.echo("\n\n".join(page_about(registry, name) for name in wanted))
        return
    found = [describe(registry, name) for name in (registry.in_our_words(wanted) if wanted else in_order(registry))]
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif found:
        from graphopt.cli.tables import listing, show

        show(listing(["level", "pass", "what it does"], [_row(one) for one in found]))
    warn_of_failures(registry)


def page_about(registry: Registry, name: str) -> str:
    """What a pass does; for a name of another tool what it is here, and what the passes do that it stands for."""
    other = registry.other_name(name)
    if other is not None:
        return "\n\n".join([str(other), *(described(describe(registry, each)) for each in other.passes)])
    registry.pass_named(name)
    return described(describe(registry, name))


def in_order(registry: Registry) -> list[str]:
    """The passes by level, for whatever target, then those that run only when named; what cannot be loaded is left out."""
    from graphopt.pipeline.base import Level

    levels = [level for level in Level if level > 0] + [level for level in Level if level <= 0]
    targets = ["", *(name for name in registry.targets if registry.find_target(name) is not None)]
    names = [name for level in levels for target in targets for name in registry.level(level, target)]
    return [name for name in dict.fromkeys([*names, *registry.passes]) if registry.find(name) is not None]


def describe(registry: Registry, name: str) -> dict[str, Any]:  # Any: JSON
    """What there is to know of a pass, as plain data."""
    from graphopt.pipeline.docstring import text_of
    from graphopt.pipeline.options import options_of

    found, entry = registry.pass_named(name), registry.passes[name]
    text = text_of(found)
    return {
        "name": name,
        "level": registry.level_of(name),
        "summary": text.summary,
        "doc": text.whole,
        "options": [
            {"name": option.name, "takes": option.kind, "default": option.default_text, "doc": option.doc} for option in options_of(found)
        ],
        "rules": [rule.name for rule in found.rules],
        "exactness": found.exactness,
        "opsets": opset_words(found.rules),
        "changes_signature": found.changes_signature,
        "other_names": {other.name: list(other.tools) for other in registry.other_names().values() if other.passes == (name,)},
        "after": list(found.after),
        "before": list(found.before),
        "plugin": entry.owner,
        "class": entry.target,
    }


def opset_words(rules: Iterable[Rule]) -> str:
    """At which opsets a pass of these rules finds something to do; an algorithm, of no rules, does at all."""
    from graphopt.match.opsets import opsets_of
    from graphopt.schema.versions import OLDEST

    bounds = [opsets_of(rule) for rule in rules]
    first = min((first for first, _ in bounds), default=OLDEST)
    lasts = [last for _, last in bounds if last is not None]
    return f"{first} to {max(lasts)}" if lasts and len(lasts) == len(bounds) else f"{first} and newer"


def described(one: dict[str, Any]) -> str:  # Any: JSON
    """The page about a pass."""
    from textwrap import wrap

    level = f"level {one['level']}" if one["level"] is not None else "runs only when it is named"
    lines = [f"{one['name']}   ({level}, plug-in {one['plugin']}, {one['class']})", "", one["doc"]]
    if one["options"]:
        lines += ["", "Options:"]
        lines += [f"  {option['name']}={option['default']}   {option['doc'] or 'takes'}: {option['takes']}" for option in one["options"]]
    if one["rules"]:
        lines += ["", f"Rules: {', '.join(one['rules'])}"]
    signature = " It changes the signature of the model." if one["changes_signature"] else ""
    lines += ["", f"Opsets: {one['opsets']}. Exactness: {one['exactness']}.{signature}"]
    if one["other_names"]:
        lines += wrap(f"Other tools call it {', '.join(one['other_names'])}.", 100)
    return "\n".join(lines)


def _row(one: dict[str, Any]) -> list[str]:  # Any: JSON
    return ["-" if one["level"] is None else str(one["level"]), one["name"], with_owner(one["summary"], one["plugin"])]
