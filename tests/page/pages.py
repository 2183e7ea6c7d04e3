"""Pages made for the tests, and what they hold, read back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import onnx

import graphopt
from graphopt import Pipeline, io
from graphopt.infer.model import infer_model
from graphopt.observe.report import Report

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def reported(source: onnx.ModelProto | Path, pipeline: Pipeline | str = "level1") -> Report:
    """The report of a run."""
    report = Report()
    graphopt.optimize(source, pipeline=pipeline, report=report)
    return report


def between(*protos: onnx.ModelProto) -> Report:
    """The report of models that were given as they are."""
    models = [io.load(proto) for proto in protos]
    for model in models:
        infer_model(model)
    return Report.between(*models)


def written(report: Report, path: Path) -> Path:
    """The page of a report as a file."""
    report.write(path)
    return path


class Held:
    """The data in a page, its texts put in."""

    def __init__(self, html: str) -> None:
        found = DATA.search(html)
        assert found is not None
        self.data: dict[str, Any] = json.loads(found.group(1))  # Any: JSON
        self.texts: list[str] = self.data["texts"]

    def ops(self, side: int) -> list[str]:
        return [self.texts[op] for op in self.data["sides"][side]["nodes"]["op"]]

    def names(self, side: int) -> list[str]:
        return [self.texts[name] for name in self.data["sides"][side]["nodes"]["name"]]

    def rewrites(self) -> list[tuple[int, str, list[str], list[str]]]:
        """Number, rule, the operators taken out, those put in or changed."""
        before, after = self.ops(0), self.ops(1)
        return [
            (number, self.texts[rule], [before[node] for node in gone], [after[node] for node in made])
            for number, rule, _, _, gone, made, _ in self.data["rewrites"]
        ]
