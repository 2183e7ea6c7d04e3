"""`graphopt check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphopt.cli.shared import plugin_option, refuse_text, registry_of

if TYPE_CHECKING:
    from graphopt.observe.check import Finding

EPILOG = """\b
graphopt check model.onnx
graphopt check model.onnx --target onnxruntime-cpu-x64 --weights
"""
COLOURS = {"error": "red", "warning": "yellow", "hint": "cyan"}


@click.command(epilog=EPILOG)
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path, readable=False))
@click.option("--target", metavar="NAME", help="Ask what this runtime refuses or leaves in floats, too; as `graphopt lint` does.")
@click.option("--weights", is_flag=True, help="Read all weights: are there NaN, infinities, denormals, copies?")
@click.option("--quick", is_flag=True, help="Run no passes: leave out what only they can tell (--freeze, --opset).")
@click.option("--limit", type=click.IntRange(min=0), default=3, show_default=True, help="How many names to show for each finding.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, all names.")
@click.option("--allow-outside", is_flag=True, help="External data may lie outside the folder of MODEL.")
@plugin_option
def check(
    model: Path, target: str | None, weights: bool, quick: bool, limit: int, as_json: bool, allow_outside: bool, plugins: tuple[str, ...]
) -> int:
    """Say what is wrong with MODEL before work starts, in plain words, and which flag of `graphopt optimize` helps.

    An error: the model is invalid, or cannot be run. A warning: it may not do what its author thinks. A hint: more can be made of it. The
    exit status is 1 when there is an error, otherwise 0.
    """
    from graphopt import io
    from graphopt.cli.progress import StatusLine
    from graphopt.errors import ModelError
    from graphopt.observe.check import Finding
    from graphopt.observe.check.finding import KINDS
    from graphopt.pipeline.checking import check_model

    registry = registry_of(plugins)
    runtime = registry.target_named(target) if target is not None else None
    refuse_text(model)
    try:
        with StatusLine("checking" if quick else "checking, and trying level 1", enabled=True):
            found = check_model(
                lambda: io.load(model, allow_outside=allow_outside, check_external=False), registry,
                target=runtime, weights=weights, quick=quick,
            )  # fmt: skip
    except ModelError as error:
        if not model.is_file():
            raise
        found = [Finding("error", "unreadable", f"{model}: {str(error).removeprefix(f'{model}: ')}")]
    counts = {kind: sum(one.kind == kind for one in found) for kind in KINDS}
    if as_json:
        click.echo(json.dumps([as_data(one) for one in found], indent=2, ensure_ascii=False))
    else:
        tell(model, found, limit)
    return 1 if counts["error"] else 0


def tell(model: Path, found: list[Finding], limit: int) -> None:
    """Print findings, the worst first, each with its first names and what helps."""
    from graphopt.cli.tables import folded
    from graphopt.observe.check.finding import KINDS, counted

    for one in found:
        first, *rest = folded(f"{one.kind}: {one.text}").split("\n")
        click.echo("\n".join([click.style(one.kind, COLOURS[one.kind], bold=True) + first.removeprefix(one.kind), *rest]))
        if one.helps:
            click.echo(folded(f"helps: {one.helps}", "    "))
        shown = [name for name in one.where if repr(name) not in one.text and f"%{name}" not in one.text][:limit]
        if shown:
            left = len(one.where) - len(shown)
            click.echo(folded(f"at: {', '.join(shown)}{f' and {left} more (--limit)' if left > 0 else ''}", "    "))
    if not found:
        click.echo(f"{model}: nothing is wrong with it, and no flag would help")
        return
    counts = [(sum(one.kind == kind for one in found), kind) for kind in KINDS]
    click.echo(f"\n{', '.join(counted(count, kind) for count, kind in counts if count)}")


def as_data(one: Finding) -> dict[str, Any]:  # Any: JSON
    """A finding as plain data."""
    return {"kind": one.kind, "about": one.about, "text": one.text, "where": list(one.where), "helps": one.helps or None}
