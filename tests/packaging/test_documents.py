"""What docs/tutorial.md and docs/extending.md show is done, from the first block to the last, in a fresh environment and an empty folder.

A block belongs to the file that the line before it ends with ("`my_rules.py`:"; "add to" and "change in" do that), otherwise Python and sh
are run. Text after sh is what that must print: `...` stands for any lines, and how often a rule fired differs from runtime to runtime.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.packaging.conftest import ROOT
from tests.packaging.environments import Environment, build_wheel
from tests.runtimes import HAS_OLD_RUNTIME

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(add to |change in |)`([\w.-]+)`:$", re.IGNORECASE)
COUNTS = re.compile(r"\d+ of \d+ (?=variants|near misses)")
MODEL = '<ir_version: 10, opset_import: ["" : 20]>\ng (float[N] x) => (float[N] y) {\n   i = Identity(x)\n   y = Relu(i)\n}\n'
LEFT_OUT = {
    "pip install 'graphopt[ort,test]'": "the wheel of this checkout is installed, and what it needs is there",
    "twine upload dist/*": "it would publish the package for all the world, and asks for an account",
}
# pip and build make an environment of their own and download setuptools into it; the wheel is made without that.
BUILDS = ("pip install .", "python -m build")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, what it is to a file, and what it must print."""

    language: str
    text: str
    how: str
    file: str
    printed: str | None


def blocks(document: str) -> list[Block]:
    """The blocks of a document, in order."""
    found: list[Block] = []
    for fence in FENCE.finditer(document):
        said = FILE.search(document[: fence.start()].rstrip())
        if fence[1] == "text" and said is None:
            assert found[-1].language == "sh", fence[2]
            found[-1] = Block(found[-1].language, found[-1].text, "", "", fence[2])
        else:
            how, file = (said[1].strip().lower(), said[2]) if said is not None else ("", "")
            found.append(Block(fence[1], fence[2], how, file, None))
    return found


def write(block: Block, file: Path) -> None:
    """Make, extend or change a file as a block says."""
    old = file.read_text() if file.exists() else ""
    if block.how == "change in":  # the line that begins like the new one
        [line] = [line for line in old.splitlines() if line and block.text.startswith(line.rstrip(")"))]
        file.write_text(old.replace(line, block.text.rstrip("\n")))
    else:
        file.write_text(f"{old}\n\n{block.text}" if block.how else block.text)


def said(found: subprocess.CompletedProcess[str]) -> str:
    return found.stdout + found.stderr


def run(block: Block, environment: Environment, folder: Path) -> Iterator[str]:
    """Run the commands of a block; what each prints."""
    for command in filter(None, block.text.splitlines()):
        if command in LEFT_OUT:
            continue
        if command in BUILDS:
            wheel = build_wheel(folder)
            if "install" in command:
                environment.install(wheel)
            continue
        found = environment.run("sh", "-c", command, cwd=folder)
        may_fail = block.printed is not None and "FAILS" in block.printed
        assert found.returncode == 0 or may_fail, f"{command}\n{said(found)}"
        yield said(found)


def is_as_shown(shown: str, printed: str) -> bool:
    """Whether something printed is what a document shows."""
    lines = [re.escape(line.rstrip()) + r" *\n" if line.strip() != "..." else r"(?:.*\n)*?" for line in COUNTS.sub("", shown).splitlines()]
    return re.fullmatch("".join(lines), COUNTS.sub("", printed)) is not None


def test_what_the_tutorial_shows(wheel: Path, tmp_path: Path) -> None:
    environment = Environment.make(tmp_path / "venv")  # one of its own: it installs a package
    environment.install(wheel)
    (tmp_path / "work").mkdir()
    follow("tutorial.md", environment, tmp_path / "work")


def test_what_the_reference_shows(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "model.onnxtxt").write_text(MODEL)
    assert environment.run("onnx-opt", "model.onnxtxt", "-o", "model.onnx", cwd=tmp_path).returncode == 0
    follow("extending.md", environment, tmp_path)


def follow(name: str, environment: Environment, folder: Path) -> None:
    """Do what a document says."""
    for block in blocks((ROOT / "docs" / name).read_text(encoding="utf-8")):
        if block.file:
            write(block, folder / block.file)
        elif block.language == "python":
            found = environment.run("python", "-c", block.text, cwd=folder)
            assert found.returncode == 0, block.text + said(found)
        else:
            assert block.language == "sh", block
            printed = "".join(run(block, environment, folder))
            if block.printed is not None and not HAS_OLD_RUNTIME:  # of older ones some figures are other ones
                assert is_as_shown(block.printed, printed), f"{block.text}\n{block.printed}\n--- printed:\n{printed}"


def test_the_commands_that_are_left_out_are_there() -> None:
    commands = [line for block in blocks((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")) for line in block.text.splitlines()]
    assert {*LEFT_OUT, *BUILDS} <= {*commands}
