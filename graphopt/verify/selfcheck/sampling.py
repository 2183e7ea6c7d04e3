"""A model made from a rule's pattern by chance, for those who want any."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from random import Random

from graphopt.match.rule import Rule
from graphopt.verify.selfcheck.drawing import Setting
from graphopt.verify.selfcheck.examples import samples_of_examples
from graphopt.verify.selfcheck.instantiate import CannotInstantiate, Sample, instantiate
from graphopt.verify.selfcheck.planning import DTYPES, RANKS, SIZES, opsets
from graphopt.verify.selfcheck.structure import structures


def random_sample(rule: Rule, random: Random, opset: int | None = None) -> Sample:
    """One of the models that the pattern of a rule describes, of one opset if it is given. Raises CannotInstantiate."""
    if rule.examples is not None and (examples := list(samples_of_examples(rule.examples, 0))):
        return random.choice(examples)
    try:
        structure = random.choice(structures(rule, 12, random))
    except TypeError as reason:
        raise CannotInstantiate(str(reason)) from reason
    possible = opsets(rule, structure)
    if opset is not None and possible:
        possible = [opset] if min(possible) <= opset <= max(possible) else []
    if not possible:
        raise CannotInstantiate(f"{rule.name} has no form at opset {opset}")
    dtypes = [dtype for dtype in DTYPES if rule.dtype is None or dtype in rule.dtype] or sorted(rule.dtype or ())
    setting = Setting(
        random.choice(possible), random.choice(dtypes), random.choice(RANKS), random.choice(SIZES), random.choice((0.0, 0.3, 1.0))
    )
    for attempt in (setting, replace(setting, rank=None)):
        with suppress(CannotInstantiate):
            return instantiate(rule, structure, attempt, random.randrange(10**9), 8)
    raise CannotInstantiate(f"no model of {rule.name}")
