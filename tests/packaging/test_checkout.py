"""What goes wrong in a checkout says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["passes", "patterns"])
def test_the_source_folders_cannot_be_imported_by_their_own_names(checkout: Path, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert f"ImportError: this folder is the package graphopt.{name}, not '{name}'" in done.stderr


def test_a_folder_in_the_place_of_a_link_is_reported_and_left_alone(copy: Path) -> None:
    (copy / "graphopt" / "passes").mkdir()
    done = subprocess.run(
        [sys.executable, "tools/links.py"], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "is in the way" in done.stderr
    assert not (copy / "graphopt" / "passes").is_symlink()


def test_a_link_to_nowhere_is_made_anew(copy: Path) -> None:
    try:
        (copy / "graphopt" / "passes").symlink_to("../gone", target_is_directory=True)
    except OSError:
        pytest.skip("symbolic links need a privilege here")
    subprocess.run([sys.executable, "tools/links.py"], cwd=copy, check=True)
    assert (copy / "graphopt" / "passes").samefile(copy / "passes")
