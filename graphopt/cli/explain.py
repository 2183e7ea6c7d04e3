"""`graphopt explain`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphopt.cli.quantized import tell_remaining
from graphopt.cli.shared import plugin_option, python_warnings_told, refuse_text, registry_of, warn
from graphopt.cli.sizes import size_options, wishes_of

if TYPE_CHECKING:
    from graphopt.infer.freeze import Wishes
    from graphopt.ir.model import Model
    from graphopt.match.explain import Explanation
    from graphopt.match.rule import Rule
    from graphopt.pipeline.pipeline import Pipeline
    from graphopt.pipeline.registry import Registry

DEFAULT_TARGET = "onnxruntime-cpu-x64"


@click.command
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path, readable=False))
@click.option("--rule", "names", multiple=True, metavar="RULE", help="Explain this rule, at every node where it is tried. Repeatable.")
@click.option("--dynamic", is_flag=True, help="Explain why each Shape, If, Loop, NonZero ... is left (after level 1, or --after).")
@click.option("--qdq", is_flag=True, help="Explain why each QuantizeLinear and DequantizeLinear will be left by a runtime.")
@click.option("--target", metavar="NAME", help="The runtime for --qdq (default: onnxruntime-cpu-x64); `graphopt targets` lists them.")
@click.option(
    "--after", metavar="PIPELINE",
    help="Run this first: what is left, and why? Default: level 1, without the passes of each --rule; with --qdq nothing, as with ''.",
)
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="How many places to show for each rule.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, all places.")
@click.option("--allow-outside", is_flag=True, help="External data may lie outside the folder of MODEL.")
@size_options
@plugin_option
def explain(
    model: Path, names: tuple[str, ...], dynamic: bool, qdq: bool, target: str | None, after: str | None, limit: int, as_json: bool,
    allow_outside: bool, plugins: tuple[str, ...], **sizes: Any,  # Any: what `size_options` give
) -> None:  # fmt: skip
    """Say why rules do not fire on MODEL: how far the furthest attempt came, and what stopped it.

    With --rule at each node, once everything else of level 1 is done. Without, what level 1 leaves is looked at: each rule that came
    anywhere is listed once, with its furthest attempt. With --dynamic: what is still computed when the
    model runs because sizes or data are not known before, what each depends on, and which --freeze would remove it. With --qdq: which
    QuantizeLinear and DequantizeLinear a runtime will leave after its own fusion, and which condition of which node is the reason.
    """
    if dynamic + qdq + bool(names) > 1:
        raise click.UsageError("give one of --rule, --dynamic and --qdq: one explains rules, the others what is left of a model")
    if target is not None and not qdq:
        raise click.UsageError("--target goes with --qdq")
    from graphopt.pipeline.pipeline import Pipeline

    registry = registry_of(plugins)
    runtime = registry.target_named(target or DEFAULT_TARGET) if qdq else None
    rules = [registry.rule_named(name) for name in names] or [known.rule for known in registry.rules().values()]
    wishes = wishes_of(sizes)
    refuse_text(model)
    if after is not None:
        pipeline = Pipeline.parse(after, registry, target=target)
    else:
        pipeline = Pipeline.of_levels(0) if qdq else all_but(names, registry)
    loaded = prepared(model, pipeline, registry, wishes, allow_outside=allow_outside)
    if runtime is not None:
        tell_remaining(loaded, runtime, limit, as_json=as_json)
    elif dynamic:
        tell_dynamic(loaded, limit, as_json=as_json)
    else:
        if after is None and not as_json:
            click.echo(f"After {pipeline} (--after '' looks at the model as it is):")
        tell_rules(loaded, rules, limit, as_json=as_json, named=bool(names))


def all_but(rules: tuple[str, ...], registry: Registry) -> Pipeline:
    """Level 1 without the passes that apply some rules, so that they meet what is there when they would fire."""
    from graphopt.pipeline.pipeline import LevelStep, Pipeline, Skip

    level = registry.level(1)
    applying = {name for rule in rules for name in registry.rules()[rule].passes}
    return Pipeline([LevelStep(1), *(Skip(name) for name in level if name in applying)])


def prepared(path: Path, pipeline: Pipeline, registry: Registry, wishes: Wishes, *, allow_outside: bool) -> Model:
    """A model with its sizes frozen as wished, after a pipeline, with types, which rules need."""
    from graphopt import io
    from graphopt.cli.told import Told
    from graphopt.infer.freeze import freeze_dimensions
    from graphopt.infer.model import infer_model
    from graphopt.pipeline.runner import run_pipeline

    with python_warnings_told(warn):
        model = io.load(path, allow_outside=allow_outside)
        told = Told(warn)
        freeze_dimensions(model, wishes, told)
        if not run_pipeline(pipeline, model, told, registry=registry):  # passes have inferred them already
            infer_model(model)
    return model


def tell_rules(model: Model, rules: list[Rule], limit: int, *, as_json: bool, named: bool) -> None:
    """Print why rules do not fire; of those that nobody named only the furthest attempt, if it came anywhere."""
    found = {rule.name: places(rule, model) for rule in rules}
    if as_json:
        click.echo(json.dumps({name: [as_data(one) for one in ones] for name, ones in found.items()}, indent=2, ensure_ascii=False))
        return
    for ones in found.values():
        _tell(ones, limit if named else 1, always=named)


def tell_dynamic(model: Model, limit: int, *, as_json: bool) -> None:
    """Print what is left in a model because something is known only when it runs; alike reasons of one operator together."""
    from collections import Counter

    from graphopt.cli.tables import folded
    from graphopt.observe.dynamic import remaining
    from graphopt.observe.trace import label

    found = remaining(model)
    if as_json:
        rows = [
            {"node": label(one.node), "operator": one.node.op, "reason": one.reason, "freeze": list(one.freeze), "provided": one.provided}
            for one in found
        ]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not found:
        click.echo("Nothing is left that depends on sizes or data: no Shape, If, Loop or NonZero.")
        return
    for operator, count in Counter(one.node.op for one in found).most_common():
        click.echo(f"{operator} ({count})")
        same = [one for one in found if one.node.op == operator]
        for one in same[:limit]:
            click.echo(folded(str(one), "  "))
        if count > limit:
            click.echo(f"  ... and {count - limit} more (--limit)")
    going = [one for one in found if one.freeze and not one.provided]
    if going:
        sizes = sorted({size for one in going for size in one.freeze})
        flag = f"--freeze {','.join(f'{size}=...' for size in sizes)}"
        click.echo(folded(f"With all sizes frozen ({flag}), {len(going)} of {len(found)} would go."))


def places(rule: Rule, model: Model) -> list[Explanation]:
    """The attempts at a rule, the furthest first, with the driver's guards asked as well."""
    from graphopt.match.explain import explain as explain_rule
    from graphopt.rewrite import tried

    return explain_rule(rule, model, partial(tried, rule))


def as_data(one: Explanation) -> dict[str, Any]:  # Any: JSON
    """An explanation as plain data."""
    from graphopt.observe.trace import label

    return {
        "node": None if one.node is None else label(one.node),
        "operator": None if one.node is None else one.node.op,
        "applies": one.applies,
        "pattern": one.part,
        "reason": one.reason,
    }


def _tell(ones: list[Explanation], limit: int, *, always: bool) -> None:
    from graphopt.cli.tables import folded

    if not always and ones[0].node is None:
        return
    for one in ones[:limit]:
        click.echo(folded(str(one)))
    if always and len(ones) > limit:
        click.echo(f"  ... and {len(ones) - limit} more places, none further (--limit)")
