from __future__ import annotations

import shutil
from pathlib import Path

import pytest

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

    def left_out(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if name == "__pycache__" or (Path(folder) / name).is_symlink()}

    for name in ("graphopt", "passes", "patterns"):
        shutil.copytree(checkout / name, tmp_path / name, ignore=left_out)
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.py"):
        if (checkout / name).exists():
            shutil.copy(checkout / name, tmp_path)
    shutil.copytree(checkout / "tools", tmp_path / "tools", ignore=left_out)
    return tmp_path
