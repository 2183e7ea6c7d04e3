"""A pipeline with its levels taken apart, as text that is a pipeline again."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from graphopt.pipeline.pipeline import ROUNDS, Pipeline
from graphopt.pipeline.registry import Registry
from graphopt.pipeline.runner import Loop, Task, resolve


def expanded(pipeline: Pipeline, registry: Registry, only: Collection[str] = (), skip: Collection[str] = ()) -> str:
    """All passes that a pipeline runs, one in each line, with a fixpoint for each level; it parses to what runs the same.

    Only that a level which finds no end is an error then, where a level warns. Raises SpecError as `resolve` does.
    """
    return _text(resolve(pipeline, registry, only, skip), "")


def _text(tasks: Iterable[Task], indent: str) -> str:
    return ",\n".join(_lines(task, indent) for task in tasks)


def _lines(task: Task, indent: str) -> str:
    if not isinstance(task, Loop):
        return f"{indent}{task}"
    limit = f"{{limit={task.limit}}}" if task.limit != ROUNDS else ""
    return f"{indent}fixpoint{limit}(\n{_text(task.steps, indent + '  ')}\n{indent})"
