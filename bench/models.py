"""The models that are measured, generated: real sizes and real structure, random weights.

    python bench/models.py NAME PATH
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

OPSET: Final = 17
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
LAST: Final = np.iinfo(np.int64).max


class Writer:
    """Collects nodes and weights as an exporter writes them. With `data` the weights are streamed into that file (external data)."""

    def __init__(self, data: Path | None = None) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.random = np.random.default_rng(0)
        self._data = data
        self._file = data.open("wb") if data is not None else None
        self._count = 0

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:  # Any: what helper.make_node takes
        """A node with one output."""
        self._count += 1
        output = f"{op_type.lower()}_{self._count}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, value: float | list[int], kind: str = "int64") -> str:
        """A Constant node: int64 unless `kind` says otherwise."""
        return self.op("Constant", value=numpy_helper.from_array(np.array(value, dtype=kind)))

    def weight(self, name: str, *shape: int) -> str:
        """A random weight."""
        return self.stored(name, self.random.standard_normal(shape, dtype=np.float32) * np.float32(0.02))

    def stored(self, name: str, array: npt.NDArray[Any]) -> str:
        """A tensor of the model: inline, or in the data file."""
        if self._file is None or self._data is None or array.nbytes < 1024:
            self.weights.append(numpy_helper.from_array(array, name))
            return name
        tensor = TensorProto(name=name, data_type=FLOAT, dims=array.shape, data_location=TensorProto.EXTERNAL)
        entries = {"location": self._data.name, "offset": self._file.tell(), "length": array.nbytes}
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=str(value))
        self._file.write(array.tobytes())
        self.weights.append(tensor)
        return name

    def linear(self, x: str, name: str, rows: int, columns: int) -> str:
        """x W + b, as an exporter writes a Linear layer with bias."""
        product = self.op("MatMul", x, self.weight(f"{name}.weight", rows, columns))
        return self.op("Add", self.weight(f"{name}.bias", columns), product)

    def extent(self, x: str, axis: int) -> str:
        """One dimension of a value, as tracing writes it: Shape, Gather, Unsqueeze."""
        return self.op("Unsqueeze", self.op("Gather", self.op("Shape", x), self.constant(axis), axis=0), self.constant([0]))

    def reshape(self, x: str, like: str, *rest: int) -> str:
        """(batch, sequence, ...rest) with the first two taken from another value's shape."""
        wanted = self.op("Concat", self.extent(like, 0), self.extent(like, 1), *(self.constant([size]) for size in rest), axis=0)
        return self.op("Reshape", x, wanted)

    def save(self, path: Path, name: str, inputs: dict[str, list[str | int]], kind: int, output: str, shape: list[str | int]) -> None:
        """Write the model; `output` is renamed to "result"."""
        if self._file is not None:
            self._file.close()
        for node in self.nodes:
            node.input[:] = ["result" if value == output else value for value in node.input]
            node.output[:] = ["result" if value == output else value for value in node.output]
        fed = [helper.make_tensor_value_info(value, kind, extents) for value, extents in inputs.items()]
        result = helper.make_tensor_value_info("result", FLOAT, shape)
        graph = helper.make_graph(self.nodes, name, fed, [result], self.weights)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8), path)


