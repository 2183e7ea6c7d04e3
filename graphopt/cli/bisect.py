"""`graphopt bisect`."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphopt.cli.jobs import job_of, job_options
from graphopt.cli.shared import python_warnings_told, warn

if TYPE_CHECKING:
    from graphopt.observe.bisect import Culprit
    from graphopt.pipeline.culprits import Account
    from graphopt.pipeline.job import Job

DIFF_SHOWN = 24  # lines

EPILOG = """\b
graphopt bisect model.onnx
graphopt bisect model.onnx -p 'level1, my-pass' --plugin ./my_rules.py
graphopt bisect model.onnx --command 'python check.py {}'
"""


@click.command(epilog=EPILOG)
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path, readable=False))
@job_options
@click.option("--command", metavar="COMMAND", help="Ask this about each result instead of comparing outputs; see above.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="How long COMMAND may take.")
@click.option("--runs", type=click.IntRange(min=1), default=300, show_default=True, help="How often the passes may be run.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bisect(
    model: Path, command: str | None, timeout: float | None, runs: int, as_json: bool, **options: Any  # Any: one type for each option
) -> int:
    """Find the smallest set of rewrites that makes graphopt's result for MODEL compute something else, or makes a pass break.

    The passes are those that `graphopt optimize` would run. They run again and again, each time with some of their rewrites left out, and
    each result is compared with MODEL. The result of no pass at all comes first: when that is bad, no rewrite is to blame.

    With --command a command of your own judges: in the shell, with the path of the result for {} (or at its end). As in `git bisect run`,
    exit status 0 says that the result is good, 125 that it cannot be judged, everything else that it is bad.

    The exit status is 0 when nothing is wrong, 1 when something was found.
    """
    from graphopt.cli.progress import StatusLine
    from graphopt.pipeline.culprits import Bisection
    from graphopt.verify.commands import Command

    if timeout is not None and command is None:
        raise click.UsageError("--timeout is for --command")
    job = job_of(model, options)
    judge = None if command is None else Command(command, timeout)
    with StatusLine("bisecting", enabled=True) as line, python_warnings_told(warn):
        account = Bisection(job, judge, most=runs, told=lambda run, words: line.tell(f"bisecting: run {run}, {words}")).run()
    if as_json:
        found = {"model": str(model), "pipeline": str(job.pipeline), **account.as_json(), "repeat": repeats(account, model, job)}
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        tell(account, model, job)
    return 0 if account.bisected.is_good else 1


def tell(account: Account, model: Path, job: Job) -> None:
    """Say what was found."""
    from graphopt.cli.tables import show

    found = account.bisected
    times = f"{found.runs} run{'s' if found.runs != 1 else ''}"
    if found.is_good:
        passes = str(job.pipeline) or "no pass"
        show(f"{model}: nothing is wrong with what {passes} makes of it (rewrites: {found.number})", *evidence(account))
        return
    if found.is_baseline_bad:
        show(f"{model}: no rewrite is to blame: it is bad with no pass at all ({times})", *evidence(account))
        return
    show(headline(account, model, times), *culprits(account), *changed(account), *evidence(account), *advice(account, model, job))


def headline(account: Account, model: Path, times: str) -> str:
    """What is to blame, in a line."""
    found = account.bisected
    unit = "rewrite" if found.last.unit == "rewrite" else "run of a pass"
    if found.between is not None:
        first, last = found.between
        return f"{model}: one of the {unit}s {first} to {last} of {found.number} is to blame; those between cannot be judged ({times})"
    what = f"{unit} {found.last.number} of {found.number} is to blame"
    if len(found.culprits) > 1 and found.alone:
        what = f"{len(found.culprits)} {unit}s of {found.number} are to blame together"
    elif len(found.culprits) > 1:
        what += ", after " + ", ".join(str(one.number) for one in found.culprits[:-1])
    return f"{model}: {what} ({times})"


def culprits(account: Account) -> list[str]:
    """Each culprit with what it is called and where it stands."""
    found = account.bisected
    blocks = ["\n".join(described(one, account.where)) for one in found.culprits]
    if not found.is_smallest:
        blocks.append("Not all of them may be needed: --runs ended the search, or two runs were not the same.")
    elif len(found.culprits) > 1:
        blocks.append(
            "Without any one of them the result is right."
            if found.alone
            else "The last one is wrong. Only what comes before it makes it possible; without that the result is right."
        )
    return blocks


def described(one: Culprit, where: dict[str, str]) -> list[str]:
    """A culprit as lines."""
    place = where.get(one.rule or one.pass_name, "")
    stands = f"  ({nearby(place)})" if place else ""
    if one.unit == "pass":
        return [f"{one.number}  pass  {one.pass_name}{stands}", f"{'':{len(str(one.number))}}  graph {one.graph}"]
    indent = " " * len(str(one.number))
    lines = [f"{one.number}  rule  {one.rule}{stands}", f"{indent}  node  {one.node} in graph {one.graph!r}"]
    return lines if one.pass_name == one.rule else [*lines, f"{indent}  pass  {one.pass_name}"]


def nearby(place: str) -> str:
    """A place in a file, seen from here if it lies below."""
    try:
        relative = os.path.relpath(place)
    except ValueError:  # another drive
        return place
    return place if relative.startswith(os.pardir) else relative


def changed(account: Account) -> list[object]:
    """What the last culprit changed, as a diff; in colour on a terminal."""
    from rich.text import Text

    lines = account.diff[:DIFF_SHOWN]
    if not lines:
        return []
    if len(account.diff) > len(lines):
        lines.append(f"  ... {len(account.diff) - len(lines)} more lines, all with --json")
    colours = {"-": "red", "+": "green"}
    return [Text("\n").join(Text(line, style=colours.get(line[0], "dim")) for line in lines)]


def evidence(account: Account) -> list[str]:
    """What shows that the result is wrong, or that it is not."""
    from graphopt.errors import GraphoptError
    from graphopt.verify.commands import Ran

    found = account.evidence
    if found is None:
        return []
    if isinstance(found, GraphoptError):
        return [f"graphopt breaks: {found}"]
    if isinstance(found, Ran):
        return ["\n".join([f"the command: {found}", *(f"  | {line}" for line in found.tail)])]
    return [str(found)]


def advice(account: Account, model: Path, job: Job) -> list[str]:
    """How to see it again."""
    lines = [f"again:  {repeats(account, model, job)}"]
    if account.limit is not None:
        lines.append(f"right:  the same with --bisect-limit={account.limit - 1}")
    names = [name.partition("{")[0] for name in account.passes]
    if len(names) == 1:
        lines.append(f"enough: the pass {names[0]}, without any other (--only {names[0]})")
    elif names:
        only = " ".join(f"--only {name}" for name in names)
        lines.append(f"enough: the passes {', '.join(names[:-1])} and {names[-1]}, each of which is harmless by itself ({only})")
    return ["\n".join(lines)]


def repeats(account: Account, model: Path, job: Job) -> str:
    """The command that makes the bad result; a choice among the passes is written as the pipeline that is left of it."""
    from graphopt.pipeline.expanded import expanded
    from graphopt.pipeline.pipeline import Pipeline

    if not account.bisected.culprits:
        return ""
    if job.only or job.skip:
        steps = " ".join(expanded(job.pipeline, job.registry, job.only, job.skip).split())
        job = replace(job, pipeline=Pipeline.parse(steps, job.registry), only=(), skip=())
    limit = "" if account.limit is None else f" --bisect-limit={account.limit}"
    return f"onnx-opt {shlex.quote(str(model))} {job.words()}{limit} -o bad.onnx"
