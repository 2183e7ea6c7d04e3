"""What is wrong with the file: data that are not there, versions, and what onnx's checker refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from graphopt.io.about import about
from graphopt.io.checker import missing, needed_ir_version, newest_ir_version, refusals
from graphopt.ir.model import Model
from graphopt.observe.check.finding import Finding, counted
from graphopt.schema import facts
from graphopt.schema.versions import OLDEST

NO_SHAPE: Final = "Field 'shape' of 'type' is required but missing"  # as the checker says it
ONNX: Final = ("", "ai.onnx.ml")  # the domains that say what an opset asks of the IR version


def of_external_data(model: Model) -> Iterator[Finding]:
    """Weights whose bytes are not to be had; one reason is given."""
    lost = missing(model)
    if not lost:
        return
    why = next(iter(lost.values())).removeprefix(f"{about(model).name}: ")
    more = f"; the data of {counted(len(lost) - 1, 'more initializer')} are missing too" if len(lost) > 1 else ""
    outside = "outside of the model's folder" in why
    yield Finding("error", "external-data", f"{why}{more}", tuple(lost), "--allow-outside" if outside else "")


def of_versions(model: Model) -> Iterator[Finding]:
    """IR version and opsets that do not go together, or that nobody here knows."""
    opset, newest = model.opsets.get(""), facts.newest_opset()
    if opset is not None and opset > newest:
        text = f"the model is written for opset {opset}, the installed onnx knows {newest} at most: nothing is known of what its nodes do"
        yield Finding("warning", "opset-unknown", f"{text}; install a newer onnx")
    elif opset is not None and opset < OLDEST:
        text = f"the model is written for opset {opset}: below {OLDEST} operators broadcast otherwise, and no rule matches"
        yield Finding("warning", "opset-too-old", f"{text}; convert it to {OLDEST} first, with onnx.version_converter")
    if model.ir_version > newest_ir_version():
        text = f"the model has IR version {model.ir_version}, the installed onnx knows {newest_ir_version()} at most"
        yield Finding("warning", "ir-version", f"{text}; install a newer onnx")
        return
    used = {node.domain for node in model.nodes()}
    needed = needed_ir_version({domain: version for domain, version in model.opsets.items() if domain in ONNX and domain in used})
    if needed is not None and model.ir_version < needed:
        text = f"the model says IR version {model.ir_version}, but its opsets came with IR version {needed}; some tools refuse that"
        yield Finding("hint", "ir-version", text)


def of_checker(model: Model) -> Iterator[Finding]:
    """What onnx's own checker refuses. Versions that it does not know are told elsewhere."""
    if model.ir_version > newest_ir_version():
        return
    for one in refusals(model):
        where = (one.name,) if one.name else ()
        who = f"{one.operator} {one.name!r}: " if one.operator else ""
        if one.why.startswith(NO_SHAPE):
            text = "an input or output declares no shape: onnx's checker asks for one, though most runtimes do not"
            yield Finding("warning", "invalid", text, where)
        else:
            yield Finding("error", "invalid", f"{who}{_plain(one.why)}", where)


def _plain(why: str) -> str:
    """The checker's reason in the words of this tool, where it has any."""
    for start, said in _WORDS.items():
        if why.startswith(start):
            return why.replace(start, said, 1)
    return why


_WORDS: Final = {
    "No Op registered for ": "onnx knows no operator ",
    "No opset import for domain": "the model imports no opset for the domain",
    "Node with schema": "the node with schema",
    "Required attribute": "the required attribute",
    "Unrecognized attribute: ": "there is no attribute ",
}
