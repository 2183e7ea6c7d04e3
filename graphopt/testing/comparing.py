"""Do two models compute the same?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import ModelProto

from graphopt.io.text import text_of as printed
from graphopt.ir import Model
from graphopt.testing.running import Source, parse, text_of
from graphopt.verify.comparison import compare
from graphopt.verify.result import Comparison
from graphopt.verify.tolerance import Tolerance

SHOWN = 60  # nodes of a model that a message shows

def assert_same(
    before: Source,
    after: Source,
    *,
    exact: bool = False,
    tolerance: Tolerance | None = None,
    feeds: Sequence[Mapping[str, object]] | None = None,
    sizes: Sequence[Mapping[str, int]] | None = None,
    seeds: int = 3,
    runner: str = "auto",
    must_decide: bool = True,
) -> Comparison:
    """Raise AssertionError unless `after` computes what `before` does and has its inputs and outputs; return what was compared.

    Both run on random feeds of `seeds` seeds and several sizes and on special values; `feeds` or `sizes` replace them. Floats are held to
    a tolerance by their type, which the message names (float32: 0.1 % of each value, or 0.01 % of the largest), or to yours; `exact` asks
    for the same bits. `runner` is "auto", "onnxruntime" or "reference". With `must_decide` it also fails when nothing can be said: no
    runtime runs the first model, or it differs from itself, by random operators or because rounding alone moves it as far.

    Raises ModelError when a model cannot be read.
    """
    first, second = (source if text_of(source) is None else parse(source) for source in (before, after))
    found = compare(first, second, exact=exact, tolerance=tolerance, feeds=feeds, sizes=sizes, seeds=seeds, runner=runner)
    if found.differs or (must_decide and not found.agrees):
        raise AssertionError("\n".join([str(found), *_shown(before, "before"), *_shown(after, "after")]))
    return found


def _shown(source: Source, when: str) -> list[str]:
    """A model for a message, if it is small and in memory."""
    if text_of(source) is None and not isinstance(source, (ModelProto, Model)):
        return []
    proto = parse(source)
    return [f"{when}:", printed(proto)] if len(proto.graph.node) <= SHOWN else []
