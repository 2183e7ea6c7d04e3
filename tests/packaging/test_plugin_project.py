"""examples/plugin, a project of its own, installed from its wheel beside graphopt's: it is found, used and proved; broken, it is told."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.packaging.conftest import ROOT
from tests.packaging.environments import BUILT, Environment, build_wheel

TEXT = '<ir_version: 10, opset_import: ["" : 20]>\ng (float[N] x) => (float[N] y) {\n   n = Neg(x)\n   m = Max(n, x)\n   y = Sqrt(m)\n}\n'
USE = """
import pathlib, sys, graphopt, graphopt.passes, graphopt_abs, onnx, onnx.parser
for module in (graphopt, graphopt.passes, graphopt_abs):
    assert pathlib.Path(sys.prefix) in pathlib.Path(module.__file__).parents, module.__file__
result = graphopt.optimize(onnx.parser.parse_model(pathlib.Path("model.onnxtxt").read_text()), verify=True)
print(*(node.op_type for node in result.graph.node))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the commands run: away from the checkout, with a model in it."""
    (tmp_path / "model.onnxtxt").write_text(TEXT)
    return tmp_path


def done(found: subprocess.CompletedProcess[str]) -> str:
    """What a command that must succeed printed."""
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_the_project_is_small() -> None:
    files = [path for path in (ROOT / "examples" / "plugin").iterdir() if path.is_file()]
    assert {path.name for path in files} == {"README.md", "graphopt_abs.py", "pyproject.toml", "test_graphopt_abs.py"}
    assert sum(bool(line.strip()) for path in files for line in path.read_text().splitlines()) <= 60


def test_from_python(environment: Environment, folder: Path) -> None:
    assert done(environment.run("python", "-c", USE, cwd=folder)) == "Abs Sqrt\n"


def test_from_graphopt_optimize(environment: Environment, folder: Path) -> None:
    assert done(environment.run("onnx-opt", "model.onnxtxt", "-o", "model.onnx", cwd=folder)) == ""
    told = done(environment.run("graphopt", "optimize", "model.onnx", "-o", "out.onnx", "--verify", cwd=folder))
    assert "max-neg-to-abs" in told
    assert "Abs" in done(environment.run("onnx-opt", "out.onnx", cwd=folder))


def test_from_onnx_opt(environment: Environment, folder: Path) -> None:
    told = done(environment.run("onnx-opt", "model.onnxtxt", "--fuse-abs", "--prefix-values=prefix=a_", cwd=folder))
    assert "a_m = Abs (x)" in told
    assert "y = Sqrt (a_m)" in told


def test_its_rule_is_proved_and_its_owner_told(environment: Environment, folder: Path) -> None:
    told = done(environment.run("graphopt", "verify-rules", "max-neg-to-abs", cwd=folder))
    assert told.startswith("max-neg-to-abs: holds (rounding; ")
    listed = json.loads(done(environment.run("graphopt", "passes", "--json", "fuse-abs", "prefix-values", cwd=folder)))
    assert [(one["name"], one["level"], one["plugin"]) for one in listed] == [
        ("fuse-abs", 1, "graphopt-abs"), ("prefix-values", None, "graphopt-abs"),
    ]  # fmt: skip


def test_its_own_tests_pass(environment: Environment, plugin_project: Path, folder: Path) -> None:
    shutil.copy(plugin_project / "test_graphopt_abs.py", folder)
    told = done(environment.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_graphopt_abs.py", cwd=folder))
    assert "2 passed" in told


# ---- a second, broken copy beside it


@pytest.fixture(scope="session")
def second(plugin_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contents of the wheel of a copy under another name, which a test may break."""
    folder = tmp_path_factory.mktemp("second")
    shutil.copytree(plugin_project, folder / "source", ignore=BUILT)
    for path in (folder / "source").iterdir():
        if path.is_file():
            path.write_text(path.read_text().replace("graphopt_abs", "graphopt_second").replace("graphopt-abs", "graphopt-second"))
    (folder / "source" / "graphopt_abs.py").rename(folder / "source" / "graphopt_second.py")
    with ZipFile(build_wheel(folder / "source")) as wheel:
        wheel.extractall(folder / "unpacked")
    return folder / "unpacked"


BROKEN = {
    "def broken(:": "graphopt_second:PLUGIN cannot be loaded: SyntaxError: invalid syntax (graphopt_second.py, line 1)",
    "import no_such_module": "graphopt_second:PLUGIN cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'",
    "PLUGINS = ()": "graphopt_second:PLUGIN cannot be loaded: AttributeError: module 'graphopt_second' has no attribute 'PLUGIN'",
    "PLUGIN = 1": "graphopt_second:PLUGIN cannot be loaded: TypeError: graphopt_second:PLUGIN is 1, not a graphopt Plugin",
    "raise SystemExit(3)": "graphopt_second:PLUGIN cannot be loaded: SystemExit: 3",
    "from graphopt import Plugin; PLUGIN = Plugin('graphopt-second', requires='graphopt>=99')": "it requires graphopt>=99, and this is ",
    "": "graphopt_second:PLUGIN cannot be loaded: ModuleNotFoundError: No module named 'graphopt_second'",  # its file is gone
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_copy_is_told_in_one_sentence_and_all_else_works(
    environment: Environment, second: Path, folder: Path, text: str
) -> None:
    site = folder / "site"
    shutil.copytree(second, site)
    (site / "graphopt_second.py").write_text(text)
    if not text:
        (site / "graphopt_second.py").unlink()
    found = environment.run("onnx-opt", "model.onnxtxt", "-p", "level1", cwd=folder, path=site)
    assert "y = Sqrt (m)" in done(found)
    assert "m = Abs (x)" in found.stdout
    [line] = found.stderr.splitlines()
    assert line.startswith(f"warning: the plug-in 'graphopt-second' is left out: {BROKEN[text]}")


def test_a_package_for_another_graphopt_is_not_even_imported(environment: Environment, second: Path, folder: Path) -> None:
    site = folder / "site"
    shutil.copytree(second, site)
    (site / "graphopt_second.py").write_text("raise RuntimeError('imported')")
    [metadata] = site.glob("*.dist-info/METADATA")
    metadata.write_text(metadata.read_text().replace("graphopt>=0.1", "graphopt<0.1"))
    found = environment.run("graphopt", "passes", "fuse-abs", cwd=folder, path=site)
    assert found.returncode == 0
    assert "requires graphopt<0.1, and this is graphopt" in environment.run("graphopt", "rules", cwd=folder, path=site).stderr


def test_two_packages_that_own_one_name_are_both_named(environment: Environment, second: Path, folder: Path) -> None:
    found = environment.run("onnx-opt", "model.onnxtxt", "-p", "level1", cwd=folder, path=second)
    assert found.returncode == 2
    first, other = (f"{module}:FuseAbs of the plug-in '{module.replace('_', '-')}'" for module in ("graphopt_abs", "graphopt_second"))
    assert found.stderr == f"error: two owners of the pass 'fuse-abs': {first} and {other}; uninstall one, or rename its pass\n"
