"""Bisection of a whole job: which rewrites make its result wrong, where they stand in the code, what they changed, how to see it again."""

from __future__ import annotations

import difflib
import inspect
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from graphopt import io
from graphopt.errors import GraphoptError, InternalError, ModelError
from graphopt.ir.collector import collector_resting
from graphopt.ir.graph import Graph, Node
from graphopt.ir.model import Model
from graphopt.match.rule import RuleError
from graphopt.observe.bisect import Chosen, Culprit
from graphopt.observe.limit import ALL, Limit
from graphopt.observe.observer import Observer, Observers
from graphopt.observe.watch import short, text_lines
from graphopt.pipeline.base import Pass
from graphopt.pipeline.foreign import ForeignPass
from graphopt.pipeline.job import Job
from graphopt.pipeline.runner import passes_of, resolve
from graphopt.verify.bisection import RUNS, Bisected, bisect
from graphopt.verify.commands import CANNOT_TELL, Command, Ran, refuse_useless

if TYPE_CHECKING:
    from graphopt.verify.comparison import Original
    from graphopt.verify.result import Comparison, OutputResult

Outcome: TypeAlias = "Model | GraphoptError"  # the model that came out, or how a pass broke


@final
@dataclass(slots=True)
class Account:
    """What is to be told of a bisection.

    `evidence` is the comparison, the error or the command's end that shows what is wrong with the smallest set; `where` has file:line
    of each rule, or of the pass that is no rule; `diff` is what the last culprit changed, as text. `passes` are those that are enough,
    when the whole of them were run and no other: several are harmless one by one then. `limit` is the number that `--bisect-limit` takes
    to make the last culprit the last rewrite; None when that is a run of a pass.
    """

    bisected: Bisected
    evidence: Comparison | GraphoptError | Ran | None = None
    limit: int | None = None
    where: dict[str, str] = field(default_factory=dict)
    diff: list[str] = field(default_factory=list)
    passes: tuple[str, ...] = ()

    @property
    def outputs(self) -> list[OutputResult]:
        """The outputs that differ."""
        from graphopt.verify.result import Comparison, Verdict

        found = self.evidence.outputs if isinstance(self.evidence, Comparison) else ()
        return [output for output in found if output.verdict is Verdict.DIFFERENT]

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """The account as plain data."""
        found = self.bisected
        verdict = "good" if found.is_good else "bad without any pass" if found.is_baseline_bad else "bad"
        return {
            "verdict": verdict,
            "unit": found.last.unit if found.culprits else "rewrite",
            "count": found.number,
            "runs": found.runs,
            "culprits": [
                {
                    "number": one.number, "pass": one.pass_name, "rule": one.rule, "where": self.where.get(one.rule or one.pass_name, ""),
                    "node": one.node, "graph": one.graph,
                }
                for one in found.culprits
            ],
            "bisect_limit": self.limit,
            "last_is_possible_alone": found.alone,
            "is_smallest": found.is_smallest,
            "between": found.between,
            "passes": list(self.passes),
            "diff": self.diff,
            "evidence": _evidence(self.evidence),
        }  # fmt: skip


def _evidence(evidence: Comparison | GraphoptError | Ran | None) -> dict[str, Any] | None:  # Any: JSON
    if evidence is None:
        return None
    if isinstance(evidence, Ran):
        return {"status": evidence.status, "output": evidence.tail}
    return {"error": str(evidence)} if isinstance(evidence, GraphoptError) else evidence.as_json()


@final
class Compared:
    """Judges by comparison with the original, on the feeds that showed the first difference."""

    def __init__(self, original: Original) -> None:
        self.original = original
        self.seen: Comparison | None = None

    def __call__(self, model: Model) -> bool | None:
        found = self.original.compare(model)
        if self.seen is None and not (found.agrees or found.differs):
            raise ModelError(f"graphopt cannot judge what it makes of this model; give a --command that can\n{found}")
        if found.differs and (self.seen is None or not self.seen.differs):
            self.original = self.original.narrowed(found)
        self.seen = found
        return not found.differs


@final
class Commanded:
    """Judges by a command, which gets the model as a file: 0 is good, 125 says that it cannot tell, all else is bad."""

    def __init__(self, command: Command, name: str) -> None:
        self.command, self.name = command, name
        self.seen: Ran | None = None

    def __call__(self, model: Model) -> bool | None:
        with tempfile.TemporaryDirectory(prefix="graphopt-bisect-") as folder:
            path = Path(folder) / self.name
            io.save(model, path)
            is_first, self.seen = self.seen is None, self.command.run(path)
        if is_first:
            refuse_useless(self.command, self.seen)
        return None if self.seen.status in (CANNOT_TELL, None) else self.seen.status == 0


