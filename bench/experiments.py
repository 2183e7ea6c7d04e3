"""What is measured: which commands run beside each other on which models, and what should come out."""

from __future__ import annotations

import os
import statistics
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bench.process import Run, run
from bench.tools import TASKS, missing

HERE: Final = Path(__file__).resolve().parent
OPTIMIZERS: Final = ("graphopt", "onnxsim", "onnxslim", "onnxoptimizer", "onnxscript", "graphsurgeon", "ort-basic")


@dataclass
class Row:
    """One command on one model; `runs` are its rounds, in which all rows of the experiment took turns."""

    label: str
    runs: list[Run] = field(default_factory=list)
    note: str = ""

    @property
    def good(self) -> list[Run]:
        return [one for one in self.runs if not one.error]

    def median(self, of: Callable[[Run], float | None]) -> float | None:
        values = [value for one in self.good if (value := of(one)) is not None]
        return statistics.median(values) if values else None


@dataclass(frozen=True)
class Claim:
    """What a figure should stay under; `value` is None when a part of it could not be measured."""

    text: str
    value: float | None
    limit: float

    @property
    def holds(self) -> bool | None:
        return None if self.value is None else self.value <= self.limit


@dataclass
class Experiment:
    """Rows that were measured in turn, and the claims about them. `baseline` is the row that the ratios refer to."""

    title: str
    rows: list[Row]
    baseline: str = ""
    claims: list[Claim] = field(default_factory=list)

    def row(self, label: str) -> Row | None:
        return next((row for row in self.rows if row.label == label), None)

    def ratio(self, one: str, other: str) -> float | None:
        """How many times as long as `other` does `one` take: the median of the rounds' ratios."""
        first, second = self.row(one), self.row(other)
        if first is None or second is None:
            return None
        pairs = [(a, b) for a, b in zip(first.runs, second.runs, strict=False) if not a.error and not b.error]
        return statistics.median(seconds(a) / seconds(b) for a, b in pairs) if pairs else None


@dataclass(frozen=True)
class Bench:
    """Where the models lie, how often each command runs, and which tools were asked for (none: all)."""

    folder: Path
    repeats: int
    timeout: float
    tools: tuple[str, ...] = ()
    model: Path | None = None
    tell: Callable[[str], None] = print

    def generated(self, name: str) -> Path:
        """The path of a model, which is made on first use, in a process of its own: this one must stay small."""
        path = self.folder / f"{name}.onnx"
        if not path.exists():
            self.tell(f"generating {path}")
            made = run([sys.executable, str(HERE / "models.py"), name, str(path)], self.folder, self.timeout)
            if made.error:
                path.unlink(missing_ok=True)
                sys.exit(f"bench: the model {name} could not be generated: {made.error}")
        return path

    def rows(self, commands: dict[str, list[str]], result: Path | None = None) -> list[Row]:
        """Run all commands `repeats` times, in turn."""
        rows = [Row(label) for label in commands]
        for number in range(self.repeats):
            for row in rows:
                if row.runs and row.runs[-1].error:
                    continue  # it failed: once is enough
                self.tell(f"round {number + 1} of {self.repeats}: {row.label}")
                _remove(result)
                os.sync()  # nobody pays for the pages that the one before has left to be written
                row.runs.append(run(commands[row.label], self.folder, self.timeout))
                row.note = row.runs[-1].error
        _remove(result)
        return rows

    def tasks(self, names: tuple[str, ...], source: Path, result: Path, suffix: str = "") -> tuple[dict[str, list[str]], list[Row]]:
        """The commands of the tasks that are wanted and installed, and a row for each that is not installed."""
        commands, absent = {}, []
        for name in names:
            if self.tools and name not in self.tools and name not in ("graphopt", "graphopt-copy"):
                continue
            if lacking := missing(name):
                absent.append(Row(name + suffix, note=f"skipped: {', '.join(lacking)} not installed"))
            else:
                commands[name + suffix] = [sys.executable, str(HERE / "tools.py"), name, str(source), str(result)]
        return commands, absent


def seconds(one: Run) -> float:
    """In-process seconds where a command measures them, else those of the whole process."""
    return one.wall_s if one.inside_s is None else one.inside_s


def wall(one: Run) -> float:
    return one.wall_s


def memory(one: Run) -> float:
    return one.rss_mb


def start_up(bench: Bench) -> Experiment:
    """`graphopt --help` against an interpreter that does nothing."""
    script = Path(sysconfig.get_path("scripts")) / "graphopt"
    shown = [str(script), "--help"] if script.exists() else [sys.executable, "-m", "graphopt", "--help"]
    commands = {"python -c pass": [sys.executable, "-c", "pass"], "graphopt --help": shown}
    bench.rows(commands)  # byte code is compiled and cached on the first run
    found = Experiment("start-up", bench.rows(commands), "python -c pass")
    found.claims.append(Claim("graphopt --help / python -c pass", found.ratio("graphopt --help", "python -c pass"), 6))
    return found


