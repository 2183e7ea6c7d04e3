"""The graph in memory: values, nodes, graphs, models, and the edits that change them."""

from graphopt.ir.attribute import Attribute, AttributeKind, AttributeValue, Opaque
from graphopt.ir.dim import Dim, Shape, Size, element_count
from graphopt.ir.dtype import DType
from graphopt.ir.edit import Editor
from graphopt.ir.graph import Graph, Node, Value, operator
from graphopt.ir.listener import Listener
from graphopt.ir.model import Function, Model
from graphopt.ir.tensor import LARGE, FileSlice, InMemory, MappedFile, Parted, Storage, Strings, Tensor, release
from graphopt.ir.types import MapType, OpaqueType, OptionalType, SequenceType, SparseTensorType, TensorType, Type
from graphopt.ir.verify import verify
from graphopt.ir.view import GraphView

__all__ = [
    "Attribute",
    "AttributeKind",
    "AttributeValue",
    "DType",
    "Dim",
    "Editor",
    "FileSlice",
    "Function",
    "Graph",
    "GraphView",
    "InMemory",
    "LARGE",
    "Listener",
    "MapType",
    "MappedFile",
    "Model",
    "Node",
    "OpaqueType",
    "Opaque",
    "OptionalType",
    "Parted",
    "SequenceType",
    "Shape",
    "Size",
    "SparseTensorType",
    "Storage",
    "Strings",
    "Tensor",
    "TensorType",
    "Type",
    "Value",
    "element_count",
    "operator",
    "release",
    "verify",
]