@final
class _OnlyPasses(Observer):
    """Lets the passes of some names run, and no other."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = names

    def may_run(self, name: str, graph: Graph) -> bool:
        return name in self.names


@final
class _Numbers(Observer):
    """What `Limit` counts at each rewrite of a run: more than those before it, where passes edit that do not ask."""

    def __init__(self) -> None:
        self.counted: list[int] = []
        self._limit = Limit(ALL)

    def pass_began(self, name: str, graph: Graph) -> None:
        self._limit.pass_began(name, graph)

    def may_apply(self, source: str, node: Node) -> bool:
        self._limit.may_apply(source, node)
        self.counted.append(self._limit.count)
        return True

    def pass_ended(self, name: str, graph: Graph, changes: int, seconds: float) -> None:
        self._limit.pass_ended(name, graph, changes, seconds)


@final
class Bisection:
    """The bisection of one job. `command` judges instead of the numerical comparison.

    `run` raises ModelError when the model cannot be read, or its results cannot be judged; SpecError for the job's words.
    """

    def __init__(
        self, job: Job, command: Command | None = None, *, most: int = RUNS, told: Callable[[int, str], None] | None = None
    ) -> None:
        self.job, self.most, self.told = job, most, told
        resolve(job.pipeline, job.registry, job.only, job.skip)
        self.command = command
        self.judge: Compared | Commanded
        self.broken: GraphoptError | None = None
        self.numbers: _Numbers | None = None

    def run(self) -> Account:
        """Find the culprits, and what is to be said of them."""
        with collector_resting():
            self.job.untouched()  # the model's faults first
            name = self.job.source.name if isinstance(self.job.source, Path) else "model.onnx"
            self.judge = Commanded(self.command, name) if self.command is not None else Compared(self.job.original())
            bisected = bisect(self.again, self.is_good, self.job.untouched, most=self.most, told=self.told)
            if not bisected.culprits:
                return Account(bisected, self._said())
            return self._account(bisected)

    def again(self, observer: Observer) -> Outcome:
        """The job once more; how it broke, when it did."""
        if self.numbers is None:  # the first run is that of everything
            self.numbers = _Numbers()
            observer = Observers.of(observer, self.numbers)
        try:
            return self.job.again(observer)
        except (InternalError, RuleError) as error:
            return error

    def is_good(self, result: Outcome) -> bool | None:
        """What the judge says; when the whole run breaks, to break is bad and all else is good."""
        if isinstance(result, Model):
            return True if self.broken is not None else self.judge(result)
        if self.judge.seen is None:
            self.broken = result
        return False if self.broken is not None else None

    def _said(self) -> Comparison | GraphoptError | Ran | None:
        return self.broken if self.broken is not None else self.judge.seen

    def _account(self, bisected: Bisected) -> Account:
        unit: Literal["pass", "rewrite"] = "pass" if bisected.last.unit == "pass" else "rewrite"
        without, result = self.again(Chosen(bisected.culprits[:-1], unit)), self.again(Chosen(bisected.culprits, unit))
        diff = difference(without, result) if isinstance(without, Model) and isinstance(result, Model) else []
        if isinstance(result, Model) and self.broken is None:
            self.judge(result)
        elif not isinstance(result, Model):
            self.broken = result
        evidence = self._said()
        limit = self.numbers.counted[bisected.last.number - 1] if unit == "rewrite" and self.numbers is not None else None
        return Account(bisected, evidence, limit, self._where(bisected.culprits), diff, self._enough(bisected.culprits))

    def _enough(self, culprits: Collection[Culprit]) -> tuple[str, ...]:
        """The passes of the culprits, when all of them together are bad, with no other, and no one of them is."""
        names = tuple(dict.fromkeys(one.pass_name for one in culprits))
        if self.is_good(self.again(_OnlyPasses(names))) is not False:
            return ()
        return names if len(names) == 1 or all(self.is_good(self.again(_OnlyPasses({name}))) for name in names) else ()

    def _where(self, culprits: Collection[Culprit]) -> dict[str, str]:
        """Where the rules of the culprits stand, and the passes that are no rule."""
        job, found = self.job, {}
        steps = passes_of(resolve(job.pipeline, job.registry, job.only, job.skip))
        rules = {rule.name: rule for step in steps for rule in step.rules}
        classes = {key: type(step) for step in steps for key in (step.name, str(step))}
        for one in culprits:
            rule, known = rules.get(one.rule), classes.get(one.rule) or classes.get(one.pass_name)
            if rule is not None:
                found[one.rule] = f"{rule.file}:{rule.line}"
            elif known is not None:
                found[one.rule or one.pass_name] = _place(known)
        return {name: place for name, place in found.items() if place}


def _place(step: type[Pass]) -> str:
    """The file and line of a pass, or of what another library runs in it; "" when it stands in no file."""
    code = step if not issubclass(step, ForeignPass) else step.code
    try:
        code = code if inspect.isclass(code) or inspect.isfunction(code) else type(code)
        return f"{inspect.getsourcefile(code)}:{inspect.getsourcelines(code)[1]}"
    except (OSError, TypeError):  # typed at a prompt, made by a program
        return ""


def difference(before: Model, after: Model) -> list[str]:
    """What changed between two models, as lines of text with - and + before them; no context."""
    # Without the sign after an initializer, which says only whether it is the last.
    one, two = ([line.rstrip(",>") for line in text_lines(io.print_text(model))] for model in (before, after))
    lines = list(difflib.unified_diff(one, two, lineterm="", n=0))[2:]
    return [short(line) for line in lines if not line.startswith("@@")]
