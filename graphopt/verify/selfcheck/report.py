"""What the check of a rule found, and how it is printed."""

from __future__ import annotations

import math
from dataclasses import asdict, astuple, dataclass, field
from typing import Any

import numpy as np
from onnx import ModelProto

from graphopt.io.text import text_of
from graphopt.io.walking import all_nodes
from graphopt.ir.tensor import Array

SHOWN = 24  # elements of an array that are printed


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A small model on which a rule goes wrong: how it came about, what is wrong, and what was fed, expected and computed."""

    what: str
    group: str
    problem: str
    model: ModelProto
    after: ModelProto | None = None
    feeds: dict[str, Array] = field(default_factory=dict)
    expected: dict[str, Array] = field(default_factory=dict)
    actual: dict[str, Array] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The model in ONNX's own syntax, weights included; `onnx.parser` reads it."""
        return shown_model(self.model)

    @property
    def size(self) -> tuple[int, int]:
        """How much there is to read: nodes, then elements of what is stored and fed."""
        stored = sum(math.prod(tensor.dims) for tensor in self.model.graph.initializer)
        return len(all_nodes(self.model)), stored + sum(array.size for array in self.feeds.values())

    def __str__(self) -> str:
        lines = [f"{self.group}: {self.what}", f"  {self.problem}", *_indented(self.text)]
        for words, arrays in (("fed", self.feeds), ("expected", self.expected), ("computed", self.actual)):
            lines += [f"  {words}: {name} = {_shown(array)}" for name, array in arrays.items()]
        if self.after is not None:
            lines += ["  the rule made of it:", *_indented(shown_model(self.after))]
        return "\n".join(lines)


@dataclass(slots=True)
class Tally:
    """How many models of one group were judged, in how many the rule fired, and in how many it ended in an error."""

    tried: int = 0
    fired: int = 0
    raised: int = 0


@dataclass(slots=True)
class RuleReport:
    """The result for one rule. `error` says why it could not be checked, with what its author can do.

    `groups` counts models by kind: "variant" for those that the pattern describes, then the near misses. `declined` are the reasons
    why it did not fire where its pattern matched; `unbuilt` are readings of the pattern that no valid model was found for; `doubtful`
    counts differences that one runtime sees and another does not.
    """

    rule: str
    file: str
    line: int
    exactness: str
    groups: dict[str, Tally] = field(default_factory=dict)
    failures: list[Counterexample] = field(default_factory=list)
    error: str = ""
    declined: dict[str, int] = field(default_factory=dict)
    unbuilt: dict[str, str] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)
    doubtful: int = 0

    @property
    def ok(self) -> bool:
        """Whether the rule was checked and holds."""
        return not self.failures and not self.error

    @property
    def variants(self) -> Tally:
        """The models that the pattern describes."""
        return self.groups.get("variant", Tally())

    @property
    def near_misses(self) -> Tally:
        """All near misses together."""
        others = [tally for group, tally in self.groups.items() if group != "variant"]
        return Tally(*(sum(counts) for counts in zip(*map(astuple, others), strict=True)))

    def as_json(self) -> dict[str, Any]:  # Any: what json.dumps takes
        """Plain data, counter-examples as ONNX text."""
        return {
            "rule": self.rule,
            "file": self.file,
            "line": self.line,
            "exactness": self.exactness,
            "ok": self.ok,
            "error": self.error,
            "groups": {group: asdict(tally) for group, tally in self.groups.items()},
            "failures": [
                {"what": found.what, "group": found.group, "problem": found.problem, "model": found.text} for found in self.failures
            ],
            "declined": dict(self.declined),
            "unbuilt": dict(self.unbuilt),
            "silent": list(self.silent),
            "doubtful": self.doubtful,
        }

    def __str__(self) -> str:
        variants, misses = self.variants, self.near_misses
        counts = f"fired in {variants.fired} of {variants.tried} variants and {misses.fired} of {misses.tried} near misses"
        if variants.raised or misses.raised:
            counts += f"; raised in {variants.raised} variants and {misses.raised} near misses"
        head = f"{self.rule}: {'holds' if self.ok else 'FAILS'} ({self.exactness}; {counts})"
        if self.ok:
            return head
        lines = [head, f"  {self.file}:{self.line}"]
        lines += [f"  {line}" for line in self.error.splitlines()]
        lines += [f"  {line}" for found in self.failures for line in str(found).splitlines()]
        return "\n".join(lines)


def shown_model(model: ModelProto) -> str:
    """A model in ONNX's own syntax."""
    return text_of(model).rstrip()


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.splitlines()]


def _shown(array: Array) -> str:
    flat = array.reshape(-1)
    words = np.array2string(flat[:SHOWN], separator=", ", max_line_width=10_000, floatmode="unique") if flat.size else "[]"
    more = ", ..." if flat.size > SHOWN else ""
    return f"{array.dtype}{list(array.shape)} {words.rstrip(']')}{more}]"
