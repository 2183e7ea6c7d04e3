"""What a comparison found: verdicts, figures, and how they are printed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum


class Verdict(IntEnum):
    """How two values relate, from best to worst; what holds for a whole comparison is the worst of its parts."""

    EQUAL = 0
    WITHIN = 1
    NOT_CHECKED = 2
    NOT_COMPARABLE = 3
    DIFFERENT = 4

    def __str__(self) -> str:
        return _WORDS[self]


_WORDS = {
    Verdict.EQUAL: "equal bits",
    Verdict.WITHIN: "within tolerance",
    Verdict.NOT_CHECKED: "not checked",
    Verdict.NOT_COMPARABLE: "not comparable",
    Verdict.DIFFERENT: "different",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """Two values side by side: the verdict, the largest deviations (None where they mean nothing), and why it is no better.

    `outside` counts the elements that are different, None when that is not a matter of elements: another shape, NaN in other places.
    """

    verdict: Verdict
    kind: str = ""
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: int | None = None
    why: str = ""
    outside: int | None = None


@dataclass(slots=True)
class OutputResult:
    """One output over all feeds. `kind` is its element type; `why` and `feed` speak of the worst feed; `feeds` counts those compared."""

    name: str
    kind: str = ""
    verdict: Verdict = Verdict.NOT_CHECKED
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: int | None = None
    why: str = ""
    feed: str = ""
    feeds: int = 0

    def add(self, difference: Difference, feed: str) -> None:
        """Take in what one feed showed."""
        first = self.feeds == 0
        self.feeds += 1
        self.kind = self.kind or difference.kind
        if first or difference.verdict > self.verdict:
            self.verdict, self.why, self.feed = difference.verdict, difference.why, feed
        self.max_abs = _larger(self.max_abs, difference.max_abs)
        self.max_rel = _larger(self.max_rel, difference.max_rel)
        if difference.max_ulp is not None:
            self.max_ulp = max(self.max_ulp or 0, difference.max_ulp)

    def as_json(self) -> dict[str, object]:
        """Plain data; infinite deviations are spelled as strings, as JSON has no such number."""
        return {
            "name": self.name,
            "type": self.kind,
            "verdict": str(self.verdict),
            "max_abs": _number(self.max_abs),
            "max_rel": _number(self.max_rel),
            "max_ulp": self.max_ulp,
            "why": self.why,
            "feed": self.feed,
            "feeds": self.feeds,
        }


@dataclass(slots=True)
class Comparison:
    """What `compare` found.

    `signature` lists what changed in inputs and outputs (each entry is a fault), `notes` what a reader should know, `skipped` the feeds
    that the original rejected, `feeds` those that were run on both. `failure` says why the second model could not be run. `tolerance`
    is complete, `held_to` says the same for people.
    """

    before: str
    after: str
    runner: str = ""
    tolerance: tuple[str, ...] = ()
    held_to: tuple[str, ...] = ()
    outputs: list[OutputResult] = field(default_factory=list)
    signature: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    feeds: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failure: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst of all parts."""
        if self.signature or self.failure:
            return Verdict.DIFFERENT
        return max((output.verdict for output in self.outputs), default=Verdict.NOT_CHECKED)

    @property
    def agrees(self) -> bool:
        """Whether every output was compared and is equal or within tolerance, and the signature is kept."""
        return self.verdict <= Verdict.WITHIN

    @property
    def differs(self) -> bool:
        """Whether a disagreement was found; a model that could not be compared does not differ, nor does it agree."""
        return self.verdict is Verdict.DIFFERENT

    def as_json(self) -> dict[str, object]:
        """The whole comparison as plain data."""
        return {
            "before": self.before,
            "after": self.after,
            "verdict": str(self.verdict),
            "runner": self.runner,
            "tolerance": list(self.tolerance),
            "outputs": [output.as_json() for output in self.outputs],
            "signature": list(self.signature),
            "failure": self.failure,
            "notes": list(self.notes),
            "feeds": list(self.feeds),
            "skipped": list(self.skipped),
        }

    def __str__(self) -> str:
        count = len(self.feeds)
        lines = [f"{self.verdict}: {self.before} and {self.after}"]
        if self.runner:
            lines[0] += f" on {count} feed{'s' if count != 1 else ''} ({self.runner})"
        lines += [f"  signature: {fault}" for fault in self.signature]
        lines += [f"  {self.failure}"] if self.failure else []
        lines += self._table()
        lines += [f"  tolerance {rule}" for rule in self.held_to]
        lines += [f"  skipped: {feed}" for feed in self.skipped]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def _table(self) -> list[str]:
        if not any(output.feeds for output in self.outputs):
            return [f"  {output.name}: {output.verdict}: {output.why}" for output in self.outputs if output.why]
        rows = [("output", "type", "verdict", "max abs", "max rel", "ulp", "")]
        for output in sorted(self.outputs, key=lambda output: -output.verdict)[:MAX_ROWS]:
            where = f"{output.why}{f' ({output.feed})' if output.feed else ''}" if output.why else ""
            ulp = "" if output.max_ulp is None else str(output.max_ulp)
            row = (output.name, output.kind, str(output.verdict), _short(output.max_abs), _short(output.max_rel), ulp, where)
            rows.append(row)
        widths = [max(len(row[column]) for row in rows) for column in range(6)]
        lines = ["  " + "  ".join([*map(str.ljust, row[:6], widths), row[6]]).rstrip() for row in rows]
        if len(self.outputs) > MAX_ROWS:
            lines.append(f"  ... and {len(self.outputs) - MAX_ROWS} more outputs, none worse")
        return lines


MAX_ROWS = 20  # outputs printed; as_json() has them all


def _larger(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else max(one, other)


def _number(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
