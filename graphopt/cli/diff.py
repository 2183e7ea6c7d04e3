"""`graphopt diff`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from graphopt import suffixes
from graphopt.cli.shared import python_warnings_told, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphopt.ir.model import Model
    from graphopt.observe.difference import Changed, Difference, NodeChange

SHOWN = 10  # of each kind, unless all are asked for
RULES_SHOWN = 6
STYLES = {"-": "red", "+": "green", "~": "yellow"}
EPILOG = """\b
graphopt diff model.onnx smaller.onnx
graphopt diff model.onnx smaller.onnx --report report.json --all
graphopt diff old.onnx new.onnx --exit-code --json
"""


@click.command(epilog=EPILOG)
@click.argument("before", metavar="A", type=click.Path(path_type=Path, readable=False))
@click.argument("after", metavar="B", type=click.Path(path_type=Path, readable=False))
@click.option("--report", metavar="FILE.json", type=click.Path(path_type=Path), help="What `optimize --report` wrote when it made B of A.")
@click.option("--all", "everything", is_flag=True, help=f"Show all of each kind, not only {SHOWN}.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 when the models differ.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with everything.")
@click.option("--allow-outside", is_flag=True, help="External data may lie outside the folders of A and B.")
def diff(before: Path, after: Path, report: Path | None, everything: bool, exit_code: bool, as_json: bool, allow_outside: bool) -> int:
    """Say what differs between the models A and B, whoever made them: opsets, inputs and outputs, operators, nodes, weights, types.

    Nodes are matched by name, then by the names of what they make, then by what they are and read. Where B was written with --provenance,
    or with the --report of the run, the rule that did it stands beside each. Doc strings, metadata and the order of nodes are not
    compared; nothing is run: `graphopt compare` does that.

    The exit status is 0, also when the models differ, as `git diff` has it; with --exit-code it is 1 then. A model that cannot be read is
    1 too, with nothing on stdout.
    """
    from graphopt.cli.progress import StatusLine
    from graphopt.observe.difference import difference
    from graphopt.observe.provenance import read_origins

    origins = None if report is None else read_origins(report)
    with StatusLine("loading", enabled=True) as line, python_warnings_told(warn):
        models = [loaded(path, allow_outside=allow_outside) for path in (before, after)]
        line.tell("comparing")
        found = difference(models[0], models[1], origins)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        from graphopt.cli.tables import show

        show(*told(f"{before} -> {after}", found, None if everything else SHOWN, asks=report is None))
    return 1 if exit_code and not found.is_empty else 0


def loaded(path: Path, *, allow_outside: bool) -> Model:
    """A model, binary or as text; its external data need not be there before it is read."""
    from graphopt import io
    from graphopt.verify.skeleton import parsed

    if path.suffix in suffixes.TEXT and path.is_file():
        return io.load(parsed(path))
    return io.load(path, allow_outside=allow_outside, check_external=False)


def told(title: str, found: Difference, limit: int | None, *, asks: bool) -> list[object]:
    """The screen, part by part. `asks`: no report was given."""
    from graphopt.observe.check.finding import counted

    blind = f"{counted(found.unread, 'initializer')} compared by type and shape alone: their data is not there"
    if found.is_empty:
        return [title, "nothing differs but, perhaps, doc strings, metadata and the order of nodes", *([blind] if found.unread else [])]
    ports = [("IR version", *map(str, found.ir_version))] if found.ir_version[0] != found.ir_version[1] else []
    for what, changes in (("opset", found.opsets), ("function", found.functions), ("input", found.inputs), ("output", found.outputs)):
        ports += [(f"{what} {change.name}".strip(), change.before or "-", change.after or "-") for change in changes]
    parts: list[object] = [title]
    if ports:
        from graphopt.cli.tables import prose

        parts.append(prose(["", "before", "after"], ports))
    if found.operators:
        parts.append(counts(found))
    parts += nodes("-", "removed", found.removed, limit, asks=asks)
    parts += nodes("+", "added", found.added, limit, asks=asks)
    parts += nodes("~", "changed", found.changed, limit, asks=asks)
    parts += things("node", "renamed", found.renamed, limit)
    parts += things("initializer", "different", found.initializers, limit)
    parts += things("value", "declared otherwise", found.types, limit)
    return [*parts, *([blind] if found.unread else [])]


def counts(found: Difference) -> object:
    """The operators whose number differs."""
    from graphopt.cli.tables import grid

    table = grid("", "before", "after")
    for name, (one, other) in found.operators.items():
        table.add_row(name, str(one or "-"), str(other or "-"))
    table.add_row("nodes", *map(str, found.nodes), style="bold")
    return table


def nodes(sign: str, what: str, changes: Sequence[NodeChange], limit: int | None, *, asks: bool) -> list[object]:
    """Nodes that came, went or changed: how many by which rule, then the first of them. `asks`: a report would know more."""
    if not changes:
        return []
    from rich.console import Group
    from rich.text import Text

    from graphopt.cli.tables import folded
    from graphopt.observe.check.finding import counted

    shown = changes if limit is None else changes[:limit]
    parts: list[Text | str] = [folded(f"{counted(len(changes), 'node')} {what}{_reasons(changes, asks=asks)}")]
    for change in shown:
        details = "; ".join(_details(change))
        lines = [f"{sign} {_kind(change)}  {_name(change)}", *([folded(details, "    ")] if details else [])]
        parts.append(Text("\n".join(lines), style=STYLES[sign]))
    return [Group(*parts, *left_out(len(changes) - len(shown)))]


def _reasons(changes: Sequence[NodeChange], *, asks: bool) -> str:
    from graphopt.observe.difference import by_rule

    rewired = sum(change.is_consequence for change in changes)
    rules = by_rule(change for change in changes if not change.is_consequence)
    unknown = rules.pop("", 0)
    said = [f"{rule} {count}" for rule, count in list(rules.items())[:RULES_SHOWN]]
    if len(rules) > RULES_SHOWN:
        said.append(f"{len(rules) - RULES_SHOWN} more rules")
    if rewired:
        said.append(f"{rewired} read another value")
    if said and unknown:
        said.append(f"{unknown} without a known reason{' (--report FILE.json knows)' if asks else ''}")
    return f": {', '.join(said)}" if said else ""


def things(what: str, how: str, changes: Sequence[Changed], limit: int | None) -> list[object]:
    """Named things that differ, the first of them."""
    if not changes:
        return []
    from graphopt.observe.check.finding import counted

    rows = [(_sign(one), "", one.name, " -> ".join(filter(None, (one.before, one.after)))) for one in changes]
    return [rows_of(f"{counted(len(changes), what)} {how}", rows, limit)]


def rows_of(title: str, rows: Sequence[tuple[str, ...]], limit: int | None) -> object:
    """A title and a table of rows with signs, in the colours of the signs, cut short."""
    from rich.console import Group

    from graphopt.cli.tables import folded, prose

    shown = rows if limit is None else rows[:limit]
    used = [place for place in range(len(rows[0])) if any(row[place] for row in shown)]
    table = prose([""] * len(used), [[row[place] for place in used] for row in shown])
    for line, row in zip(table.rows, shown, strict=True):
        line.style = STYLES.get(row[0])
    return Group(folded(title), table, *left_out(len(rows) - len(shown)))


def left_out(count: int) -> list[str]:
    """What stands for those that are not shown."""
    return [f"  {count} more; --all shows them"] if count else []


def _kind(change: NodeChange) -> str:
    one, other = change.before, change.after
    kinds = [pair[1] for pair in (one, other) if pair is not None]
    return " -> ".join(dict.fromkeys(kinds))


def _name(change: NodeChange) -> str:
    names = " -> ".join(dict.fromkeys(pair[0] for pair in (change.before, change.after) if pair is not None))
    return f"{names} (in {change.graph})" if change.graph else names


def _details(change: NodeChange) -> list[str]:
    found: list[str] = []
    if change.before is None or change.after is None or change.before[1] == change.after[1]:  # another operator has other attributes
        found += [f"{one.name} {_or_none(one.before)} -> {_or_none(one.after)}" for one in change.attributes]
        found += [] if change.inputs is None else _inputs(*change.inputs)
    if change.rules:
        found.append(f"by {', '.join(change.rules)}")
    own = change.after[0] if change.after is not None else None
    others = [name for name in change.sources if name != own]
    if others:
        word = "now in" if change.after is None else "of" if change.before is None else "takes in"
        found.append(f"{word} {', '.join(others)}")
    return found


def _inputs(one: tuple[str, ...], other: tuple[str, ...]) -> list[str]:
    """What a node reads otherwise, input by input where there are as many."""
    if len(one) != len(other):
        return [f"reads {', '.join(one)} -> {', '.join(other)}"]
    differ = [f"reads {old or 'nothing'} -> {new or 'nothing'}" for old, new in zip(one, other, strict=True) if old != new]
    return differ or [f"reads {', '.join(one)}, made otherwise"]


def _or_none(text: str | None) -> str:
    return "(none)" if text is None else text


def _sign(change: Changed) -> str:
    return "+" if change.before is None else "-" if change.after is None else "~"
