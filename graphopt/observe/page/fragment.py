"""A report as a piece of HTML for a notebook: tables alone, no script, in the colours of what is around it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from graphopt.observe.sizes import size

if TYPE_CHECKING:
    from graphopt.observe.report import Report

SHOWN: Final = 15  # rows of a table
_COLUMN: Final = "display:inline-block;vertical-align:top;margin:6px 40px 6px 0"
_SIDES: Final = ("opacity:.35", "opacity:.9")  # of the bars before and after


def fragment(report: Report) -> str:
    """What changed, what fired how often, whether it was verified; whatever a model is called stays text."""
    name = PurePath(report.source).name or "model"
    head = f"<b>{escape(name)}</b> &middot; {escape(report.pipeline or 'no passes')}"
    columns = [_totals(report), _operators(report), _rules(report)]
    notes = [*_verification(report), *(f"warning: {warning}" for warning in report.warnings[:SHOWN])]
    said = "".join(f"<div>{escape(note)}</div>" for note in notes)
    tables = "".join(f'<div style="{_COLUMN}">{table}</div>' for table in columns if table)
    return f'<div style="line-height:1.45"><div>{head}</div>{tables}{said}</div>'


def _totals(report: Report) -> str:
    left, right = report.before, report.after
    rows = [
        ("nodes", f"{left.nodes:,}", f"{right.nodes:,}"),
        ("initializers", f"{left.initializers:,}", f"{right.initializers:,}"),
        ("their bytes", size(left.initializer_bytes), size(right.initializer_bytes)),
        ("bytes in nodes", size(left.constant_bytes), size(right.constant_bytes)),
    ]
    if (report.file_bytes_before, report.file_bytes_after) != (None, None):
        rows.append(("file", size(report.file_bytes_before), size(report.file_bytes_after)))
    seconds = report.seconds.get("optimize")
    if seconds is not None:
        rows.append(("seconds", "", f"{seconds:.2f}"))
    return _table(("", "before", "after"), ([escape(cell) for cell in row] for row in rows))


def _operators(report: Report) -> str:
    changed = sorted(report.operator_changes().items(), key=lambda item: (-abs(item[1][0] - item[1][1]), item[0]))
    if not changed:
        return ""
    most = max(max(counts) for _, counts in changed)
    rows = [[escape(name), _bars(counts, most), str(counts[0] or "-"), str(counts[1] or "-")] for name, counts in changed[:SHOWN]]
    rows += _rest(changed, 4)
    return _table(("operator", "", "before", "after"), rows)


def _bars(counts: tuple[int, int], most: int) -> str:
    return "".join(
        f'<div style="height:5px;margin:1px;width:{100 * count / most:.1f}px;background:currentColor;{style}"></div>'
        for count, style in zip(counts, _SIDES, strict=True)
    )


def _rules(report: Report) -> str:
    fired = list(report.fired().items())
    rows = [[escape(name), f"{times:,}"] for name, times in fired[:SHOWN]] + _rest(fired, 2)
    return _table(("rule or pass", "changes"), rows) if rows else "no rule and no pass found anything to change"


def _rest(items: list[tuple[str, tuple[int, int]]] | list[tuple[str, int]], width: int) -> list[list[str]]:
    return [[f"({len(items) - SHOWN} more)", *[""] * (width - 1)]] if len(items) > SHOWN else []


def _verification(report: Report) -> list[str]:
    found = report.verification
    return [] if found is None else [f"verified: {found['verdict']} on {len(found['feeds'])} inputs ({found['runner']})"]


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are HTML already; the first column is text, the others stand at the right."""
    side = ("left", *["right"] * 9)

    def line(cells: Iterable[str], tag: str, more: str = "") -> str:
        made = [f'<{tag} style="text-align:{where}{more}">{cell}</{tag}>' for cell, where in zip(cells, side, strict=False)]
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(titles, 'th', ';opacity:.6')}</thead><tbody>{body}</tbody></table>"
