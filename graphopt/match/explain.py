"""Why a rule does not fire: a second compilation of its patterns notes where each attempt stops; the furthest note is the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, final

from graphopt.ir.graph import Graph, Node
from graphopt.ir.model import Model
from graphopt.match.compiler import Attempt, Matcher, compile_rule
from graphopt.match.index import domain_of, governs, operators_of
from graphopt.match.match import CannotSpell, Match
from graphopt.match.reasons import a, at_newer, node_name
from graphopt.match.rule import Declined, Rule
from graphopt.match.structure import Root, feeders, variants
from graphopt.match.writer import Reason
from graphopt.schema.facts import newest_opset
from graphopt.schema.versions import OLDEST

LAST = 1 << 30  # the step of a match that is complete: only the rule itself or a guard can say no


@final
@dataclass(frozen=True, slots=True)
class Explanation:
    """How far a rule came at one root, and what stopped it.

    `node` is None when there was no node to begin with. `part` is the pattern that failed, empty when all matched and the rule or a
    guard said no. `applies` says that nothing stopped it; `step` orders explanations: greater is further.
    """

    rule: str
    node: Node | None
    part: str
    reason: str
    step: int
    applies: bool = False

    def __str__(self) -> str:
        where = f" at {node_name(self.node)}" if self.node is not None else ""
        return f"{self.rule}{where}: {self.reason}{f' (in {self.part})' if self.part else ''}"


@final
class _Recorder:
    """Keeps the furthest note of an attempt; of two equally far ones the first."""

    def __init__(self) -> None:
        self.step, self.part, self.reason = 0, "", ""

    def note(self, step: int, reason: Reason, *looked_at: object) -> None:
        if step > self.step:
            self.step, self.part, self.reason = step, reason.part, reason.words(*looked_at)

    def declined(self, why: Declined) -> None:
        if self.step < LAST:
            self.step, self.part, self.reason = LAST, "", str(why)


def ask_rule(rule: Rule) -> Attempt[Any]:
    """The attempt that only asks the rule's function; nothing is changed. A driver gives its own, with its guards in it."""

    def attempt(roots: tuple[Node, ...], nodes: tuple[Node, ...], bindings: dict[str, Any]) -> object:
        try:
            return rule.action(Match(roots, nodes, bindings), **{name: bindings[name] for name in rule.parameters})
        except CannotSpell as reason:
            return Declined("{}{}", (reason, at_newer(reason.since)))

    return attempt


def explain(rule: Rule, where: Model | Graph, attempt: Attempt[Any] | None = None) -> list[Explanation]:
    """Why a rule does or does not fire anywhere in a model or graph: one explanation for each possible root, the furthest first.

    `attempt` is asked for each complete match: None or a Declined means no, anything else that the rule applies. By default it is the
    rule's function alone, without the driver's guards.
    """
    everywhere = list(where.graphs() if isinstance(where, Model) else where.walk())
    barred = {graph: _barred(rule, graph) for graph in everywhere}
    graphs = [graph for graph in everywhere if barred[graph] is None]
    if not graphs:
        return [Explanation(rule.name, None, "", barred[everywhere[0]] or "", 0)]
    found = [explain_node(rule, node, attempt) for node in _roots(rule, graphs)]
    return sorted(found, key=lambda one: -one.step) if found else [Explanation(rule.name, None, "", _nowhere(rule, graphs), 0)]


def explain_node(rule: Rule, node: Node, attempt: Attempt[Any] | None = None) -> Explanation:
    """Why a rule does or does not fire with this node as its first root."""
    recorder = _Recorder()
    asked = attempt if attempt is not None else ask_rule(rule)

    def judge(roots: tuple[Node, ...], nodes: tuple[Node, ...], bindings: dict[str, Any]) -> object:
        outcome = asked(roots, nodes, bindings)
        if outcome is None:
            recorder.declined(Declined("all matches, but the rule's function gave None: does it return what it makes, or m.no(reason)?"))
        if isinstance(outcome, Declined):
            recorder.declined(outcome)
            return None
        return outcome

    matcher: Matcher[Any] = compile_rule(rule, recorder.note)
    if matcher(node, judge) is not None:
        return Explanation(rule.name, node, "", "it applies", LAST + 1, applies=True)
    return Explanation(rule.name, node, recorder.part, recorder.reason, recorder.step)


def _firsts(rule: Rule) -> list[Root]:
    return list(dict.fromkeys(roots[0] for roots in variants(rule.patterns)))


def _roots(rule: Rule, graphs: Iterable[Graph]) -> Iterator[Node]:
    """The nodes at which an attempt makes sense: the root's operator, and its feeder somewhere among the inputs."""
    wanted = [(root.op, feeders(root)) for root in _firsts(rule)]
    for graph in graphs:
        for node in graph:
            fed = {value.producer.op for value in node.inputs if value is not None and value.producer is not None}
            if any(node.op == op and (ops is None or not ops.isdisjoint(fed)) for op, ops in wanted):
                yield node


def _nowhere(rule: Rule, graphs: Iterable[Graph]) -> str:
    """Why there is no root: no such operator, or none that is fed by what the pattern wants."""
    present = {node.op for graph in graphs for node in graph}
    said = []
    for root in _firsts(rule):
        ops = feeders(root)
        fed = f" with an input that {' or '.join(map(a, sorted(ops)))} makes" if ops is not None and root.op in present else ""
        said.append(f"{a(root.op)}{fed}")
    return f"no node is {', or '.join(dict.fromkeys(said))}"


def _barred(rule: Rule, graph: Graph) -> str | None:
    """Why a rule is not even tried under the opsets of a graph."""
    opsets = graph.opsets
    redefined = {Node(name, (), 0, domain=domain).op for domain, name, _ in graph.model.functions} & operators_of(rule)
    if redefined:
        return f"the model defines {', '.join(sorted(redefined))} as a local function, which the rule knows nothing of"
    if any("." not in op for op in operators_of(rule)) and not OLDEST <= opsets.get("", 0) <= newest_opset():
        why = f"rules know the opsets {OLDEST} to {newest_opset()} of the default domain; the model's is {opsets.get('', 'not imported')}"
        return f"{why}; convert it to {OLDEST} first, with onnx.version_converter" if opsets.get("", OLDEST) < OLDEST else why
    for root in _firsts(rule):
        if governs(rule, root, opsets):
            return None
    domain = domain_of(_firsts(rule)[0])
    span = f"{rule.since} and newer" if rule.until is None else f"{rule.since} to {rule.until}"
    barred = f"the rule is for opset {span} of {domain or 'the default domain'}; the model's is {opsets.get(domain, 'not imported')}"
    return barred if domain or domain not in opsets else f"{barred}{at_newer(rule.since if opsets[domain] < rule.since else rule.until)}"
