"""Products of one value with several constant weights, as one product with all of them and a Split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from graphopt.infer import CannotEvaluate, typed
from graphopt.ir import Attribute, DType, Graph, Node, Tensor, Value
from graphopt.passes.deferred import compute
from graphopt.patterns.normalization import MOST_COPIED
from graphopt.pipeline.base import Context
from graphopt.schema import facts
from graphopt.schema.older import CannotSpell, constant
from graphopt.schema.spelling import has_neutral_form, spell

OTHERS: Final = "the other products of the same value have other attributes, sizes or element types"


@dataclass(frozen=True)
class Branch:
    """One product: what may be computed at once has equal keys.

    `add` is the Add of a constant that alone reads the product, `bias` that constant, or the product's own; `count` are the results' extent
    along the axis that is split.
    """

    key: Hashable
    product: Node
    weights: Value
    bias: Value | None
    add: Node | None
    count: int


@dataclass(frozen=True)
class Unfit:
    """A product that is computed by itself, and why."""

    product: Node
    why: str


@dataclass(frozen=True)
class Joint:
    """How branches are computed at once: the operator, and the axes along which the weights, and the results, lie side by side."""

    op_type: str
    attributes: Mapping[str, Attribute]
    weights_axis: int
    axis: int


def weights_of(node: Node) -> tuple[Value, Tensor] | str:
    """The constant weights of a product that may be stored anew, and what they hold; why they may not."""
    weights = node.inputs[1]
    held = None if weights is None else weights.const
    if weights is None or held is None:
        return "its weights are not constant"
    if not held.dtype.is_float or held.dtype.bits < 16 or not held.size:
        return "its weights are no numbers of 16 bits or more, or empty"
    if weights.uses > 1 and held.nbytes > MOST_COPIED:
        return "its weights are big and read elsewhere, and would be stored twice"
    return weights, held


def is_vector(bias: Value | None, count: int, dtype: DType, most: int) -> bool:
    """Whether a term is a constant of one element per column, of at most this rank."""
    held = None if bias is None else bias.const
    return (
        held is not None and held.dtype == dtype and 0 < len(held.shape) <= most and held.shape == (1,) * (len(held.shape) - 1) + (count,)
    )


def branches(nodes: Iterable[Node], branch_of: Callable[[Node, Value], Branch | str]) -> Iterator[Branch | Unfit]:
    """The products of what is not constant; `branch_of` says what one multiplies by and adds, or why it is computed by itself."""
    for node in nodes:
        x = None if facts.is_function_call(node) or not has_neutral_form(node) else node.inputs[0]
        if x is not None and x.const is None:
            found = branch_of(node, x)
            yield Unfit(node, found) if isinstance(found, str) else found


def grouped(name: str, branches: Iterable[Branch | Unfit], context: Context) -> list[list[Branch]]:
    """The branches with equal keys, where there are several; of products beside which there are only others, the reason is told."""
    groups: dict[Hashable, list[Branch]] = {}
    beside: Counter[tuple[Value | None, Graph | None]] = Counter()
    left: list[Unfit] = []
    for branch in branches:
        beside[branch.product.inputs[0], branch.product.graph] += 1
        if isinstance(branch, Unfit):
            left.append(branch)
        else:
            groups.setdefault(branch.key, []).append(branch)
    left += [Unfit(group[0].product, OTHERS) for group in groups.values() if len(group) == 1]
    for unfit in left:
        if beside[unfit.product.inputs[0], unfit.product.graph] > 1:
            context.observer.declined(name, unfit.product, unfit.why.__str__)
    return [group for group in groups.values() if len(group) > 1]


def join(name: str, group: Sequence[Branch], joint: Joint, context: Context) -> bool:
    """Put one product and a Split in the place of several products."""
    first = group[0].product
    graph, observer = first.graph, context.observer
    assert graph is not None  # it was found in one
    is_added = all(branch.add is not None for branch in group)
    try:
        made = joined(group, joint, graph, is_added=is_added)
    except (CannotSpell, CannotEvaluate) as reason:
        observer.declined(name, first, reason.__str__)
        return False
    for node in made:
        if (why := facts.accepts(node, graph)) is not None:
            observer.declined(name, first, why.__str__)
            return False
    if not observer.may_apply(name, first):
        return False
    replaced = [branch.product for branch in group] + [branch.add for branch in group if is_added and branch.add is not None]
    names = tuple(dict.fromkeys(old for node in replaced for old in node.stands_for))
    for node in made:
        node.rule, node.metadata, node.replaces = name, dict(first.metadata), names
        context.editor.insert(node, graph, first)
    for branch, part in zip(group, made[-1].outputs, strict=True):
        replace(branch, part, context, is_added=is_added)
    observer.applied(name, first, made)
    return True


def joined(group: Sequence[Branch], joint: Joint, graph: Graph, *, is_added: bool) -> tuple[Node, ...]:
    """The product, the sum with what all branches add, and the Split; in no graph yet."""
    weights = side_by_side([branch.weights for branch in group], joint.weights_axis, graph)
    adds_itself = not is_added and any(branch.bias is not None and branch.add is None for branch in group)
    biases = side_by_side([as_vector(branch) for branch in group], 0, graph) if is_added or adds_itself else None
    operands = [group[0].product.inputs[0], weights, *([biases] if adds_itself else [])]
    nodes = [typed(spell(joint.op_type, operands, joint.attributes, graph), graph)]
    if is_added:
        nodes.append(typed(spell("Add", [nodes[0].output, biases], {}, graph), graph))
    sizes = constant(Tensor.of([branch.count for branch in group], DType.int64), "split")
    nodes.append(typed(spell("Split", [nodes[-1].output, sizes], {"axis": joint.axis}, graph, outputs=len(group)), graph))
    return tuple(nodes)


def as_vector(branch: Branch) -> Value:
    """What a branch adds, one element per column; 0 where it adds nothing."""
    held, weights = None if branch.bias is None else branch.bias.const, branch.weights.const
    assert weights is not None  # a branch has constant weights
    if branch.bias is None or held is None:
        return constant(Tensor.of(np.zeros(branch.count, weights.dtype.numpy), weights.dtype), "bias")
    return constant(Tensor(held.dtype, (branch.count,), held.storage), branch.bias.name)


def side_by_side(values: Sequence[Value], axis: int, graph: Graph) -> Value:
    """Constants as one; a big one is put together when somebody asks for its bytes."""
    (tensor,) = compute(spell("Concat", values, {"axis": axis}, graph), graph)
    return constant(tensor, values[0].name)


def replace(branch: Branch, part: Value, context: Context, *, is_added: bool) -> None:
    """Let a part of the joint result stand for a branch, and drop what nobody reads any more."""
    editor = context.editor
    last = branch.add if is_added and branch.add is not None else branch.product
    part.type = last.output.type if last.output.type is not None else part.type
    is_output = last.output.is_output
    editor.replace(last.output, part)
    if not is_output:
        editor.exchange_names(last.output, part)
    editor.erase_unread((last, branch.product), lambda maker: maker.output.const is not None)
