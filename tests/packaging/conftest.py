from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.packaging.environments import BUILT, Environment, build_wheel, copy_source, left_out

ROOT = Path(__file__).resolve().parents[2]
LINKS = ("passes", "patterns")


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder that holds setup.py; the tests also run far from it, against an installed wheel."""
    if not (ROOT / "setup.py").exists():
        pytest.skip("needs the checkout")
    return ROOT


@pytest.fixture
def copy(checkout: Path, tmp_path: Path) -> Path:
    """What a wheel is built from, as git has it: without links and leftovers."""
    shutil.copytree(checkout / "tools", tmp_path / "tools", ignore=left_out)
    return copy_source(checkout, tmp_path)


@pytest.fixture(scope="session")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """graphopt's own wheel."""
    return build_wheel(copy_source(checkout, tmp_path_factory.mktemp("graphopt")))


@pytest.fixture(scope="session")
def plugin_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of examples/plugin."""
    folder = tmp_path_factory.mktemp("projects") / "plugin"
    shutil.copytree(ROOT / "examples" / "plugin", folder, ignore=BUILT)
    return folder


@pytest.fixture(scope="session")
def environment(wheel: Path, plugin_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A fresh environment with graphopt and the plug-in of examples/plugin, each from its own wheel."""
    made = Environment.make(tmp_path_factory.mktemp("environment") / "venv")
    made.install(wheel, build_wheel(plugin_project))
    return made