def copying(bench: Bench) -> Experiment:
    """Load and save without a pass, beside `cp`."""
    source, result = bench.model or bench.generated("bert"), bench.folder / "result.onnx"
    commands, absent = bench.tasks(("graphopt-copy", "onnx-copy", "onnx-ir-copy"), source, result)
    commands = {"cp": ["cp", str(source), str(result)], **commands}
    found = Experiment(f"load and save {source.name} ({_megabytes(source)})", bench.rows(commands, result))
    found.rows += absent
    found.baseline = "cp"
    if found.rows[0].good and (row := found.row("graphopt-copy")) is not None:
        over = [seconds(one) - 2 * wall(copied) for one, copied in zip(row.good, found.rows[0].good, strict=False)]
        found.claims.append(Claim("load + save, seconds beyond twice cp", statistics.median(over) if over else None, 0.1))
    return found


def memory_inline(bench: Bench) -> Experiment:
    """Optimizing a model of 438 MB that holds its weights."""
    return _optimizing(bench, bench.model or bench.generated("bert"), 250)


def memory_external(bench: Bench) -> Experiment:
    """Optimizing a model of 2.5 GB with external data."""
    return _optimizing(bench, bench.generated("llama"), 300)


def _optimizing(bench: Bench, source: Path, limit: float) -> Experiment:
    result = bench.folder / "result.onnx"
    commands, absent = bench.tasks(OPTIMIZERS, source, result)
    found = Experiment(f"optimize {source.name} ({_megabytes(source)})", bench.rows(commands, result) + absent, "graphopt")
    row = found.row("graphopt")
    found.claims.append(Claim("graphopt, peak resident MB", row.median(memory) if row is not None else None, limit))
    return found


def chains(bench: Bench) -> Experiment:
    """Chains of 10,000 and 50,000 small nodes: the cost of a node, and whether it grows with the model."""
    result = bench.folder / "result.onnx"
    commands: dict[str, list[str]] = {}
    absent: list[Row] = []
    names = ("graphopt", *(tuple(name for name in OPTIMIZERS if name in bench.tools) or ("ort-basic",)))
    for size in (10_000, 50_000):
        more, lacking = bench.tasks(names, bench.generated(f"chain-{size}"), result, f" {size}")
        commands |= more
        absent += lacking
    found = Experiment("chains of 10,000 and 50,000 nodes", bench.rows(commands, result) + absent, "graphopt 10000")
    found.claims.append(Claim("graphopt / ort-basic, 10,000 nodes", found.ratio("graphopt 10000", "ort-basic 10000"), 1))
    found.claims.append(Claim("graphopt, 50,000 nodes / 10,000 nodes", found.ratio("graphopt 50000", "graphopt 10000"), 5.5))
    return found


def matching(bench: Bench) -> Experiment:
    """120 generated rules over 5,000 random nodes, beside onnxscript's default rules on the same graph; no rewrite is made.

    One process each, which takes the quickest of several times by itself.
    """
    source, bench = bench.generated("tangle"), replace(bench, repeats=1)
    names = ["graphopt"] + (["onnxscript"] if not missing("onnxscript") else [])
    rows = bench.rows({name: [sys.executable, str(HERE / "matching.py"), name, str(source)] for name in names})
    for row in rows:
        if row.good and not row.note:
            said = row.good[-1].said
            parts = [f"{said[key]} {key}" for key in ("rules", "matches", "rewrites") if key in said]
            row.note = f"{', '.join(parts)}; first time {said['first_s']:.4f} s"
    if len(names) == 1:
        rows.append(Row("onnxscript", note="skipped: not installed"))
    found = Experiment("matching over 5,000 nodes", rows, "onnxscript")
    found.claims.append(Claim("graphopt's 120 rules / onnxscript's default rules", found.ratio("graphopt", "onnxscript"), 1 / 50))
    return found


EXPERIMENTS: Final[dict[str, Callable[[Bench], Experiment]]] = {
    "start-up": start_up,
    "copy": copying,
    "chain": chains,
    "matching": matching,
    "memory": memory_inline,
    "memory-external": memory_external,
}
QUICK: Final = ("start-up", "copy", "chain", "matching")
KNOWN_TOOLS: Final = tuple(name for name in TASKS if not name.startswith("graphopt"))


def _megabytes(path: Path) -> str:
    beside = path.with_name(f"{path.name}.data")
    size = path.stat().st_size + (beside.stat().st_size if beside.exists() else 0)
    return f"{size / 1e6:.0f} MB"


def _remove(result: Path | None) -> None:
    if result is not None:
        for path in (result, result.with_name(f"{result.name}.data")):
            path.unlink(missing_ok=True)
