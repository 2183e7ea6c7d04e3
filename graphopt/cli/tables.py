"""How reports and lists look on a terminal and in a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import StringIO
from shutil import get_terminal_size
from typing import TYPE_CHECKING

from graphopt.observe.sizes import size

if TYPE_CHECKING:
    from rich.table import Table

    from graphopt.infer.freeze import Frozen
    from graphopt.observe.report import DataFile, Report

UNBOUNDED = 10_000  # columns when it goes to a file, where nothing must be folded
FIRED_SHOWN = 12
WORD = 18  # columns below which words are not folded in the middle, where that can be
PROSE = 24  # columns that folded prose needs at least


def account(report: Report) -> list[object]:
    """The short account of a run, to `show`: what changed, what fired how often, how long it took."""
    target = f" -> {report.output}" if report.output else ""
    things: list[object] = [f"{report.source or 'model'}{target}   ({report.pipeline or 'no passes'})", counts_table(report)]
    things.append(fired_table(report) if report.fired() else idle(report))
    if report.data_files:
        things.append("\n".join(map(data_file, report.data_files)))
    if report.frozen:
        things.append(frozen(len(report.frozen)))
    elif report.overridable:
        things.append(overridable(report.overridable))
    if report.frozen_dimensions:
        things.append(sizes(report.frozen_dimensions))
    things.append("seconds: " + ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in report.seconds.items()))
    return things


def idle(report: Report) -> str:
    """Why nothing fired."""
    if not report.pipeline:
        return "no passes were asked for: nothing changed"
    return "nothing to do: no rule and no pass found anything to change"


def data_file(file: DataFile) -> str:
    """Where weights are that are not in the model file.

    >>> from graphopt.observe.report import DataFile
    >>> data_file(DataFile("m.bin", 8192, shared=True)), data_file(DataFile("out.onnx.data", 8192, shared=False))
    ('weights stay in m.bin (8.0 KiB), which both models now use', 'weights are in out.onnx.data (8.0 KiB)')
    """
    if file.shared:
        return f"weights stay in {file.name} ({size(file.bytes)}), which both models now use"
    return f"weights are in {file.name} ({size(file.bytes)})"


def frozen(count: int) -> str:
    """What --initializers-are-constants did."""
    if count == 1:
        return "1 initializer is a constant now and no input any more, as asked"
    return f"{count} initializers are constants now and no inputs any more, as asked"


def sizes(frozen: Frozen) -> str:
    """Which dimensions of the inputs were frozen, and which were not.

    >>> from graphopt.infer.freeze import Frozen
    >>> print(sizes(Frozen({"batch": 4}, {"x:1": 3}, {}, ("sequence",))))
    frozen, as asked: batch=4, x:1=3
    still dynamic: sequence
    """
    left = f"still dynamic: {', '.join(frozen.left)}" if frozen.left else "every dimension of the inputs is a number now"
    return f"frozen, as asked: {frozen}\n{left}"


def overridable(count: int) -> str:
    """What stopped folding and fusing, and what to do."""
    who, them = ("1 initializer is an input", "it") if count == 1 else (f"{count} initializers are inputs", "them")
    advice = "If no caller does, give --initializers-are-constants."
    return f"{who} as well, which a caller may feed: nothing is folded or fused with {them}.\n{advice}"


def counts_table(report: Report) -> Table:
    """Nodes by operator where their number changed, and totals."""
    table = grid("", "before", "after")
    for name, (before, after) in report.operator_changes().items():
        table.add_row(name, _count(before), _count(after))
    left, right = report.before, report.after
    same = sum(count for name, count in left.operators.items() if right.operators.get(name) == count)
    if same and report.operator_changes():
        table.add_row("(all others)", str(same), str(same))
    table.add_row("nodes", str(left.nodes), str(right.nodes), style="bold")
    table.add_row("initializers", str(left.initializers), str(right.initializers))
    table.add_row("their bytes", size(left.initializer_bytes), size(right.initializer_bytes))
    if left.constant_bytes or right.constant_bytes:
        table.add_row("bytes in nodes", size(left.constant_bytes), size(right.constant_bytes))
    if report.file_bytes_before is not None or report.file_bytes_after is not None:
        table.add_row("file", size(report.file_bytes_before), size(report.file_bytes_after))
    return table


def fired_table(report: Report) -> Table:
    """Which rules and passes fired, and how often."""
    table = grid("rule or pass", "changes")
    fired = list(report.fired().items())
    for name, times in fired[:FIRED_SHOWN]:
        table.add_row(name, str(times))
    if len(fired) > FIRED_SHOWN:
        rest = fired[FIRED_SHOWN:]
        table.add_row(f"({len(rest)} more)", str(sum(times for _, times in rest)))
    return table


def times_table(report: Report) -> Table:
    """Seconds per pass and per rule, the slowest first."""
    table = grid("pass", "runs", "changes", "seconds")
    for name, count in sorted(report.passes.items(), key=lambda item: -item[1].seconds):
        table.add_row(name, str(count.runs), str(count.changes), f"{count.seconds:.4f}")
    table.add_row("all passes", "", "", f"{sum(count.seconds for count in report.passes.values()):.4f}", style="bold")
    return table


def grid(first: str, *numbers: str) -> Table:
    """A table without lines: the first column is text, the others are numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim", padding=(0, 0, 0, 2))
    table.add_column(first, no_wrap=True, min_width=20)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def show(*things: object, error: bool = False) -> None:
    """Print texts and tables with an empty line between them; in colour on a terminal only."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    target = stream if stream.isatty() else StringIO()
    width = None if stream.isatty() else UNBOUNDED
    console = Console(file=target, highlight=False, markup=False, emoji=False, soft_wrap=True, width=width)
    for position, thing in enumerate(things):
        if position:
            console.print()
        console.print(thing)
    if isinstance(target, StringIO):
        stream.write("".join(f"{line.rstrip()}\n" for line in target.getvalue().splitlines()))


def _count(count: int) -> str:
    return str(count) if count else "-"


def folded(line: str, indent: str = "") -> str:
    """A line of prose after an indent: on a terminal folded between words, further in, never inside a word; in a file as it is."""
    if not sys.stdout.isatty():
        return indent + line
    from textwrap import fill

    width = get_terminal_size().columns
    return fill(
        line, width, initial_indent=indent, subsequent_indent=f"{indent}    ", break_long_words=False, break_on_hyphens=False,
        expand_tabs=False, replace_whitespace=False,
    )  # fmt: skip


def listing(titles: list[str], rows: list[list[str]]) -> Table:
    """A table of names and prose: prose is folded, names never; where there is no room, columns at the right are left out.

    Names and the first column of prose always stay.
    """
    from rich.table import Table

    columns = list(zip(titles, *rows, strict=True))
    are_prose = [any(" " in cell for cell in cells) for _, *cells in columns]
    needs = [PROSE if is_prose else max(map(len, cells), default=0) for is_prose, (_, *cells) in zip(are_prose, columns, strict=True)]
    least = are_prose.index(True) + 1 if True in are_prose else 1
    room = get_terminal_size().columns if sys.stdout.isatty() else UNBOUNDED
    while len(needs) > least and sum(needs) + 2 * (len(needs) - 1) > room:
        needs.pop()
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim", padding=(0, 0, 0, 2))
    for title, is_prose in zip(titles[: len(needs)], are_prose, strict=False):
        table.add_column(title, overflow="fold", no_wrap=not is_prose)
    for row in rows:
        table.add_row(*row[: len(needs)])
    return table


def prose(titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()) -> Table:
    """A table in which every cell may be long: on a terminal cells are folded until they fit, and nothing is left out.

    `numbers` are the titles of columns that stand at the right. Without any title there is no line of them.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim", padding=(0, 0, 0, 2), show_header=any(titles))
    for title, *cells in zip(titles, *rows, strict=True):
        longest = max((len(word) for cell in cells for word in cell.split(" ")), default=0)
        table.add_column(title, overflow="fold", justify="right" if title in numbers else "left", min_width=min(longest, WORD))
    for row in rows:
        table.add_row(*row)
    return table
