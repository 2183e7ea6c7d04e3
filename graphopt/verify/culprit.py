"""Which rewrite made a result differ from the original."""

from __future__ import annotations

from collections.abc import Callable

from graphopt.observe.bisect import Culprit, bisect
from graphopt.observe.observer import Observer
from graphopt.verify.comparison import Original
from graphopt.verify.result import Comparison
from graphopt.verify.source import Source

__all__ = ["Culprit", "find_culprit"]


def find_culprit(
    before: Source | Original,
    run: Callable[[Observer], Source],
    *,
    baseline: Callable[[], Source] | None = None,
    found: Comparison | None = None,
) -> Culprit | None:
    """The first rewrite after which the result differs from `before`; None when the whole run does not differ.

    `run(observer)` optimizes a freshly loaded copy from the start, telling the observer, and returns the result, the same each time.
    `baseline()` is the result without any rewrite, by default `before` read and written again: when that differs, reading and writing
    are to blame (number 0). `found`, a comparison that differed, saves the first one. Takes about log2(rewrites) runs, each compared
    on the feeds that showed the difference. Give the `Original` that was compared to keep its options; options are the defaults otherwise.

    >>> original = Original("model.onnx")                                   # doctest: +SKIP
    >>> comparison = original.compare(optimized)                            # doctest: +SKIP
    >>> if comparison.differs:                                              # doctest: +SKIP
    ...     print(find_culprit(original, run, found=comparison))
    rewrite 17: the rule conv-bn at %y = BatchNormalization(...) in graph 'main', in the pass fuse-conv-bn
    """
    original = before if isinstance(before, Original) else Original(before)
    seen = found if found is not None else original.compare(run(Observer()))
    if not seen.differs:
        return None
    narrowed = original.narrowed(seen)

    def is_good(result: Source) -> bool:
        return not narrowed.compare(result).differs

    return bisect(run, is_good, baseline if baseline is not None else lambda: _round_trip(original.source))


def _round_trip(source: Source) -> Source:
    from graphopt import io
    from graphopt.ir.model import Model

    return source if isinstance(source, Model) else io.load(source)
