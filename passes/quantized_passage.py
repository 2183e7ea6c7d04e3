"""One operator with quantization around it, rewritten so that the quantization is on its other side, or gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from graphopt.ir import Graph, Node, Value
from graphopt.ir.edit import Editor
from graphopt.passes.integer_kernels import Runtime, lacks
from graphopt.quantization.commutation import Commuted
from graphopt.quantization.nodes import like, plain_quantization
from graphopt.quantization.parameters import Quantization, is_dequantize, is_quantize
from graphopt.schema.older import CannotSpell

_FINENESS: Final = {"tensor": 0, "axis": 1, "block": 2}


@final
@dataclass(frozen=True, slots=True)
class Quantizers:
    """The QuantizeLinears that read the results of an operator: one of each result, those that do the same, and the parameters."""

    first: tuple[Node | None, ...]
    equal: tuple[tuple[Node, ...], ...]
    parameters: tuple[Quantization | None, ...]

    @property
    def all(self) -> list[Node]:
        """Every one of them, in the order of the graph."""
        return sorted((node for nodes in self.equal for node in nodes), key=lambda node: node.position)


def quantizers(node: Node, *, others: bool = False) -> Quantizers | str:
    """Who quantizes what a node makes; why not all that is made of it is quantized, and alike.

    `others`: results that are no floats may be read by others.
    """
    first: list[Node | None] = []
    equal: list[tuple[Node, ...]] = []
    parameters: list[Quantization | None] = []
    for value in node.outputs:
        is_float = value.dtype is None or value.dtype.is_float
        if not value.users or (others and not is_float):
            first.append(None)
            equal.append(())
            parameters.append(None)
            continue
        readers = sorted((reader for reader in value.users if is_quantize(reader)), key=lambda reader: reader.position)
        if len(readers) < len(value.users) or any(reader.inputs[0] is not value or reader.graph is not node.graph for reader in readers):
            return f"{value!r} is read by more than a QuantizeLinear"
        if sum(value.users.values()) != len(readers):
            return f"{value!r} is read twice by one node"
        found = [plain_quantization(reader) for reader in readers]
        by = found[0]
        if isinstance(by, str):
            return by
        if any(other != by for other in found) or any(_kind(reader) != _kind(readers[0]) for reader in readers):
            return f"{value!r} is quantized in several ways"
        first.append(readers[0])
        equal.append(tuple(readers))
        parameters.append(by)
    return Quantizers(tuple(first), tuple(equal), tuple(parameters))


def dequantizers(node: Node) -> dict[int, tuple[Node, Quantization]]:
    """The DequantizeLinears that make inputs of a node, by slot, with their parameters."""
    found = {}
    for slot, value in enumerate(node.inputs):
        maker = None if value is None else value.producer
        if maker is None or maker.graph is not node.graph or not is_dequantize(maker):
            continue
        if isinstance(by := plain_quantization(maker), Quantization):
            found[slot] = (maker, by)
    return found


def _kind(node: Node) -> tuple[object, ...]:
    """What parameters do not say of a QuantizeLinear that is plain."""
    return node.op, node.attribute("precision")


def is_finer(made: Sequence[Quantization | None], given: Sequence[Quantization | None]) -> str:
    """Why new parameters are more than there were: runtimes want one scale for all, or one for each channel."""
    before = max((_FINENESS[by.granularity] for by in given if by is not None), default=0)
    after = max((_FINENESS[by.granularity] for by in made if by is not None), default=0)
    return "it would need more scales than now" if after > before else ""


def form(found: Commuted, operands: Mapping[int, Value], graph: Graph, runtime: Runtime, source: str) -> list[Node] | str:
    """The integer form of an operator, or why the runtime or the opset has none."""
    try:
        made = found.build(operands, graph)
    except CannotSpell as reason:
        return str(reason)
    dtype = next(iter(found.inputs.values())).dtype
    for new in made:
        keep_origin(new, found.node, source)
    made[-1].name = found.node.name
    return lacks(made, dtype, runtime) or made


def keep_origin(new: Node, old: Node, source: str) -> None:
    """Let a node tell for which one it stands."""
    new.rule, new.metadata, new.doc = source, dict(old.metadata), old.doc
    new.replaces = old.stands_for


def copied(node: Node, operand: Value, by: Quantization, source: str) -> Node | str:
    """The same QuantizeLinear or DequantizeLinear of another value, by some parameters; or why there is none."""
    graph = node.graph
    assert graph is not None  # it was found in one
    try:
        made = like(node, operand, by, graph)
    except CannotSpell as reason:
        return str(reason)
    keep_origin(made, node, source)
    return made


def equal_before(operand: Value, made: Node, by: Quantization, before: Node) -> Node | None:
    """A node that does already what a new QuantizeLinear would do, and stands early enough."""
    graph = before.graph
    for reader in operand.users:
        if not is_quantize(reader) or reader.graph is not graph or graph is None or not graph.precedes(reader, before):
            continue
        if reader.inputs[0] is operand and _kind(reader) == _kind(made) and plain_quantization(reader) == by:
            return reader
    return None


def replace(editor: Editor, old: Value, new: Value) -> None:
    """Let everybody read another value, which takes over the name."""
    is_renamed = not old.is_output and not new.is_output and new.producer is not None
    editor.replace(old, new)
    if is_renamed:
        editor.exchange_names(old, new)
