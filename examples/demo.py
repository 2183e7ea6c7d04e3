"""What `make demo` runs: ResNet-50 made smaller, and its outputs compared.

The onnx package ships the graph of ResNet-50 as Caffe2 exported it, every weight shrunk to `ConstantOfShape(shape)`.
This fills the weights in again (seeded random numbers of the usual sizes), which gives an ordinary model file of
100 MB, and then runs the command that you would type for a model of your own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

FOLDER = Path("build", "demo")
SKELETON = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_resnet50.onnx"


def main() -> int:
    """Make the model, optimize it, say where it lies; the exit status is that of `graphopt optimize`."""
    given, result = FOLDER / "resnet50.onnx", FOLDER / "resnet50.optimized.onnx"
    FOLDER.mkdir(parents=True, exist_ok=True)
    onnx.save(filled(onnx.load(SKELETON)), given)

    # The model is of IR version 3, which lists every weight among the inputs, where a caller could replace it.
    command = ["optimize", str(given), "-o", str(result), "--initializers-are-constants", "--verify"]
    print("$ python -m graphopt", *command, flush=True)
    status = subprocess.run([sys.executable, "-m", "graphopt", *command], check=False).returncode
    if status == 0:
        print(f"\nThe optimized model is {result}, the one it was made from {given}.")
    return status


def filled(model: ModelProto) -> ModelProto:
    """The model with random weights for each `ConstantOfShape` of a stored shape and each stored float tensor."""
    graph = model.graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    shapes = {name: array.shape for name, array in stored.items() if array.dtype == np.float32}
    nodes = []
    for node in graph.node:
        if node.op_type == "ConstantOfShape" and node.input[0] in stored:
            shapes[node.output[0]] = tuple(stored[node.input[0]].tolist())
        else:
            nodes.append(node)

    random = np.random.default_rng(0)
    weights = {}
    for node in nodes:
        for slot, name in enumerate(node.input):
            if name in shapes and name not in weights:
                weights[name] = numpy_helper.from_array(weight(node, slot, shapes[name], random), name)

    read = {name for node in nodes for name in node.input} - weights.keys()
    inputs = [value for value in graph.input if value.name in read]
    inputs += [helper.make_tensor_value_info(name, tensor.data_type, tensor.dims) for name, tensor in weights.items()]
    initializers = [tensor for tensor in graph.initializer if tensor.name in read] + list(weights.values())
    result = helper.make_graph(nodes, "ResNet-50", inputs, graph.output, initializers)
    return helper.make_model(result, ir_version=model.ir_version, opset_imports=model.opset_import)


def weight(node: NodeProto, slot: int, shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float32]:
    """Random numbers as a trained network has them in this place: activations neither vanish nor explode."""
    if node.op_type == "BatchNormalization" and slot in {1, 4}:  # scale, var
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    if len(shape) > 1:  # the weight of a Conv or a Gemm: (outputs, inputs, ...)
        return random.normal(0.0, np.prod(shape[1:]) ** -0.5, shape).astype(np.float32)
    return random.normal(0.0, 0.1, shape).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())
