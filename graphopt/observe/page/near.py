"""Near misses: where a pattern matched and its rule said no, told as long as what the rule looked at is as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from graphopt.ir.attribute import Attribute
from graphopt.ir.graph import Node, Value

if TYPE_CHECKING:
    from graphopt.match.rule import Rule

KEPT: Final = 5000  # near misses that are remembered, each for a node of its own; of more only the number is known
DEEPEST: Final = 12  # nodes on a path upward that are remembered
WIDEST: Final = 60  # nodes in all
UNKNOWN: Final = 2  # how deep somebody looked who is no rule, a pass over the whole graph: at the node and what feeds it


@dataclass(frozen=True, slots=True)
class _Seen:
    """A node as it was, so many nodes above the one that was looked at; `single` says of each output whether one reader has it."""

    node: Node
    level: int
    inputs: tuple[Value | None, ...]
    attributes: dict[str, Attribute]
    single: tuple[bool, ...]

    @classmethod
    def of(cls, node: Node, level: int) -> _Seen:
        return cls(node, level, node.inputs, dict(node.attributes), _single(node) if level else ())

    def is_still_so(self) -> bool:
        """Whether it reads what it read and says what it said. Nothing is compared by content: that would load weights."""
        node = self.node
        return (
            node.inputs == self.inputs
            and node.attributes.keys() == self.attributes.keys()
            and all(node.attributes[name] is attribute for name, attribute in self.attributes.items())
            and (not self.level or _single(node) == self.single)
        )


@final
class NearMisses:
    """What was refused, each time with the reason and with how the nodes above were at that moment."""

    def __init__(self) -> None:
        self.unlisted = 0
        self._found: dict[tuple[str, Node], tuple[str, tuple[_Seen, ...]]] = {}

    def add(self, source: str, node: Node, why: Callable[[], str]) -> None:
        """A rule, or a pass, said no at a node; the last word counts."""
        if (source, node) in self._found or len(self._found) < KEPT:
            self._found[source, node] = why(), tuple(_upward(node))
        else:
            self.unlisted += 1

    def forget(self, source: str, node: Node) -> None:
        """It said yes in the end."""
        self._found.pop((source, node), None)

    def standing(self, rules: Mapping[str, Rule]) -> Iterator[tuple[str, Node, str, bool]]:
        """Source, node, reason, and whether nothing has changed since in as many nodes upward as the rule's patterns reach."""
        reaches = {name: _reach(rule) for name, rule in rules.items()}
        for (source, node), (reason, seen) in self._found.items():
            reach = reaches.get(source, UNKNOWN)
            yield source, node, reason, all(each.is_still_so() for each in seen if each.level < reach)


def _upward(node: Node) -> Iterator[_Seen]:
    """A node and those that feed it, the nearest first."""
    known, level, count = {node}, [node], 0
    for depth in range(DEEPEST):
        for each in level:
            yield _Seen.of(each, depth)
        count += len(level)
        above = (value.producer for each in level for value in each.inputs if value is not None)
        level = [each for each in dict.fromkeys(above) if each is not None and each not in known]
        known.update(level)
        if not level or count + len(level) > WIDEST:
            return


def _single(node: Node) -> tuple[bool, ...]:
    return tuple(len(value.users) == 1 for value in node.outputs)


def _reach(rule: Rule) -> int:
    from graphopt.match.structure import depth  # loads the matcher, which a page of two models does not need

    return max(depth(pattern) for pattern in rule.patterns)
