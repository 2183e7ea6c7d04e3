"""Random pipelines over random models: what comes out is valid and computes the same, within the exactness of what changed it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from random import Random
from typing import Any, Final, Literal, get_args, get_origin

import numpy as np
import onnx
from onnx import ModelProto

from graphopt import io
from graphopt.errors import GraphoptError, ModelError, SpecError
from graphopt.io.walking import all_nodes
from graphopt.match.rule import Exactness
from graphopt.observe.observer import Observers
from graphopt.observe.statistics import Statistics
from graphopt.observe.watch import VerifyEach
from graphopt.pipeline.base import WORSE, Pass
from graphopt.pipeline.options import ByteSize, Option, options_of
from graphopt.pipeline.pipeline import Fixpoint, LevelStep, Pipeline, Step
from graphopt.pipeline.registry import installed
from graphopt.pipeline.runner import run_pipeline
from graphopt.verify.reduce import reduce_model
from graphopt.verify.selfcheck.validity import Invalid, check
from tests.sweeps.orders import fewest
from tests.sweeps.random_models import Unlucky, random_model
from tests.sweeps.truth import Truth, said
from tests.sweeps.workers import note

PIPELINES: Final = 3  # for each model
LONGEST: Final = 6
ORIGINAL: Final = "running the original"  # what is noted then: a runtime that dies of it is none of our business
BUDGET: Final = 250  # models tried to make a failing one small
# A fold gives what onnx's definition gives, a kernel of a runtime the same up to its own rounding.
NOT_BIT_BY_BIT: Final = frozenset({"fold-constants"})
KERNELS: Final = ("NotImplemented", "No implementation", "the result fails where the original runs")
OPSET: Final = "convert-opset"  # changes the opset and nothing else of the signature, and may refuse


@dataclass(frozen=True, slots=True)
class Failure:
    """A model on which a pipeline goes wrong, made as small as it gets."""

    seed: int
    pipeline: str
    kind: str
    said: str
    model: str

    @property
    def key(self) -> tuple[str, str]:
        """Failures of one key are most likely the same mistake."""
        return self.kind, self.pipeline

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.kind}\n  -p '{self.pipeline}'\n{_indented(self.said)}\n{_indented(self.model)}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one seed: how many pipelines ran, how many changed the model, and what failed."""

    ran: int = 0
    changed: int = 0
    failures: tuple[Failure, ...] = ()


@dataclass
class Trial:
    """One model, and what is right."""

    proto: ModelProto
    sizes: tuple[dict[str, int], ...]

    def __post_init__(self) -> None:
        self.exact = Truth(self.proto, exact=True, sizes=self.sizes)
        self.rounding = Truth(self.proto, sizes=self.sizes)

    def run(self, steps: Sequence[Step]) -> tuple[bool, str, str]:
        """Whether a pipeline changes the model, and of a failure its kind and what is to be said of it."""
        statistics = Statistics()
        note(f"-p '{Pipeline(steps)}'\n{onnx.printer.to_text(self.proto)}")
        try:
            model = io.load(self.proto)
            changes = run_pipeline(Pipeline(steps), model, Observers.of(statistics, VerifyEach()))
            made = io.to_proto(model)
        except SpecError:
            return False, "", ""  # a fixpoint of passes that undo each other's work: the pipeline is at fault
        except GraphoptError as error:
            if isinstance(error, ModelError) and OPSET in str(Pipeline(steps)):
                return False, "", ""
            return True, type(error).__name__, said(error)
        endless = [warning for warning in statistics.warnings if "still changes the model" in warning]
        if endless:
            return True, "endless", endless[0]
        if not changes:
            return False, "", ""
        promised = exactness_of(statistics)
        if promised == "exact" and OPSET in str(Pipeline(steps)) and any(node.op_type == "AveragePool" for node in all_nodes(self.proto)):
            promised = "rounding"  # onnxruntime adds up what is below opset 19 in another order
        truth = self.exact if promised == "exact" else self.rounding
        wrong = truth.wrong(made) if promised != "approximate" else truth.invalid(made)  # which numbers are near enough is not known
        if "No implementation for operator" in wrong or (OPSET in str(Pipeline(steps)) and any(said in wrong for said in KERNELS)):
            return True, "", ""  # no runtime has a kernel for every version of every operator, and some of the reference's end in errors
        kind = "not the same bits" if truth.exact else "different"
        return True, kind if wrong and not wrong.startswith("the result is no valid") else "invalid" if wrong else "", wrong


def exactness_of(statistics: Statistics) -> Exactness:
    """The least that anything which changed a model promises."""
    registry = installed()
    rules, classes = registry.rules(), registry.passes
    sources = [name for name, count in statistics.rules.items() if count.fired]
    fired: list[Exactness] = [rules[name].rule.exactness for name in sources if name in rules]
    for name in (*sources, *statistics.passes):
        stem = name.partition("{")[0]
        of = registry.find(stem) if stem in classes else None
        if of is not None and not of.rules and (name in sources or statistics.passes[name].changes):
            fired.append("rounding" if stem in NOT_BIT_BY_BIT else of.exactness)
    return max(fired, key=WORSE.index, default="exact")


