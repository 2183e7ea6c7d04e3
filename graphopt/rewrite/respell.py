"""One node written for another opset of the default domain: the same node, another one, or several that together mean the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, final

from graphopt.infer.node import typed
from graphopt.infer.standing import standing_in
from graphopt.ir.attribute import Attribute, AttributeKind
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.model import Function
from graphopt.schema import facts, older
from graphopt.schema.changes import READ_UP_TO, change_of_meaning
from graphopt.schema.facts import OperatorFacts
from graphopt.schema.spelling import CannotSpell, has_neutral_form, neutral_attribute, neutral_inputs, spell
from graphopt.schema.versions import DROPPED, FLATTENING, FLATTENING_UNTIL, MOVED, NEGATIVE_AXIS_SINCE, RENAMED_VALUES


def place_at(graph: Graph, opset: int) -> Graph:
    """An empty graph outside the model, in which nodes stand as in `graph` would at another opset of the default domain."""
    scope = Function("", "", "", graph.model)
    scope.opsets = {**graph.opsets, "": opset}
    return scope.graph


@final
class Maker:
    """Builds nodes for a place, given as the newest opset spells them; `made` are all of them, in their order."""

    def __init__(self, place: Graph) -> None:
        self.place, self.opset = place, place.opsets[""]
        self.made: list[Node] = []

    def __call__(self, op_type: str, *inputs: Value | None, outputs: int = 1, **attributes: object) -> Value:
        """The first output of a new node. Raises CannotSpell."""
        node = typed(spell(op_type, inputs, attributes, self.place, outputs=outputs), self.place)
        self.made.append(node)
        return node.output


def versions_of(node: Node, opset: int) -> tuple[OperatorFacts, OperatorFacts]:
    """The version of a node's operator that governs it, and the one at another opset. Raises CannotSpell when one is not known."""
    before, after = facts.of_node(node), facts.of("", node.op_type, opset)
    if before is None:
        raise CannotSpell(f"onnx knows no {node.op} of opset {node.opset}")
    if after is None:
        raise CannotSpell(f"there is no {node.op} at opset {opset}")
    if before is not after and max(before.since_version, after.since_version) > READ_UP_TO:
        raise CannotSpell(f"graphopt knows the changes up to opset {READ_UP_TO} only")
    return before, after


def respelled(node: Node, place: Graph) -> Node | None:
    """The node of the same meaning in a place of another opset; None when the node as it is means the same there.

    Both spellings say the same when read as the newest opset spells them. Raises CannotSpell when no one node can say it.
    """
    opset = place.opsets[""]
    before, after = versions_of(node, opset)
    if before is after:
        return None
    if after.is_deprecated:
        raise CannotSpell(f"{node.op} is deprecated since opset {after.since_version}")
    if _keeps_flattening(node, opset):
        return None
    why = change_of_meaning(node, node.opset or 0, opset)
    if why is None and not _is_sayable(node):
        why = "what it means here, other versions cannot say"
    if why is not None:
        raise CannotSpell(why)
    made = _spelled(node, before, after, place)
    _check_types(node, before, after, made, place)
    return None if _is_same(node, made) else made


# What `has_neutral_form` refuses and may yet be said: of the first two `change_of_meaning` knows more, and for an index of OneHot below
# zero, which no text before opset 11 allows, runtimes do at every opset what the newer texts say.
_CHECKED_APART: Final = frozenset({"ConvTranspose", "Dropout", "OneHot"})


def _is_sayable(node: Node) -> bool:
    found = facts.of_node(node)
    return (node.op in _CHECKED_APART and found is not None and not found.is_deprecated) or has_neutral_form(node)


def _keeps_flattening(node: Node, opset: int) -> bool:
    """Whether a Softmax means several axes at once, here and there, and says so alike."""
    if node.op not in FLATTENING or max(node.opset or 0, opset) > FLATTENING_UNTIL:
        return False
    axis = node.attributes.get("axis")
    return axis is None or opset >= NEGATIVE_AXIS_SINCE or (isinstance(axis.value, int) and axis.value >= 0)


