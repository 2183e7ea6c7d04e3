"""Targets: declared by plug-ins, named by levels above the first, loaded when named."""

from __future__ import annotations

import subprocess
import sys

import pytest

from graphopt.errors import SpecError
from graphopt.observe.observer import Observer
from graphopt.pipeline.pipeline import LevelStep, Pipeline
from graphopt.pipeline.plugin import Plugin
from graphopt.pipeline.runner import run_pipeline
from graphopt.pipeline.target import Target
from tests.ir.graphs import relu_chain
from tests.pipeline.fakes import FAST_CPU, HERE, registry

MISNAMED = Target("other-name", "")


@pytest.mark.parametrize(
    ("level", "target", "text"),
    [
        (None, None, "level1"),
        (None, "fast-cpu", "level1, level2{target=fast-cpu}"),
        (2, "fast-cpu", "level1, level2{target=fast-cpu}"),
        (3, "fast-cpu", "level1, level2{target=fast-cpu}, level3{target=fast-cpu}"),
        (0, None, ""),
    ],
)
def test_a_level_and_a_target_are_a_pipeline(level: int | None, target: str | None, text: str) -> None:
    found = Pipeline.of_levels(level, target, registry())
    assert str(found) == text
    assert Pipeline.parse(text, registry()) == found


@pytest.mark.parametrize(
    ("level", "target", "why"),
    [
        (2, None, r"level 2 needs a target, as level2\{target=NAME\} or --target NAME; known: fast-cpu, slow-cpu"),
        (2, "fast-gpu", "no target is called 'fast-gpu'; did you mean 'fast-cpu'?"),
        (1, "fast-cpu", "level 1 is the same for every target: leave the target 'fast-cpu' out, or ask for level 2"),
        (0, "fast-cpu", "level 0 is the same for every target"),
        (7, "fast-cpu", "there is no level 7"),
    ],
)
def test_what_does_not_go_together(level: int, target: str | None, why: str) -> None:
    with pytest.raises(SpecError, match=why):
        Pipeline.of_levels(level, target, registry())


@pytest.mark.parametrize(
    ("text", "column", "why"),
    [
        ("level1, level2", 9, "level 2 needs a target"),
        ("level2{target=fast-cup}", 15, "no target is called 'fast-cup'; did you mean 'fast-cpu'?"),
        ("level1{target=fast-cpu}", 15, "level 1 is the same for every target"),
        ("level2{targt=fast-cpu}", 8, "level2 has no option 'targt'; did you mean 'target'?"),
        ("level2{target}", 8, r"level2\{target\} takes the name of a target: fast-cpu, slow-cpu"),
        ("level2{target=[a, b]}", 8, r"level2\{target\} takes the name of a target"),
    ],
)
def test_errors_in_a_text_point_at_the_place(text: str, column: int, why: str) -> None:
    with pytest.raises(SpecError, match=f"column {column}: {why}"):
        Pipeline.parse(text, registry())


def test_a_step_that_a_program_makes_needs_a_known_target_too() -> None:
    with pytest.raises(SpecError, match="no target is called 'fast'"):
        registry().level(2, LevelStep(2, "fast").target)


def test_passes_of_plugins_come_after_those_of_the_target_once() -> None:
    stranger = Plugin("stranger", passes={"comes-before": f"{HERE}:ComesBefore"}, levels={2: ("comes-before",)})
    known = registry(stranger)
    assert known.level(2, "fast-cpu") == ("neg-to-relu", "comes-before", "drop-relu", "fuse-relu")
    assert known.level(3, "fast-cpu") == ("take-all",)
    assert known.level(2) == ("fuse-relu", "comes-before")


def test_a_pass_that_is_not_there_is_left_out_and_told() -> None:
    known = registry()
    assert known.level(2, "slow-cpu") == ("drop-relu", "fuse-relu")
    assert known.failures == ["the target 'slow-cpu' lists 'no-such-pass' in its level 2, but there is no such pass"]


def test_the_level_of_a_pass_that_a_target_lists() -> None:
    assert registry().level_of("neg-to-relu") == 2
    assert registry().level_of("break") is None


def test_a_target_of_a_plugin() -> None:
    known = registry(Plugin("stranger", targets={"npu": f"{HERE}:NO_TARGET", "other": f"{HERE}:HERE", "misnamed": f"{__name__}:MISNAMED"}))
    assert known.target_named("fast-cpu") is FAST_CPU
    for name, why in (("npu", "AttributeError"), ("other", "not a Target"), ("misnamed", "it calls itself 'other-name'")):
        assert known.find_target(name) is None
        with pytest.raises(SpecError, match=f"the target '{name}' is left out: .* of the plug-in 'stranger' cannot be loaded: .*{why}"):
            known.target_named(name)


def test_a_level_for_which_a_target_has_no_passes_is_told() -> None:
    class Warnings(Observer):
        def __init__(self) -> None:
            self.heard: list[str] = []

        def warned(self, source: str, message: str) -> None:
            self.heard.append(message)

    known = registry()
    for text, told in (
        ("level1, level3{target=fast-cpu}, -take-all", []),
        ("level1, fixpoint(level3{target=slow-cpu})", ["the target 'slow-cpu' has no passes at level 3"]),
    ):
        model, _, _ = relu_chain(2)
        warnings = Warnings()
        run_pipeline(Pipeline.parse(text, known), model, warnings, registry=known)
        assert warnings.heard == told


def test_unknown_targets_are_told_in_the_order_of_the_known() -> None:
    known = registry(Plugin("stranger", targets={"a-target": f"{HERE}:FAST_CPU"}))
    for ask in (lambda: known.target_named("zzz"), lambda: Pipeline.of_levels(2, "zzz", known), lambda: Pipeline.of_levels(2, None, known)):
        with pytest.raises(SpecError, match=r"known: fast-cpu, slow-cpu, a-target$"):
            ask()


def test_two_owners_of_one_name() -> None:
    with pytest.raises(SpecError, match=r"two owners of the target 'fast-cpu': .*'graphopt' and .*'stranger'"):
        registry(Plugin("stranger", targets={"fast-cpu": f"{HERE}:FAST_CPU"}))


def test_no_target_is_loaded_for_level_1() -> None:
    program = (
        "import sys; from graphopt.pipeline.pipeline import Pipeline; from graphopt.pipeline.runner import resolve\n"
        "from graphopt.pipeline.registry import installed\n"
        "resolve(Pipeline.of_levels(1), installed()); assert 'graphopt.passes.targets' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
