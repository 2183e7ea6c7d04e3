"""What the installed package says about itself, and that the tests test it."""

from __future__ import annotations

import os
import sysconfig
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version


@pytest.mark.skipif("GRAPHOPT_TEST_INSTALLED" not in os.environ, reason="tools/test_wheel.py sets this")
def test_the_wheel_is_what_is_tested() -> None:
    import graphopt
    import graphopt.passes
    import graphopt.patterns

    installed = Path(sysconfig.get_path("purelib")).resolve()
    for module in (graphopt, graphopt.passes, graphopt.patterns):
        assert module.__file__ is not None
        assert installed in Path(module.__file__).resolve().parents


def test_the_oldest_versions_tested_are_the_oldest_promised(checkout: Path) -> None:
    promised = {}
    for text in requires("graphopt") or []:
        requirement = Requirement(text)
        if requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in ("onnx-ir", "ort")
        ):
            [floor] = requirement.specifier
            assert floor.operator == ">=", f"{text}: no upper bounds, they break other people's environments"
            promised[canonicalize_name(requirement.name)] = Version(floor.version)

    tested = {}
    for line in (checkout / "tools" / "constraints-oldest.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            tested[canonicalize_name(name)] = Version(version)
    assert tested == promised
