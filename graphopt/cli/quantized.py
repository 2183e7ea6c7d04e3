"""What `graphopt explain --qdq` tells."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from graphopt.ir.model import Model
    from graphopt.pipeline.target import Target
    from graphopt.runtimes.remaining import Remaining


def tell_remaining(model: Model, target: Target, limit: int, *, as_json: bool) -> None:
    """Print which QuantizeLinear and DequantizeLinear a runtime will leave, and why; those that must be, at the borders of floats, last.

    What it will refuse or compute wrong comes first, as a number: nothing is fused of a model that is not taken.
    """
    from graphopt.quantization import is_dequantize, is_quantize
    from graphopt.runtimes.lint import findings
    from graphopt.runtimes.remaining import outlook

    found = outlook(model, target.wants)
    if as_json:
        click.echo(json.dumps([as_data(one) for one in found.remaining], indent=2, ensure_ascii=False))
        return
    kinds = Counter(one.kind for one in findings(model, target.wants, found))
    if kinds["refused"] or kinds["wrong"]:
        told = {f"refuse {nodes(kinds['refused'])}": kinds["refused"], f"compute {nodes(kinds['wrong'])} wrong": kinds["wrong"]}
        does = " and ".join(what for what, count in told.items() if count)
        click.echo(f"{target.name} will {does}: see graphopt lint --target {target.name}")
    there = sum(is_quantize(node) or is_dequantize(node) for node in model.nodes())
    borders = [one for one in found.remaining if one.is_boundary]
    inner = [one for one in found.remaining if not one.is_boundary]
    if not there:
        click.echo("The model has no QuantizeLinear and no DequantizeLinear.")
        return
    copied = ", copies counted that it makes itself" if len(found.remaining) > there else ""
    click.echo(f"{target.name} will leave {len(found.remaining)} QuantizeLinear and DequantizeLinear, of {there} in the model{copied}.")
    _tell("because of what is computed in floats", inner, limit)
    _tell("where floats come in or go out", borders, limit)


def nodes(count: int) -> str:
    """A number of nodes.

    >>> nodes(1), nodes(2)
    ('1 node', '2 nodes')
    """
    return f"{count} node{'s' if count != 1 else ''}"


def _tell(why: str, ones: list[Remaining], limit: int) -> None:
    from graphopt.cli.tables import folded

    if not ones:
        return
    click.echo(f"{len(ones)} {why}:")
    for one in ones[:limit]:
        click.echo(folded(str(one), "  "))
    if len(ones) > limit:
        click.echo(f"  ... and {len(ones) - limit} more (--limit)")


def _name(node: Any) -> str:  # Any: a Node
    from graphopt.runtimes.seen import label

    return label(node)


def as_data(one: Remaining) -> dict[str, Any]:  # Any: JSON
    """What is left, as plain data."""
    return {
        "node": one.name,
        "operator": "QuantizeLinear" if one.is_quantize else "DequantizeLinear",
        "where": one.where,
        "reason": one.reason,
        "because_of": None if one.culprit is None else _name(one.culprit),
        "helps": one.helps or None,
        "boundary": one.is_boundary,
    }
