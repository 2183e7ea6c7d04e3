"""Models in ONNX's own text syntax."""

from __future__ import annotations

import re

import numpy as np
import onnx.parser
import onnx.printer

from graphopt.errors import ModelError
from graphopt.io.reader import load
from graphopt.io.tensors import holds_data, tensors_in
from graphopt.io.writer import to_proto
from graphopt.ir.model import Model

SEPARATOR = re.compile(r"^[ \t]*#[ \t]*-{5,}[ \t]*$\n?", re.MULTILINE)
PARSER_SAYS = re.compile(r"\[ParseError at position \(line: (\d+) column: (\d+)\)\]\s*Error context:([^\n]*)\n(.*)", re.DOTALL)
AS_INTEGERS: dict[int, str] = {
    onnx.TensorProto.INT8: "<i1", onnx.TensorProto.UINT8: "<u1", onnx.TensorProto.BOOL: "<u1", onnx.TensorProto.INT16: "<i2",
    onnx.TensorProto.UINT16: "<u2", onnx.TensorProto.FLOAT16: "<u2", onnx.TensorProto.BFLOAT16: "<u2",
}  # fmt: skip
CONTEXT = 120  # letters of the line that are shown
HEADER = re.compile(r"\A(?:[ \t]*#[^\n]*\n|\s)*(<.*?>)", re.DOTALL)


def split_text(text: str) -> list[str]:
    """The models of a text with lines `# -----` between them; one without a header <...> of its own has that of the first."""
    found = [part for part in SEPARATOR.split(text) if part.strip()]
    first = HEADER.match(found[0]) if found else None
    header = f"{first[1]}\n" if first is not None else ""
    return [part if HEADER.match(part) else header + part for part in found]


def parse_text(text: str) -> Model:
    """The model that a text in ONNX's syntax describes; comments start with #.

    Raises ModelError with the place where the text stops making sense, and where elements were left out.
    """
    try:
        message = onnx.parser.parse_model(text)
    except onnx.parser.ParseError as error:
        raise ModelError(f"the text is no ONNX model: {parser_words(error)}") from error
    for tensor in tensors_in(message):
        if 0 not in tensor.dims and not holds_data(tensor):
            sizes = ",".join(map(str, tensor.dims))
            advice = "texts are printed without weights of 1 KiB and more; take the model file that it was printed from"
            raise ModelError(f"the text leaves out the elements of {tensor.name or 'a tensor'!r}, [{sizes}]: {advice}")
    return load(message)


def parser_words(error: onnx.parser.ParseError) -> str:
    """What onnx's parser says, in one line: the place, what it expected, and the line on which it met something else."""
    said = error.args[0] if error.args else ""
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    found = PARSER_SAYS.match(text)
    if found is None:
        return " ".join(text.split())
    line, column, context, expected = found.groups()
    return f"line {line}, column {column}: {' '.join(expected.split())} In: {context.strip()[:CONTEXT]}"


def print_text(model: Model) -> str:
    """The model as text; `parse_text` reads it unless tensors of 1 KiB and more were `left_out`, of which only type and shape are shown."""
    return text_of(to_proto(model, weights=False))


def text_of(message: onnx.ModelProto) -> str:
    """A message as text."""
    if any(map(_is_unprinted, tensors_in(message))):
        shown = onnx.ModelProto()
        shown.CopyFrom(message)
        for tensor in filter(_is_unprinted, tensors_in(shown)):
            numbers: list[int] = np.frombuffer(tensor.raw_data, AS_INTEGERS[tensor.data_type]).tolist()
            tensor.int32_data.extend(numbers)
            tensor.ClearField("raw_data")
        message = shown
    text: str = onnx.printer.to_text(message)
    return text


def _is_unprinted(tensor: onnx.TensorProto) -> bool:
    """Whether onnx's printer before 1.20 shows nothing of the raw bytes of a tensor's short integers."""
    return tensor.data_type in AS_INTEGERS and bool(tensor.raw_data)


def left_out(model: Model) -> int:
    """How many tensors the text of a model has without their elements."""
    return sum(0 not in tensor.dims and not holds_data(tensor) for tensor in tensors_in(to_proto(model, weights=False)))
