"""Plug-ins that are not installed: passes that are wrong, that break, that are not there."""

from __future__ import annotations

from graphopt.pipeline.plugin import Plugin

PLUGIN = Plugin(
    "strangers",
    passes={"make-wrong": "tests.api.test_optimize:MakeWrong", "explode": "tests.api.test_optimize:Explode"},
    levels={},  # they run only when they are named
)
BROKEN = Plugin("broken", passes={"gone": "no_such_module:Gone"})
OPTIONS = Plugin("options", passes={"take-all": "tests.pipeline.fakes:TakeAll"}, levels={})
