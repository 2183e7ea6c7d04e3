"""Conditions on a target: which steps are left, what a level without a target becomes, and what runs when nobody says a target."""

from __future__ import annotations

import pytest

from graphopt.errors import SpecError
from graphopt.pipeline.base import Pass
from graphopt.pipeline.pipeline import Fixpoint, LevelStep, Pipeline, Skip, When
from graphopt.pipeline.plugin import Plugin
from graphopt.pipeline.runner import passes_of, resolve, run_pipeline
from tests.ir.graphs import relu_chain
from tests.pipeline.fakes import HERE, DropRelu, NegToRelu, ReluToNeg, registry

KNOWN = registry()


def names(pipeline: Pipeline) -> list[str]:
    return [step.name for step in passes_of(resolve(pipeline, KNOWN))]


@pytest.mark.parametrize(
    ("text", "for_fast", "for_slow"),
    [
        ("when{target=fast-cpu}(drop-relu), take-all", "drop-relu, take-all", "take-all"),
        ("when{target=[fast-cpu, slow-cpu]}(drop-relu)", "drop-relu", "drop-relu"),
        ("when{not-target=fast-cpu}(drop-relu)", "", "drop-relu"),
        ("level1, level2", "level1, level2{target=fast-cpu}", "level1, level2{target=slow-cpu}"),
        ("level2{target=slow-cpu}", "level2{target=slow-cpu}", "level2{target=slow-cpu}"),
        ("when{target=fast-cpu}(level2, level3)", "level2{target=fast-cpu}, level3{target=fast-cpu}", ""),
        ("level1, when{target=slow-cpu}(-drop-relu)", "level1", "level1, -drop-relu"),
        ("when{target=fast-cpu}(level1), -drop-relu", "level1, -drop-relu", ""),
        (
            "fixpoint{limit=3}(drop-relu, when{target=fast-cpu}(take-all, when{not-target=fast-cpu}(break)))",
            "fixpoint{limit=3}(drop-relu, take-all)",
            "fixpoint{limit=3}(drop-relu)",
        ),
    ],
)
def test_a_target_decides_and_what_is_left_names_it(text: str, for_fast: str, for_slow: str) -> None:
    for target, left in (("fast-cpu", for_fast), ("slow-cpu", for_slow)):
        bound = Pipeline.parse(text, KNOWN, target=target)
        assert str(bound) == left
        assert Pipeline.parse(left, KNOWN) == bound
        assert bound.for_target(target, KNOWN) == bound


def test_without_a_target_the_steps_do_not_run() -> None:
    pipeline = Pipeline.parse("when{target=fast-cpu}(take-all), when{not-target=fast-cpu}(break), drop-relu", KNOWN)
    assert pipeline.for_target(None) is pipeline
    assert names(pipeline) == ["drop-relu"]
    model, _, _ = relu_chain(3)
    assert run_pipeline(pipeline, model, registry=KNOWN) == 1


def test_a_pipeline_of_objects_is_bound_too() -> None:
    pipeline = Pipeline([DropRelu(), When([LevelStep(2), NegToRelu()], target="fast-cpu"), When((ReluToNeg(),), not_target=["fast-cpu"])])
    assert names(pipeline.for_target("fast-cpu", KNOWN)) == ["drop-relu", "neg-to-relu", "drop-relu", "fuse-relu", "neg-to-relu"]
    assert names(pipeline.for_target("slow-cpu", KNOWN)) == ["drop-relu", "relu-to-neg"]
    assert Pipeline.of(pipeline, target="slow-cpu", registry=KNOWN) == Pipeline([DropRelu(), ReluToNeg()])


def test_a_level_that_no_target_was_given_for_is_an_error_before_anything_runs() -> None:
    with pytest.raises(SpecError, match=r"level 2 needs a target, as level2\{target=NAME\} or --target NAME; known: fast-cpu, slow-cpu"):
        resolve(Pipeline([LevelStep(1), LevelStep(2)]), KNOWN)


def test_unknown_targets_are_errors_with_the_near_name() -> None:
    with pytest.raises(SpecError, match="no target is called 'fast-cup'; did you mean 'fast-cpu'"):
        Pipeline().for_target("fast-cup", KNOWN)
    with pytest.raises(SpecError, match="no target is called 'slow-cup'; did you mean 'slow-cpu'"):
        Pipeline([When([DropRelu()], target="slow-cup")]).for_target("fast-cpu", KNOWN)


def test_a_target_of_a_plugin_is_known() -> None:
    known = registry(Plugin("stranger", targets={"npu": f"{HERE}:FAST_CPU"}))
    assert str(Pipeline.parse("when{target=npu}(drop-relu)", known, target="npu")) == "drop-relu"
    with pytest.raises(SpecError, match="no target is called 'npu'; known: fast-cpu, slow-cpu"):
        Pipeline.parse("when{target=npu}(drop-relu)", KNOWN)


@pytest.mark.parametrize("targets", [{}, {"target": "a", "not_target": "b"}, {"target": ()}])
def test_when_needs_one_condition(targets: dict[str, str]) -> None:
    with pytest.raises(SpecError, match="When needs the names of targets, as target or as not_target"):
        When([DropRelu()], **targets)


def test_steps_inside_others_may_be_texts() -> None:
    inside: list[Pass | str] = [DropRelu(), "level1, -fuse-conv-bn"]
    assert Fixpoint(inside, limit=3).steps == When(inside, target="x").steps == (DropRelu(), LevelStep(1), Skip("fuse-conv-bn"))
    with pytest.raises(SpecError, match=r"is no step of a pipeline; make one of it: add \(\)"):
        Fixpoint([DropRelu])  # type: ignore[list-item]  # what a caller may do
