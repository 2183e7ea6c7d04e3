"""A rule proves itself: models are built from its pattern, the rule is applied to them, and both sides are run.

>>> report = check_rule(matmul_add_to_gemm)            # doctest: +SKIP
>>> print(report)                                      # doctest: +SKIP
matmul-add-to-gemm: holds (rounding; fired in 43 of 56 variants and 12 of 180 near misses)
"""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from graphopt.errors import SpecError, nearest
from graphopt.ir.dtype import DType
from graphopt.match.language import AttributePattern
from graphopt.match.rule import Rule
from graphopt.verify.selfcheck.cases import Case, loosened, of_sample, settle
from graphopt.verify.selfcheck.drawing import Setting
from graphopt.verify.selfcheck.examples import samples_of_examples
from graphopt.verify.selfcheck.instantiate import INSTALL, CannotInstantiate, Sample, instantiate
from graphopt.verify.selfcheck.judging import Verdict, judge
from graphopt.verify.selfcheck.near_misses import near_misses
from graphopt.verify.selfcheck.planning import DTYPES, EFFORTS, RUNNABLE, Effort, opsets, plans
from graphopt.verify.selfcheck.report import RuleReport, Tally, shown_model
from graphopt.verify.selfcheck.shrinking import shrink
from graphopt.verify.selfcheck.structure import Structure, Symbol, structures

FAILURES = 3  # counter-examples, each of another kind, after which a rule is known to be wrong


def check_rules(rules: Iterable[Rule], *, seed: int = 0, effort: str = "normal") -> Iterator[RuleReport]:
    """Check several rules, one report after the other; see `check_rule`."""
    return (check_rule(rule, seed=seed, effort=effort) for rule in rules)


def check_rule(rule: Rule, *, seed: int = 0, effort: str = "normal") -> RuleReport:
    """Build models from a rule's pattern, apply the rule, and compare what they compute; then the same with near misses.

    The same seed gives the same models. `effort` is "normal" (a few seconds at most) or "thorough". A rule that no model can be built for,
    or that never fires, is an error in the report. Raises SpecError for an unknown effort.
    """
    if effort not in EFFORTS:
        raise SpecError(f"there is no effort {effort!r}{nearest(effort, EFFORTS)}")
    check = _Check(rule, EFFORTS[effort], zlib.crc32(rule.name.encode()) ^ seed)
    check.run()
    return check.report


