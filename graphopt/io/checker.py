"""What onnx's own checker says of a model, without its weights being read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, final

import onnx
from onnx import checker

from graphopt.errors import ModelError
from graphopt.io.tensors import Missing, holds_data, tensors_in
from graphopt.io.writer import to_proto
from graphopt.ir.model import Model

MOST_REFUSALS: Final = 10  # of nodes; the first few say what is wrong
_CONTEXT: Final = re.compile(r"==> Context: Bad node spec for node\. Name: (?P<name>.*?) ?OpType: (?P<operator>\S+)")


@final
@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the checker refuses a model, and the node that is to blame: its operator and its name, both empty where it blames none."""

    why: str
    operator: str = ""
    name: str = ""


def refusals(model: Model) -> list[Refusal]:
    """Why onnx's checker refuses a model: the first reason, or where nodes are to blame, of each of the first few that are."""
    try:
        message = _without_data(to_proto(model, weights=False))
        checker.check_model(message)
    except checker.ValidationError as error:
        first = _refusal(error)
        return (_of_nodes(message) if first.operator else []) or [first]
    except (ModelError, ValueError) as error:  # too big even without its weights, or small data are missing, which `missing` says
        return [] if missing(model) else [Refusal(str(error))]
    return []


def missing(model: Model) -> dict[str, str]:
    """The tensors whose bytes are not to be had, by name, and why; of a model that was loaded with `check_external=False`."""
    held = {name: value.tensor for graph in model.graphs() for name, value in graph.initializers.items()}
    return {name: tensor.storage.why for name, tensor in held.items() if tensor is not None and isinstance(tensor.storage, Missing)}


def needed_ir_version(opsets: dict[str, int]) -> int | None:
    """The oldest IR version that goes with these opsets; None when the installed onnx does not know one of them."""
    try:
        return onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid(*each) for each in opsets.items()], ignore_unknown=True)
    except ValueError:
        return None


def newest_ir_version() -> int:
    """The newest that the installed onnx knows."""
    return int(onnx.IR_VERSION)


def _refusal(error: checker.ValidationError) -> Refusal:
    text = str(error)
    found = _CONTEXT.search(text)
    why = text.partition("\n")[0].strip().rstrip(".")
    return Refusal(why, found["operator"], found["name"].strip()) if found else Refusal(why)


def _of_nodes(message: onnx.ModelProto) -> list[Refusal]:
    """Each node of the main graph by itself; those that hold graphs cannot be asked alone."""
    context = checker.C.CheckerContext()
    context.ir_version = message.ir_version
    context.opset_imports = {entry.domain: entry.version for entry in message.opset_import}
    found: list[Refusal] = []
    for node in message.graph.node:
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            continue
        try:
            checker.check_node(node, context)
        except checker.ValidationError as error:
            name = node.name or next(iter(node.output), "")
            found.append(Refusal(_refusal(error).why, node.op_type, name))
            if len(found) == MOST_REFUSALS:
                break
    return found


def _without_data(message: onnx.ModelProto) -> onnx.ModelProto:
    """The model with tensors of no elements where data were left out: a tensor of the right size would have to hold them."""
    for tensor in tensors_in(message):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
        elif holds_data(tensor):
            continue
        tensor.ClearField("raw_data")
        tensor.dims[:] = [0]
    return message
