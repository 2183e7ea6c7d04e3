"""What is installed: found by entry points, loaded when named, left out with a reason when it cannot be, and never owned twice."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from graphopt.errors import SpecError
from graphopt.pipeline import discovery
from graphopt.pipeline import registry as module
from graphopt.pipeline.plugin import GROUP, Plugin
from graphopt.pipeline.registry import Registry, installed, with_plugin
from tests.pipeline.fakes import HERE, DropRelu, registry

STRANGER = Plugin("stranger", passes={"comes-last": f"{HERE}:ComesLast"})


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """The entry points that `installed` finds; a test fills the list."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(discovery, "entry_points", lambda *, group: points if group == GROUP else [])
    monkeypatch.setattr(module, "installed", module.installed.__wrapped__)
    return points


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def test_plugins_come_through_the_entry_point(entry_points: list[EntryPoint]) -> None:
    entry_points += [point("graphopt", f"{HERE}:PLUGIN"), point("stranger", f"{__name__}:STRANGER")]
    found = module.installed()
    assert [plugin.name for plugin in found.plugins] == ["graphopt", "stranger"]
    assert found.level(1) == ("take-all", "drop-relu", "comes-last")
    assert not found.failures


def test_an_entry_point_that_is_seen_twice_is_one(entry_points: list[EntryPoint]) -> None:
    entry_points += [point("graphopt", f"{HERE}:PLUGIN")] * 2
    assert module.installed().find("drop-relu") is DropRelu


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("no_such_module_at_all:PLUGIN", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        (f"{HERE}:NO_PLUGIN", "AttributeError: module 'tests.pipeline.fakes' has no attribute 'NO_PLUGIN'"),
        (f"{HERE}:HERE", "TypeError: tests.pipeline.fakes:HERE is 'tests.pipeline.fakes', not a graphopt Plugin"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_left_out_with_the_reason(entry_points: list[EntryPoint], value: str, why: str) -> None:
    entry_points += [point("broken", value), point("graphopt", f"{HERE}:PLUGIN")]
    found = module.installed()
    assert found.failures == [f"the plug-in 'broken' is left out: {value} cannot be loaded: {why}"]
    assert "drop-relu" in found.passes


def test_without_any_plugin_there_are_no_passes(entry_points: list[EntryPoint]) -> None:
    found = module.installed()
    assert found.level(1) == ()
    assert found.rules() == {}
    with pytest.raises(SpecError, match="no pass is called 'drop-relu'; there are none"):
        found.pass_named("drop-relu")


def test_nothing_is_imported_before_it_is_named() -> None:
    plugin = Plugin("graphopt", passes={"one-pass": "no_such_module:OnePass"}, levels={1: ("one-pass",)})
    found = Registry((plugin,))
    assert found.level(1) == ("one-pass",)
    assert not found.failures


@pytest.mark.parametrize(
    ("name", "target", "why"),
    [
        ("gone", "no_such_module:Gone", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("gone", f"{HERE}:Gone", "AttributeError: module 'tests.pipeline.fakes' has no attribute 'Gone'"),
        ("take-none", f"{HERE}:TakeAll", "TypeError: it calls itself 'take-all'"),
        ("mode", f"{HERE}:Mode", "TypeError: it is <enum 'Mode'>, not a subclass of Pass"),
    ],
)
def test_a_pass_that_cannot_be_loaded_is_left_out_with_the_reason(name: str, target: str, why: str) -> None:
    found = registry(Plugin("stranger", passes={name: target}))
    assert found.level(1) == ("take-all", "drop-relu")
    expected = f"the pass {name!r} is left out: {target} of the plug-in 'stranger' cannot be loaded: {why}"
    assert found.failures == [expected]
    with pytest.raises(SpecError) as caught:
        found.pass_named(name)
    assert str(caught.value) == expected


def test_two_owners_of_a_pass_are_an_error_that_names_both() -> None:
    with pytest.raises(SpecError) as caught:
        registry(Plugin("stranger", passes={"drop-relu": f"{HERE}:DropRelu"}))
    assert str(caught.value) == (
        "two owners of the pass 'drop-relu': tests.pipeline.fakes:DropRelu of the plug-in 'graphopt' and "
        "tests.pipeline.fakes:DropRelu of the plug-in 'stranger'; uninstall one, or rename its pass"
    )


def test_two_rules_of_one_name_are_an_error_that_names_both() -> None:
    found = registry(Plugin("stranger", rules={"relu-relu": f"{HERE}_twin:relu_relu"}))
    with pytest.raises(SpecError, match=r"two owners of the rule 'relu-relu': .*fakes.py:\d+ .*'graphopt' and .*_twin.py:\d+ .*'stranger'"):
        found.rules()


@pytest.mark.parametrize("name", ["Fuse-It", "fuse_it", "fixpoint", "level1", "-fuse", "fuse-", ""])
def test_a_name_that_no_pipeline_could_spell_is_left_out(name: str) -> None:
    found = registry(Plugin("stranger", passes={name: f"{HERE}:ComesLast"}))
    assert name not in found.passes
    why = f"{name!r} is a word of pipelines" if name in ("fixpoint", "level1") else "a name is words of a-z, 0-9 joined by '-'"
    assert found.failures[0].endswith(why)


def test_a_level_that_lists_an_unknown_pass_says_so() -> None:
    found = registry(Plugin("stranger", levels={1: ("fuse-ghost",)}))
    assert found.level(1) == ("take-all", "drop-relu")
    assert found.failures == ["the plug-in 'stranger' lists 'fuse-ghost' in its level 1 but brings no such pass"]


def test_where_a_strangers_pass_comes() -> None:
    names = {"comes-last": "ComesLast", "comes-after": "ComesAfter", "comes-before": "ComesBefore"}
    found = registry(Plugin("stranger", passes={name: f"{HERE}:{target}" for name, target in names.items()}))
    assert found.level(1) == ("take-all", "comes-before", "drop-relu", "comes-after", "comes-last")
    assert found.level_of("comes-after") == 1
    assert found.level_of("fuse-relu") == 2
    assert found.level_of("needs-option") is None


def test_wishes_in_a_circle_are_an_error_that_names_the_passes() -> None:
    found = registry(Plugin("farm", passes={"chicken": f"{HERE}:Chicken", "egg": f"{HERE}:Egg"}))
    with pytest.raises(SpecError, match=r"the passes '(chicken|egg)' \(farm\), '(chicken|egg)' \(farm\) ask to come each before the next"):
        found.level(1)


def test_rules_know_their_passes() -> None:
    rules = registry().rules()
    assert {name: known.passes for name, known in rules.items()} == {"relu-relu": ("fuse-relu",), "neg-neg": ()}
    assert rules["relu-relu"].owner == "graphopt"


def test_a_plugin_can_be_named_without_being_installed() -> None:
    assert "comes-last" in with_plugin(registry(), f"{__name__}:STRANGER").passes
    with pytest.raises(SpecError, match="the plug-in 'no_such_module' cannot be loaded: ModuleNotFoundError"):
        with_plugin(registry(), "no_such_module")


def test_a_plugin_that_is_there_already_may_be_named_again(entry_points: list[EntryPoint]) -> None:
    """By its module, twice, and by the name under which it is installed."""
    entry_points += [point("graphopt", f"{HERE}:PLUGIN"), point("stranger", f"{__name__}:STRANGER")]
    found = module.installed()
    for target in (HERE, f"{__name__}:STRANGER", "stranger"):
        assert with_plugin(found, target) is found
    once = with_plugin(registry(), f"{__name__}:STRANGER")
    assert with_plugin(once, f"{__name__}:STRANGER") is once
    assert once.named == (f"{__name__}:STRANGER",)


def test_our_own_passes_come_through_the_same_door() -> None:
    found = installed()
    assert found.plugins[0].name == "graphopt"
    assert found.level(1)


def test_an_index_of_names_is_cheap() -> None:
    program = "import sys, graphopt.pipeline.plugin; sys.exit(any(name in sys.modules for name in ('numpy', 'onnx', 'networkx')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
