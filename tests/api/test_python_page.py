"""What docs/python.md shows is what happens, block after block in one program, and it names everything that is public."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import graphopt

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    printed = ""
    tests = 0
    for language, text in FENCE.findall(PAGE.read_text(encoding="utf-8")):
        if language == "text":
            assert (printed, printed) == (text, text)  # the second shows both whole when they differ
            printed = ""
            continue
        assert language == "python"
        assert printed == "", "what a block prints is shown"
        exec(compile(text, str(PAGE), "exec"), names)
        for name in [name for name in names if name.startswith("test_")]:
            test = names.pop(name)
            assert callable(test)
            test()
            tests += 1
        printed = capsys.readouterr().out
    assert printed == ""
    assert tests


def test_every_public_name_is_listed() -> None:
    page = PAGE.read_text(encoding="utf-8")
    listed = page[page.index("## All names") :]
    assert set(graphopt.__all__) <= set(re.findall(r"`(\w+)`", listed))