def bert(path: Path, layers: int = 12, hidden: int = 768, vocabulary: int = 30522, heads: int = 12) -> None:
    """An encoder of BERT-base's sizes (438 MB inline), as the TorchScript exporter writes it: LayerNorm in nine nodes, GELU by Erf."""
    made, size = Writer(), hidden // heads

    def normalized(x: str, name: str) -> str:
        centred = made.op("Sub", x, made.op("ReduceMean", x, axes=[-1]))
        variance = made.op("ReduceMean", made.op("Pow", centred, made.constant(2.0, "float32")), axes=[-1])
        deviation = made.op("Sqrt", made.op("Add", variance, made.constant(1e-12, "float32")))
        scaled = made.op("Mul", made.op("Div", centred, deviation), made.stored(f"{name}.scale", np.ones(hidden, np.float32)))
        return made.op("Add", scaled, made.stored(f"{name}.shift", np.zeros(hidden, np.float32)))

    def split(x: str, *order: int) -> str:
        return made.op("Transpose", made.reshape(x, x, heads, size), perm=list(order))

    words = made.op("Gather", made.weight("words", vocabulary, hidden), "input_ids")
    kinds = made.op("Gather", made.weight("kinds", 2, hidden), "token_type_ids")
    places = made.op("Slice", made.weight("places", 512, hidden), made.constant([0]), made.extent("input_ids", 1), made.constant([0]))
    x = normalized(made.op("Add", made.op("Add", words, kinds), places), "embeddings")
    shown = made.op("Cast", made.op("Unsqueeze", made.op("Unsqueeze", "attention_mask", made.constant([1])), made.constant([2])), to=FLOAT)
    hidden_places = made.op("Mul", made.op("Sub", made.constant(1.0, "float32"), shown), made.constant(-10000.0, "float32"))
    for layer in range(layers):
        name = f"layer{layer}"
        query, value = (split(made.linear(x, f"{name}.{part}", hidden, hidden), 0, 2, 1, 3) for part in ("query", "value"))
        key = split(made.linear(x, f"{name}.key", hidden, hidden), 0, 2, 3, 1)
        scores = made.op("Div", made.op("MatMul", query, key), made.constant(math.sqrt(size), "float32"))
        weights = made.op("Softmax", made.op("Add", scores, hidden_places), axis=-1)
        mixed = made.reshape(made.op("Transpose", made.op("MatMul", weights, value), perm=[0, 2, 1, 3]), x, hidden)
        x = normalized(made.op("Add", made.linear(mixed, f"{name}.mix", hidden, hidden), x), f"{name}.norm1")
        wide = made.linear(x, f"{name}.wide", hidden, 4 * hidden)
        bell = made.op("Erf", made.op("Div", wide, made.constant(math.sqrt(2), "float32")))
        gelu = made.op("Mul", wide, made.op("Add", bell, made.constant(1.0, "float32")))
        narrow = made.linear(made.op("Mul", gelu, made.constant(0.5, "float32")), f"{name}.narrow", 4 * hidden, hidden)
        x = normalized(made.op("Add", narrow, x), f"{name}.norm2")
    first = made.op("Gather", x, made.constant(0), axis=1)
    pooled = made.op("Tanh", made.linear(first, "pooler", hidden, hidden))
    inputs: dict[str, list[str | int]] = {key: ["batch", "sequence"] for key in ("input_ids", "attention_mask", "token_type_ids")}
    made.save(path, "bert", inputs, INT64, pooled, ["batch", hidden])


