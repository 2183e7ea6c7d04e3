"""A failure made small enough to read."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from graphopt.ir.dtype import DType
from graphopt.ir.tensor import Array
from graphopt.match.rule import Rule
from graphopt.verify.reduce import reduce_feeds, reduce_model
from graphopt.verify.selfcheck.cases import Case
from graphopt.verify.selfcheck.judging import Problem, judge
from graphopt.verify.selfcheck.report import Counterexample
from graphopt.verify.selfcheck.values import Kind, ordinary

BUDGET = 300  # models tried


def shrink(rule: Rule, case: Case, problem: Problem, seed: int) -> Counterexample:
    """The smallest model found on which the rule goes wrong in the same way, with the simplest numbers that show it."""
    start = problem.feeds or case.feeds
    kind = _kind(problem)

    def judged(model: ModelProto, feeds: dict[str, Array]) -> Problem | None:
        """What is wrong with the rule on this model; None also for another kind of wrong."""
        verdict = judge(rule, Case(model, feeds, case.kinds, case.what, case.group), seed, only=True)
        return verdict.problem if verdict.problem is not None and _kind(verdict.problem) == kind else None

    small = reduce_model(case.model, lambda model: judged(model, fitting(model, start)) is not None, budget=BUDGET)
    feeds = reduce_feeds(fitting(small, start), lambda feeds: judged(small, feeds) is not None, budget=BUDGET // 3)
    last = judged(small, feeds)
    if last is None:  # reduction never leaves the failure; but `only` feeds may not show what further feeds did
        small, feeds, last = case.model, start, problem
    return Counterexample(
        case.what, case.group, last.what, small, last.after, feeds, last.expected or {}, last.actual or {}
    )


def _kind(problem: Problem) -> str:
    """Reduction must not wander from one kind of failure to another."""
    if problem.actual is None or problem.expected is None:
        return problem.what[:24]
    numbers = [array.astype(np.float64) for array in problem.expected.values() if array.dtype != object]
    return "finite values" if all(np.isfinite(array).all() for array in numbers) else "values"


def fitting(model: ModelProto, feeds: dict[str, Array]) -> dict[str, Array]:
    """Feeds cut to the sizes that a reduced model declares; new inputs get ordinary numbers."""
    made = {}
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for port in model.graph.input:
        dims = port.type.tensor_type.shape.dim
        old = feeds.get(port.name)
        if old is None and port.name in stored:
            continue
        if old is None or old.ndim != len(dims):
            shape = tuple(dim.dim_value or 2 for dim in dims)
            made[port.name] = ordinary(Kind(), DType(port.type.tensor_type.elem_type), shape, np.random.default_rng(0))
            continue
        for axis, dim in enumerate(dims):
            if dim.HasField("dim_value") and dim.dim_value < old.shape[axis]:
                old = np.take(old, range(dim.dim_value), axis)
        made[port.name] = old
    return made
