"""Runs the files of this folder: models in ONNX's text syntax, with RUN and CHECK lines as comments, compared by the filecheck package.

A RUN line is `onnx-opt %s -p PIPELINE | filecheck %s`; models in one file are parted by `# -----`. After every model the laws of the IR
are verified, and the result is checked by onnx.checker. A line `# WHY rule: reason` says why a rule does not apply in its model.
"""

from __future__ import annotations

import re
import shlex
from io import StringIO
from pathlib import Path

import onnx
import onnx.checker
import onnx.parser
import onnx.printer
import pytest
from filecheck.finput import FInput
from filecheck.matcher import Matcher
from filecheck.options import Options
from filecheck.parser import Parser

from graphopt import io
from graphopt.infer import infer_model
from graphopt.ir import Model, verify
from graphopt.match.explain import explain
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.registry import installed
from graphopt.pipeline.runner import run_pipeline
from graphopt.rewrite import plan
from tests.passes.models import Told

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.rglob("*.onnxtxt"))
PARTING = re.compile(r"^# -----$", re.MULTILINE)
WHY = re.compile(r"^\s*# WHY ([\w-]+(?:\{[^}]*\})?): (.*)$", re.MULTILINE)
RUN = re.compile(r"^# RUN: onnx-opt %s (.*) \| filecheck %s$", re.MULTILINE)


def name_of(path: Path) -> str:
    """What a file tests: the pass, and the file's own name."""
    return f"{path.parent.name}/{path.stem}"


def optimized(text: str, pipeline: Pipeline) -> str:
    """A model after a pipeline, both as text."""
    model = io.load(onnx.parser.parse_model(text))
    run_pipeline(pipeline, model)
    verify(model)
    message = io.to_proto(model)
    custom = any(entry.domain not in ("", "local") for entry in message.opset_import)
    if not custom:  # the checker knows no operators of other domains
        onnx.checker.check_model(message, full_check=True)
    return onnx.printer.to_text(message)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_golden(path: Path) -> None:
    text = path.read_text()
    run = RUN.search(text)
    assert run is not None, "the first line must be a RUN line"
    words = shlex.split(run[1])
    assert words[0] == "-p", words
    pipeline = Pipeline.parse(words[1])
    result = "\n".join(optimized(model, pipeline) for model in PARTING.split(text))
    options = Options(str(path), str(path))
    matcher = Matcher(options, FInput("result", result), Parser.from_opts(options))
    matcher.stderr = StringIO()
    failed = matcher.run()
    assert not failed, f"{matcher.stderr.getvalue()}\n{result}"


@pytest.mark.parametrize("path", [path for path in FILES if WHY.search(path.read_text())], ids=name_of)
def test_reasons(path: Path) -> None:
    """Where a file says `# WHY rule: reason`, the furthest attempt of that rule (or pass) ends with that reason."""
    for text in PARTING.split(path.read_text()):
        for source, reason in WHY.findall(text):
            model = io.load(onnx.parser.parse_model(text))
            infer_model(model)
            assert reason in why_not(model, source), text


def why_not(model: Model, source: str) -> str:
    """Why a rule does not apply anywhere in a model, or all that a pass says of what it leaves."""
    known = installed()
    if source in known.rules():
        rule = known.rule_named(source)
        found = explain(rule, model, lambda roots, nodes, bindings: plan(rule, roots, nodes, bindings))
        assert not any(one.applies for one in found)
        return str(found[0])
    told = Told()
    run_pipeline(Pipeline.parse(source), model, told)
    return "; ".join(reason for _, reason in told.refused)


def test_every_pass_has_golden_tests() -> None:
    from graphopt.passes import PLUGIN

    assert {path.parent.name for path in FILES} >= set(PLUGIN.passes)
