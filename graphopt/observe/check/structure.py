"""What a model has and does not use, and inputs that say too little."""

from __future__ import annotations

from collections.abc import Iterator

from graphopt.ir.graph import INITIALIZERS_ARE_NO_INPUTS
from graphopt.ir.model import Model
from graphopt.ir.types import TensorType
from graphopt.observe.check.finding import Finding, counted
from graphopt.schema import facts

CLEANED = "graphopt optimize"


def of_structure(model: Model) -> Iterator[Finding]:
    """Inputs, initializers, functions and imports."""
    yield from _overridable(model)
    yield from _inputs(model)
    yield from _unused(model)
    yield from _functions(model)


def _overridable(model: Model) -> Iterator[Finding]:
    values = [value.name for value in model.graph.inputs if value.overridable]
    if values:
        why = f", as each has to be in IR version {model.ir_version}" if model.ir_version < INITIALIZERS_ARE_NO_INPUTS else ""
        text = f"{counted(len(values), 'initializer is an input', 'initializers are inputs')} as well{why}: callers may feed others"
        helps = "--initializers-are-constants"
        yield Finding("hint", "overridable-initializers", f"{text}, so nothing is folded or fused with them", tuple(values), helps)


def _inputs(model: Model) -> Iterator[Finding]:
    fed = [value for value in model.graph.inputs if not value.overridable]
    untyped = tuple(value.name for value in fed if value.type is None)
    if untyped:
        text = f"{counted(len(untyped), 'input has', 'inputs have')} no type ({_listed(untyped)}): next to nothing follows from them"
        yield Finding("warning", "untyped-inputs", text, untyped)
    ranked = tuple(value.name for value in fed if isinstance(value.type, TensorType) and value.type.shape is None)
    if ranked:
        text = f"{counted(len(ranked), 'input has', 'inputs have')} no shape, not even a rank ({_listed(ranked)}): no sizes follow"
        yield Finding("hint", "inputs-without-shape", text, ranked, f"--set-input-shape {ranked[0]}=...")


def _unused(model: Model) -> Iterator[Finding]:
    inputs = tuple(value.name for value in model.graph.inputs if not value.overridable and not value.users)
    if inputs:
        text = f"{counted(len(inputs), 'input is', 'inputs are')} read by nobody ({_listed(inputs)}): callers must feed them all the same"
        yield Finding("hint", "unused-inputs", text, inputs)
    held = [
        (name, 0 if value.tensor is None else value.tensor.nbytes)
        for graph in model.graphs() for name, value in graph.initializers.items()
        if not value.users and not value.overridable and name not in model.annotating
    ]  # fmt: skip
    if held and not model.trains:
        text = f"{counted(len(held), 'initializer is', 'initializers are')} read by nobody, {sum(size for _, size in held)} bytes in all"
        yield Finding("hint", "unused-initializers", text, tuple(name for name, _ in held), CLEANED)


def _functions(model: Model) -> Iterator[Finding]:
    called = {function.key for node in model.nodes() if (function := facts.function_of(node)) is not None}
    idle = tuple(".".join(filter(None, key)) for key in model.functions if key not in called)
    if idle:
        text = f"{counted(len(idle), 'local function is', 'local functions are')} called by nobody ({_listed(idle)})"
        yield Finding("hint", "unused-functions", text, idle)
    used = {node.domain for node in model.nodes()} | {key[0] for key in model.functions}
    unused = tuple(domain for domain in model.opsets if domain and domain not in used)
    if unused:
        text = f"the opset of {counted(len(unused), 'domain')} is imported and not used ({_listed(unused)}): some runtimes refuse that"
        yield Finding("hint", "unused-opsets", text, unused, CLEANED)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