def llama(path: Path, layers: int = 11, hidden: int = 2048, inner: int = 5632, heads: int = 16, vocabulary: int = 16000) -> None:
    """A decoder of 2.5 GB with external data: RMSNorm and rotary positions in small operators, every weight behind a Transpose."""
    made, size = Writer(path.with_suffix(".onnx.data")), hidden // heads

    def normalized(x: str, name: str) -> str:
        mean = made.op("ReduceMean", made.op("Pow", x, made.constant(2.0, "float32")), axes=[-1])
        factor = made.op("Reciprocal", made.op("Sqrt", made.op("Add", mean, made.constant(1e-5, "float32"))))
        return made.op("Mul", made.stored(name, np.ones(hidden, np.float32)), made.op("Mul", x, factor))

    def linear(x: str, name: str, rows: int, columns: int) -> str:
        return made.op("MatMul", x, made.op("Transpose", made.weight(name, columns, rows), perm=[1, 0]))

    x = made.op("Gather", made.weight("embedding", vocabulary, hidden), "input_ids")
    length = made.op("Gather", made.op("Shape", "input_ids"), made.constant(1))
    places = made.op("Cast", made.op("Range", made.constant(0), length, made.constant(1)), to=FLOAT)
    frequencies = made.stored("frequencies", (10000.0 ** (-np.arange(0, size, 2) / size)).astype(np.float32))
    angles = made.op("Mul", made.op("Unsqueeze", places, made.constant([1])), made.op("Unsqueeze", frequencies, made.constant([0])))
    both = made.op("Concat", angles, angles, axis=-1)
    cos, sin = made.op("Cos", both), made.op("Sin", both)
    square = made.op("Concat", made.extent("input_ids", 1), made.extent("input_ids", 1), axis=0)
    low = made.op("ConstantOfShape", square, value=numpy_helper.from_array(np.array([-1e9], np.float32)))
    future = made.op("Trilu", low, made.constant(1), upper=1)

    def turned(x: str) -> str:
        axis, step, half = made.constant([3]), made.constant([1]), made.constant([size // 2])
        left = made.op("Slice", x, made.constant([0]), half, axis, step)
        right = made.op("Slice", x, half, made.constant([int(LAST)]), axis, step)
        return made.op("Add", made.op("Mul", x, cos), made.op("Mul", made.op("Concat", made.op("Neg", right), left, axis=-1), sin))

    def split(x: str, like: str) -> str:
        return made.op("Transpose", made.reshape(x, like, heads, size), perm=[0, 2, 1, 3])

    for layer in range(layers):
        name = f"layer{layer}"
        y = normalized(x, f"{name}.norm1")
        query, key, value = (split(linear(y, f"{name}.{part}", hidden, hidden), y) for part in ("query", "key", "value"))
        keys = made.op("Transpose", turned(key), perm=[0, 1, 3, 2])
        scores = made.op("Div", made.op("MatMul", turned(query), keys), made.constant(math.sqrt(size), "float32"))
        weights = made.op("Softmax", made.op("Add", scores, future), axis=-1)
        mixed = made.op("Identity", made.op("Transpose", made.op("MatMul", weights, value), perm=[0, 2, 1, 3]))
        x = made.op("Add", x, linear(made.reshape(mixed, y, hidden), f"{name}.mix", hidden, hidden))
        y = normalized(x, f"{name}.norm2")
        gate = linear(y, f"{name}.gate", hidden, inner)
        gated = made.op("Mul", made.op("Mul", gate, made.op("Sigmoid", gate)), linear(y, f"{name}.up", hidden, inner))
        x = made.op("Add", x, linear(gated, f"{name}.down", inner, hidden))
    scores = linear(normalized(x, "norm"), "head", hidden, vocabulary)
    made.save(path, "llama", {"input_ids": ["batch", "sequence"]}, INT64, scores, ["batch", "sequence", vocabulary])


def chain(path: Path, nodes: int, width: int = 8, shared: int = 16) -> None:
    """MatMul, Add, Relu one after another, `nodes` of them, over a few small shared weights; the batch is symbolic."""
    made = Writer()
    weights = [made.weight(f"w{number}", width, width) for number in range(shared)]
    biases = [made.weight(f"b{number}", width) for number in range(shared)]
    x = "x"
    while len(made.nodes) < nodes:
        choice = int(made.random.integers(shared))
        x = made.op("Relu", made.op("Add", made.op("MatMul", x, weights[choice]), biases[choice]))
    made.save(path, "chain", {"x": ["batch", width]}, FLOAT, x, ["batch", width])


UNARY: Final = (
    "Abs", "Atan", "Cos", "Elu", "Erf", "Exp", "Floor", "LeakyRelu", "Neg", "Sigmoid", "Sin", "Softplus", "Softsign", "Sqrt", "Tanh",
)  # fmt: skip
BINARY: Final = ("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub")


def tangle(path: Path, nodes: int = 5000, width: int = 8) -> None:
    """Random elementwise operators, each reading some of the last few values: what matching is measured on."""
    made = Writer()
    values = ["x"]
    for _ in range(nodes):
        operator = (*UNARY, *BINARY)[int(made.random.integers(len(UNARY) + len(BINARY)))]
        inputs = [values[-1 - int(made.random.integers(min(6, len(values))))] for _ in range(2 if operator in BINARY else 1)]
        values.append(made.op(operator, *inputs))
    made.save(path, "tangle", {"x": [width, width]}, FLOAT, values[-1], [width, width])


def generate(name: str, path: Path) -> None:
    """Write the model called `name`: bert, llama, tangle, or chain-NODES."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if name == "bert":
        bert(path)
    elif name == "llama":
        llama(path)
    elif name == "tangle":
        tangle(path)
    elif name.startswith("chain-"):
        chain(path, int(name.removeprefix("chain-")))
    else:
        sys.exit(f"there is no model {name!r}: bert, llama, tangle, chain-10000, ...")


if __name__ == "__main__":
    generate(sys.argv[1], Path(sys.argv[2]))
