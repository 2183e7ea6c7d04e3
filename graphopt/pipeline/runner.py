"""Running a pipeline over a model."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias, final

from graphopt.errors import InternalError, ModelError, SpecError, nearest
from graphopt.infer.model import infer_model
from graphopt.infer.update import update_types
from graphopt.ir.graph import Graph, Node
from graphopt.ir.model import Model
from graphopt.ir.scopes import part_names
from graphopt.observe.observer import Observer
from graphopt.pipeline.base import Context, Level, Pass, RulePass
from graphopt.pipeline.blame import line_in
from graphopt.pipeline.pipeline import ROUNDS, Fixpoint, LevelStep, Pipeline, Skip, Step, When, no_target
from graphopt.pipeline.registry import Registry, installed


@final
@dataclass(frozen=True, slots=True)
class Loop:
    """Passes that run again until none changes anything. `is_level`: more than `limit` rounds are worth a warning only."""

    steps: tuple[Pass | Loop, ...]
    limit: int
    text: str
    is_level: bool


Task: TypeAlias = "Pass | Loop"


def run_pipeline(
    pipeline: Pipeline,
    model: Model,
    observer: Observer | None = None,
    *,
    registry: Registry | None = None,
    only: Collection[str] = (),
    skip: Collection[str] = (),
) -> int:
    """Run a pipeline over a model, in place; return how many changes were made.

    Types are inferred before the first pass, and again after a pass that asks for it. A model that holds training_info stays as it is.

    Raises SpecError when `only` or `skip` name no pass, or a fixpoint is not reached; ModelError when the model's data cannot be read;
    InternalError, naming pass, graph and node, when a pass breaks. The model is then in no defined state.
    """
    known = registry if registry is not None else installed()
    tasks = resolve(pipeline, known, only, skip)
    watching = observer if observer is not None else Observer()
    known.announce_operators()
    for failure in known.failures:
        watching.warned("plug-ins", failure)
    for step in _levels(pipeline.steps):
        if step.target and not known.level(step.level, step.target):
            watching.warned(str(step), f"the target {step.target!r} has no passes at level {step.level}")
    if not tasks:
        return 0
    if model.trains:
        watching.warned("pipeline", "the model holds training_info, whose algorithms read and write its values by name: it stays as it is")
        return 0
    run = _Run(model, watching)
    part_names(run.context.editor)
    infer_model(model, watching)
    return run.all(tasks)


def resolve(pipeline: Pipeline, registry: Registry, only: Collection[str] = (), skip: Collection[str] = ()) -> tuple[Task, ...]:
    """What a pipeline runs, its levels taken apart.

    `only` and `skip` choose among the passes, by our name or another tool's. The steps of a `When` are none of it: `Pipeline.for_target`
    decides it. Raises SpecError when they name none or leave none, and for a level above 1 without a target.
    """
    tasks = _resolved(pipeline.steps, registry)
    running = {step.name for step in passes_of(tasks)}
    for name in (*only, *skip):
        if name not in registry.passes and name not in running and registry.other_name(name) is None:
            known = running.union(registry.passes, registry.other_names())
            raise SpecError(f"no pass is called {name!r}{nearest(name, known, 'graphopt passes')}")
    for name in only:
        if (other := registry.other_name(name)) is not None and not other.passes:
            raise SpecError(str(other))
    only, skip = registry.in_our_words(only), registry.in_our_words(skip)
    for name in only:
        if name not in running:
            level = registry.level_of(name)
            advice = f"it belongs to level {level}" if level is not None else "it belongs to no level, name it in a pipeline"
            raise SpecError(f"the pass {name!r} is not among those that would run: {advice}")
    if only and set(only) <= set(skip):
        raise SpecError(f"nothing would run: what is to run alone ({', '.join(only)}) is to be left out as well")
    return _without(tasks, {name for name in running if name in skip or (only and name not in only)})


def _levels(steps: Iterable[Step]) -> Iterator[LevelStep]:
    for step in steps:
        if isinstance(step, Fixpoint):
            yield from _levels(step.steps)
        elif isinstance(step, LevelStep):
            yield step


def passes_of(tasks: Iterable[Task]) -> list[Pass]:
    """The passes in the order in which they first run."""
    found: list[Pass] = []
    for task in tasks:
        found += passes_of(task.steps) if isinstance(task, Loop) else [task]
    return found


def _resolved(steps: Iterable[Step], registry: Registry) -> tuple[Task, ...]:
    tasks: list[tuple[Task, bool]] = []  # and whether a later -name applies to it
    for step in steps:
        if isinstance(step, Skip):
            tasks = [
                (kept, leaves)
                for task, leaves in tasks
                for kept in (_without((task,), {step.name}, levels_only=True) if leaves else (task,))
            ]
        elif isinstance(step, When):
            continue  # nobody said which target it is for
        elif isinstance(step, LevelStep):
            if step.level > Level.BASIC and not step.target:
                raise SpecError(no_target(step.level, registry))
            found = [known() for name in registry.level(step.level, step.target) if (known := registry.find(name)) is not None]
            tasks.append((Loop(tuple(found), ROUNDS, str(step), is_level=True), True))
        elif isinstance(step, Fixpoint):
            tasks.append((Loop(_resolved(step.steps, registry), step.limit, str(step), is_level=False), True))
        else:
            tasks.append((step, False))
    return tuple(task for task, _ in tasks)


def _without(tasks: Iterable[Task], names: Collection[str], *, levels_only: bool = False) -> tuple[Task, ...]:
    """The tasks without the passes of these names; with `levels_only` those written out in the pipeline stay."""
    kept: list[Task] = []
    for task in tasks:
        if not isinstance(task, Loop):
            kept += [] if task.name in names else [task]
        elif task.is_level or not levels_only:
            kept.append(Loop(_without(task.steps, names), task.limit, task.text, task.is_level))
        else:
            steps: list[Task] = []
            for step in task.steps:
                steps += _without((step,), names, levels_only=True) if isinstance(step, Loop) else (step,)
            kept.append(Loop(tuple(steps), task.limit, task.text, task.is_level))
    return tuple(kept)


@final
class _Run:
    """One run over one model."""

    def __init__(self, model: Model, observer: Observer) -> None:
        self.model, self.observer = model, observer
        self.context = Context(model, observer)
        self.changes = 0
        self.learned = 0  # types that came out better known since the run began

    @property
    def state(self) -> int:
        """A number that is the same only while neither the model nor what is known of it changes."""
        return self.changes + self.learned

    def all(self, tasks: Iterable[Task]) -> int:
        for task in tasks:
            if isinstance(task, Loop):
                self.repeat(task)
            else:
                self.one(task)
        self.settle()
        return self.changes

    def repeat(self, loop: Loop) -> None:
        unchanged_since: dict[int, int] = {}  # position of a pass -> how many changes there were when it last looked
        changed: list[str] = []
        for _ in range(loop.limit):
            changed = []
            for position, task in enumerate(loop.steps):
                self.settle()
                before, changes = self.state, self.changes
                if unchanged_since.get(position) == before:  # it would see what it saw when it last changed nothing
                    continue
                unchanged_since[position] = before
                if isinstance(task, Loop):
                    self.repeat(task)
                else:
                    self.one(task)
                if isinstance(task, RulePass):
                    unchanged_since[position] = self.state  # its rules ran until none applied
                if self.changes != changes:
                    changed.append(task.text if isinstance(task, Loop) else task.name)
            if not changed:
                return
        message = f"{loop.text} still changes the model after {loop.limit} rounds; in the last one {' and '.join(changed)} changed it"
        if not loop.is_level:
            advice = f"if these undo each other's work take one out, otherwise raise the limit: fixpoint{{limit={loop.limit * 2}}}(...)"
            raise SpecError(f"{message}: {advice}")
        self.observer.warned(loop.text, message)

    def settle(self) -> None:
        """Infer types again: all after a pass that asks for it, otherwise those downstream of what became known."""
        editor = self.context.editor
        if self.context.stale:
            infer_model(self.model, again=True)
            self.context.finished.clear()  # what is known of any value may be more than it was
            self.learned += 1
        elif editor.unsettled:
            self.learned += update_types(editor.unsettled, editor)
        self.context.stale = False
        editor.unsettled.clear()

    def one(self, step: Pass) -> None:
        """Run a pass over the main graph and the functions' bodies."""
        name = str(step)
        self.settle()
        for graph in (self.model.graph, *[function.graph for function in self.model.functions.values()]):
            if not self.observer.may_run(name, graph):
                continue
            self.observer.pass_began(name, graph)
            began = time.perf_counter()
            try:
                changes = step.run(graph, self.context)
                seconds = time.perf_counter() - began
                self.changes += _checked(changes)
                self.observer.pass_ended(name, graph, changes, seconds)
            except (ModelError, SpecError, MemoryError):
                raise  # the model's, the caller's or the machine's fault: no pass is to blame
            except (Exception, SystemExit) as error:  # a stranger's pass may end itself as a script does
                raise broken(step, graph, error) from error


def _checked(changes: object) -> int:
    if isinstance(changes, int) and changes >= 0:
        return changes
    raise InternalError(f"it returned {changes!r}, not how many changes it made")


def broken(step: Pass, graph: Graph, error: Exception | SystemExit) -> InternalError:
    """What to tell when a pass failed on a graph: which, where, at which node if that is known, and how; and below, at which line."""
    node = _node_at(error.__traceback__)
    where = f" at {node!r}" if node is not None else ""
    said = str(error) if isinstance(error, InternalError) else f"{type(error).__name__}: {error}\nraised at {line_in(type(step), error)}"
    return InternalError(f"the pass {step} failed on graph {graph.name!r}{where}: {said}")


def _node_at(traceback: TracebackType | None) -> Node | None:
    """The node that the innermost frame that knows of one was looking at."""
    found = None
    while traceback is not None:
        names = traceback.tb_frame.f_locals
        at = next((names[name] for name in ("node", "root") if isinstance(names.get(name), Node)), None)
        found = at if at is not None else found
        traceback = traceback.tb_next
    return found
