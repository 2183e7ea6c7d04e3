"""Progress: one line on a terminal that names the pass; nothing where nobody watches."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

import graphopt
from graphopt.cli.progress import Progress
from tests.api.models import write
from tests.ir.graphs import relu_chain


class Terminal(io.StringIO):
    """A terminal, as far as anybody asks."""

    def isatty(self) -> bool:
        return True


def test_the_pass_is_named_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Progress(enabled=True) as progress:
        progress.pass_began("fold-constants", relu_chain(3)[0].graph)
        assert terminal.getvalue() == ""
        progress._show()  # what the timer calls when a second has gone by
    assert "optimizing: fold-constants, 3 nodes" in terminal.getvalue()


def test_a_job_names_its_phases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the line says, in order, when there is no second to wait for."""
    said: list[str] = []
    monkeypatch.setattr(Progress, "tell", lambda self, text: said.append(text))
    with Progress(enabled=True) as progress:
        graphopt.optimize(write(tmp_path), output=tmp_path / "out.onnx", only="eliminate-identity", verify=True, observer=progress)
    words = ["loading", "optimizing", "optimizing: eliminate-identity, 4 nodes", "verifying", "writing"]
    assert list(dict.fromkeys(said)) == words


@pytest.mark.parametrize(("stream", "enabled"), [(io.StringIO(), True), (Terminal(), False)])
def test_nobody_is_told_who_does_not_watch(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, enabled: bool) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress(enabled=enabled) as progress:
        progress.pass_began("fold-constants", relu_chain(3)[0].graph)
        progress._show()
    assert stream.getvalue() == ""
