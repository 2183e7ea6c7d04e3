"""The public surface: what is in it, that type checkers see the same, and that importing it is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import pytest

import graphopt


def test_every_public_name_is_there_and_listed() -> None:
    for name in graphopt.__all__:
        assert getattr(graphopt, name) is not None
    assert set(graphopt.__all__) <= set(dir(graphopt))


def test_type_checkers_see_what_is_there_at_run_time() -> None:
    """The imports under TYPE_CHECKING and the table of lazy names say the same."""
    assert graphopt.__file__ is not None
    tree = ast.parse(Path(graphopt.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen: dict[str | None, str | None] = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        seen |= {alias.asname: node.module for alias in node.names}
    assert {name: module for name, module in seen.items() if module != "graphopt"} == {
        name: f"graphopt.{home}" for name, home in graphopt._HOMES.items()
    }


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'graphopt' has no attribute 'optimise'"):
        attrgetter("optimise")(graphopt)


def test_submodules_that_users_need_are_reached_as_attributes() -> None:
    assert callable(graphopt.verify.compare)
    assert graphopt.errors.ModelError is graphopt.ModelError


def test_importing_it_is_light() -> None:
    program = "import sys, graphopt; sys.exit(any(name in sys.modules for name in ('numpy', 'onnx', 'click', 'networkx', 'dataclasses')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
