"""docs/rewrites.md is what passes and rules declare."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtimes import HAS_OLD_RUNTIME


@pytest.mark.skipif(HAS_OLD_RUNTIME, reason="an older onnx does not know the opsets of the newest operators, which the page states")
def test_the_page_is_current(checkout: Path) -> None:
    done = subprocess.run([sys.executable, "tools/rewrites.py", "--check"], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
