"""Build the wheel as a release does, install it into a fresh environment, and run the tests against it there.

Nothing of the checkout can be imported meanwhile: a module that setup.py forgot is missed here and nowhere else.
The environment that runs this needs `build`. Arguments go to pytest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TAKEN_ALONG = ("tests", "tools", "examples", "docs", "pyproject.toml")  # what tests read, and pytest's settings
# Three quarters of the time of all tests, and what they prove is the same wherever it is installed; the others import all modules.
LEFT_OUT = (
    "tests/infer", "tests/ir", "tests/match", "tests/passes", "tests/quantization", "tests/selfcheck", "tests/sweeps", "tests/targets",
    "tests/verify", "tests/cli/test_planted_fault.py",
)  # fmt: skip


def main() -> int:
    """Return the exit status of pytest."""
    with tempfile.TemporaryDirectory(prefix="graphopt-wheel-") as name:
        folder = Path(name)
        print("building the wheel, by way of the sdist", flush=True)
        run(sys.executable, "-m", "build", "--outdir", str(folder / "dist"), str(ROOT))
        [wheel] = (folder / "dist").glob("*.whl")

        print(f"installing {wheel.name} into a fresh environment", flush=True)
        venv.create(folder / "venv", with_pip=True)
        python = str(folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        quiet = ("--quiet", "--disable-pip-version-check")
        run(python, "-m", "pip", "install", *quiet, f"{wheel}[onnx-ir,ort,test]")

        away = folder / "away"
        away.mkdir()
        for part in TAKEN_ALONG:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, away / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            elif (ROOT / part).exists():
                shutil.copy(ROOT / part, away)
        settings = os.environ | {"GRAPHOPT_TEST_INSTALLED": "1"}  # tests/packaging/test_installed.py
        left_out = [f"--ignore={path}" for path in LEFT_OUT]
        return subprocess.run([python, "-m", "pytest", *left_out, *sys.argv[1:]], cwd=away, env=settings, check=False).returncode


def run(*command: str) -> None:
    """Run a command that must succeed; what it says matters only when it does not."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}\nfailed with status {done.returncode}: {' '.join(command)}")


if __name__ == "__main__":
    sys.exit(main())
