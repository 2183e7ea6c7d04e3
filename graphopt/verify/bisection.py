"""The smallest set of rewrites that turns a good result bad.

First the first N rewrites are let through and N is halved: rewrite N is guilty. Alone it may be harmless, or not even possible. So what it
needs is looked for in the same way: the least M such that the first M and rewrite N are bad together, and so on down, until what was
found is bad without any other. Each of them costs log2(rewrites) runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar, final

from graphopt.observe.bisect import Bisect, Chosen, Culprit
from graphopt.observe.observer import Observer

__all__ = ["Bisected", "Culprit", "bisect"]

Result = TypeVar("Result")
Unit: TypeAlias = Literal["rewrite", "pass"]
RUNS = 300  # after which what was found so far is good enough
PROBES = 8  # neighbours that are asked in the place of a result that cannot be judged


@final
@dataclass(frozen=True, slots=True)
class Bisected:
    """What bisection found. `culprits` is the smallest set, in the order of the run, and empty when the whole run is good.

    The last of them is the first rewrite that makes the result bad when all before it were made. `number` counts all rewrites (or
    runs of passes) of the whole run, `runs` what was tried. `is_baseline_bad`: the result is bad without any. `alone`: of several, the
    last one can be made without the others, and is harmless then; otherwise it needs them to be possible. `is_smallest`: none of
    them can be left out; False when the runs ended first. `between`: the first and the last of those in question, where results that
    cannot be judged hide which it is.
    """

    culprits: tuple[Culprit, ...] = ()
    number: int = 0
    runs: int = 0
    is_baseline_bad: bool = False
    alone: bool = True
    is_smallest: bool = True
    between: tuple[int, int] | None = None

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.culprits and not self.is_baseline_bad

    @property
    def last(self) -> Culprit:
        """The first rewrite that makes the result bad when all before it were made. Raises IndexError when there is none."""
        return self.culprits[-1]


def bisect(
    run: Callable[[Observer], Result],
    judge: Callable[[Result], bool | None],
    baseline: Callable[[], Result] | None = None,
    *,
    most: int = RUNS,
    told: Callable[[int, str], None] | None = None,
) -> Bisected:
    """The smallest set of rewrites, or of runs of passes, that turns a good result bad.

    `run(observer)` does the whole work from the start, telling the observer; it must do the same each time. `judge(result)` says True for
    a good result, False for a bad one, None when it cannot tell. `baseline()` is the result of the empty pipeline, by default that of a run
    in which nothing is allowed. Some passes edit without asking for each rewrite; when those did it, whole runs of passes are looked for.
    After `most` runs what was found by then is returned. `told(runs, words)` hears before each run what it is for.

    >>> found = bisect(job.again, lambda model: not original.compare(model).differs)    # doctest: +SKIP
    >>> print(*found.culprits, sep="\\n")                                               # doctest: +SKIP
    rewrite 17: the rule conv-bn at Conv_3 in graph 'main', in the pass fuse-conv-bn
    """
    return _Search(run, judge, most, told or (lambda runs, words: None)).all(baseline)


class _SpentError(Exception):
    """No more runs are allowed."""


@final
class _Search(Generic[Result]):
    """One bisection; counts its runs."""

    def __init__(
        self, run: Callable[[Observer], Result], judge: Callable[[Result], bool | None], most: int, told: Callable[[int, str], None]
    ) -> None:
        self.run, self.judge, self.most, self.told = run, judge, most, told
        self.runs = 0
        self.unit: Unit = "rewrite"
        self.is_limited = False  # the first few runs are made in any case
        self.made: Sequence[Culprit] = ()
        self.found: list[Culprit] = []
        self.alone = True

    def all(self, baseline: Callable[[], Result] | None) -> Bisected:
        """Everything, nothing, and then what lies between."""
        whole = Bisect()
        if self.tried(whole, "everything") is not False:
            return Bisected(number=whole.count, runs=self.runs)
        if self.asked(baseline or (lambda: self.run(Bisect(0, "pass"))), "nothing") is False:
            return Bisected(number=whole.count, runs=self.runs, is_baseline_bad=True)
        self.made = whole.made
        if not self.made or self.tried(Bisect(0), "no rewrite") is False:
            runs = Bisect(unit="pass")
            self.tried(runs, "all runs of passes")
            self.unit, self.made = "pass", runs.made
        return self.smallest()

    def smallest(self) -> Bisected:
        """The smallest set, when none is good and all are bad."""
        between, is_smallest = None, True
        self.is_limited = True
        try:
            first, upper = self.first_bad(len(self.made))
            self.found = [self.made[upper - 1]]
            if first != upper:
                between = (first, upper)
            is_smallest = self.completed(upper - 1)
            self.prune()
        except _SpentError:
            is_smallest = False
        found = tuple(self.found or self.made)
        return Bisected(found, len(self.made), self.runs, False, self.alone, is_smallest and between is None, between)

    def completed(self, upper: int) -> bool:
        """Find what the culprit needs among those before it; whether that succeeds: it is bad with them and without any other."""
        last = self.found[-1]
        while True:
            chosen = Chosen(self.found, self.unit)
            verdict = self.tried(chosen, f"{len(self.found)} of them and no other")
            if verdict is False:
                return True
            if len(self.found) == 1:
                self.alone = any(one.key == last.key for one in chosen.made)
            if not upper:
                return False  # it was bad with nothing else, and is not now: it is not the same twice
            _, needed = self.first_bad(upper)
            self.found.insert(0, self.made[needed - 1])
            upper = needed - 1

    def prune(self) -> None:
        """Leave out what is not needed after all."""
        for one in self.found[:-1]:
            fewer = [other for other in self.found if other is not one]
            if self.tried(Chosen(fewer, self.unit), f"{len(fewer)} of them and no other") is False:
                self.found = fewer

    def first_bad(self, count: int) -> tuple[int, int]:
        """Between which two the first bad one lies, when 0 are not bad and `count` are: twice the same number when it is known."""
        good, bad = 0, count
        while bad - good > 1:
            for middle in _around((good + bad) // 2, good, bad):
                verdict = self.tried(self.first(middle), f"{bad - good} in question")
                if verdict is not None:
                    break
            else:
                break
            good, bad = (middle, bad) if verdict else (good, middle)
        return good + 1, bad

    def first(self, limit: int) -> Observer:
        """Lets the first ones through, and those that were found."""
        if not self.found:
            return Bisect(limit, self.unit)
        return Chosen([*self.made[:limit], *self.found], self.unit)

    def tried(self, observer: Observer, words: str) -> bool | None:
        """What the judge says of a run."""
        return self.asked(lambda: self.run(observer), words)

    def asked(self, result: Callable[[], Result], words: str) -> bool | None:
        """What the judge says of a result."""
        if self.is_limited and self.runs >= self.most:
            raise _SpentError
        self.runs += 1
        self.told(self.runs, words)
        return self.judge(result())


def _around(middle: int, good: int, bad: int) -> list[int]:
    """The numbers between two, the nearest to the middle first; not many."""
    between = sorted(range(max(good + 1, middle - PROBES), min(bad, middle + PROBES)), key=lambda number: abs(number - middle))
    return between[:PROBES]
