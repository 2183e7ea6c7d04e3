"""docs/rewrites.md is what passes and rules declare, docs/commands.md what the commands do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtimes import HAS_OLD_RUNTIME


@pytest.mark.skipif(HAS_OLD_RUNTIME, reason="an older onnx does not know the opsets of the newest operators, which the page states")
@pytest.mark.parametrize("tool", ["rewrites", "commands"])
def test_the_page_is_current(tool: str, checkout: Path) -> None:
    done = subprocess.run([sys.executable, f"tools/{tool}.py", "--check"], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
