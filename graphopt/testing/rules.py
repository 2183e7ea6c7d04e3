"""One rule or pass at a time: is it right, does it fire, and why not?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from graphopt import io
from graphopt.infer.model import infer_model
from graphopt.ir import Node, verify
from graphopt.match.explain import explain
from graphopt.match.rule import Rule
from graphopt.observe.observer import Observer
from graphopt.pipeline.base import Pass, RulePass
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.runner import run_pipeline
from graphopt.rewrite import tried
from graphopt.testing.running import Source, read
from graphopt.verify.selfcheck import RuleReport
from graphopt.verify.selfcheck import check_rule as examine


def check_rule(rule: Rule, *, seed: int = 0, effort: str = "normal") -> RuleReport:
    """Raise AssertionError, with a small counter-example, unless a rule proves itself; what `graphopt verify-rules` does.

    Models are made from its pattern, and near misses; the rule is applied, and both sides run. The same seed makes the same models;
    `effort` is "normal" (some seconds) or "thorough" (minutes). Returns what was tried. Raises SpecError for another effort.
    """
    report = examine(rule, seed=seed, effort=effort)
    if not report.ok:
        raise AssertionError(str(report))
    return report


def fires(what: Rule | Pass, source: Source) -> int:
    """How often a rule or a pass changes a model; 0 when it leaves it alone. The model itself stays as it is.

    Raises ModelError for the model, InternalError, which names the pass or rule and the node, for what it raises.
    """
    model = read(source)
    changes = run_pipeline(Pipeline([RulePass.of(what.name, what) if isinstance(what, Rule) else what]), model)
    verify(model)
    return changes


def why_not(what: Rule | Pass, source: Source) -> str:
    """Why a rule does not fire on a model: the node of the furthest attempt and what stopped it. For a pass all that it says.

    Raises AssertionError, with the model, when the rule does fire, RuleError for what it raises.
    """
    model = read(source)
    if isinstance(what, Pass):
        told = _Declined()
        run_pipeline(Pipeline([what]), model, told)
        return "; ".join(told.reasons)
    infer_model(model)
    found = explain(what, model, partial(tried, what))
    for one in found:
        if one.applies:
            raise AssertionError(f"{one}\n{io.print_text(model)}")
    return str(found[0])


class _Declined(Observer):
    """Keeps the reasons why something was left alone."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def declined(self, source: str, node: Node, why: Callable[[], str]) -> None:
        self.reasons.append(why())
