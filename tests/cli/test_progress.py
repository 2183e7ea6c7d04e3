"""Progress: one line on a terminal that names the pass; nothing where nobody watches."""

from __future__ import annotations

import io
import sys

import pytest

from graphopt.cli.progress import Progress
from tests.ir.graphs import relu_chain


class Terminal(io.StringIO):
    """A terminal, as far as anybody asks."""

    def isatty(self) -> bool:
        return True


def test_the_pass_is_named_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Progress("reading", enabled=True) as progress:
        progress.pass_began("fold-constants", relu_chain(3)[0].graph)
        assert terminal.getvalue() == ""
        progress._show()  # what the timer calls when a second has gone by
    assert "fold-constants, 3 nodes" in terminal.getvalue()


@pytest.mark.parametrize(("stream", "enabled"), [(io.StringIO(), True), (Terminal(), False)])
def test_nobody_is_told_who_does_not_watch(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, enabled: bool) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress("reading", enabled=enabled) as progress:
        progress.pass_began("fold-constants", relu_chain(3)[0].graph)
        progress._show()
    assert stream.getvalue() == ""
