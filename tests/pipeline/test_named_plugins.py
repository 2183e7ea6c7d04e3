"""Plug-ins that somebody names: modules, names in them, files; whole, without a PLUGIN, slow, broken, for another version."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import graphopt
from graphopt import Plugin, SpecError
from graphopt.pipeline import discovery
from graphopt.pipeline.registry import Registry, with_plugin
from tests.pipeline.fakes import HERE, registry

RULE = '''
from graphopt import op, rule, tensor


@rule(op.Max(tensor("x"), op.Neg(tensor("x"))), exactness="{1}")
def {0}(m, x):
    """Max(x, Neg(x))  ->  Abs(x)"""
    return m.op.Abs(x)
'''
PASS = """
from graphopt import RulePass


class FuseAbs(RulePass):
    name = "fuse-abs"
    rules = ({0},)
"""
MODEL = '<ir_version: 10, opset_import: ["" : 20]> g (float[N] x) => (float[N] y) { n = Neg(x) y = Max(x, n) }'
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a file in the current folder; returns how --plugin names it. What was imported is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)

    def write_file(name: str, text: str) -> str:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        return f"./{name}"

    yield write_file
    for module in set(sys.modules) - before:
        if str(getattr(sys.modules[module], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[module]


def operators(found: object) -> list[str]:
    return [node.op_type for node in found.graph.node]  # type: ignore[attr-defined]  # a ModelProto, whose fields have no types here


# ---- files


def test_the_shortest_plugin_is_a_file_with_one_rule(write: Write) -> None:
    file = write("my_rules.py", RULE.format("max_neg_to_abs", "rounding"))
    found = with_plugin(registry(), file)
    assert found.level(1)[-1] == "my-rules"
    assert found.rules()["max-neg-to-abs"].passes == ("my-rules",)
    assert found.rules()["max-neg-to-abs"].owner == "my-rules"
    assert found.named == (file,)
    assert not found.failures


def test_it_works_in_python(write: Write) -> None:
    from graphopt.testing import optimized, parse

    file = write("my_rules.py", RULE.format("max_neg_to_abs", "rounding"))
    assert operators(graphopt.optimize(parse(MODEL), plugins=[file])) == ["Abs"]
    assert operators(graphopt.optimize(parse(MODEL), plugins=[Plugin.load(file)], pipeline="my-rules")) == ["Abs"]
    assert operators(optimized(MODEL, "max-neg-to-abs", plugins=[file])) == ["Abs"]
    assert operators(graphopt.optimize(parse(MODEL))) == ["Neg", "Max"]
    with pytest.raises(SpecError, match=r"plugins takes a list: plugins=\['./my_rules.py'\]"):
        graphopt.optimize(parse(MODEL), plugins=file)


def test_rules_of_its_own_passes_run_in_these_alone(write: Write) -> None:
    alone = RULE.format("two", "exact") + RULE.format("far", "approximate")
    file = write("my_rules.py", RULE.format("one", "rounding") + PASS.format("one") + alone)
    found = with_plugin(registry(), file)
    assert {name: found.rules()[name].passes for name in ("one", "two", "far")} == {"one": ("fuse-abs",), "two": ("my-rules",), "far": ()}
    assert found.level(1)[-2:] == ("fuse-abs", "my-rules")


def test_what_a_file_imports_is_not_its_own(write: Write) -> None:
    file = write("my_rules.py", f"from {HERE} import DropRelu, relu_relu\n" + RULE.format("one", "exact"))
    assert Plugin.load(file).passes.keys() == {"my-rules"}
    assert Plugin.load(file).rules.keys() == {"one"}


def test_a_file_with_a_plugin_names_itself_as_a_module(write: Write) -> None:
    plugin = "\nfrom graphopt import Plugin\nPLUGIN = MINE = Plugin('mine', passes={'fuse-abs': 'my_rules:FuseAbs'})\n"
    file = write("my_rules.py", RULE.format("one", "exact") + PASS.format("one") + plugin)
    found = with_plugin(registry(), file)
    assert found.pass_named("fuse-abs").__module__ == "my_rules"
    for again in ("my_rules.py", f"{file}:PLUGIN", f"{file}:MINE", "my_rules"):
        assert with_plugin(found, again) is found


def test_a_folder_is_a_package(write: Write) -> None:
    write("mine/rules.py", RULE.format("one", "exact"))
    write("mine/__init__.py", "from graphopt import Plugin\nPLUGIN = Plugin('mine', rules={'one': 'mine.rules:one'})\n")
    assert with_plugin(registry(), "./mine").rules()["one"].owner == "mine"


@pytest.mark.parametrize(
    ("file", "name"), [("my-rules.py", "my-rules"), ("3.rules.py", "rules-3-rules"), ("Mine.py", "mine"), ("fuse_abs.py", "fuse-abs-rules")]
)
def test_a_file_may_be_called_anything(write: Write, file: str, name: str) -> None:
    body = RULE.format("one", "exact") + (PASS.format("one") + RULE.format("two", "exact") if file == "fuse_abs.py" else "")
    assert name in with_plugin(registry(), write(file, body)).level(1)


# ---- what cannot be loaded: one sentence each


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def broken(:", "SyntaxError: invalid syntax (bad.py, line 1)"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("raise SystemExit(2)", "SystemExit: 2"),
        ("PLUGIN = 3", "TypeError: PLUGIN is of the type int, not a graphopt Plugin"),
        ("x = 1", "it has no PLUGIN, and defines no rule and no pass"),
        ("import graphopt; graphopt.Plugin('p', hue=1)", "TypeError: Plugin.__init__() got an unexpected keyword argument 'hue'"),
        (RULE.format("one", "exact") + "first = one" + RULE.format("one", "exact"), "one and first both call themselves 'one'"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_loaded(write: Write, text: str, why: str) -> None:
    file = write("bad.py", text)
    with pytest.raises(SpecError) as caught:
        Plugin.load(file)
    assert str(caught.value) == f"the plug-in './bad.py' cannot be loaded: {why}"
    assert "bad" not in sys.modules or "PLUGIN" in text or "x = 1" in text or "first" in text


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("./my_rule.py", "there is no file my_rule.py; did you mean 'my_rules.py'?"),
        ("nowhere/at_all.py", "there is no file nowhere/at_all.py"),
        ("./my_rules", "there is no file my_rules; did you mean 'my_rules.py'?"),
        ("./notes.txt", "notes.txt is no Python file: its name should end in .py"),
        ("my_rules", "ModuleNotFoundError: No module named 'my_rules'; for the file here say ./my_rules.py"),
        ("./my_rules.py:NONE", "AttributeError: module 'my_rules' has no attribute 'NONE'"),
        ("./my_rules.py:one", "TypeError: one is of the type Rule, not a graphopt Plugin"),
        ("./json.py", "there is another module 'json' ("),
    ],
)
def test_what_is_not_there(write: Write, target: str, why: str) -> None:
    write("my_rules.py", RULE.format("one", "exact"))
    write("json.py", RULE.format("one", "exact"))
    write("notes.txt", "")
    with pytest.raises(SpecError) as caught:
        Plugin.load(target)
    assert str(caught.value).startswith(f"the plug-in {target!r} cannot be loaded: {why}")


def test_a_file_that_was_changed_is_read_again(write: Write) -> None:
    """As somebody does who edits it beside a notebook."""
    file = write("my_rules.py", RULE.format("one", "exact"))
    assert Plugin.load(file) is Plugin.load(file)
    write("my_rules.py", RULE.format("one_more", "exact"))
    assert Plugin.load(file).rules.keys() == {"one-more"}


def test_two_files_of_one_name(write: Write) -> None:
    first, second = (write(f"{folder}/my_rules.py", RULE.format("one", "exact")) for folder in ("a", "b"))
    Plugin.load(first)
    with pytest.raises(SpecError, match=r"there is another module 'my_rules' \(.*a.my_rules\.py\); give the file another name"):
        Plugin.load(second)


# ---- versions


@pytest.mark.parametrize(
    "asked", ["", "graphopt", "graphopt>=0.0.1", "graphopt>=0.0.1,<99", "Graphopt !=99", "numpy>=1", "nothing; python_version < '3'"]
)
def test_what_holds(asked: str) -> None:
    assert discovery.unmet([asked]) == ""


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("graphopt>=99", "it requires graphopt>=99, and this is graphopt "),
        ("no-such-package>=1", "it requires no-such-package>=1, which is not installed"),
        ("graphopt => 1", "it requires 'graphopt => 1', which is not written like 'graphopt>=0.1'"),
    ],
)
def test_a_plugin_for_something_else(monkeypatch: pytest.MonkeyPatch, asked: str, why: str) -> None:
    """Installed it is left out, named it is an error; what it names is not imported."""
    misfit = Plugin("misfit", passes={"gone": "no_such_module:Gone"}, requires=asked)
    monkeypatch.setattr(sys.modules[__name__], "MISFIT", misfit, raising=False)
    monkeypatch.setattr(discovery, "entry_points", lambda *, group: [EntryPoint("misfit", f"{__name__}:MISFIT", group)])
    plugins, failures = discovery.discovered()
    assert plugins == []
    [failure] = failures
    assert failure.startswith(f"the plug-in 'misfit' is left out: {why}")
    with pytest.raises(SpecError) as caught:
        Plugin.load(f"{__name__}:MISFIT")
    assert str(caught.value).startswith(f"the plug-in '{__name__}:MISFIT' cannot be used: {why}")


# ---- slow ones; the clock is the test's own


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is imported takes 3.2 s."""
    ticks = iter(range(1000))
    monkeypatch.setattr(discovery, "clock", lambda: 3.2 * next(ticks))


ADVICE = "took 3.2 s to import; what is heavy should be imported in the functions that need it"


@pytest.mark.usefixtures("slow")
def test_slow_plugins_and_passes_are_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "entry_points", lambda *, group: [EntryPoint("fakes", f"{HERE}:PLUGIN", group)])
    plugins, failures = discovery.discovered()
    assert failures == [f"the plug-in 'graphopt' {ADVICE}"]
    named = with_plugin(Registry(tuple(plugins)), write("my_rules.py", RULE.format("one", "exact")))
    assert named.failures == [f"the plug-in './my_rules.py' {ADVICE}"]
    named.rules()
    assert named.failures[1:] == [f"the {what} of the plug-in 'my-rules' {ADVICE}" for what in ("pass 'my-rules'", "rule 'one'")]


def test_quick_ones_are_not_named() -> None:
    assert discovery.timed(lambda: 1) == (1, "")
