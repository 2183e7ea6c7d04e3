"""The wheel holds every package of the three source folders, under graphopt, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.packaging.environments import build_wheel

FOLDERS = {"graphopt": "graphopt", "passes": "graphopt/passes", "patterns": "graphopt/patterns"}


def build(folder: Path) -> ZipFile:
    """Build a wheel and look into it."""
    return ZipFile(build_wheel(folder))


def modules(folder: Path) -> set[str]:
    """Where the wheel should have each Python file of the source folders."""
    return {
        f"{installed}/{path.relative_to(folder / source).as_posix()}"
        for source, installed in FOLDERS.items()
        for path in (folder / source).rglob("*.py")
    }


def assets(folder: Path) -> set[str]:
    """What the report page is put together from, the libraries' licences among it."""
    files = (folder / "graphopt" / "observe" / "page" / "assets").rglob("*")
    held = {path.relative_to(folder).as_posix() for path in files if path.is_file()}
    assert "graphopt/observe/page/assets/vendor/NOTICE" in held
    return held


def test_the_wheel_holds_every_module_and_nothing_else(copy: Path) -> None:
    expected = modules(copy) | assets(copy) | {"graphopt/py.typed"}
    with build(copy) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == expected
    assert {"graphopt/passes/__init__.py", "graphopt/patterns/__init__.py"} <= held


@pytest.mark.parametrize("source", FOLDERS)
def test_a_new_folder_is_found_by_looking(copy: Path, source: str) -> None:
    inner = copy / source / "planted" / "deeper"
    inner.mkdir(parents=True)
    for file in (inner.parent / "__init__.py", inner / "__init__.py", inner / "one.py"):
        file.touch()
    with build(copy) as wheel:
        held = set(wheel.namelist())
    assert f"{FOLDERS[source]}/planted/deeper/one.py" in held
    assert "graphopt/passes/__init__.py" in held


def test_links_in_the_checkout_do_not_change_the_wheel(copy: Path) -> None:
    expected = modules(copy) | assets(copy) | {"graphopt/py.typed"}
    for _ in range(2):  # the second run finds the links made
        subprocess.run([sys.executable, "tools/links.py"], cwd=copy, check=True)
    assert (copy / "graphopt" / "passes").samefile(copy / "passes")
    assert (copy / "graphopt" / "patterns").samefile(copy / "patterns")
    with build(copy) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    assert sorted(names) == sorted(expected)


def test_every_folder_with_modules_is_a_package(checkout: Path) -> None:
    without = {
        path.parent.relative_to(checkout).as_posix()
        for source in FOLDERS
        for path in (checkout / source).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }
    assert not without, "setuptools leaves a folder without __init__.py out of the wheel, silently"


def test_commands_and_plug_in_door(copy: Path) -> None:
    with build(copy) as wheel:
        [entries] = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]
        parser = ConfigParser()
        parser.read_string(wheel.read(entries).decode())
    assert dict(parser["console_scripts"]) == {"graphopt": "graphopt.cli:main", "onnx-opt": "graphopt.cli:main_opt"}
    assert dict(parser["graphopt.plugins"]) == {"graphopt": "graphopt.passes:PLUGIN"}
