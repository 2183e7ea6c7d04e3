"""Making a failing model small: whatever is not needed for the failure goes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, final

from onnx import ModelProto

from graphopt.io.walking import nodes_in, subgraphs
from graphopt.ir.tensor import Array
from graphopt.verify.cutting import Cutting, inlined, shrunk, sized, undocumented
from graphopt.verify.messages import copied
from graphopt.verify.simplify import fed, simpler, steps, weights
from graphopt.verify.skeleton import Skeleton

__all__ = ["Reduction", "reduce_feeds", "reduce_model"]

BUDGET: Final = 600  # models that are tried before the smallest so far is good enough
FEW: Final = 8  # nodes that are taken out one by one at once


def reduce_model(
    model: ModelProto | Skeleton,
    fails: Callable[[ModelProto], bool],
    *,
    budget: int = BUDGET,
    seconds: float | None = None,
    told: Callable[[Reduction], None] | None = None,
    may_feed: bool = False,
) -> ModelProto:
    """The smallest model found on which `fails` still holds, after `budget` tries or `seconds` at most.

    `fails` must be False for models that are invalid or cannot be judged, and must hold of `model` itself. First whole chunks go, half of
    the outputs or of the nodes at a time: what the rest reads of them becomes an input, or a constant as it was in a run. Then single
    steps: outputs, nodes, weights, inputs, attributes and functions go; a node's result becomes an input or one of its operands;
    dimensions shrink to 2 and 1, symbols become numbers; constants become 0, 1 or short numbers. The model given is not changed. `told`
    hears after each try, and finds the best so far in what it is given. `may_feed`: before all else big weights become inputs, which
    makes models with many of them small at once, but slow to run.

    A `Skeleton` keeps big weights out of memory; the models that `fails` then gets have tokens in their place, and `Skeleton.write`
    writes them with their weights.

    >>> small = reduce_model(model, lambda candidate: crashes(candidate))              # doctest: +SKIP
    """
    skeleton = model if isinstance(model, Skeleton) else Skeleton(model)
    return Reduction(skeleton, fails, budget, seconds, told or (lambda reduction: None), may_feed).run()


def reduce_feeds(feeds: dict[str, Array], fails: Callable[[dict[str, Array]], bool], *, budget: int = 200) -> dict[str, Array]:
    """The simplest numbers found on which `fails` still holds: zeros, ones, short numbers, array by array, then element by element."""
    best = dict(feeds)
    for name in feeds:
        for other in simpler(best[name]):
            budget -= 1
            if budget < 0:
                return best
            if fails({**best, name: other}):
                best[name] = other
                break
    return best


class _SpentError(Exception):
    """No more tries are allowed."""


@final
@dataclass(slots=True)
class Reduction:
    """One reduction.

    `best` is the smallest model so far, `tried` counts the models that were judged, `improved` those that were kept, and `has_improved`
    says whether the last one was. `is_finished`: nothing smaller was found, and not that there was no time left to look.
    """

    skeleton: Skeleton
    fails: Callable[[ModelProto], bool]
    budget: int
    seconds: float | None
    told: Callable[[Reduction], None]
    may_feed: bool = False
    best: ModelProto = field(init=False)
    tried: int = field(init=False, default=0)
    improved: int = field(init=False, default=0)
    has_improved: bool = field(init=False, default=False)
    is_finished: bool = field(init=False, default=False)
    _seen: set[bytes] = field(init=False, default_factory=set)
    _began: float = field(init=False, default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.best = copied(self.skeleton.message)

    def run(self) -> ModelProto:
        """Reduce; the result is `best`."""
        try:
            if sum(1 for _ in nodes_in(self.best.graph)) > FEW:
                self._chunks()
            self._single_steps()
            self.is_finished = True
        except _SpentError:
            pass
        return self.best

    def attempt(self, candidate: ModelProto | None) -> bool:
        """Whether a candidate fails; then it is the best. One that was tried before, or that could not be made, does not."""
        if candidate is None:
            return False
        digest = hashlib.blake2b(candidate.SerializeToString(deterministic=True), digest_size=16).digest()
        if digest in self._seen:
            return False
        if self.tried >= self.budget or (self.seconds is not None and time.monotonic() - self._began >= self.seconds):
            raise _SpentError
        self._seen.add(digest)
        self.tried += 1
        self.has_improved = self.fails(candidate)
        if self.has_improved:
            self.best = candidate
            self.improved += 1
        self.told(self)
        return self.has_improved

    def _chunks(self) -> None:
        if self.may_feed:
            self.attempt(fed(self.best, weights(self.best, self.skeleton)))
        self.attempt(inlined(self.best))
        self.attempt(undocumented(self.best))
        any(self.attempt(sized(self.best, size)) for size in (2, 1, 3))
        self._main_graph()
        while self._opened():
            self._main_graph()
        self._bodies()

    def _main_graph(self) -> None:
        """Take chunks of outputs and nodes out of the main graph."""
        cutting = Cutting(self.skeleton, self.best)
        ports = shrunk(cutting.ports, lambda fewer: self.attempt(cutting.model(cutting.indices, fewer)))
        shrunk(cutting.needed(cutting.indices, ports), lambda fewer: self.attempt(cutting.model(fewer, ports)))

    def _opened(self) -> bool:
        """Put one of the graphs inside the main graph in its place; whether that did."""
        cutting = Cutting(self.skeleton, self.best)
        return any(self.attempt(cutting.body(number)) for number in range(len(cutting.bodies)))

    def _bodies(self) -> None:
        """Take chunks of nodes out of the graphs inside the main graph, the outer ones first."""
        for number, inner in enumerate(list(subgraphs(self.best.graph))):
            if number >= len(list(subgraphs(self.best.graph))):
                return  # they went with what was taken out
            cutting = Cutting(self.skeleton, self.best)
            shrunk(range(len(inner.node)), partial(self._thinned, cutting, number))

    def _thinned(self, cutting: Cutting, number: int, kept: list[int]) -> bool:
        return self.attempt(cutting.thinned(number, kept))

    def _single_steps(self) -> None:
        """One greedy step after the other, until none helps."""
        improved = -1
        while improved != self.improved:
            improved = self.improved
            for step in steps(self.skeleton):
                while any(map(self.attempt, step(self.best))):  # start a step again after each success: what it offers has changed
                    pass