@dataclass(slots=True)
class _Check:
    rule: Rule
    effort: Effort
    seed: int
    report: RuleReport = field(init=False)
    fired: list[Sample] = field(default_factory=list)
    unfired: Sample | None = None
    kinds: set[tuple[str, str]] = field(default_factory=set)
    declined: Counter[str] = field(default_factory=Counter)
    refusals: dict[str, str] = field(default_factory=dict)
    silent: dict[str, bool] = field(default_factory=dict)
    misses: int = 0

    def __post_init__(self) -> None:
        rule = self.rule
        self.report = RuleReport(rule.name, rule.file, rule.line, rule.exactness)

    def run(self) -> None:
        chance = np.random.default_rng(self.seed)
        try:
            found = structures(self.rule, self.effort.structures, random.Random(self.seed))
        except TypeError as error:
            found = []
            self.refusals["the pattern"] = str(error)
        for sample, form, what in self.variants(found):
            verdict = self.judge(of_sample(sample, form, what))
            if verdict.fired and verdict.problem is None:
                self.fired.append(sample)
            elif not verdict.fired and not verdict.raised and form == "plain":
                self.unfired = self.unfired or sample
            if form == "plain":
                self.judge(of_sample(sample, "own symbols", what))
            if len(self.report.failures) >= FAILURES:
                break
        self.miss(found, chance)
        self.conclude()

    # ---- variants

    def variants(self, found: list[Structure]) -> Iterator[tuple[Sample, str, str]]:
        if self.rule.examples is not None:
            for example in samples_of_examples(self.rule.examples, self.seed):
                yield example, "plain", example.structure
        left = max(self.effort.variants, len(found))
        for structure, setting, form, seed in plans(self.rule, found, 2 * left, self.seed) if found else ():
            sample = self.instantiated(structure, setting, seed)
            if sample is not None:
                what = ", ".join([str(structure), f"opset {setting.opset}", *sample.notes])
                self.silent.setdefault(str(structure), False)
                yield sample, form, what
                left -= 1
            if not left:
                break

    def instantiated(self, structure: Structure, setting: Setting, seed: int) -> Sample | None:
        """A sample, with the setting's wishes given up one after the other."""
        if self.refusals.get(str(structure)):
            return None
        last, usual = "", Setting(self.usual(structure), self.dtype())
        for attempt, tries in ((setting, 12), (replace(setting, rank=None), 12), (replace(usual, opset=setting.opset), 20), (usual, 60)):
            try:
                return instantiate(self.rule, structure, attempt, seed, tries)
            except CannotInstantiate as reason:
                last = str(reason)
        self.refusals[str(structure)] = last
        return None

    def usual(self, structure: Structure) -> int:
        """The opset that most runtimes know, among those that the structure is possible at."""
        return next(iter(opsets(self.rule, structure)), RUNNABLE)

    def dtype(self) -> DType:
        """The element type that the rule is most likely meant for."""
        asked = self.rule.dtype
        return next((dtype for dtype in DTYPES if asked is None or dtype in asked), next(iter(asked or DTYPES)))

    # ---- near misses

    def miss(self, found: list[Structure], numbers: np.random.Generator) -> None:
        """Every single change of a few samples that fired, and samples that break one condition of the pattern."""
        picked = self.picked()
        share = max(1, self.effort.near_misses // max(1, len(picked)))
        for turn, sample in enumerate(picked):
            cases: dict[str, list[Case]] = {}
            for case in near_misses(sample, self.rule, numbers):
                cases.setdefault(case.group, []).append(case)
            for case in _mixed(list(cases.values()), share, turn):
                if len(self.report.failures) >= FAILURES:
                    return
                self.near_miss(case)
        for structure in found[:2]:
            for relaxed in self.conditions(structure):
                setting = Setting(self.usual(structure), self.dtype(), relaxed=frozenset({relaxed}), constant_share=0.1)
                try:
                    sample = instantiate(self.rule, structure, setting, self.seed, 10)
                except CannotInstantiate:
                    continue  # the operators themselves ask for the condition: there is nothing to break
                what = f"{structure}; {relaxed[1]} of {relaxed[0] or 'the result'} broken"
                self.judge(Case(sample.model, sample.feeds, sample.kinds, what, f"condition {relaxed[1]} broken"))

    def picked(self) -> list[Sample]:
        """Samples that fired, as different as possible: by structure first."""
        by_structure: dict[str, list[Sample]] = {}
        for sample in self.fired:
            by_structure.setdefault(sample.structure, []).append(sample)
        picked: list[Sample] = []
        for round_ in range(len(self.fired)):
            picked += [samples[round_] for samples in by_structure.values() if round_ < len(samples)]
        return picked[: self.effort.samples]

    def near_miss(self, case: Case) -> None:
        settled = settle(case)
        if settled is None:
            return
        self.misses += 1
        if self.misses % 3 == 0:
            settled = replace(loosened(settled, "own symbols"), what=f"{settled.what}; own symbols")
        self.judge(settled)

    def conditions(self, structure: Structure) -> list[tuple[str, str]]:
        """What the pattern asks for, each as something to break."""
        found: dict[tuple[str, str], None] = {}
        for site in structure.sites:
            for operand in (each for each in site.operands if isinstance(each, Symbol)):
                for leaf in operand.conditions:
                    asked = {
                        "dtype": leaf.dtype, "rank": leaf.rank, "shape": leaf.shape, "into": leaf.into, "constant": leaf.constant or None,
                        "equals": leaf.equals, "where": leaf.where or leaf.where_array,
                    }  # fmt: skip
                    found |= {(operand.name, name): None for name, condition in asked.items() if condition is not None}
            for name, value in site.call.attributes:
                if not isinstance(value, AttributePattern) or value.where is not None:
                    found[site.call.op, name] = None
        if self.rule.dtype is not None:
            found["", "dtype"] = None
        return list(found)

    # ---- judging

    def judge(self, case: Case) -> Verdict:
        verdict = judge(self.rule, case, self.seed)
        if not verdict.is_valid:
            return verdict
        tally = self.report.groups.setdefault(case.group, Tally())
        tally.tried += 1
        tally.fired += verdict.fired > 0
        tally.raised += verdict.raised
        self.report.doubtful += verdict.doubtful
        if case.group == "variant":
            self.declined.update(verdict.declined)
            structure = case.what.partition(", opset")[0]
            self.silent[structure] = self.silent.get(structure, False) or verdict.fired > 0 or verdict.raised
        if verdict.problem is not None:
            kind = (case.group, verdict.problem.what[:24])
            if kind not in self.kinds and len(self.report.failures) < FAILURES:
                self.kinds.add(kind)
                self.report.failures.append(shrink(self.rule, case, verdict.problem, self.seed))
        return verdict

    def conclude(self) -> None:
        report = self.report
        report.failures.sort(key=lambda found: found.size)
        report.declined = dict(self.declined.most_common(8))
        report.unbuilt = {name: reason for name, reason in self.refusals.items() if reason}
        report.silent = [structure for structure, heard in self.silent.items() if not heard]
        if report.failures:
            return
        if not report.variants.tried:
            reasons = [reason for reason in report.unbuilt.values() if INSTALL in reason] or list(report.unbuilt.values())
            reason = reasons[0] if reasons else "its opsets (since=, until=) leave none that has all its operators"
            advice = "" if INSTALL in reason else "Give the rule examples=: a function that returns models as ONNX text."
            report.error = f"no valid model could be built from the pattern: {reason}\n{advice}"
        elif not report.variants.fired:
            why = "; ".join(f"{reason} ({count} times)" for reason, count in self.declined.most_common(3))
            model = f"\nFor example it did not fire here:\n{shown_model(self.unfired.model)}" if self.unfired is not None else ""
            tried = f"it never fired in {report.variants.tried} models built from its own pattern"
            report.error = f"{tried}: {why or 'the pattern matched none'}{model}"


def _mixed(groups: list[list[Case]], count: int, turn: int) -> list[Case]:
    """Up to `count` cases, one of each group in turn; `turn` moves on what is taken of a group too large to be taken whole."""
    turned = [group[5 * turn % len(group) :] + group[: 5 * turn % len(group)] for group in groups]
    mixed = [group[i] for i in range(max(map(len, turned), default=0)) for group in turned if i < len(group)]
    return mixed[:count]
