"""The compiled matcher finds exactly the matches that trying everything finds, on random patterns and graphs made to nearly fit them."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphopt.ir import Dim, DType, Editor, Graph, Model, Node, Tensor, TensorType, Value, verify
from graphopt.match import AnyOf, Call, Chain, Leaf, Optional, Pattern, Rest, Rule, any_of, const, op, opt, product, rest, sum_of, tensor
from graphopt.match.compiler import compile_rule
from graphopt.match.writer import Reason
from tests.match.graphs import complete, rule_of
from tests.match.reference import content, solutions

UNARY = ["Relu", "Neg"]
BINARY = ["Add", "Mul", "Sub"]
SHAPES: list[tuple[int | Dim, ...]] = [(2,), (1,), (3, 2), (Dim.symbol("S"),)]


def some_leaf(random: Random) -> Pattern:
    """A leaf; few names, so that some come twice, and each name always with the same conditions."""
    return random.choice(
        [tensor("x"), tensor("x"), tensor("y"), tensor("z", shape=("N",)), tensor("t", shape=("M",)), tensor("b", into=("N",)),
         const("k"), const(equals=0.5), tensor()]
    )  # fmt: skip


def some_pattern(random: Random, depth: int, shared: list[Call]) -> Pattern:
    """A pattern of at most this depth."""
    kind = random.randrange(12) if depth else 0
    if kind < 2:
        return some_leaf(random)
    if kind == 2 and shared:
        return random.choice(shared)
    if kind == 3:
        return any_of(*(some_pattern(random, depth - 1, shared) for _ in range(random.randint(2, 3))))
    if kind == 4:
        operands = [some_pattern(random, depth - 1, shared) for _ in range(random.randint(2, 4))]
        return random.choice([product, sum_of])(*operands)
    call = some_call(random, depth, shared)
    if kind == 5:
        call = call.kept()
    shared.append(call)
    return call


def some_call(random: Random, depth: int, shared: list[Call]) -> Call:
    """A call whose operands are of less depth."""
    kind = random.randrange(10)
    call: Call
    if kind == 0:
        call = op.Clip(some_pattern(random, depth - 1, shared), opt(tensor("lo")), opt(const("hi", shape=("P",))))
    elif kind == 1:
        call = op.Concat(some_pattern(random, depth - 1, shared), rest("xs"))
    elif kind == 2:
        call = op.Sum(*(some_pattern(random, depth - 1, shared) for _ in range(3)))
    elif kind < 5:
        call = getattr(op, random.choice(UNARY))(some_pattern(random, depth - 1, shared))
    else:
        call = getattr(op, random.choice(BINARY))(*(some_pattern(random, depth - 1, shared) for _ in range(2)))
    return call


class Builder:
    """Graphs that nearly fit a pattern: its instances, with something else put in here and there."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.model = Model("g", 10, {"": 20})
        self.editor = Editor(self.model)
        self.graph: Graph = self.model.graph
        self.values: list[Value] = []
        for i, shape in enumerate(SHAPES):
            value = Value(f"i{i}", TensorType(DType.float32, shape))
            value.graph = self.graph
            self.model.names.add(value.name)
            self.graph.inputs.append(value)
            self.values.append(value)
        self.values += [self.editor.add_constant(self.graph, Tensor.of([number], DType.float32)) for number in (0.5, 0.5, 2.0)]

    def node(self, op_type: str, inputs: list[Value | None]) -> Value:
        made = self.editor.insert(Node(op_type, inputs), self.graph).output
        made.type = TensorType(DType.float32, self.random.choice(SHAPES))
        self.values.append(made)
        return made

    def noise(self) -> Value:
        if self.random.random() < 0.4:
            return self.random.choice(self.values)
        count = self.random.choice([1, 2])
        return self.node(self.random.choice(UNARY if count == 1 else BINARY), [self.random.choice(self.values) for _ in range(count)])

    def instance(self, pattern: Pattern, world: dict[Any, Any]) -> Value:
        """A value that the pattern would match, but for accidents."""
        random = self.random
        if random.random() < 0.04:
            return self.noise()
        match pattern:
            case Leaf():
                return self.leaf(pattern, world)
            case AnyOf():
                return self.instance(random.choice(pattern.alternatives), world)
            case Chain():
                terms = [self.instance(operand, world) for operand in pattern.operands]
                while len(terms) > 1:
                    random.shuffle(terms)
                    terms.append(self.node(pattern.op, [terms.pop(), terms.pop()]))
                return terms[0]
            case Call():
                if pattern.key not in world or random.random() < 0.04:
                    world[pattern.key] = self.call(pattern, world)
                made: Value = world[pattern.key]
                return made
        raise AssertionError(pattern)

    def leaf(self, pattern: Leaf, world: dict[Any, Any]) -> Value:
        fitting = [value for value in self.values if value.const is not None] if pattern.constant else self.values
        if pattern.equals is not None:
            return fitting[0]
        if pattern.name not in world or pattern.name is None:
            world[pattern.name] = self.random.choice(fitting)
        held: Value = world[pattern.name]
        return held

    def call(self, call: Call, world: dict[Any, Any]) -> Value:
        inputs: list[Value | None] = []
        for part in call.inputs:
            match part:
                case Optional():
                    inputs.append(self.leaf(part.of, world) if self.random.random() < 0.6 else None)
                case Rest():
                    inputs += world.setdefault(part.name, [self.random.choice(self.values) for _ in range(self.random.randrange(3))])
                case _:
                    inputs.append(self.instance(part, world))
        if call.op in {"Add", "Mul", "Sum"}:
            self.random.shuffle(inputs)
        return self.node(call.op, inputs)

    def finish(self, last: Value) -> Graph:
        for _ in range(self.random.randrange(3)):
            self.noise()
        outputs = {last: None} if last.producer is not None else {}
        if self.random.random() < 0.2:
            outputs[self.random.choice([value for value in self.values if value.producer is not None] or [last])] = None
        self.editor.set_outputs(self.graph, list(outputs))
        verify(self.model)
        return self.graph


def defined(pattern: Pattern) -> Rule | None:
    """A rule of the pattern, None when it makes no sense (a dimension that nothing binds)."""
    try:
        return rule_of(pattern)
    except TypeError:
        return None


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(st.randoms(use_true_random=False))
def test_compiled_and_naive_agree(random: Random) -> None:
    pattern = some_pattern(random, random.randint(2, 4), [])
    asked = defined(pattern)
    if asked is None or not isinstance(pattern, (Call, Chain, AnyOf)):
        return
    builder = Builder(random)
    builder.noise()
    for _ in range(random.randint(1, 2)):
        last = builder.instance(pattern, {})
    graph = builder.finish(last)
    found = {(frozenset(nodes), content(bindings)) for _, nodes, bindings in complete(asked, graph)}
    assert found == solutions(pattern, graph), str(pattern)
    assert found == explained(asked, graph), str(pattern)


def explained(asked: Rule, graph: Graph) -> set[object]:
    """What the matcher that explains finds; every reason is made, so that none trips over what it looks at."""
    found: set[object] = set()

    def note(step: int, reason: Reason, *looked_at: object) -> None:
        assert step > 0 and reason.words(*looked_at) and reason.part

    matcher = compile_rule(asked, note)
    for node in graph:
        matcher(node, lambda roots, nodes, bindings: found.add((frozenset(nodes), content(bindings))))
    return found