def _spelled(node: Node, before: OperatorFacts, after: OperatorFacts, place: Graph) -> Node:
    opset, moved = place.opsets[""], MOVED[node.op].attributes if node.op in MOVED else {}
    said = {name: held for name, held in node.attributes.items() if name not in moved and not _is_dropped(node.op, name, held)}
    given = {name: _held(node, name, held, opset) for name, held in said.items()}
    inputs, outputs = neutral_inputs(node), _needed_outputs(node, after)
    made = spell(node.op_type, inputs, given, place, outputs=outputs)
    with standing_in(made, place):
        known = {**before.attributes, **after.attributes, **_newest(node)}
        implied = [name for name in known if name not in node.attributes and (node.op, name) not in DROPPED]
        unlike = {name: meant for name in implied if (meant := neutral_attribute(node, name)) != neutral_attribute(made, name)}
    if unlike:  # what a missing attribute means has changed
        made = spell(node.op_type, inputs, {**given, **unlike}, place, outputs=outputs)
        with standing_in(made, place):
            left = next((name for name, meant in unlike.items() if not _mean_alike(made, meant, neutral_attribute(made, name))), None)
        if left is not None:
            raise CannotSpell(f"its attribute {left} cannot be {unlike[left]!r}")
    if node.op not in _CHECKED_APART and not older.has_form(made, opset):
        raise CannotSpell("it would mean something else there")
    return made


def _mean_alike(made: Node, one: object, other: object) -> bool:
    """Whether two values of an attribute are equal, an axis also when it counts from either side."""
    rank = made.inputs[0].rank if made.inputs and made.inputs[0] is not None else None
    return one == other or (isinstance(one, int) and isinstance(other, int) and rank is not None and one % rank == other % rank)


def _needed_outputs(node: Node, after: OperatorFacts) -> int:
    """How many outputs there are without the last ones that nobody reads."""
    count = len(node.outputs)
    while count > 1 and not node.outputs[count - 1].users and (formal := after.output(count - 1)) is not None and formal.is_optional:
        count -= 1
    return count


def _newest(node: Node) -> Mapping[str, object]:
    found = facts.newest(node.domain, node.op_type)
    return {} if found is None else found.attributes


def _held(node: Node, name: str, held: Attribute, opset: int) -> Any:  # Any: as many kinds as attributes have
    """What to spell for an attribute."""
    if held.reference:
        if opset < (node.opset or 0) or (node.op, name) in RENAMED_VALUES:
            raise CannotSpell(f"its attribute {name} is supplied by the caller of the function")
        return held
    return neutral_attribute(node, name) if held.kind in _PLAIN else held


_PLAIN: Final = frozenset({
    AttributeKind.float, AttributeKind.floats, AttributeKind.int, AttributeKind.ints, AttributeKind.string, AttributeKind.strings,
})  # fmt: skip


def _is_dropped(op: str, name: str, held: Attribute) -> bool:
    return (op, name) in DROPPED and held.value == DROPPED[op, name]


def _is_same(node: Node, made: Node) -> bool:
    inputs = node.inputs
    while inputs and inputs[-1] is None:
        inputs = inputs[:-1]
    if made.inputs != inputs or made.attributes.keys() != node.attributes.keys():
        return False
    return all(_are_equal(held, node.attributes[name]) for name, held in made.attributes.items())


def _are_equal(one: Attribute, other: Attribute) -> bool:
    return one is other or (one.kind is other.kind and not one.reference and not other.reference and bool(one.value == other.value))


def _check_types(node: Node, before: OperatorFacts, after: OperatorFacts, made: Node, place: Graph) -> None:
    """Raise CannotSpell unless the operator takes and gives, at that opset, the types that the node's values have."""
    for new, old in zip(made.outputs, node.outputs, strict=False):
        new.type = old.type
    why = facts.accepts(made, place)
    if why is not None:
        raise CannotSpell(why)
    for what, values, parameter, other in (
        ("inputs", made.inputs, after.input, before.input),
        ("outputs", made.outputs, after.output, before.output),
    ):
        for index, value in enumerate(values):
            formal, known = parameter(index), other(index)
            if value is None or value.type is not None or formal is None or known is None:
                continue
            if not known.types <= formal.types:
                raise CannotSpell(f"it takes or gives fewer types there, and the type of one of its {what} is not known ({formal.name})")


def adopt_outputs(made: Sequence[Node], results: Sequence[Value], node: Node) -> None:
    """Let new nodes say what is known of the one they replace: the types of its outputs, its name and what the model tells of it."""
    for new, old in zip(results, node.outputs, strict=False):
        new.type = old.type if old.type is not None else new.type
        new.contents, new.tensor = old.contents, old.tensor if new.producer is not None and new.producer.op == "Constant" else new.tensor
    for each in made:
        each.metadata = dict(node.metadata)
        each.replaces = node.stands_for
    if made:
        made[-1].name, made[-1].doc = node.name, node.doc
