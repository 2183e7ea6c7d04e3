"""Which rules can start at a node: rules filed under their root's operator and one operator that must feed it."""

from __future__ import annotations

from collections.abc import Iterable, KeysView, Mapping
from functools import cache
from typing import Any, TypeAlias, final

from graphopt.ir.graph import Node
from graphopt.match.compiler import Matcher
from graphopt.match.glance import GlancingMatcher
from graphopt.match.rule import Rule
from graphopt.match.structure import Root, depth, feeders, needs, openings, operators, size
from graphopt.schema.facts import newest_opset
from graphopt.schema.versions import OLDEST

Candidates: TypeAlias = "tuple[tuple[Rule, Matcher[Any]], ...]"


@final
class RuleIndex:
    """The rules that may apply under certain opsets, found by (root operator, one feeding operator).

    Bigger patterns come first, then the order given. Rules for other opsets are left out once and for all, and so are those that
    speak of the default domain when its opset is below 7, unknown to the installed onnx, or not imported. Matchers are compiled when
    a node may match.
    """

    def __init__(self, rules: Iterable[Rule], opsets: Mapping[str, int]) -> None:
        self._rules = [rule for rule in by_size(rules) if _is_readable(rule, opsets)]
        self._filed: dict[str, list[tuple[int, GlancingMatcher, frozenset[str] | None]]] = {}
        for rank, rule in enumerate(self._rules):
            for opening, ((root, *_), *_) in enumerate(openings(rule.patterns)):
                if governs(rule, root, opsets):
                    self._filed.setdefault(root.op, []).append((rank, GlancingMatcher(rule, opening, root), feeders(root)))
        self._table: dict[str, tuple[frozenset[str], dict[tuple[str, ...], Candidates]]] = {
            op: (frozenset(feeder for _, _, ops in filed for feeder in ops or ()), {}) for op, filed in self._filed.items()
        }
        live = [self._rules[rank] for rank in sorted({rank for filed in self._filed.values() for rank, _, _ in filed})]
        self.depth = max((depth(pattern) for rule in live for pattern in rule.patterns), default=0)
        self.has_several_roots = any(len(rule.patterns) > 1 for rule in live)
        self._inner = frozenset[str]().union(*map(operators_of, live))

    def candidates(self, node: Node) -> Candidates:
        """The rules, each with its matcher, of which this node may be the first root."""
        entry = self._table.get(node.op)
        if entry is None:
            return ()
        wanted, found = entry
        fed: tuple[str, ...] = ()
        if wanted:
            for value in node.inputs:
                if value is not None:
                    producer = value.producer
                    if producer is not None and producer.op in wanted and producer.op not in fed:
                        fed = (*fed, producer.op)
        try:
            return found[fed]
        except KeyError:
            return self._find(node.op, fed)

    @property
    def roots(self) -> KeysView[str]:
        """The operators of which a call may be the first root of some rule."""
        return self._filed.keys()

    def is_inner(self, node: Node) -> bool:
        """Whether some pattern speaks of the node's operator."""
        return node.op in self._inner

    def _find(self, op: str, fed: tuple[str, ...]) -> Candidates:
        found = tuple(
            (self._rules[rank], matcher)
            for rank, matcher, ops in self._filed[op]
            if ops is None or not ops.isdisjoint(fed)
        )
        self._table[op][1][fed] = found
        return found


def by_size(rules: Iterable[Rule]) -> list[Rule]:
    """The order in which rules are tried: the one with more nodes in its patterns first, then as given."""
    return sorted(rules, key=lambda rule: -_size_of(rule))


def governs(rule: Rule, root: Root, opsets: Mapping[str, int]) -> bool:
    """Whether the version of the root's domain is one that the rule is for."""
    version = opsets.get(domain_of(root))
    if version is None:
        return rule.since == 1 and rule.until is None
    return rule.since <= version and (rule.until is None or version <= rule.until)


def domain_of(root: Root) -> str:
    """The domain of a root's operator; chains are of the default one."""
    return getattr(root, "domain", "")


@cache
def operators_of(rule: Rule) -> frozenset[str]:
    """All operators that a rule's patterns speak of."""
    return frozenset(op for pattern in rule.patterns for op in operators(pattern))


@cache
def needs_of(rule: Rule) -> frozenset[str]:
    """The operators that a model must have calls of for the rule to match anywhere."""
    return frozenset[str]().union(*map(needs, rule.patterns))


@cache
def _size_of(rule: Rule) -> int:
    return sum(map(size, rule.patterns))


def _is_readable(rule: Rule, opsets: Mapping[str, int]) -> bool:
    """Whether the operators of the rule mean what the newest spelling says: those of the default domain are known from opset 7 on."""
    if all("." in op for op in operators_of(rule)):
        return True
    return OLDEST <= opsets.get("", 0) <= newest_opset()
