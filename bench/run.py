"""graphopt measured beside its peers, each command in a fresh process: python bench/run.py [EXPERIMENT...] [--help]"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.experiments import EXPERIMENTS, KNOWN_TOOLS, QUICK, Bench, Experiment, memory, seconds, wall

PACKAGES = (
    "graphopt", "onnx", "numpy", "onnxruntime", "onnxsim", "onnxslim", "onnxoptimizer", "onnxscript", "onnx-ir", "onnx-graphsurgeon",
)  # fmt: skip


def main() -> int:
    """Measure what was asked for, print the tables; with --check the exit status says whether all claims hold."""
    options = arguments()
    out, err = Console(), Console(stderr=True)
    options.data.mkdir(parents=True, exist_ok=True)

    def tell(words: str) -> None:
        if not options.quiet:
            err.print(f"[dim]{words}[/dim]")

    bench = Bench(options.data, options.repeats, options.timeout, tuple(options.tools), options.model, tell)
    names = list(EXPERIMENTS) if options.all else options.experiments or list(QUICK)
    record: dict[str, object] = {"machine": machine(), "versions": versions()}
    out.print(", ".join(f"{key} {value}" for key, value in machine().items()))
    out.print(", ".join(f"{key} {value}" for key, value in versions().items()))
    found = []
    for name in names:
        found.append(EXPERIMENTS[name](bench))
        show(found[-1], out)
    record["experiments"] = [as_json(experiment) for experiment in found]
    if options.json is not None:
        options.json.write_text(json.dumps(record, indent=1), encoding="utf-8")
    broken = [claim for experiment in found for claim in experiment.claims if claim.holds is False]
    return 1 if broken and options.check else 0


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help=f"{', '.join(EXPERIMENTS)}; default: {', '.join(QUICK)}")
    parser.add_argument("--all", action="store_true", help="all experiments; the generated models take 3 GB on disk")
    parser.add_argument("--tools", nargs="+", default=[], metavar="TOOL", help=f"only these peers: {', '.join(KNOWN_TOOLS)}")
    parser.add_argument("--model", type=Path, help="a model of your own for `copy` and `memory`, instead of the generated BERT")
    parser.add_argument("--repeats", type=int, default=3, help="rounds, in which the commands take turns (3)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds after which a command is stopped (600)")
    folder = Path(tempfile.gettempdir()) / "graphopt-bench"
    parser.add_argument("--data", type=Path, default=folder, help=f"where generated models and results go ({folder})")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--check", action="store_true", help="exit status 1 when a claim does not hold")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    options = parser.parse_args()
    for given, known in ((options.experiments, EXPERIMENTS), (options.tools, KNOWN_TOOLS)):
        if unknown := [name for name in given if name not in known]:
            parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    if options.model is not None and not options.model.is_file():
        parser.error(f"{options.model}: there is no such file")
    return options


def machine() -> dict[str, str]:
    """What the figures depend on beside the versions."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    cpu = f"{model} x {os.cpu_count()}"
    return {"system": platform.platform(terse=True), "cpu": cpu, "load": load, "python": platform.python_version()}


def versions() -> dict[str, str]:
    """The versions of what is installed, by the packages' own metadata; nothing is imported."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def show(experiment: Experiment, out: Console) -> None:
    """Print one experiment."""
    table = Table(title=experiment.title, title_justify="left")
    table.add_column("command")
    for heading in ("in process s", "process s", "peak MB", f"/ {experiment.baseline}"):
        table.add_column(heading, justify="right")
    for row in experiment.rows:
        ratio = experiment.ratio(row.label, experiment.baseline)
        figures = (row.median(lambda one: one.inside_s), row.median(wall), row.median(memory))
        spelled = [f"{value:.{places}f}" if value is not None else "" for value, places in zip(figures, (4, 3, 0), strict=True)]
        table.add_row(row.label, *spelled, f"{ratio:.3g}" if ratio is not None else "")
    out.print(table)
    for row in experiment.rows:
        if row.note:
            out.print(f"  {row.label}: {row.note}", highlight=False, markup=False)
    for claim in experiment.claims:
        if claim.value is None:
            out.print(f"  {claim.text}: not measured (limit {claim.limit:g})")
        else:
            state = "[green]holds[/green]" if claim.holds else "[red]does not hold[/red]"
            out.print(f"  {claim.text}: {claim.value:.3g}, limit {claim.limit:g}: {state}")


def as_json(experiment: Experiment) -> dict[str, object]:
    """An experiment as plain data, every single run included."""
    rows = [
        {"command": row.label, "note": row.note, "median_s": row.median(seconds), "runs": [dataclasses.asdict(one) for one in row.runs]}
        for row in experiment.rows
    ]
    claims = [{**dataclasses.asdict(claim), "holds": claim.holds} for claim in experiment.claims]
    return {"title": experiment.title, "baseline": experiment.baseline, "rows": rows, "claims": claims}


if __name__ == "__main__":
    sys.exit(main())