def outcome(seed: int) -> Outcome:
    """Make the model of a seed, run pipelines over it, and make small what fails."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # numpy's and onnx's remarks on numbers that are there to provoke them
        try:
            proto = random_model(seed)
        except Unlucky:
            return Outcome()
        random = Random(~seed)
        trial = Trial(proto, sizes_of(proto, random))
        note(f"{ORIGINAL}\n{onnx.printer.to_text(proto)}")
        if not trial.rounding.runs:
            return Outcome()
        changed, failures = 0, []
        for _ in range(PIPELINES):
            steps = random_steps(random)
            changes, kind, _ = trial.run(steps)
            changed += changes
            if kind:
                failures.append(small(seed, trial, steps, kind))
        return Outcome(PIPELINES, changed, tuple(failures))


def sizes_of(proto: ModelProto, random: Random) -> tuple[dict[str, int], ...]:
    """Sizes for the open dimensions: all 0, all 1, all 2, all 3, and mixed; none of them 0 where sizes may be divided by."""
    names: dict[str, None] = {}
    for port in proto.graph.input:
        for axis, dim in enumerate(port.type.tensor_type.shape.dim):
            if not dim.HasField("dim_value"):
                names[dim.dim_param or f"{port.name}[{axis}]"] = None
    if not names:
        return ({},)
    least = int(any(node.op_type in ("Div", "Mod") for node in all_nodes(proto)))
    mixed = [{name: random.randint(least, 4) for name in names} for _ in range(2)]
    return (*(dict.fromkeys(names, size) for size in range(least, 3)), *mixed, dict.fromkeys(names, 3))


# ---- pipelines


def random_steps(random: Random) -> list[Step]:
    """A pipeline of any passes, with any options."""
    if random.random() < 0.15:
        return [LevelStep(1)]
    names = random.choices(keeping(), k=random.randint(1, LONGEST))
    if random.random() < 0.7:  # most passes find nothing in most models, so that level 1 in another order finds more
        names = random.sample(installed().level(1), len(installed().level(1)))[: random.choice((10, 30, 1000))] + names
    steps: list[Step] = [step for name in names if (step := random_pass(name, random)) is not None]
    random.shuffle(steps)
    if random.random() < 0.3:
        cut = random.randint(0, len(steps))
        steps = [*steps[:cut], Fixpoint(tuple(steps[cut:]))]
    return steps


@cache
def keeping() -> list[str]:
    """The passes that keep inputs and outputs as they are, on request or not."""
    registry = installed()
    found = {name: registry.find(name) for name in registry.passes}
    return [name for name, of in found.items() if of is not None and (not of.changes_signature or name == OPSET)]


def random_pass(name: str, random: Random) -> Pass | None:
    """A pass with options; None when these options do not go together."""
    of = installed().find(name)
    if of is None:
        return None
    values = {
        option.field: _value(option, random) for option in options_of(of) if random.random() < 0.3 or not isinstance(option.default, ALL)
    }
    try:
        return of(**values)
    except (TypeError, ValueError, SpecError):
        return None


ALL: Final = (bool, int, float, str, tuple, Enum, type(None))  # what a default is; MISSING is something else


def _value(option: Option, random: Random) -> Any:  # Any: of the option's type
    hint = option.hint
    origin: object = get_origin(hint)
    if origin is Literal:
        return random.choice(get_args(hint))
    if hint is bool:
        return random.random() < 0.5
    if hint is ByteSize:
        return ByteSize(random.choice((0, 16, 1 << 10, 1 << 20)))
    if hint is int:
        return random.choice((0, 1, 2, 8, 13, 17, 18, 20, 21, 23, 1 << 20))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return random.choice(list(hint))
    return option.default


# ---- failures


def small(seed: int, trial: Trial, steps: Sequence[Step], kind: str) -> Failure:
    """The fewest passes that still fail in this way, and the smallest model on which they do."""
    flat = _flat(steps)
    fewer: list[Step] = fewest(flat, lambda some: trial.run(some)[1] == kind) if trial.run(flat)[1] == kind else list(steps)

    def fails(proto: ModelProto) -> bool:
        try:
            check(proto)
        except Invalid:
            return False
        other = Trial(proto, sizes_of(proto, Random(0)))
        return other.rounding.runs and other.run(fewer)[1] == kind

    proto = reduce_model(trial.proto, fails, budget=BUDGET) if fails(trial.proto) else trial.proto
    words = Trial(proto, sizes_of(proto, Random(0)) if proto is not trial.proto else trial.sizes).run(fewer)[2]
    return Failure(seed, str(Pipeline(fewer)), kind, words, str(onnx.printer.to_text(proto)))


def _flat(steps: Sequence[Step]) -> list[Step]:
    flat: list[Step] = []
    for step in steps:
        if isinstance(step, LevelStep):
            flat += [known() for name in installed().level(step.level) if (known := installed().find(name)) is not None] * 2
        else:
            flat += step.steps if isinstance(step, Fixpoint) else [step]
    return flat


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.rstrip().splitlines())
