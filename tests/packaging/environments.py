"""Wheels, and fresh environments to install them into; without the network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.version import Version

OTHER_ENVIRONMENTS = Version("22.3")  # of pip, the first that installs into them
DEPENDENCIES = {str(Path(folder).resolve()): None for folder in sys.path if folder.endswith(("site-packages", "dist-packages"))}
BUILT = shutil.ignore_patterns("__pycache__", "build", "dist", "*.egg-info")  # what a small project has beside its sources


def left_out(folder: str, names: list[str]) -> set[str]:
    """What of a checkout git does not have: links and leftovers; for `shutil.copytree`."""
    return {name for name in names if name == "__pycache__" or (Path(folder) / name).is_symlink()}


def copy_source(checkout: Path, folder: Path) -> Path:
    """Copy what graphopt's wheel is built from."""
    for name in ("graphopt", "passes", "patterns"):
        shutil.copytree(checkout / name, folder / name, ignore=left_out)
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.py"):
        if (checkout / name).exists():
            shutil.copy(checkout / name, folder)
    return folder


def build_wheel(folder: Path) -> Path:
    """Build the wheel of a project without pip and without the network; it lies in dist/ then."""
    command = [sys.executable, "-c", "from setuptools.build_meta import build_wheel; build_wheel('dist')"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = (folder / "dist").glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Environment:
    """A virtual environment of its own. It borrows what graphopt depends on, not graphopt, from the one that runs the tests."""

    folder: Path

    @staticmethod
    def make(folder: Path) -> Environment:
        """Make an empty one."""
        venv.create(folder, with_pip=False, symlinks=os.name != "nt")
        made = Environment(folder)
        # Behind its own packages on sys.path: what is installed here hides what is installed there.
        (made.packages / "borrowed.pth").write_text("\n".join(DEPENDENCIES))
        return made

    @property
    def scripts(self) -> Path:
        """Where its commands are."""
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    @property
    def packages(self) -> Path:
        """Where its packages are."""
        [found] = [path for path in self.folder.rglob("site-packages") if path.parent.name.lower().startswith(("python", "lib"))]
        return found

    def install(self, *wheels: Path) -> None:
        """Install wheels and nothing else."""
        python = str(self.scripts / "python")
        pip = [sys.executable, "-m", "pip", "--python", python]
        if not _has_pip():
            subprocess.run([python, "-m", "ensurepip"], check=True, capture_output=True)
            pip = [python, "-m", "pip"]
        options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--ignore-installed"]
        done = subprocess.run([*pip, "install", *options, *map(str, wheels)], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, *command: str, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of it, or "sh" with its commands at hand, away from any checkout; `path` is searched for modules as well."""
        settings = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GRAPHOPT", "VIRTUAL_ENV"))}
        settings["PATH"] = f"{self.scripts}{os.pathsep}{settings.get('PATH', '')}"
        settings |= {} if path is None else {"PYTHONPATH": str(path)}
        program = command[0] if shutil.which(command[0], path=str(self.scripts)) is None else str(self.scripts / command[0])
        return subprocess.run([program, *command[1:]], cwd=cwd, env=settings, check=False, capture_output=True, text=True)


def _has_pip() -> bool:
    try:
        return Version(version("pip")) >= OTHER_ENVIRONMENTS
    except PackageNotFoundError:
        return False
