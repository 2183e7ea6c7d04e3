"""Models for the tests of the report page, as ONNX text."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.parser

EVIL = "</script><b id=evil>&\"'<!--"  # what a name may be: a model comes from anywhere

BRANCHES = """
<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
main (float[N, 4] x, bool flag) => (float[N, 4] y)
<float[4] w = {1, 2, 3, 4}> {
   [first] a = Identity(x)
   [scaled] b = local.scale(a)
   [choice] c = If(flag) <
      then_branch = yes () => (p) { [doubled] p = Add(b, b) },
      else_branch = no () => (q) { [kept] k = Identity(b)  [negated] q = Neg(k) }
   >
   [last] y = Add(c, w)
}
<domain: "local", opset_import: ["" : 17]>
scale (v) => (r) {
   s = Constant <value = float[1] {2.0}> ()
   [inside] r = Mul(v, s)
}
"""


def parsed(text: str = BRANCHES) -> onnx.ModelProto:
    """The model of a text."""
    return onnx.parser.parse_model(text)


def renamed(proto: onnx.ModelProto, old: str, new: str) -> onnx.ModelProto:
    """The same with another name for a node and what it makes, which ONNX text could not spell."""
    for node in proto.graph.node:
        node.name = new if node.name == old else node.name
    proto.graph.name = new
    proto.producer_name = new
    return proto


def transformer(folder: Path, layers: int = 12) -> Path:
    """A transformer as TorchScript exports it, shape arithmetic and all: 117 nodes a layer."""
    lines: list[str] = []
    count, scope = 0, ""

    def call(operator: str, *inputs: str, **attributes: object) -> str:
        nonlocal count
        count += 1
        given = ", ".join(f"{name} = {value}" for name, value in attributes.items())
        name, said = f'"{scope}/{operator}_{count}"', f" <{given}>" if given else ""
        lines.append(f"[{name}] v{count} = {operator}{said} ({', '.join(inputs)})")
        return f"v{count}"

    def number(value: int) -> str:
        return call("Constant", value=f"int64 {{{value}}}")

    def normalized(x: str) -> str:
        centred = call("Sub", x, call("ReduceMean", x, axes="[-1]"))
        squared = call("ReduceMean", call("Pow", centred, "two"), axes="[-1]")
        return call("Add", call("Mul", call("Div", centred, call("Sqrt", call("Add", squared, "eps"))), "g"), "g")

    def heads(x: str) -> str:
        sizes = [call("Gather", call("Shape", x), number(axis)) for axis in (0, 1)]
        parts = [call("Unsqueeze", size, "zero") for size in sizes] + [call("Unsqueeze", number(size), "zero") for size in (2, 4)]
        return call("Transpose", call("Reshape", x, call("Concat", *parts, axis=0)), perm="[0, 2, 1, 3]")

    hidden = "x"
    for layer in range(layers):
        scope = f"/layer.{layer}"
        query, key, value = (heads(call("Add", call("MatMul", hidden, "w"), "g")) for _ in range(3))
        scores = call("Div", call("MatMul", query, call("Transpose", key, perm="[0, 1, 3, 2]")), "two")
        mixed = call("Transpose", call("MatMul", call("Softmax", call("Add", scores, "mask")), value), perm="[0, 2, 1, 3]")
        sizes = [call("Unsqueeze", call("Gather", call("Shape", mixed), number(axis)), "zero") for axis in (0, 1)]
        flat = call("Reshape", mixed, call("Concat", *sizes, call("Unsqueeze", number(8), "zero"), axis=0))
        attended = normalized(call("Add", call("Add", call("MatMul", flat, "w"), "g"), hidden))
        inner = call("Relu", call("Add", call("MatMul", attended, "w"), "g"))
        hidden = normalized(call("Add", call("Identity", call("Add", call("MatMul", inner, "w"), "g")), attended))
    body = "\n".join(lines)
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
    transformer (float[batch, seq, 8] x, float[batch, 1, 1, seq] mask) => (float[batch, seq, 8] y)
    <float[8, 8] w, float[8] g = {{1, 1, 1, 1, 1, 1, 1, 1}}, float two = {{2}}, float eps = {{0.00001}}, int64[1] zero = {{0}}> {{
    {body}
    y = Identity({hidden}) }}"""
    proto = onnx.parser.parse_model(text.replace("float[8, 8] w,", f"float[8, 8] w = {{{', '.join(['0.1'] * 64)}}},"))
    path = folder / f"transformer_{layers}.onnx"
    onnx.save(proto, path)
    return path
