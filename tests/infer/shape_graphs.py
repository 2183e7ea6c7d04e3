"""Random graphs of shape arithmetic, and onnxruntime's word on whether what is inferred of them is true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from graphopt.infer import elements, infer_model
from graphopt.io import to_proto
from graphopt.ir import DType, Value
from graphopt.ir.dim import number
from graphopt.schema.spelling import CannotSpell
from tests.infer.shape_draft import SYMBOLS, Draft, Impossible
from tests.infer.shape_makers import MAKERS, WEIGHTS, shape_of_data

SIZES = (0, 1, 1, 2, 3, 4, 5, 7)


class ShapeGraph(Draft):
    """A random graph, the same for the same seed. All that its nodes make are its outputs."""

    def __init__(self, seed: int, length: int = 14) -> None:
        super().__init__(seed)
        for _ in range(2):
            self._try(shape_of_data)
        for _ in range(length):
            self._try(self.random.choices(MAKERS, WEIGHTS)[0])
        made = [piece.value for piece in self.pieces if piece.value.producer is not None]
        self.editor.set_outputs(self.graph, made)
        self.graph.output_names = tuple(value.name for value in made)
        self.proto = to_proto(self.model)

    def sizes(self, random: Random) -> dict[str, int]:
        """Numbers for the symbols, none of them 0 when the graph divides by one."""
        return {name: max(random.choice(SIZES), 1 if self.divides else 0) for name in SYMBOLS}

    def feeds(self, sizes: dict[str, int], random: Random) -> dict[str, Any]:
        """Inputs of these sizes; a size without a name is drawn."""
        made = {}
        for name, shape in self.declared.items():
            dims = [random.choice(SIZES) if size is None else size if isinstance(size, int) else size.evaluate(sizes) for size in shape]
            made[name] = np.ones(dims, np.float32)
        return made

    def _try(self, maker: Callable[[Draft], None]) -> None:
        for _ in range(5):
            with suppress(Impossible, CannotSpell, ValueError):  # the last: shapes that do not broadcast
                maker(self)
                return


@dataclass
class Tally:
    """What a number of graphs came to: how many ran, how many facts were compared, and what was false."""

    graphs: int = 0
    runs: int = 0
    failures: int = 0
    facts: int = 0
    differences: list[str] = field(default_factory=list)


def check(seed: int, tally: Tally, tries: int = 3) -> None:
    """Infer one graph, run it, and compare all that is claimed: element types, ranks, sizes and elements."""
    import onnxruntime

    graph = ShapeGraph(seed)
    values = graph.graph.outputs
    infer_model(graph.model)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    tally.graphs += 1
    try:
        session = onnxruntime.InferenceSession(graph.proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # whatever keeps a runtime from loading a graph that was made at random: it says nothing of our claims
        tally.failures += 1
        return
    random = Random(seed)
    # onnxruntime 1.31's Min and Max of int64 look at 32 bits: Min(2147483648, 1) is 2147483648. Nothing is learned from such runs.
    compares = any(node.op in ("Min", "Max", "ReduceMin", "ReduceMax") for node in graph.graph)
    for _ in range(tries):
        sizes = graph.sizes(random)
        feeds = graph.feeds(sizes, random)
        try:
            results = session.run([value.name for value in values], feeds)
        except Exception:  # a run that fails: as above
            tally.failures += 1
            continue
        if compares and any(result.dtype == np.int64 and np.abs(result).max(initial=0) >= 1 << 31 for result in results):
            continue
        tally.runs += 1
        known = dict(zip([value.name for value in values], results, strict=True)) | feeds
        numbers = _Numbers(sizes, known)
        for value in values:
            for wrong in _wrong(value, known[value.name], numbers, tally):
                tally.differences.append(f"seed {seed}, opset {graph.opset}, {sizes}: {value.producer!r}: {wrong}")


class _Numbers(dict[str, int]):
    """The sizes behind all symbols: `?name.axis` is that of a value that was computed."""

    def __init__(self, sizes: dict[str, int], known: dict[str, Any]) -> None:
        super().__init__(sizes)
        self.known = known

    def __missing__(self, name: str) -> int:
        stem, axis = name.removeprefix("?").rsplit(".", 1)
        extent: int = self.known[stem].shape[int(axis)]
        return extent


def _wrong(value: Value, result: Any, numbers: dict[str, int], tally: Tally) -> Iterator[str]:
    if value.dtype is not None and value.dtype is not DType.of(result.dtype):
        yield f"{value.type} is {result.dtype}"
    shape, held = value.shape, elements(value)
    if shape is not None and len(shape) != result.ndim:
        yield f"{value.type} is {result.shape}"
    claims = [*zip(shape or (), result.shape, strict=False), *zip(held or (), result.reshape(-1).tolist(), strict=False)]
    if held is not None and len(held) != result.size:
        yield f"{held} is {result}"
    for claim, real in claims:
        if claim is not None:
            tally.facts += 1
            try:
                if number(claim, numbers) != int(real):
                    yield f"{value.type} holding {held} is {result.shape} {result.reshape(-1).tolist()[:12]}"
                    return
            except ZeroDivisionError:
                yield f"{value.type} holding {held} divides by 0, and is {result.shape}"
                return
