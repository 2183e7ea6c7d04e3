"""What only a trial run can tell of a model: sizes that would be worth freezing, and an opset at which more would be fused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from graphopt.errors import GraphoptError
from graphopt.ir.model import Model
from graphopt.match.opsets import opsets_of
from graphopt.observe.check import Finding
from graphopt.observe.check.finding import counted
from graphopt.observe.dynamic import remaining
from graphopt.observe.inventory import Inventory
from graphopt.observe.statistics import Statistics
from graphopt.observe.trace import label
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.registry import Registry
from graphopt.pipeline.runner import passes_of, resolve, run_pipeline
from graphopt.schema import facts

WORTH: Final = 1  # nodes fewer, from which on another opset is worth a word


def try_out(fresh: Callable[[], Model], registry: Registry) -> list[Finding]:
    """Run level 1 on models that `fresh` gives, once as they are and once at the newest opset, and say what that shows.

    Nothing is written. Raises what running level 1 raises.
    """
    model = fresh()
    opset = model.opsets.get("")
    run_pipeline(Pipeline.of_levels(1), model, registry=registry)
    return [*of_sizes(model), *(of_opset(model, fresh, opset, registry) if opset is not None else [])]


def of_sizes(model: Model) -> list[Finding]:
    """The nodes that are left of a model only because sizes are not known."""
    going = [one for one in remaining(model) if one.freeze and not one.provided]
    if not going:
        return []
    sizes = sorted({size for one in going for size in one.freeze})
    text = f"{counted(len(going), 'node computes', 'nodes compute')} shapes in every run, for sizes of the inputs are not known before"
    flag = f"--freeze {','.join(f'{size}=...' for size in sizes)}"
    return [Finding("hint", "dynamic-sizes", text, tuple(label(one.node) for one in going), flag)]


def of_opset(model: Model, fresh: Callable[[], Model], opset: int, registry: Registry) -> list[Finding]:
    """What level 1 does at the newest opset that it does not do at the model's own."""
    newest = facts.newest_opset()
    if opset >= newest:
        return []
    pipeline = Pipeline.of_levels(1).at_opset(newest, registry)
    counts, newer = Statistics(), fresh()
    try:
        run_pipeline(pipeline, newer, counts, registry=registry)
    except GraphoptError:  # not everything in it can be said there, which --opset would explain
        return []
    rules = {rule.name: rule for step in passes_of(resolve(pipeline, registry)) for rule in step.rules}
    since = {name: opsets_of(rules[name])[0] for name, count in counts.rules.items() if count.fired and name in rules}
    fired = {name: counts.rules[name].fired for name, first in since.items() if first > opset}
    less = Inventory.of(model).nodes - Inventory.of(newer).nodes
    if not fired or less < WORTH:
        return []
    needed = max(since[name] for name in fired)
    names = ", ".join(f"{name} ({times})" for name, times in sorted(fired.items(), key=lambda item: -item[1])[:4])
    text = f"at opset {opset} some fusions cannot be said: at {needed} level 1 leaves {counted(less, 'node')} fewer ({names})"
    return [Finding("hint", "old-opset", text, (), f"--opset {needed}")]
