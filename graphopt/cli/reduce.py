"""`graphopt reduce`."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import click

from graphopt import suffixes
from graphopt.cli.jobs import job_of, job_options
from graphopt.cli.shared import OutputFile, python_warnings_told, warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnx import ModelProto

    from graphopt.cli.progress import StatusLine
    from graphopt.pipeline.job import Job
    from graphopt.verify.commands import Command, Ran
    from graphopt.verify.failing import Wanted
    from graphopt.verify.reduce import Reduction
    from graphopt.verify.skeleton import Skeleton

SHOWN = 12  # nodes up to which the result is printed
PAUSE = 10  # times as long as writing a big model took nothing is written
CHEAP = 1 << 24  # bytes up to which every improvement is written

EPILOG = """\b
graphopt reduce model.onnx -o small.onnx --keep 'python check.py {}'
graphopt reduce model.onnx -o small.onnx --keep 'python run.py' --status 139
graphopt reduce model.onnx -o small.onnx --keep 'trtexec --onnx={}' --says 'Assertion .* failed'
graphopt reduce model.onnx -o small.onnxtxt --differs -p 'level1, my-pass' --plugin ./my_rules.py
"""


@click.command(epilog=EPILOG)
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path, readable=False))
@click.option("-o", "--output", metavar="SMALL", required=True, type=OutputFile(), help="The result; text if SMALL.onnxtxt.")
@click.option("--keep", metavar="COMMAND", help="Keep that this command fails, with the model's path for {} or at its end.")
@click.option("--status", type=int, metavar="N", help="COMMAND fails with this exit status alone; 139 or -11: ended by signal 11.")
@click.option("--says", metavar="REGEX", default="", help="What COMMAND prints must match this somewhere.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="How long COMMAND may take.")
@click.option("--keep-timeouts", is_flag=True, help="To take longer counts as a failure.")
@click.option("--differs", is_flag=True, help="Keep instead that graphopt's result computes something else, or that a pass breaks.")
@click.option("--tries", type=click.IntRange(min=1), default=2000, show_default=True, help="How many models may be tried.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), default=600.0, show_default=True, help="How long it may take.")
@job_options
def reduce(
    model: Path, output: Path, keep: str | None, status: int | None, says: str, timeout: float | None, keep_timeouts: bool, differs: bool,
    tries: int, seconds: float, **options: Any,  # Any: one type for each option
) -> None:  # fmt: skip
    """Make MODEL as small as it gets while it still fails, and write it to SMALL.

    --keep: the failure is that COMMAND, which the shell runs, ends with another exit status than 0 and 125. It should look for the one
    failure that you are after; --status and --says help with that. Smaller models are as valid as MODEL is, as far as the checker of onnx
    can tell. The command sees them as files of the same name in another folder. The bodies of local functions shrink once they are
    inlined: a failure that goes away with that keeps them whole.

    --differs: the failure is that what graphopt makes of the model computes something else, or that a pass breaks. -p, --level, --plugin
    and so on say what it runs.

    SMALL holds the best so far at any time: Ctrl-C ends the search and keeps it.
    """
    from graphopt.io.files import refuse_unwritable
    from graphopt.verify.commands import Command
    from graphopt.verify.failing import Wanted

    if (keep is None) == (not differs):
        raise click.UsageError("what should be kept? Give either --keep COMMAND or --differs")
    if keep is None and (status is not None or says or timeout is not None or keep_timeouts):
        raise click.UsageError("--status, --says, --timeout and --keep-timeouts are for --keep")
    if keep_timeouts and timeout is None:
        raise click.UsageError("--keep-timeouts needs --timeout SECONDS")
    refuse_unwritable(output)
    job = job_of(model, options)
    with python_warnings_told(warn), tempfile.TemporaryDirectory(prefix="graphopt-reduce-") as folder:
        if keep is not None:
            goal = commanded(model, Command(keep, timeout), Wanted(status, says, keep_timeouts), allow_outside=options["allow_outside"])
        else:
            goal = differing(model, job, Path(folder))
        reduced(goal, output, tries, seconds)


@final
@dataclass(frozen=True, slots=True)
class Goal:
    """What to reduce, and what to keep: `fails` asks about a model, `says` tells how it failed last. Starts with a model that fails."""

    path: Path
    skeleton: Skeleton
    fails: Callable[[ModelProto], bool]
    says: Callable[[], str]
    may_feed: bool


def commanded(path: Path, command: Command, wanted: Wanted, *, allow_outside: bool) -> Goal:
    """Keep that a command fails. Raises ModelError when it does not fail on the model as it is."""
    from graphopt.errors import ModelError
    from graphopt.verify.commands import refuse_useless
    from graphopt.verify.failing import CommandFails
    from graphopt.verify.skeleton import Skeleton

    skeleton = Skeleton.read(path, allow_outside=allow_outside)
    fails = CommandFails(skeleton, command, wanted, f"{path.stem}.onnx")
    if not fails(skeleton.message) and fails.last is not None:
        if wanted.status is None and not wanted.timeouts:
            refuse_useless(command, fails.last)
        said = "".join(f"\n  | {line}" for line in fails.last.tail)
        raise ModelError(f"{path}: there is nothing to keep: it takes {wanted}; the command: {fails.last}{said}")
    return Goal(path, skeleton, fails, lambda: quoted(fails.seen), may_feed=True)


def quoted(ran: Ran | None) -> str:
    """How a command ended, and the end of what it printed."""
    return "" if ran is None else f"the command: {ran}" + "".join(f"\n  | {line}" for line in ran.tail)


def differing(path: Path, job: Job, folder: Path) -> Goal:
    """Keep that a job fails; `folder` is for files that live as long. Raises ModelError when it does not fail on the model as it is."""
    from graphopt import io
    from graphopt.errors import ModelError
    from graphopt.infer.freeze import Wishes
    from graphopt.pipeline.failures import Failing, FailsAlike
    from graphopt.verify.skeleton import Skeleton

    start = path
    if job.wishes or job.initializers_are_constants or not isinstance(job.source, Path):
        start = folder / f"{path.stem}.onnx"
        io.save(job.untouched(), start)  # what is to be frozen is frozen, for smaller models need not have it
    failing = Failing(lambda each: replace(job, source=each, initializers_are_constants=False, wishes=Wishes()))
    first = failing.first(start)
    if first is None:
        raise ModelError(f"{path}: there is nothing to keep: {str(job.pipeline) or 'no pass'} makes nothing wrong of it")
    skeleton = Skeleton.read(start, allow_outside=job.allow_outside)
    fails = FailsAlike(skeleton, failing, first, start.name)
    return Goal(path, skeleton, fails, lambda: fails.seen.told, may_feed=False)


def reduced(goal: Goal, output: Path, tries: int, seconds: float) -> None:
    """Reduce, with the best so far in the file at any time, and say what came of it."""
    from graphopt.cli.progress import StatusLine
    from graphopt.verify.reduce import Reduction

    with StatusLine("reducing", enabled=True) as line:
        kept = Kept(goal, output, line)
        reduction = Reduction(goal.skeleton, goal.fails, tries, seconds, kept.hear, goal.may_feed)
        try:
            reduction.run()
        except KeyboardInterrupt:
            kept.write(reduction)
            click.echo(f"{output} holds the best so far: {measured(goal, reduction)}", err=True)
            raise
        kept.write(reduction)
        is_alike = output.suffix not in suffixes.TEXT or reads_back(goal, output)
    tell(goal, reduction, output)
    if not is_alike:
        warn(f"{output} does not fail, or cannot be read: text does not hold everything; write {output.with_suffix('.onnx')} instead")


def reads_back(goal: Goal, path: Path) -> bool:
    """Whether a model fails when it is read again from its text."""
    from graphopt.errors import ModelError
    from graphopt.verify.skeleton import parsed

    try:
        return goal.fails(parsed(path))
    except ModelError:
        return False


@final
class Kept:
    """Keeps the best so far in a file, and says how far it is."""

    def __init__(self, goal: Goal, output: Path, line: StatusLine) -> None:
        self.goal, self.output, self.line = goal, output, line
        self.next = 0.0

    def hear(self, reduction: Reduction) -> None:
        """A model was tried."""
        self.line.tell(f"reducing: {measured(self.goal, reduction)}")
        is_due = time.monotonic() >= self.next or self.goal.skeleton.nbytes_of(reduction.best) <= CHEAP
        if reduction.has_improved and is_due:
            self.write(reduction)

    def write(self, reduction: Reduction) -> None:
        """Write the best so far. A big one that took long is not written again soon."""
        began = time.monotonic()
        self.goal.skeleton.write(reduction.best, self.output)
        self.next = time.monotonic() + PAUSE * (time.monotonic() - began)


def measured(goal: Goal, reduction: Reduction) -> str:
    """How small it is by now."""
    from graphopt.observe.sizes import size

    before, after = goal.skeleton.message, reduction.best
    bytes_before, bytes_after = (size(goal.skeleton.nbytes_of(each)) for each in (before, after))
    nodes = f"{nodes_of(before)} -> {nodes_of(after)} nodes"
    return f"{nodes}, {bytes_before} -> {bytes_after}, {reduction.tried} models tried"


def nodes_of(message: ModelProto) -> int:
    """How many nodes there are, in all graphs and functions."""
    from graphopt.io.walking import all_nodes

    return len(all_nodes(message))


def tell(goal: Goal, reduction: Reduction, output: Path) -> None:
    """Say what came of it, and show it when it is small enough to be read."""
    from graphopt import io
    from graphopt.cli.tables import show
    from graphopt.errors import GraphoptError
    from graphopt.observe.watch import short, text_lines

    things = [f"{goal.path} -> {output}   ({measured(goal, reduction)})"]
    if nodes_of(reduction.best) <= SHOWN:
        with suppress(GraphoptError):  # what graphopt does not read is small all the same
            text = io.print_text(goal.skeleton.model(reduction.best))
            things.append("\n".join(map(short, text_lines(text))))
    things.append(goal.says())
    if not reduction.is_finished:
        things.append("It may get smaller yet: the --tries or --seconds were used up.")
    show(*things)
