"""What quantization commutes with: whether a QuantizeLinear may go up, or a DequantizeLinear down, through an operator.

>>> down(node, {0: parameters})                      # DQ(q) -> node         node' -> DQ        # doctest: +SKIP
Commuted(inputs={0: ...}, outputs=(...), ...)
>>> up(node, [parameters])                           # node -> Q             Q -> node'         # doctest: +SKIP
'a window may lie between the elements, in the padding alone'
>>> across(node, {0: parameters}, [parameters])      # DQ -> node -> Q       node'              # doctest: +SKIP

Both ways are exact: the same integers and the same floats, bit for bit (NaN aside). There is no list of verdicts. Each scale with its zero
point is a tag; the tags go through the operator as its elements do (`flow`), and quantization passes if each element ends up with exactly
one, in a pattern that some parameters describe (`layout`). One tag for all needs no shapes, and nothing is made. What takes part beside the
elements that move (`call`): constants, which must be on the grid for DQ and are quantized for Q; order, which needs positive scales; places
and truths, which change where quantizing makes elements equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final

from graphopt.ir import DType, Graph, Node, Tensor, TensorType, Value
from graphopt.ir.tensor import Array
from graphopt.quantization import indexing, movement, ordering
from graphopt.quantization.arithmetic import loses
from graphopt.quantization.call import Call, Rule, is_read
from graphopt.quantization.flow import Shapes, Unclear
from graphopt.quantization.layout import Tags, simplest
from graphopt.quantization.parameters import Quantization
from graphopt.quantization.pushing import check_on_grid, pulled, pushed, quantized
from graphopt.schema import facts
from graphopt.schema.older import CannotSpell, constant
from graphopt.schema.spelling import has_neutral_form, neutral_attributes, neutral_inputs, spell

_RULES: Final[dict[str, Rule]] = {**movement.RULES, **indexing.RULES, **ordering.RULES}
_ALL_OUTPUTS: Final = frozenset({"Split"})  # whose number of outputs says what it does

COMMUTING: Final = frozenset(_RULES)  # the operators that some quantization passes


@final
@dataclass(frozen=True, slots=True)
class Commuted:
    """An operator with quantization on its other side.

    `inputs` are the parameters of the data inputs by slot, `outputs` those of the results, None for one that is not quantized (indices,
    truths, sizes) or that nobody reads. Both hold whichever way it went.
    """

    node: Node
    inputs: Mapping[int, Quantization]
    outputs: tuple[Quantization | None, ...]
    _call: Call = field(repr=False)
    _constants: Mapping[int, Tensor] = field(repr=False)

    @property
    def is_ordered(self) -> bool:
        """Whether the operator chooses elements by their order."""
        return self._call.is_ordered

    def build(self, operands: Mapping[int, Value], graph: Graph) -> list[Node]:
        """The operator on integers, in no graph yet: nodes in their order, of which the last gives the results.

        `operands` are the quantized data inputs by slot. Raises CannotSpell when the model's opset has no such form.
        """
        if self._call.form is not None:
            made = self._call.form(self.node, operands, self._constants, graph)
        else:
            made = [_same_operator(self.node, operands, self._constants, graph)]
        dtype = next(iter(self.inputs.values())).dtype
        for new in made:
            for index, value in enumerate(new.outputs):
                old = self.node.outputs[index]
                is_moved = index in self._call.results
                value.type = old.type if not is_moved else TensorType(dtype, old.shape)
            if (why := facts.accepts(new, graph)) is not None:
                raise CannotSpell(why)
            for held in new.inputs:
                if held is not None and held.is_detached and (why := facts.refuses_constant(graph, held.type)) is not None:
                    raise CannotSpell(why)
        return made


def _same_operator(node: Node, operands: Mapping[int, Value], constants: Mapping[int, Tensor], graph: Graph) -> Node:
    inputs = list(neutral_inputs(node))
    for slot, value in operands.items():
        inputs[slot] = value
    for slot, tensor in constants.items():
        if slot >= 0:
            inputs += [None] * (slot + 1 - len(inputs))
            inputs[slot] = constant(tensor)
    outputs = len(node.outputs)
    while node.op not in _ALL_OUTPUTS and outputs > 1 and not is_read(node, outputs - 1):
        outputs -= 1
    return spell(node.op_type, inputs, neutral_attributes(node), graph, outputs=outputs)


def up(node: Node, outputs: Sequence[Quantization | None]) -> Commuted | str:
    """Whether QuantizeLinear may move from the results of an operator to its data inputs; in words, why not.

    `outputs` are the parameters with which each result is quantized; None for one that nobody reads. Elements that no result has get
    some of the parameters that others have.
    """
    try:
        call = _call(node)
        given = [by for by in outputs if by is not None]
        if not given or any(outputs[index] is None and is_read(node, index) for index in call.results) or not call.results:
            raise Unclear(f"not all that {node.op} makes is quantized")
        _check(node, call, given)
        if ordering.is_strict(node, call):
            raise Unclear("quantizing makes elements equal, and which places they have is read")
        if call.lowest and given[0].scale_dtype is not DType.float32:
            raise Unclear(call.lowest)
        tags = Tags(given)
        if tags.are_equal:
            one = tags.alone(0)
            inputs: dict[int, Quantization] = dict.fromkeys(call.data, one)
            constants = {held.slot: quantized(held, one, one, None) for held in call.carried}
            for held in call.carried:
                if held.is_raw:
                    check_on_grid(held, constants[held.slot], one)
        else:
            inputs, constants = pulled(call, Shapes(node), tags, outputs)
        return _admitted(node, call, inputs, tuple(None if by is None else by for by in outputs), constants)
    except _REASONS as reason:
        return str(reason)


def down(node: Node, inputs: Mapping[int, Quantization]) -> Commuted | str:
    """Whether DequantizeLinear may move from the data inputs of an operator to its results; in words, why not.

    `inputs` are the parameters with which the inputs in these slots are dequantized. An operator that gives no such elements (ArgMax,
    Equal, Shape) reads the integers themselves then.
    """
    try:
        call = _call(node)
        if missing := [slot for slot in call.data if slot not in inputs]:
            raise Unclear(f"input {missing[0]} of {node.op} is not dequantized, nor a constant that it could carry")
        given = [inputs[slot] for slot in call.data]
        _check(node, call, given)
        if ordering.is_strict(node, call) and (why := next(filter(None, map(loses, given)), "")):
            raise Unclear(why)
        if call.lowest:
            raise Unclear(call.lowest)
        tags = Tags(given)
        outputs: list[Quantization | None] = [None] * len(node.outputs)
        if tags.are_equal:
            one = tags.alone(0)
            for index in call.results:
                outputs[index] = one
            constants = {held.slot: quantized(held, one, one, None) for held in call.carried}
            for held in call.carried:
                check_on_grid(held, constants[held.slot], one)
        else:
            constants = pushed(call, Shapes(node), tags, inputs, outputs)
        return _admitted(node, call, {slot: inputs[slot] for slot in call.data}, tuple(outputs), constants)
    except _REASONS as reason:
        return str(reason)


def across(node: Node, inputs: Mapping[int, Quantization], outputs: Sequence[Quantization | None]) -> Commuted | str:
    """Whether an operator between DequantizeLinear and QuantizeLinear may run on the integers themselves; in words, why not."""
    if why := next(filter(None, map(loses, inputs.values())), ""):
        return why
    found = up(node, outputs)
    if isinstance(found, Commuted):
        if all(slot in inputs and are_equal(by, inputs[slot]) for slot, by in found.inputs.items()):
            return found
        first = "the parameters before and after it do not belong together"
    else:
        first = found
    other = down(node, inputs)
    if isinstance(other, str):
        return first
    met = zip(other.outputs, outputs, strict=True)
    is_met = all((by is None) == (wanted is None) and (by is None or are_equal(by, wanted)) for by, wanted in met if by or wanted)
    return other if is_met else first


def are_equal(one: Quantization | None, other: Quantization | None) -> bool:
    """Whether parameters quantize alike, however they are written."""
    if one is None or other is None:
        return one is other
    return simplest(one) == simplest(other)


# ---- what must hold before any tag moves


def _call(node: Node) -> Call:
    rule = _RULES.get(node.op)
    if rule is None:
        raise Unclear(f"{node.op} makes new numbers")
    if facts.is_function_call(node) or not has_neutral_form(node):
        raise Unclear(f"{node.op} is another operator here")
    return rule(node)


def _check(node: Node, call: Call, given: Sequence[Quantization]) -> None:
    first = given[0]
    if any((by.dtype, by.scale_dtype, by.saturate) != (first.dtype, first.scale_dtype, first.saturate) for by in given):
        raise Unclear("the element types differ")
    if call.is_ordered and not all(by.is_increasing for by in given):
        raise Unclear("a scale is negative, which turns the order round")
    if call.is_ordered and not first.dtype.is_integer:
        raise Unclear(f"{node.op} is not known to order {first.dtype}")
    if call.carried and not first.dtype.is_integer and not first.saturate:
        raise Unclear(f"a constant in {first.dtype} that is not saturated")


def _admitted(
    node: Node,
    call: Call,
    inputs: Mapping[int, Quantization],
    outputs: tuple[Quantization | None, ...],
    constants: Mapping[int, Array],
) -> Commuted:
    """The answer, if the model's opset has the integer form."""
    graph = node.graph
    if graph is None:
        raise Unclear(f"{node.op} stands in no graph")
    tensors = {slot: Tensor.of(elements, inputs[call.data[0]].dtype) for slot, elements in constants.items()}
    found = Commuted(node, inputs, outputs, call, tensors)
    stand_ins = {}
    for slot, by in inputs.items():
        value = node.inputs[slot]
        stand_ins[slot] = Value("", TensorType(by.dtype, None if value is None else value.shape))
    found.build(stand_ins, graph)
    return found


# The last three: what numpy raises on operands that do not fit, of which the operator would complain as well.
_REASONS: Final = (Unclear, CannotSpell, ValueError, IndexError, TypeError)
