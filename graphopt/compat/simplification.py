"""What onnxsim's and onnxslim's functions have in common: one model, edited as its caller wants it, simplified and compared."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from graphopt.errors import nearest
from graphopt.infer.freeze import Wishes
from graphopt.io import load
from graphopt.ir.edit import Editor
from graphopt.ir.graph import INITIALIZERS_ARE_NO_INPUTS, Value
from graphopt.ir.model import Model
from graphopt.ir.ports import add_graph_input, remove_graph_output
from graphopt.pipeline.job import Job
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.registry import installed

if TYPE_CHECKING:
    from onnx import ModelProto

    from graphopt.verify.tolerance import Tolerance

Shapes: TypeAlias = "Mapping[str | None, Sequence[int]] | None"


@dataclass
class Simplification:
    """One model and what is to be done to it.

    `pipeline` and `skip` say which passes run. `shapes` are whole shapes for inputs, -1 where a size stays; the key None is the only input.
    `unused` are outputs that are not wanted, `opset` what to write the model for first. `may_override`: initializers that are inputs as
    well are defaults before IR version 4 too. `keeps_weights`: nothing is computed of initializers.
    """

    source: Path | ModelProto
    pipeline: str
    skip: Sequence[str] = ()
    shapes: Shapes = None
    unused: Sequence[str] = ()
    opset: int | None = None
    may_override: bool = False
    keeps_weights: bool = False

    def made(self) -> Model:
        """The simplified model. Raises RuntimeError for an input or output that is not there, FileNotFoundError, ModelError."""
        return self._after(Pipeline.parse(self.pipeline).at_opset(self.opset), self.skip)

    def agrees(self, made: Model, count: int, shapes: Shapes, feed: Mapping[str, object] | None,
               fill: str = "random", tolerance: Tolerance | None = None) -> bool:  # fmt: skip
        """Whether a simplified model computes what the given one does, on `feed`, or on `count` others of these shapes."""
        from graphopt.compat.checking import agree, made_feeds

        before = self._after(Pipeline(), ())
        sizes = self._of_inputs(shapes, before)
        feeds = None if feed is None else [feed]
        if feed is None and (sizes or fill != "random"):
            feeds = list(made_feeds(before, sizes, fill, count))
        return agree(before, made, count=count, feeds=feeds, tolerance=tolerance)

    def _after(self, pipeline: Pipeline, skip: Sequence[str]) -> Model:
        """The model as its caller wants it, after these passes."""
        if isinstance(self.source, Path) and not self.source.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.source))
        model = load(self.source)
        self._leave_out(model)
        shapes = self._of_inputs(self.shapes, model)
        wishes = Wishes.of(None, {name: tuple(size if size >= 0 else None for size in sizes) for name, sizes in shapes.items()})
        is_old = model.ir_version < INITIALIZERS_ARE_NO_INPUTS
        held = _made_defaults(model) if self.keeps_weights and not is_old else []
        Job(model, pipeline, installed(), skip=skip, wishes=wishes, initializers_are_constants=is_old and not self.may_override).run()
        editor = Editor(model)
        for value in held:
            if value.is_initializer:
                editor.freeze(value)
        return model

    def _leave_out(self, model: Model) -> None:
        graph = model.graph
        for name in self.unused:
            _must_have(name, graph.output_names, "output")
        kept = tuple(name for name in graph.output_names if name not in self.unused)
        editor = Editor(model)
        for index in reversed([index for index, name in enumerate(graph.output_names) if name in self.unused]):
            remove_graph_output(editor, graph, index)
        graph.output_names = kept

    def _of_inputs(self, shapes: Shapes, model: Model) -> dict[str, Sequence[int]]:
        """Shapes by the names of inputs, which must be there."""
        names = [value.name for value in model.graph.inputs if not value.overridable]
        if shapes and None in shapes and len(names) != 1:
            raise RuntimeError(f"the model has {len(names)} inputs, {', '.join(names)}: give each its shape by its name")
        found = {names[0] if name is None else name: sizes for name, sizes in (shapes or {}).items()}
        for name in found:
            _must_have(name, names, "input")
        return found


def known_names(names: Sequence[str]) -> list[str]:
    """Those that are passes, here or of another tool; of others it warns, with the nearest name."""
    registry = installed()
    known = [name for name in names if name in registry.passes or registry.other_name(name) is not None]
    for name in names:
        if name not in known:
            near = nearest(name, registry.other_names())
            warnings.warn(f"no optimizer is called {name!r}, nothing is skipped for it{near}", stacklevel=4)
    return known


def folding_up_to(limit: int) -> str:
    """The step that folds what takes no more bytes than this."""
    return f"fold-constants{{max-growth={limit}B max-tensor={limit}B}}"


def _made_defaults(model: Model) -> list[Value]:
    """Let every initializer be a default that callers may override, so that nothing is computed of it; returns those that were none."""
    found = [value for value in model.graph.initializers.values() if not value.overridable and value.tensor is not None]
    for value in found:
        add_graph_input(model.graph, value)
    return found


def _must_have(name: str, names: Sequence[str], what: str) -> None:
    if name not in names:
        raise RuntimeError(f'The model doesn\'t have {what} named "{name}"{nearest(name, names)}')
