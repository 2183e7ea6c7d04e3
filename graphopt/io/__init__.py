"""ONNX files and messages to the graph in memory and back: the place that imports onnx."""

from graphopt.io.reader import Source, load
from graphopt.io.saver import save
from graphopt.io.text import parse_text, print_text
from graphopt.io.types import type_from_proto, type_to_proto
from graphopt.io.writer import node_to_proto, tensor_to_proto, to_proto

__all__ = [
    "Source",
    "load",
    "node_to_proto",
    "parse_text",
    "print_text",
    "save",
    "tensor_to_proto",
    "to_proto",
    "type_from_proto",
    "type_to_proto",
]
