"""Two models as one: beside each other, or one feeding the other."""

from __future__ import annotations

from random import Random

from onnx import GraphProto, ModelProto, compose


def joined(first: ModelProto, second: ModelProto, random: Random) -> ModelProto:
    """A model of both. Where an output of the first has the type and shape of an input of the second, it is often fed to it."""
    second = compose.add_prefix(second, "second_")
    made = ModelProto()
    made.CopyFrom(first)
    for entry in second.opset_import:
        if entry.domain not in {known.domain for known in made.opset_import}:
            made.opset_import.append(entry)
    known_functions = {(function.domain, function.name) for function in made.functions}
    made.functions.extend(function for function in second.functions if (function.domain, function.name) not in known_functions)
    made.ir_version = max(first.ir_version, second.ir_version)
    fed = _fed(made.graph, second.graph, random)
    stored = {tensor.name for tensor in second.graph.initializer}
    for node in second.graph.node:
        added = made.graph.node.add()
        added.CopyFrom(node)
        added.input[:] = [fed.get(name, name) for name in node.input]
    made.graph.initializer.extend(second.graph.initializer)
    made.graph.input.extend(port for port in second.graph.input if port.name not in fed or port.name in stored)
    made.graph.output.extend(port for port in second.graph.output if port.name not in fed)
    return made


def _fed(first: GraphProto, second: GraphProto, random: Random) -> dict[str, str]:
    """Inputs of the second graph -> outputs of the first."""
    if any(attribute.HasField("g") for node in second.node for attribute in node.attribute):
        return {}  # a subgraph may read the input as well
    outputs = {port.name for port in second.output}
    found = {}
    for port in second.input:
        fitting = [output.name for output in first.output if output.type == port.type]
        if fitting and port.name not in outputs and random.random() < 0.8:
            found[port.name] = random.choice(fitting)
    return found
