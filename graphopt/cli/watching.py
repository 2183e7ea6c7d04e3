"""What is told while passes run, and afterwards: models and diffs as text, in colour on a terminal; what each rule did."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from graphopt.cli.tables import grid, prose, show

if TYPE_CHECKING:
    from rich.text import Text

    from graphopt.observe.dump import Dump
    from graphopt.observe.report import Report
    from graphopt.observe.watch import PrintAfterChange

STYLES = {"---": "yellow", "+++": "yellow", "@@": "cyan", "-": "red", "+": "green", "#": "yellow"}  # the first that a line begins with


def diff_printer(*, error: bool) -> PrintAfterChange:
    """An observer that prints what each pass changed."""
    from graphopt.io import print_text
    from graphopt.observe.watch import PrintAfterChange

    return PrintAfterChange(print_text, lambda text: show(coloured(text), error=error))


def dump_printer(before: Collection[str], after: Collection[str]) -> Dump:
    """An observer that prints the model before and after some passes, on stderr."""
    from graphopt.io import print_text
    from graphopt.observe.dump import Dump

    return Dump(print_text, lambda text: show(coloured(text, only="#"), error=True), before, after)


def coloured(text: str, *, only: str = "") -> Text:
    """A diff, or whatever else has lines that begin with a sign, in colours; `only` names the one sign that means something."""
    from rich.text import Text

    found = Text()
    for line in text.splitlines():
        sign = next((sign for sign in STYLES if line.startswith(sign) and only in (sign, "")), None)
        found.append(f"{line}\n", style=STYLES[sign] if sign is not None else None)
    found.right_crop(1)
    return found


def statistics_tables(report: Report) -> list[object]:
    """What each pass changed; what each rule and whole-graph pass did, and why it did not."""
    passes = grid("pass", "runs", "changes", "nodes before", "after")
    for name, count in report.passes.items():
        if count.changes:
            passes.add_row(name, str(count.runs), str(count.changes), str(count.nodes_before), str(count.nodes_after))
    idle = [count for count in report.passes.values() if not count.changes]
    if idle:
        passes.add_row(f"({len(idle)} that changed nothing)", str(sum(count.runs for count in idle)), "-", "", "", style="dim")
    rows = []
    for name, done in report.rules.items():
        rows.append([str(done.fired or "-"), str(done.declined.total() or "-"), name])
        rows += [["", str(times), f"    {reason}"] for reason, times in done.declined.most_common()]
    return [passes, prose(["fired", "declined", "rule or pass"], rows, numbers=("fired", "declined"))] if rows else [passes]
