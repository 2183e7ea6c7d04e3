"""The page itself: one HTML file that needs nothing else, put together from the assets beside this module."""

from __future__ import annotations

import json
import re
from html import escape
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from graphopt.observe.page.history import History

if TYPE_CHECKING:
    from graphopt.observe.report import Report

SCRIPTS: Final = (
    "model.js", "regions.js", "queue.js", "lines.js", "pane.js", "rail.js", "words.js", "details.js", "panel.js", "main.js", "step.js",
    "search.js", "begin.js",
)  # fmt: skip
LIBRARIES: Final = (  # in the order in which they need each other
    "d3-dispatch", "d3-selection", "d3-drag", "d3-color", "d3-interpolate", "d3-timer", "d3-ease", "d3-transition", "d3-zoom",
)  # fmt: skip
LAYOUT: Final = ("vendor/dagre.min.js", "layout.js")  # what runs in a worker
_SLOT: Final = re.compile(r"<!-- (\w+) -->")


def page(report: Report, history: History) -> str:
    """The page of a run, or of one or two models that nobody ran anything on. Nothing in it is fetched from anywhere."""
    name = PurePath(report.source or report.output).name
    slots = {
        "title": escape(f"{name} · graphopt" if name else "graphopt"),
        "style": _read("page.css"),
        "data": _embedded({"report": _summary(report), **history.as_json(report.definitions)}),
        "layout": "\n".join(_read(name) for name in LAYOUT),
        "libraries": "\n".join(_read(f"vendor/{name}.min.js") for name in LIBRARIES),
        "scripts": "\n".join(_read(name) for name in SCRIPTS),
        "notice": escape(_read("vendor/NOTICE")),
    }
    return _SLOT.sub(lambda slot: slots[slot.group(1)], _read("template.html"))


def _read(name: str) -> str:
    return (files("graphopt.observe.page") / "assets" / name).read_text(encoding="utf-8")


def _embedded(data: dict[str, Any]) -> str:  # Any: JSON
    """JSON that no browser takes for markup, whatever names a model has; ASCII, so that half a surrogate pair can be written too."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _summary(report: Report) -> dict[str, Any]:  # Any: JSON
    """The report without what the drawings say better."""
    return {name: held for name, held in report.to_json().items() if name not in ("rewrites", "names", "map")}
