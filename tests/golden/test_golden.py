"""Runs the files of this folder with `graphopt.testing.check_golden`, which says how they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphopt.testing import check_golden

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.rglob("*.onnxtxt"))


def name_of(path: Path) -> str:
    """What a file tests: the pass, and the file's own name."""
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_golden(path: Path) -> None:
    check_golden(path)


def test_every_pass_has_golden_tests() -> None:
    from graphopt.passes import PLUGIN

    assert {path.parent.name for path in FILES} >= set(PLUGIN.passes)
