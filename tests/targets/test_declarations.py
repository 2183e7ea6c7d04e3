"""The targets that come with graphopt say what is there: passes that exist, units that can be told."""

from __future__ import annotations

import pytest

from graphopt.passes import PLUGIN
from graphopt.passes.targets import TARGETS
from graphopt.pipeline.registry import installed
from graphopt.pipeline.target import Target
from graphopt.schema import facts

every_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


def test_all_are_registered() -> None:
    assert list(PLUGIN.targets) == [target.name for target in TARGETS]
    assert all(installed().target_named(target.name) is target for target in TARGETS)


@every_target
def test_its_passes_exist_and_keep_values(target: Target) -> None:
    assert [name for name in target.passes if name not in installed().passes] == []
    assert all(installed().pass_named(name).exactness != "approximate" for name in target.passes)
    assert not any(installed().pass_named(name).changes_signature for name in target.passes)


@every_target
def test_the_passes_that_would_help_exist(target: Target) -> None:
    assert [name for name in target.wants.helps.values() if name not in installed().passes] == []


@every_target
def test_its_operators_are_operators(target: Target) -> None:
    wants = target.wants
    named = {*wants.helps, *wants.lacks, *(wants.integers or ()), *(op for unit in wants.units for op in unit.operators)}
    assert [name for name in sorted(named) if facts.newest("", name) is None] == []


@every_target
def test_it_is_told_in_one_line(target: Target) -> None:
    assert target.summary
    assert "\n" not in target.summary
    assert set(target.levels) == {2}
